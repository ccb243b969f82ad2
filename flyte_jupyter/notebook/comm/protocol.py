"""What a front end and the kernel say to each other, checked at the door.

The front end asks; each question has a number of its own, which its answer repeats::

    {"op": "hello", "id": 1, "version": 1}
    {"op": "watch", "id": 2, "parts": ["runs", ...]}   keep these up to date; again before SILENCE
    {"op": "refresh", "id": 3, "parts": [...]}         look again, and tell them once in any case
    {"op": "cancel", "id": 4, "run": "train-1a2b3c4d"}
    {"op": "clean", "id": 5, "names": [...]}           nothing named: what dead kernels left
    {"op": "complete", "id": 6, "code": "...", "cursor": 12}

The kernel answers, and sends the whole of a part whenever it has changed::

    {"op": "answer", "id": 1, "ok": true, "message": "...", "data": {...}}
    {"op": "snapshot", "part": "runs", "data": {...}}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flyte_jupyter.errors import FlyteError

__all__ = ["PARTS", "SILENCE", "VERSION", "Request", "answer", "read", "snapshot"]

VERSION = 1
PARTS = ("environments", "runs", "targets", "leftovers")
SILENCE = 900.0
"""Seconds after which a front end that says nothing is taken to be gone."""


@dataclass(frozen=True, slots=True)
class Request:
    """A question of a front end.

    Args:
        op: what it wants.
        id: what its answer repeats.
        parts: those that are meant.
        run: name of the run that is meant.
        names: of things that are meant.
        code: source that is being written.
        cursor: place in it, in characters.
        version: of the protocol.
    """

    op: str
    id: int
    parts: tuple[str, ...] = ()
    run: str = ""
    names: tuple[str, ...] = ()
    code: str = ""
    cursor: int = 0
    version: int = field(default=VERSION)


def read(said: Any) -> Request:
    """Return what a front end has asked.

    Raises:
        FlyteError: it is no question of this protocol.
    """
    if not isinstance(said, Mapping):
        raise FlyteError(f"A question is an object, not {type(said).__name__}.")
    op, number = said.get("op"), said.get("id")
    takes = _TAKES.get(op) if isinstance(op, str) else None
    if takes is None:
        raise FlyteError(f"There is no question {op!r}; there are {', '.join(_TAKES)}.")
    if not isinstance(number, int):
        raise FlyteError(f"The question {op!r} has no number.")
    fields = {name: _FIELDS[name](said.get(name), name) for name in takes}
    return Request(str(op), number, **fields)


def answer(
    request: int, message: str = "", data: Mapping[str, Any] | None = None, *, ok: bool = True
) -> dict[str, Any]:
    """Return the answer to a question.

    Args:
        request: its number.
        message: a sentence for whoever asked; may be empty.
        data: what it is answered with.
        ok: whether what was asked for was done.
    """
    return {"op": "answer", "id": request, "ok": ok, "message": message, "data": dict(data or {})}


def snapshot(part: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the message that tells all of a part."""
    return {"op": "snapshot", "part": part, "data": dict(data)}


def _text(said: Any, name: str) -> str:
    if not isinstance(said, str):
        raise FlyteError(f"{name} is a text, not {said!r}.")
    return said


def _number(said: Any, name: str) -> int:
    if not isinstance(said, int):
        raise FlyteError(f"{name} is a whole number, not {said!r}.")
    return said


def _names(said: Any, name: str) -> tuple[str, ...]:
    if not isinstance(said, (list, tuple)) or not all(isinstance(one, str) for one in said):
        raise FlyteError(f"{name} is a list of names, not {said!r}.")
    return tuple(said)


def _parts(said: Any, name: str) -> tuple[str, ...]:
    parts = _names(said, name)
    for part in parts:
        if part not in PARTS:
            raise FlyteError(f"There is no part {part!r}; there are {', '.join(PARTS)}.")
    return parts


_FIELDS: dict[str, Any] = {
    "parts": _parts,
    "run": _text,
    "names": _names,
    "code": _text,
    "cursor": _number,
    "version": _number,
}
_TAKES: dict[str, tuple[str, ...]] = {
    "hello": ("version",),
    "watch": ("parts",),
    "refresh": ("parts",),
    "cancel": ("run",),
    "clean": ("names",),
    "complete": ("code", "cursor"),
}
