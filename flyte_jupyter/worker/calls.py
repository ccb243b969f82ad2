"""Calls in a body: the engine's call runs a task, a task's call goes up the stream."""

from __future__ import annotations

import contextvars
import os
import queue
import sys
import threading
import time
from functools import partial
from itertools import count
from typing import Any, Callable, Dict, List, Optional, Set

from flyte_jupyter import errors
from flyte_jupyter.spec import calling
from flyte_jupyter.wire.checks import check
from flyte_jupyter.wire.exchange import Packed, pack, unpack
from flyte_jupyter.wire.frames import Frame, Kind
from flyte_jupyter.wire.inputs import check_inputs, check_size
from flyte_jupyter.wire.values import (
    Ref,
    decode,
    decode_exception,
    encode,
    encode_exception,
    inline_size,
    preview,
)
from flyte_jupyter.worker.cgroup import oom_kills
from flyte_jupyter.worker.classes import find_class, find_same_class
from flyte_jupyter.worker.context import TaskContext, current_context
from flyte_jupyter.worker.disks import DISK_FULL, full_disks
from flyte_jupyter.worker.load import Loaded, load
from flyte_jupyter.worker.loops import LoopQueue, end_leftovers, in_loop, settle
from flyte_jupyter.worker.meter import Meter
from flyte_jupyter.worker.output import current_call
from flyte_jupyter.worker.secret import lay_secrets
from flyte_jupyter.worker.tracebacks import user_traceback

__all__ = ["Runner"]

FIRST_OWN = 1 << 31
# The parent of a body that has a container, and so a control group, of its own.
FIRST_PROCESS = 1
# seconds in which a signal that was sent arrives
LATE = 0.01

# sends how a call ended, with what it used where that is known
Outcome = Callable[[Dict[str, Any]], None]


