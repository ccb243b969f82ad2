"""Checks of the fields that have no class of their own: from what a user gives to what is kept."""

from __future__ import annotations

from typing import Any, Callable, Mapping

from flyte_jupyter.errors import SpecError, SpecTypeError
from flyte_jupyter.spec.naming import (
    check_label,
    check_service_account,
    check_variable,
    kind,
    shown,
)
from flyte_jupyter.spec.quantity import parse_bytes
from flyte_jupyter.spec.variables import Variables

__all__ = ["account", "docs", "env_vars", "flag", "include", "inline", "line", "queue", "target"]


def env_vars(value: Any) -> Variables | None:
    """Return ``env_vars=`` as `Variables`; None if there are none."""
    if value is None or isinstance(value, Variables):
        return value
    if not isinstance(value, Mapping):
        raise SpecTypeError(
            f"env_vars={shown(value)} is {kind(value)}; give a dict such as {{'MODE': 'fast'}}."
        )
    for name, text in value.items():
        check_variable("env_vars", name)
        if text is not None and not isinstance(text, str):
            raise SpecTypeError(
                f"env_vars: {name}={shown(text)} is {kind(text)}; write {str(text)!r}."
            )
        if text is not None and "\0" in text:
            raise SpecError(f"env_vars: {name} has a null character, which no variable can hold.")
    return Variables(value) if value else None


def flag(name: str) -> Callable[[Any], bool | None]:
    """Return the check of a field that is on, off, or not set."""

    def check(value: Any) -> bool | None:
        if value is None or isinstance(value, bool):
            return value
        raise SpecTypeError(f"{name}={shown(value)} is {kind(value)}; give True or False.")

    return check


def line(name: str) -> Callable[[Any], str | None]:
    """Return the check of a field that is text; the empty string is none."""

    def check(value: Any) -> str | None:
        if value is None or isinstance(value, str):
            return value or None
        raise SpecTypeError(f"{name}={shown(value)} is {kind(value)}; give a string.")

    return check


def docs(value: Any) -> str | None:
    """Return ``docs=`` as text; Flyte has a class for it, whose text is what counts."""
    texts = (getattr(value, name, None) for name in ("long_description", "short_description"))
    return line("docs")(next((text for text in texts if text), value))


def queue(value: Any) -> str | None:
    """Return ``queue=`` if it can name one."""
    return None if value is None else check_label("queue", value)


def target(value: Any) -> str | None:
    """Return ``target=`` if it can name one; whether there is such a target shows in a run."""
    return None if value is None else check_label("target", value)


def account(value: Any) -> str | None:
    """Return ``service_account=`` if it can name one."""
    return None if value is None else check_service_account(value)


def include(value: Any) -> tuple[str, ...] | None:
    """Return ``include=`` as paths; None if there are none."""
    import os

    if value is None:
        return None
    if isinstance(value, (str, os.PathLike)):
        raise SpecTypeError(
            f"include={str(value)!r} is one path; did you mean include=[{str(value)!r}]?"
        )
    try:
        paths = tuple(os.fspath(path) for path in value)
    except TypeError:
        raise SpecTypeError(f"include={shown(value)} is no list of paths; give strings.") from None
    for path in paths:
        if not isinstance(path, str) or not path:
            raise SpecError(f"include={shown(value)}: {path!r} is no path; give strings.")
    return paths or None


def inline(value: Any) -> int | None:
    """Return ``max_inline_io_bytes=`` in bytes."""
    if value is None:
        return None
    if isinstance(value, str):
        return parse_bytes(value, "max_inline_io_bytes")
    if isinstance(value, bool) or not isinstance(value, int):
        raise SpecTypeError(
            f"max_inline_io_bytes={shown(value)} is {kind(value)}; "
            "give bytes as a whole number, or a quantity such as '100Mi'."
        )
    if value < 0:
        raise SpecError(f"max_inline_io_bytes={value!r} is negative; give 0 or more.")
    return value
