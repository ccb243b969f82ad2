"""Outcomes opened on the user's side: the value, or the exception with what may help."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flyte_jupyter.engine.run import Failure, Outcome
from flyte_jupyter.errors import FlyteError
from flyte_jupyter.session.hints import hint_for
from flyte_jupyter.wire.exchange import Packed, unpack
from flyte_jupyter.wire.values import decode, decode_exception

__all__ = ["Opener"]

UNSET = object()


@dataclass(eq=False)
class Opener:
    """Decodes what a run gives back, once.

    Args:
        classes: finds a class of a cell by module, qualified name and hash of its source.
        returns_several: True where the task's annotation is a tuple of several outputs.
        pickle: whether pickled parts may be opened.
    """

    classes: Callable[..., Any] | None = None
    returns_several: bool = False
    pickle: bool = True
    _value: Any = field(default=UNSET, repr=False)
    _error: BaseException | None = field(default=None, repr=False)

    def open(self, outcome: Outcome) -> Any:
        """Return the value of an outcome.

        Raises:
            Exception: what the task failed with.
        """
        if outcome.failure is not None:
            error = self.error(outcome)
            assert error is not None
            raise error.with_traceback(None)
        assert outcome.output is not None
        if self._value is UNSET:
            self._value = self.value(outcome.output)
        return self._value

    def value(self, packed: Packed) -> Any:
        """Decode a value of this run."""
        return decode(unpack(_sealed(packed)), classes=self.classes, pickle=self.pickle)

    def error(self, outcome: Outcome) -> BaseException | None:
        """Return the exception of an outcome, the same one each time."""
        if outcome.failure is None:
            return None
        if self._error is None:
            self._error = self.exception(outcome.failure)
        return self._error

    def exception(self, failure: Failure) -> BaseException:
        """Return the exception of a failure, with a hint where the kernel knows more."""
        error = decode_exception(unpack(failure.packed), classes=self.classes, pickle=self.pickle)
        remedy = failure.remedy or hint_for(failure.type, failure.sentence, os.environ)
        if isinstance(error, FlyteError):
            error.remote_traceback = failure.traceback or error.remote_traceback
        if isinstance(error, FlyteError) and remedy and not error.remedy:
            error.remedy = remedy
        return error


def _sealed(packed: Packed) -> Packed:
    """Return the value with buffers that are the user's own to change.

    The journal may still be writing a large result to its file while the user works with it. What
    lies on a segment is copy-on-write, and the journal reads what was sent; the rest is decoded
    from read-only memory, and so copied.
    """
    buffers = [
        memoryview(b).toreadonly() if isinstance(b, bytearray) else b for b in packed.buffers
    ]
    if any(isinstance(b, memoryview) and not b.readonly for b in buffers):
        from flyte_jupyter.wire.segments import process_segments

        segments = process_segments()
        if segments is not None:
            buffers = segments.own(buffers)
    return Packed(packed.tree, tuple(buffers), packed.info)
