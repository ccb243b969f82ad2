"""The first process of a worker: it starts bodies, watches them, and never runs user code.

On ``local`` one such process serves all workers of one interpreter. It talks to the kernel over a
control socket: JSON lines in both directions, the stream of a new body travels beside its line as
a descriptor. When the control socket ends, the kernel is gone, whatever killed it: everything that
descends from here is killed and the process exits.

======== =============== ==========================================================
line     direction       fields
======== =============== ==========================================================
spawn    from the kernel ``id``, ``config`` (see :mod:`flyte_jupyter.worker.body`),
                         ``memory`` (bytes or null); a descriptor comes along
kill     from the kernel ``id``, ``signal``
deadline from the kernel ``id``, ``seconds`` from now, or null
ready    to the kernel   ``pid``, ``python``, ``platform``
started  to the kernel   ``id``, ``pid``
exit     to the kernel   the exit record: ``id``, ``code``, ``signal``, ``cause``
                         (null, ``memory``, ``deadline``), ``peak_memory``, ``cpu_seconds``,
                         ``words`` (what it wrote last and could not send itself), in a
                         container ``oom_kills`` (processes ended there for lack of memory)
======== =============== ==========================================================
"""

from __future__ import annotations

import array
import gc
import json
import os
import select
import signal
import socket
import sys
import time
from importlib import import_module
from typing import Any, Dict, List, Optional, Tuple

from flyte_jupyter.worker import processes
from flyte_jupyter.worker.output import output_pipes

__all__ = ["Body", "Init", "main"]

INHERITED = (
    "flyte_jupyter.worker.body",
    "flyte_jupyter.wire.values",
    "flyte_jupyter.worker.calls",
    "inspect",
    "asyncio",
    "flyte_jupyter.worker.stubs",
    "flyte_jupyter.worker.rehearsal",
)
WATCH = 0.05
GRACE = 2.0
WORDS = 64 * 1024


class Body:
    """A body as its first process sees it."""

    def __init__(
        self,
        key: int,
        pid: int,
        memory: Optional[int],
        folders: List[str],
        outputs: List[int],
    ) -> None:
        self.key = key
        self.pid = pid
        self.outputs = outputs
        self.memory = memory
        self.folders = folders
        self.deadline: Optional[float] = None
        self.cause: Optional[str] = None
        self.peak = 0


