"""A thread that does what it is given, one after another, and starts with the first of it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

__all__ = ["Worker"]


class Worker:
    """Does jobs on a thread of its own.

    Args:
        name: of the thread.
        tick: done beside the jobs, as often as it says itself: it returns the seconds until the
            next time, ``None`` for not before a job has come.
    """

    def __init__(self, name: str, tick: Callable[[], float | None] = lambda: None) -> None:
        self._name = name
        self._tick = tick
        self._jobs: deque[Callable[[], None]] = deque()
        self._keys: set[str] = set()
        self._news = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ended = False

    def do(self, job: Callable[[], None], key: str = "") -> None:
        """Have something done soon.

        Args:
            job: does it, and raises nothing.
            key: names it; what waits already is not done twice.
        """
        with self._lock:
            if self._ended or (key and key in self._keys):
                return
            if key:
                self._keys.add(key)
            self._jobs.append(lambda: self._begin(job, key))
            if self._thread is None:
                self._thread = threading.Thread(target=self._main, name=self._name, daemon=True)
                self._thread.start()
        self._news.set()

    def end(self) -> None:
        """Do nothing more."""
        with self._lock:
            self._ended = True
        self._news.set()

    def _begin(self, job: Callable[[], None], key: str) -> None:
        with self._lock:
            self._keys.discard(key)
        job()

    def _main(self) -> None:
        while not self._ended:
            while self._jobs and not self._ended:
                self._jobs.popleft()()
            pause = self._tick()
            self._news.wait(pause)
            self._news.clear()