class Runner:
    """Runs the engine's calls on this thread and dispatches the calls that tasks make.

    Args:
        body: the process that this belongs to.
    """

    def __init__(self, body: Any) -> None:
        self._body = body
        self._link = body.link
        self._loaded: Dict[str, Loaded] = {}
        self._find_class = partial(find_class, self._loaded)
        self._numbers = count(FIRST_OWN)
        self._ending = threading.Lock()
        self._interrupted = False
        self._waiters: Dict[int, Callable[[Frame], None]] = {}
        self._loop: Any = None
        self._tasks: Dict[int, Any] = {}
        self._running: Optional[int] = None
        self._laid_out: Set[str] = set()
        self._oom_kills = 0
        self._meter = Meter()
        calling.set_dispatcher(self)

    # serving the engine

    def rehearse(self, frame: Frame) -> None:
        """Take the way of a call without a trace, so that the first real one is quick."""
        main = sys.modules["__main__"]
        capsule = frame.header["capsule"]
        try:
            contextvars.copy_context().run(self._outcome_of, frame)
        finally:
            sys.modules["__main__"] = main
            self._body.capsules.pop(capsule, None)
            self._loaded.pop(capsule, None)
            self._running = None

    def serve(self) -> None:
        """Run calls until the engine says goodbye."""
        if self._body.config.get("concurrency", 1) > 1:
            self._serve_together()
            return
        while True:
            try:
                frame = self._body.take()
                if frame is None:
                    return
                self._serve_one(frame)
                frame = None  # it holds what came with it
                self._link.tell_news()
            except KeyboardInterrupt:
                continue  # a cancel that came when its call had just ended

    def _serve_one(self, frame: Frame) -> None:
        book = self._body.book
        book.only_call = frame.call
        self._meter.start()
        try:
            outcome = contextvars.copy_context().run(self._outcome_of, frame)
        except BaseException as error:
            self._end_running()
            outcome = self._failure(frame, error)
        book.flush()
        outcome(self._meter.used())

    def _end_running(self) -> None:
        """Note that no user code runs, and take the interrupt that comes too late for it."""
        with self._ending:
            self._running = None
        if self._interrupted:
            self._interrupted = False
            try:
                time.sleep(LATE)
            except KeyboardInterrupt:
                pass

    def _outcome_of(self, frame: Frame) -> Outcome:
        current_call.set(frame.call)
        loaded, inputs = self._open(frame)
        self._running = frame.call
        if loaded.is_async:
            value = self._own_loop().run_until_complete(
                self._tracked(frame, _invoke(loaded.callable, inputs))
            )
        else:
            value = _invoke(loaded.callable, inputs)
        self._end_running()
        return self._success(frame, loaded, value)

    def _own_loop(self) -> Any:
        if self._loop is None:
            import asyncio

            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
        return self._loop

    async def _tracked(self, frame: Frame, coroutine: Any) -> Any:
        import asyncio

        task = asyncio.ensure_future(coroutine)
        self._tasks[frame.call] = task
        try:
            return await task
        finally:
            del self._tasks[frame.call]
            await end_leftovers()

    def _serve_together(self) -> None:
        """Run asynchronous calls side by side on one loop."""
        loop = self._own_loop()

        def deliver(frame: Optional[Frame]) -> None:
            if frame is None:
                loop.stop()
            else:
                task = loop.create_task(self._serve_beside(frame))
                self._tasks[frame.call] = task
                task.add_done_callback(lambda _: self._tasks.pop(frame.call, None))

        waiting, self._body.work = self._body.work, LoopQueue(loop, deliver)
        while not waiting.empty():
            deliver(waiting.get())
        loop.run_forever()

    async def _serve_beside(self, frame: Frame) -> None:
        current_call.set(frame.call)
        try:
            loaded, inputs = self._open(frame)
            result = _invoke(loaded.callable, inputs)
            if loaded.is_async:
                result = await result
            outcome = self._success(frame, loaded, result)
        except BaseException as error:
            outcome = self._failure(frame, error)
        self._body.book.flush()
        outcome({})
        self._link.tell_news()

    def _open(self, frame: Frame) -> Any:
        header = frame.header
        if "secrets" in header:
            os.environ.update(header["secrets"])
        if "secret_files" in header:
            lay_secrets(header["secret_files"])
        if "files" in header:
            self._lay_out(header["files"])
        loaded = self._load(header["capsule"])
        current_context.set(TaskContext.of(header))
        calling.set_dispatcher(self)
        value = self._decode(self._link.value(frame))
        return loaded, value

    def _lay_out(self, digest: str) -> None:
        """Write the files that travel with the code into the working directory, once."""
        if digest in self._laid_out:
            return
        self._laid_out.add(digest)
        here = os.path.realpath(os.getcwd())
        for name, content in self._decode(self._link.value(self._body.capsules[digest])).items():
            path = os.path.realpath(os.path.join(here, name))
            if not path.startswith(here + os.sep):
                raise errors.ProtocolError(f"The file {name!r} would lie outside of {here!r}.")
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(content)

    def _load(self, digest: str) -> Loaded:
        loaded = self._loaded.get(digest)
        if loaded is None:
            packed = self._link.value(self._body.capsules[digest])
            encoded = unpack(packed, self._link.open_ref)
            place = self._body.config.get("modules")
            loaded = load(encoded.tree, encoded.buffers, self._link.open_ref, place)
            self._loaded[digest] = loaded
        sys.modules["__main__"] = loaded.module
        return loaded

    def _success(self, frame: Frame, loaded: Loaded, value: Any) -> Outcome:
        header = frame.header
        task = header["task"]
        encoded = encode(value, pickle=header.get("pickle", True), class_hash=loaded.class_hash)
        expected = loaded.interface.get("output") if loaded.interface else None
        if expected is not None:
            mismatch = check(expected, encoded.tree)
            if mismatch is not None:
                raise errors.RuntimeDataValidationError(
                    "", mismatch.sentence(f"The output of {task}") + ".", remedy=mismatch.remedy
                )
        packed = pack(encoded, type=type(value).__name__, preview=preview(value))
        small = not encoded.buffers and value is not None
        size = packed.size if small else inline_size(encoded)
        check_size(size, header.get("limit"), f"The output of {task}")
        return lambda used: self._link.send_value(Kind.RESULT, frame.call, used, packed)

    def _failure(self, frame: Frame, error: BaseException) -> Outcome:
        text = user_traceback(error)
        if isinstance(error, SystemExit):
            error = errors.RuntimeUserError(
                "SystemExit", f"{frame.header['task']} called sys.exit({error.code!r})."
            )
        remedy = getattr(error, "remedy", "")
        header: Dict[str, Any] = {
            "type": getattr(error, "code", None) or type(error).__name__
            if isinstance(error, errors.RuntimeUserError)
            else type(error).__name__,
            "sentence": str(error).removesuffix("\n" + remedy),
            "traceback": text,
            "remedy": remedy,
            "final": isinstance(error, errors.NonRecoverableError),
        }
        if os.getppid() == FIRST_PROCESS:
            before, self._oom_kills = self._oom_kills, oom_kills()
            header["oom_kills"] = self._oom_kills - before
        if getattr(error, "errno", None) in DISK_FULL:
            header["full"] = full_disks()
        packed = pack(encode_exception(error, text))
        return lambda used: self._link.send_value(
            Kind.ERROR, frame.call, {**used, **header}, packed
        )

    # on the thread that reads

    def receive(self, frame: Frame) -> None:
        """Take an answer to a call of ours, or the end of one of the engine's."""
        if frame.kind == Kind.CANCEL:
            self._cancel(frame.call)
            return
        waiter = self._waiters.pop(frame.call, None)
        if waiter is not None:
            waiter(frame)

    def _cancel(self, call: int) -> None:
        task = self._tasks.get(call)
        if task is not None:
            self._loop.call_soon_threadsafe(task.cancel)
            return
        with self._ending:
            if self._running == call:
                self._interrupted = True
                self._body.interrupt()

    # what tasks call

    def call(self, task: Any, args: Any, kwargs: Any) -> Any:
        """Call a task from a body: its value, or a coroutine where a loop is running."""
        if in_loop():
            if task.is_async or task.is_deployed:
                return self._await(task, task.bind(args, kwargs))
            raise errors.SyncTaskCallInAsyncContextError(
                f"{task.name} is a synchronous task and was called from an asynchronous body, "
                "which it would block.",
                remedy=f"Write: await {task.short_name}.aio(...)",
            )
        answer: queue.SimpleQueue[Frame] = queue.SimpleQueue()
        number = self._submit(task, task.bind(args, kwargs), answer.put)
        try:
            frame = answer.get()
        except BaseException:
            self._give_up(number)
            raise
        return self._outcome(task, frame)

    def aio(self, task: Any, args: Any, kwargs: Any) -> Any:
        """Call a task from an asynchronous body."""
        return self._await(task, task.bind(args, kwargs))

    async def _await(self, task: Any, inputs: Dict[str, Any]) -> Any:
        import asyncio

        loop = asyncio.get_running_loop()
        future: asyncio.Future[Frame] = loop.create_future()

        def arrived(frame: Frame) -> None:
            loop.call_soon_threadsafe(settle, future, frame)

        number = self._submit(task, inputs, arrived)
        try:
            frame = await future
        except BaseException:
            self._give_up(number)
            raise
        return self._outcome(task, frame)

    def submit(self, task: Any, args: Any, kwargs: Any) -> Callable[[], Any]:
        """Start a call and return the function that waits for its value, for ``map``."""
        answer: queue.SimpleQueue[Frame] = queue.SimpleQueue()
        number = self._submit(task, task.bind(args, kwargs), answer.put)

        def wait() -> Any:
            try:
                frame = answer.get()
            except BaseException:
                self._give_up(number)
                raise
            return self._outcome(task, frame)

        return wait

    def _submit(self, task: Any, inputs: Dict[str, Any], arrived: Callable[[Frame], None]) -> int:
        context = current_context.get()
        encoded = encode(inputs, pickle=context.pickle)
        check_inputs(task.func_name, _interface(task), encoded.tree)
        number = next(self._numbers)
        self._waiters[number] = arrived
        self._link.attend()
        header: Dict[str, Any] = {
            "task": task.address,
            "parent": current_call.get() or self._body.book.only_call,
            "inline": inline_size(encoded) if inputs else 0,
        }
        if task.overrides:
            from flyte_jupyter.spec.settings import to_plain

            header["overrides"] = to_plain(task.overrides)
        self._link.send_value(Kind.CALL, number, header, pack(encoded))
        return number

    def _give_up(self, number: int) -> None:
        if self._waiters.pop(number, None) is not None:
            self._link.send(Kind.CANCEL, number)

    def _outcome(self, task: Any, frame: Frame) -> Any:
        packed = self._link.value(frame)
        classes = partial(find_same_class, self._loaded) if task.is_deployed else self._find_class
        if frame.kind == Kind.ERROR:
            encoded = unpack(packed, self._link.open_ref)
            error = decode_exception(
                encoded,
                open_ref=self._link.open_ref,
                classes=classes,
                pickle=current_context.get().pickle,
            )
            if isinstance(error, errors.FlyteError) and not error.remedy:
                error.remedy = frame.header.get("remedy", "")
            raise error
        return self._decode(packed, classes)

    def _decode(self, packed: Packed, classes: Optional[Callable[..., Any]] = None) -> Any:
        opened: List[Ref] = []

        def open_ref(ref: Ref) -> Any:
            opened.append(ref)
            return self._link.open_ref(ref)

        encoded = unpack(packed, open_ref)
        value = decode(
            self._link.own(encoded),
            open_ref=open_ref,
            classes=classes or self._find_class,
            pickle=current_context.get().pickle,
        )
        self._link.free(opened)
        return value


def _invoke(function: Callable[..., Any], inputs: Dict[str, Any]) -> Any:
    code = getattr(function, "__code__", None)
    if code is None or not (code.co_posonlyargcount or code.co_flags & 0x0C):
        return function(**inputs)
    import inspect

    from flyte_jupyter.spec.binding import spread

    args, kwargs = spread(inspect.signature(function), inputs)
    return function(*args, **kwargs)


def _interface(task: Any) -> Any:
    """Return what is known of a task's inputs: a stub carries it, a function tells it."""
    known = getattr(task, "interface", None)
    if known is None and task.func is not None:
        from flyte_jupyter.wire.schema import interface_of

        known = task.interface = interface_of(task.func)
    return known