class Init:
    """Starts, watches and reaps bodies.

    Args:
        control: the socket to the kernel.
        folder: removed at the end, ``""`` for none.
    """

    def __init__(self, control: socket.socket, folder: str) -> None:
        self._control = control
        self._folder = folder
        self._text = bytearray()
        self._fds: List[int] = []
        self._bodies: Dict[int, Body] = {}
        self._poll = select.poll()
        self._child_pipe = os.pipe()
        self._later: List[str] = []
        self._served = False

    def run(self) -> None:
        """Serve until the control socket ends, then leave nothing behind."""
        for fd in self._child_pipe:
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(self._child_pipe[1], warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        self._poll.register(self._control, select.POLLIN)
        self._poll.register(self._child_pipe[0], select.POLLIN)
        self._say({"op": "ready", "pid": os.getpid(), "python": list(sys.version_info[:3])})
        while True:
            for fd, _ in self._poll.poll(self._pause()):
                if fd == self._child_pipe[0]:
                    _drain(fd)
                elif not self._listen():
                    self._end()
                    return
            self._reap()
            self._watch()
            self._warm_up()

    def _warm_up(self) -> None:
        """Import, a module a turn, what every body needs, so that later ones inherit it."""
        if self._later:
            import_module(self._later.pop(0))
            if not self._later:
                # a collection in a forked process would write to, and so copy, every object
                gc.collect()
                gc.freeze()
        elif self._bodies and not self._served:
            self._served = True
            processes.adopt_orphans()
            self._later = list(INHERITED)

    def _pause(self) -> Optional[float]:
        if self._later:
            return 0
        watched = [b for b in self._bodies.values() if b.memory and not b.cause]
        deadlines = [b.deadline for b in self._bodies.values() if b.deadline and not b.cause]
        if watched:
            return WATCH * 1000
        if deadlines:
            return max(0.0, min(deadlines) - time.monotonic()) * 1000 + 1
        return None

    # The kernel's lines

    def _listen(self) -> bool:
        try:
            data, ancillary, _, _ = self._control.recvmsg(1 << 16, socket.CMSG_SPACE(4 * 64))
        except OSError:
            return False
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds = array.array("i")
                fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
                self._fds.extend(fds)
        if not data:
            return False
        self._text += data
        while True:
            end = self._text.find(b"\n")
            if end < 0:
                return True
            line = json.loads(bytes(self._text[:end]))
            del self._text[: end + 1]
            getattr(self, "_do_" + line["op"])(line)

    def _do_spawn(self, line: Dict[str, Any]) -> None:
        stream = self._fds.pop(0)
        config = line["config"]
        pipes = config["outputs"] = output_pipes()
        pid = os.fork()
        if pid == 0:
            self._become_body(stream, config)
        for fd in (stream, *(write for _, write in pipes)):
            os.close(fd)
        outputs = [read for read, _ in pipes]
        folders = [config["folder"], config.get("modules", "")]
        body = Body(line["id"], pid, line.get("memory"), folders, outputs)
        self._bodies[pid] = body
        self._say({"op": "started", "id": body.key, "pid": pid})

    def _become_body(self, stream: int, config: Dict[str, Any]) -> None:
        status = 70
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            self._control.close()
            others = (fd for body in self._bodies.values() for fd in body.outputs)
            for fd in (*self._child_pipe, *self._fds, *others):
                os.close(fd)
            from flyte_jupyter.worker import body

            status = body.start(stream, stream, config)
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(status)

    def _do_kill(self, line: Dict[str, Any]) -> None:
        for body in self._bodies.values():
            if body.key == line["id"]:
                processes.kill_tree(body.pid, line.get("signal") or signal.SIGKILL)

    def _do_deadline(self, line: Dict[str, Any]) -> None:
        for body in self._bodies.values():
            if body.key == line["id"]:
                seconds = line.get("seconds")
                body.deadline = None if seconds is None else time.monotonic() + seconds

    def _say(self, line: Dict[str, Any]) -> None:
        try:
            self._control.sendall((json.dumps(line) + "\n").encode())
        except OSError:
            pass  # the kernel is gone; the next look at the socket ends this process

    # The bodies

    def _watch(self) -> None:
        now = time.monotonic()
        for body in self._bodies.values():
            if body.cause:
                continue
            if body.deadline and now >= body.deadline:
                body.cause = "deadline"
                processes.kill_tree(body.pid, signal.SIGKILL)
            elif body.memory:
                used = processes.memory_of_tree(body.pid)
                body.peak = max(body.peak, used)
                if used > body.memory:
                    body.cause = "memory"
                    processes.kill_tree(body.pid, signal.SIGKILL)

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            body = self._bodies.pop(pid, None)
            if body is not None:
                processes.kill_session(pid)
            self._end_orphans()
            if body is not None:
                self._say(self.record(body, status, usage))

    def record(self, body: Body, status: int, usage: Any) -> Dict[str, Any]:
        """Return the exit record of a body, and leave nothing of it.

        Args:
            body: the body.
            status: as the system tells it.
            usage: what it and what it waited for have used.
        """
        for folder in filter(None, body.folders):
            processes.remove_folder(folder)
        words = "".join(map(_last_words, body.outputs))
        code, number = _decode(status)
        return {
            "op": "exit",
            "id": body.key,
            "code": code,
            "signal": number,
            "cause": body.cause,
            "peak_memory": max(body.peak, processes.peak_bytes(usage)),
            "cpu_seconds": usage.ru_utime + usage.ru_stime,
            "words": words,
        }

    def _end_orphans(self) -> None:
        """Kill what bodies that have ended left running.

        A body adopts its own orphans while it lives, so what is a child of this process and no
        body was left by one that has ended.
        """
        for pid in processes.children_of(os.getpid()):
            if pid not in self._bodies:
                processes.kill_tree(pid, signal.SIGKILL)

    def _end(self) -> None:
        """Kill all that descends from here, also what was started while killing."""
        bodies = list(self._bodies.values())
        limit = time.monotonic() + GRACE
        while time.monotonic() < limit:
            for body in bodies:
                processes.kill_tree(body.pid, signal.SIGKILL)
            for pid in processes.children_of(os.getpid()):
                processes.kill_tree(pid, signal.SIGKILL)
            try:
                while os.wait4(-1, os.WNOHANG)[0]:
                    pass
            except ChildProcessError:
                break
            select.select([], [], [], 0.01)
        if self._folder:
            processes.remove_folder(self._folder)


def _decode(status: int) -> Tuple[Optional[int], Optional[int]]:
    if os.WIFSIGNALED(status):
        return None, os.WTERMSIG(status)
    return os.WEXITSTATUS(status), None


def _last_words(fd: int) -> str:
    """Return what is left in a pipe, its end if that is long, and close it."""
    left = bytearray()
    try:
        while True:
            data = os.read(fd, 1 << 20)
            if not data:
                break
            left += data
    except BlockingIOError:
        pass
    os.close(fd)
    return left[-WORDS:].decode("utf-8", "replace")


def _drain(fd: int) -> None:
    try:
        while os.read(fd, 4096):
            pass
    except BlockingIOError:
        pass


def main(control_fd: int) -> None:
    """Run the first process of the workers of one interpreter.

    Args:
        control_fd: descriptor of the control socket.
    """
    os.set_inheritable(control_fd, False)
    Init(socket.socket(fileno=control_fd), os.getcwd()).run()
