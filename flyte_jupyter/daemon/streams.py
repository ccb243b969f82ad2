"""Answers of the engine that go on: read to their end, or ended from another thread."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

__all__ = ["Stream"]


class Stream:
    """Iterates over an answer, and lets go of its connection.

    Args:
        items: what the docker package makes of the answer.
        answer: the answer; None if ``items`` knows it.
    """

    def __init__(self, items: Any, answer: Any = None) -> None:
        self._items = items
        self._answer = answer if answer is not None else items._response

    def __iter__(self) -> Iterator[Any]:
        from docker.types import CancellableStream

        return iter(CancellableStream(iter(self._items), self._answer))

    def close(self) -> None:
        """End it, also for a thread that waits for the next item."""
        from docker.types import CancellableStream

        # it may have ended by itself
        with contextlib.suppress(Exception):
            CancellableStream(None, self._answer).close()
        with contextlib.suppress(Exception):
            self._answer.close()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()
