"""The process that runs user code: on its main thread, with the stream on another meanwhile.

A body is started ahead of its work. It says hello, imports what earlier calls of its environment
imported, and waits. Its surroundings are the same on every target: an empty scratch folder, the
variables it was given and no others, the null device as standard input.

The configuration is a dictionary:

=============== ================================================================
``folder``      scratch folder to make and to work in
``modules``     folder for local modules, where the system's one for temporary files would keep
                them; made when there are any
``environ``     all environment variables, or null to keep those of the process
``concurrency`` how many asynchronous calls share the body
``preload``     names of modules to import while waiting
``files``       folder whose content is copied into the scratch folder, or empty; where that one
                may not be written to, both are put together in another
``outputs``     pipes for standard output and error, as ``[read, write]``
``ahead``       true to rehearse a call where the first one lets wait
``anew``        true in a process that was started anew, not forked
=============== ================================================================
"""

from __future__ import annotations

import builtins
import faulthandler
import os
import signal
import sys
import threading
import time
from typing import Any, Dict, List, Optional

from flyte_jupyter.wire.frames import PROTOCOL, Frame, Kind
from flyte_jupyter.worker import processes
from flyte_jupyter.worker.link import Link
from flyte_jupyter.worker.output import LogBook

__all__ = ["start"]

# How it ends without its stream, and what it writes then: user code may end with the same status.
STREAM_ENDED = 71
# how many calls are remembered by what they have printed
CALLS = 1024
LAST_WORD = b"flyte_jupyter: the stream to the notebook has ended\n"
# These are read when a process starts, so a fork cannot honour them.
EARLY = ("LD_", "DYLD_", "PYTHON", "MALLOC_", "GLIBC_TUNABLES", "OPENSSL_CONF")


def start(read_fd: int, write_fd: int, config: Dict[str, Any]) -> int:
    """Be a body until the stream ends or the engine says goodbye; return the exit status."""
    if not config.get("anew"):
        os.setsid()
        processes.die_with_parent()
        processes.adopt_orphans()
        if any(name.startswith(EARLY) for name in config["environ"] or ()):
            _start_anew(read_fd, write_fd, config)
    if config["environ"] is not None:
        os.environ.clear()
        os.environ.update(config["environ"])
    try:
        _fill(config["folder"], config.get("files"))
        os.chdir(config["folder"])
    except OSError:
        # the image's own folder is not for a user whom the image does not know
        os.chdir(_beside(config["folder"], config.get("files")))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    sys.stdin = open(0)  # noqa: SIM115, lives as long as the process
    builtins.input = _input
    if "TZ" in os.environ:
        time.tzset()  # the process it was forked from has its own
    return _Body(read_fd, write_fd, config).run()


def _fill(folder: str, files: Optional[str]) -> None:
    os.makedirs(folder, mode=0o700, exist_ok=True)
    if files:
        import shutil

        for entry in os.scandir(files):
            # the folder itself may be somebody else's, and its modes with it
            there = os.path.join(folder, entry.name)
            if entry.is_dir(follow_symlinks=False):
                shutil.copytree(entry.path, there, symlinks=True, dirs_exist_ok=True)
            else:
                shutil.copy2(entry.path, there, follow_symlinks=False)


def _beside(folder: str, files: Optional[str]) -> str:
    """Return a scratch folder that has what is in another one, and the files."""
    import tempfile

    scratch = tempfile.mkdtemp(prefix="task-")
    _fill(scratch, files)
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        if not os.path.lexists(os.path.join(scratch, name)):
            os.symlink(os.path.join(folder, name), os.path.join(scratch, name))
    return scratch


def _input(prompt: object = "", /) -> str:
    """Refuse: nobody can answer."""
    print(prompt, end="", flush=True)
    raise EOFError("input() was called, and a task has no keyboard: make it an input of the task.")


def _start_anew(read_fd: int, write_fd: int, config: Dict[str, Any]) -> None:
    import json

    text = json.dumps(dict(config, anew=True))
    flags = ["-s"] if any(n.startswith("PYTHON") for n in config["environ"]) else ["-I"]
    if sys.flags.no_site:
        flags.append("-S")
    runtime = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    code = (
        f"import sys; sys.path.insert(0, {runtime!r}); import json, os\n"
        "from flyte_jupyter.worker import body\n"
        f"os._exit(body.resume({read_fd}, {write_fd}, json.loads(sys.argv[1])))"
    )
    for fd in _descriptors(read_fd, write_fd, config):
        os.set_inheritable(fd, True)
    environ = dict(config["environ"])
    os.execve(sys.executable, [sys.executable, *flags, "-c", code, text], environ)


