"""The kernel's end of the comm: answers front ends, and keeps up to date what they look at.

A question is heard on the thread that the kernel chooses, which may be the one that executes cells:
so nothing here waits there. Memory and journal are read on one thread, and what asks engines and
clusters on another, so that a cancellation never stands behind these.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flyte_jupyter import catalog
from flyte_jupyter.errors import FlyteError
from flyte_jupyter.notebook.comm import snapshots
from flyte_jupyter.notebook.comm.peer import Peer
from flyte_jupyter.notebook.comm.protocol import VERSION, Request, answer, read
from flyte_jupyter.notebook.comm.worker import Worker

__all__ = ["Hub"]

LOOK = 1.0
"""Seconds between two looks at the journal and the catalog, while somebody watches."""
SLOW = {"standings": 15.0, "targets": 10.0, "leftovers": 30.0}
"""Seconds after which what takes its time is asked for again."""
WHY = "it was cancelled in the notebook's side bar or by its button"


class Hub:
    """The front ends of one kernel.

    Args:
        shell: the IPython shell, which completes code.
        changed: called when it may have changed whether a front end can act while a cell runs.
    """

    def __init__(self, shell: Any, changed: Callable[[], None]) -> None:
        self._shell = shell
        self._changed = changed
        self._peers: list[Peer] = []
        self._lock = threading.Lock()
        self._quick = Worker("flyte-comm", self._look)
        self._slow = Worker("flyte-comm-slow")
        self._standings: dict[str, dict[str, str]] = {}
        self._asked: dict[str, float] = {}
        self._seen: dict[str, Any] = {}
        self._stop_listening = catalog.current().on_change(self._declared)

    @property
    def acts_while_busy(self) -> bool:
        """Whether a front end is there whose questions are heard while a cell is executed."""
        return any(peer.acts_while_busy and peer.lives for peer in list(self._peers))

    def opened(self, comm: Any, message: Any) -> None:
        """Take in a front end: what a comm target is called with."""
        del message
        peer = Peer(comm)
        comm.on_msg(lambda said: self._heard(peer, said["content"]["data"]))
        comm.on_close(lambda _: self._left(peer))
        with self._lock:
            # pages that were closed have not said so
            self._peers = [one for one in self._peers if one.lives]
            self._peers.append(peer)
        self._changed()

    def close(self) -> None:
        """Let every front end go."""
        self._stop_listening()
        self._quick.end()
        self._slow.end()
        with self._lock:
            peers, self._peers = self._peers, []
        for peer in peers:
            peer.comm.close()
        self._changed()

    def _left(self, peer: Peer) -> None:
        with self._lock:
            self._peers = [one for one in self._peers if one is not peer]
        self._changed()

    # Questions

    def _heard(self, peer: Peer, said: Any) -> None:
        before = peer.acts_while_busy
        peer.heard()
        if peer.acts_while_busy != before:
            self._changed()
        try:
            request = read(said)
        except FlyteError as error:
            number = said.get("id") if isinstance(said, Mapping) else None
            peer.send(answer(number if isinstance(number, int) else 0, str(error), ok=False))
            return
        _DO[request.op](self, peer, request)

    def _hello(self, peer: Peer, request: Request) -> None:
        from flyte_jupyter import __version__

        said = {"version": VERSION, "package": __version__, "acts_while_busy": peer.acts_while_busy}
        if request.version == VERSION:
            peer.send(answer(request.id, "", said))
            return
        words = (
            f"The JupyterLab extension speaks version {request.version} and the kernel's "
            f"flyte_jupyter {__version__} speaks version {VERSION}: install the same version for "
            "both, and reload the page."
        )
        peer.send(answer(request.id, words, said, ok=False))

    def _watch(self, peer: Peer, request: Request) -> None:
        self._look_again(peer, set(request.parts) - set(peer.parts))
        peer.parts = request.parts
        peer.send(answer(request.id))
        self._quick.do(lambda: None)

    def _refresh(self, peer: Peer, request: Request) -> None:
        self._look_again(peer, request.parts)
        peer.once.update(request.parts)
        peer.send(answer(request.id))
        self._quick.do(lambda: None)

    def _look_again(self, peer: Peer, parts: Iterable[str]) -> None:
        for part in parts:
            peer.forget(part)
            self._seen.pop(part, None)
            self._asked.pop("standings" if part == "environments" else part, None)

    def _cancel(self, peer: Peer, request: Request) -> None:
        from flyte_jupyter.session import session

        if session.cancel(request.run, WHY):
            peer.send(answer(request.id, f"{request.run} is being cancelled."))
            return
        self._quick.do(self._guarded(peer, request, lambda: _not_cancelled(request.run)))

    def _clean(self, peer: Peer, request: Request) -> None:
        def clean() -> dict[str, Any]:
            from flyte_jupyter.session.leftovers import clean

            done = clean(request.names)
            self._slow.do(self._leftovers, "leftovers")
            count = len(done.removed)
            things = f"{count} thing{'s' * (count != 1)}"
            return answer(request.id, f"{things} removed." if count else "Nothing is left over.")

        self._slow.do(self._guarded(peer, request, clean))

    def _complete(self, peer: Peer, request: Request) -> None:
        def complete() -> dict[str, Any]:
            from flyte_jupyter.notebook.comm.completing import completions

            return answer(request.id, "", completions(self._shell, request.code, request.cursor))

        self._quick.do(self._guarded(peer, request, complete))

    def _guarded(
        self, peer: Peer, request: Request, job: Callable[[], dict[str, Any]]
    ) -> Callable[[], None]:
        def guarded() -> None:
            try:
                said = job()
            except FlyteError as error:
                words = f"{error.sentence} {error.remedy}".rstrip()
                said = answer(request.id, words, ok=False)
            except Exception as error:  # whoever asked waits for an answer
                words = f"{type(error).__name__}: {error}"
                said = answer(request.id, words, ok=False)
            peer.send(said)

        return guarded

    # Snapshots

    def _declared(self, _: Any) -> None:
        if self._peers:
            self._asked.pop("standings", None)
            self._quick.do(lambda: None)

    def _watched(self) -> set[str]:
        return {part for peer in list(self._peers) for part in peer.wants}

    def _look(self) -> float | None:
        """Send what has changed, and have the rest asked for when it is time to."""
        watched = self._watched()
        if not watched:
            return None
        if "environments" in watched:
            self._tell("environments", lambda: snapshots.environments(self._standings))
            self._ask("standings", self._stand)
        if "runs" in watched:
            self._tell_runs()
        if "targets" in watched:
            self._ask("targets", lambda: self._tell("targets", snapshots.targets))
        if "leftovers" in watched:
            self._ask("leftovers", self._leftovers)
        return LOOK

    def _tell_runs(self) -> None:
        from flyte_jupyter.session.recent import stamp

        now = stamp()
        # a run is lost, too, by nothing being written
        if self._seen.get("runs") != now or self._due("lost", 15.0):
            self._seen["runs"] = now
            self._tell("runs", snapshots.runs)

    def _stand(self) -> None:
        try:
            self._standings = snapshots.standings()
        except Exception:  # a cell may be changing what is read; it is read again soon
            return
        self._quick.do(lambda: None)

    def _leftovers(self) -> None:
        self._tell("leftovers", snapshots.leftovers)

    def _ask(self, what: str, job: Callable[[], None]) -> None:
        if self._due(what, SLOW[what]):
            self._slow.do(job, what)

    def _due(self, what: str, seconds: float) -> bool:
        now = time.monotonic()
        if now - self._asked.get(what, -seconds) < seconds:
            return False
        self._asked[what] = now
        return True

    def _tell(self, part: str, read: Callable[[], dict[str, Any]]) -> None:
        try:
            data = read()
        except Exception as error:
            data = {part: [], "trouble": f"{type(error).__name__}: {error}"}
        for peer in list(self._peers):
            peer.tell(part, data)


def _not_cancelled(run: str) -> dict[str, Any]:
    """Raise what stands against cancelling a run that this kernel does not run."""
    from flyte_jupyter.session.history import find_run

    record, _ = find_run((run,))
    if record.ended is not None:
        raise FlyteError(f"{record.name} has ended already.")
    if record.lost:
        raise FlyteError(
            f"The kernel of {record.name} has ended.",
            remedy=f"%flyte_attach {record.name} takes over what it has left, and can end it.",
        )
    raise FlyteError(
        f"{record.name} belongs to another kernel.", remedy="Stop it in its own notebook."
    )


_DO: dict[str, Callable[[Hub, Peer, Request], None]] = {
    "hello": Hub._hello,
    "watch": Hub._watch,
    "refresh": Hub._refresh,
    "cancel": Hub._cancel,
    "clean": Hub._clean,
    "complete": Hub._complete,
}
