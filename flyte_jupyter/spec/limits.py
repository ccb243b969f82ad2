"""Limits that hold where nobody says otherwise."""

from __future__ import annotations

__all__ = ["DEFAULT_MAX_INLINE_IO_BYTES"]

DEFAULT_MAX_INLINE_IO_BYTES = 10 * 1024 * 1024
"""How much all inputs, or all outputs, of a task may be inline where it does not say, in bytes."""