def resume(read_fd: int, write_fd: int, config: Dict[str, Any]) -> int:
    """Go on as a body in a process that was started anew for its environment variables."""
    for fd in _descriptors(read_fd, write_fd, config):
        os.set_inheritable(fd, False)
    if sys.path and not sys.flags.isolated:
        sys.path.remove("")
    return start(read_fd, write_fd, config)


def _descriptors(read_fd: int, write_fd: int, config: Dict[str, Any]) -> List[int]:
    return [read_fd, write_fd, *(fd for pipe in config["outputs"] for fd in pipe)]


class _Body:
    def __init__(self, read_fd: int, write_fd: int, config: Dict[str, Any]) -> None:
        import queue

        self.config = config
        self.work: queue.SimpleQueue[Optional[Frame]] = queue.SimpleQueue()
        self.link = Link(read_fd, write_fd, self.receive, self.stream_ended)
        self.said: Dict[int, int] = {}
        self.book = LogBook(self.send_log, self.link.wake)
        self.main_thread = threading.get_ident()
        self.capsules: Dict[str, Frame] = {}
        self.runner: Any = None

    def run(self) -> int:
        for fd in self.book.capture(self.config["outputs"]):
            self.link.sources[fd] = lambda fd=fd: self.book.drain(fd)  # type: ignore[misc]
        faulthandler.enable(2, all_threads=False)
        self.link.tick = self.book.tick
        if self.config.get("ahead") or "flyte_jupyter.worker.calls" in sys.modules:
            # inherited from the first process: this one was started ahead, and can rehearse
            from flyte_jupyter.worker.rehearsal import rehearsal_bytes

            self.link.rehearsal = rehearsal_bytes()
        self.link.start()
        self.link.send(
            Kind.HELLO,
            0,
            {
                "protocol": PROTOCOL,
                "python": list(sys.version_info[:3]),
                "platform": sys.platform,
                "pid": os.getpid(),
                "segments": self.link.takes_segments,
            },
        )
        from flyte_jupyter.worker.alias import install_alias
        from flyte_jupyter.worker.calls import Runner

        install_alias()
        self.runner = Runner(self)
        self._prepare()
        try:
            self.runner.serve()
        finally:
            self._farewell()
        return 0

    def _prepare(self) -> None:
        """Use the time until the first call, if there is any."""
        if self.link.rehearsal:
            first = self.work.get()
            if first is None or first.call:
                self.work.put(first)  # the order of calls that share a body means nothing
                return
            self.runner.rehearse(first)
        if self.work.empty():
            self._preload()

    def _preload(self) -> None:
        from importlib import import_module

        names: List[str] = self.config.get("preload", [])
        for name in names:
            if not self.work.empty():
                return
            try:
                import_module(name)
            except BaseException as error:
                # The task that needs it will meet the same error, at its own line.
                del error

    def _farewell(self) -> None:
        import atexit

        try:
            atexit._run_exitfuncs()
        finally:
            self.book.flush()

    def take(self) -> Optional[Frame]:
        """Return the next call, which this thread reads itself if it has to wait for it."""
        if self.work.empty():
            self.link.read_while(self.work.empty)
        return self.work.get()

    # On the thread that reads

    def receive(self, frame: Frame) -> None:
        """Hand a frame to whom it concerns."""
        if frame.kind == Kind.CALL:
            self.work.put(frame)
        elif frame.kind == Kind.LOAD:
            self.capsules[frame.header["capsule"]] = frame
        elif frame.kind == Kind.BYE:
            self.work.put(None)
        elif self.runner is not None:
            self.runner.receive(frame)

    def stream_ended(self) -> None:
        """End at once: nobody is left to work for."""
        try:
            os.set_blocking(2, False)
            os.write(2, LAST_WORD)
        except OSError:
            pass  # user code has closed it
        os._exit(STREAM_ENDED)

    def send_log(self, call: int, stream: str, text: str) -> None:
        """Send a piece of the log, with the bytes of that call's log before it.

        Whoever goes on for a kernel that has died can tell by them what was written down already.
        """
        before = self.said.pop(call, 0)
        if len(self.said) >= CALLS:
            del self.said[next(iter(self.said))]  # it has been silent for longest
        self.said[call] = before + len(text.encode("utf-8", "surrogateescape"))
        self.link.send(Kind.LOG, call, {"stream": stream, "text": text, "at": before})

    def interrupt(self) -> None:
        """Raise ``KeyboardInterrupt`` in the user's code."""
        signal.pthread_kill(self.main_thread, signal.SIGINT)
