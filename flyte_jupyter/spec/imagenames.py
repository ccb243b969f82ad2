"""Grammars of what images are made of: references, requirements, packages, indexes, platforms."""

from __future__ import annotations

import re
from typing import Any, Iterable

from flyte_jupyter.errors import SpecError, SpecTypeError
from flyte_jupyter.spec.naming import did_you_mean, kind, listing, shown
from flyte_jupyter.spec.secret import secrets_of

__all__ = [
    "check_debian_package",
    "check_name",
    "check_reference",
    "check_specifier",
    "index_options",
    "platforms",
    "words",
]

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = (
    rf"{_PART}(?:/{_PART})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?"
    r"(?:@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?"
)
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::\d+)?"
_PROJECT = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\s*(?:\[[^\]]*\])?"
_CLAUSE = r"(?:===?|~=|!=|<=?|>=?)\s*[^\s,;()<>=!~]+"
_SPECIFIER = (
    rf"{_PROJECT}\s*(?:@\s*\S.*|(?:\(\s*)?(?:{_CLAUSE}(?:\s*,\s*{_CLAUSE})*)?\s*,?\s*\)?"
    r"\s*(?:;.*)?)"
)
_DEBIAN = r"[a-z0-9][a-z0-9+.-]+(?::[a-z0-9]+)?(?:=[A-Za-z0-9.+~:-]+)?(?:/[a-z-]+)?"
_PLATFORMS = ("linux/amd64", "linux/arm64")

# longer text is no name of anything, and is not worth the time to look at
_LONGEST = 1000


def check_name(value: Any) -> str:
    """Return ``value`` if a built image may have that name.

    Raises:
        SpecError: it breaks the rule.
    """
    if not isinstance(value, str) or not re.fullmatch(rf"{_PART}(?:/{_PART})*", value):
        raise SpecError(
            f"name={shown(value)} cannot name an image: write lower-case letters and "
            "digits, joined by '.', '_', '-' or '/'."
        )
    return value


def check_reference(field: str, value: Any) -> str:
    """Return ``value`` if it can name an image: ``[registry/]path[:tag][@digest]``.

    Args:
        field: what it is given for, for the error.
        value: what was given.

    Raises:
        SpecTypeError: no string.
        SpecError: no reference.
    """
    if not isinstance(value, str):
        raise SpecTypeError(
            f"{field}={shown(value)} is {kind(value)}; give a reference such as 'python:3.12-slim'."
        )
    if _is_reference(value):
        return value
    path, colon, tag = value.strip().rpartition(":")
    plain = re.sub(r"^(?:https?|docker|oci)://", "", value.strip()).rstrip("/:")
    fixed = plain if "://" in value else (path.lower() + colon + tag if colon else value.lower())
    fixed = ":".join(fixed.split())
    hint = f"; did you mean {fixed!r}?" if _is_reference(fixed) else "."
    raise SpecError(
        f"{field}={shown(value)} is no image reference: write [registry/]path[:tag], "
        f"the path in lower case{hint}"
    )


def _is_reference(text: str) -> bool:
    host, slash, path = text.partition("/")
    if slash and ("." in host or ":" in host or host == "localhost"):
        return bool(re.fullmatch(_HOST, host, re.ASCII)) and _is_path(path)
    return _is_path(text)


def _is_path(text: str) -> bool:
    return len(text) <= _LONGEST and re.fullmatch(_PATH, text, re.ASCII) is not None


def check_debian_package(text: str) -> None:
    """Raise if ``text`` cannot name a Debian package, with an optional version.

    Raises:
        SpecError: it breaks the rule.
    """
    if not re.fullmatch(_DEBIAN, text):
        split = text.split()
        hint = f"; did you mean {', '.join(map(repr, split))}?" if len(split) > 1 else "."
        raise SpecError(f"with_apt_packages: {shown(text)} is no name of a package{hint}")


def check_specifier(text: str) -> None:
    """Raise if ``text`` is no requirement: a name with versions, an address, or a path.

    Raises:
        SpecError: it breaks the rule.
    """
    if re.match(r"(?:git|hg|svn|bzr)\+|https?://|file:|\.{0,2}/", text) or text.endswith(".whl"):
        return
    if text.startswith("-"):
        raise SpecError(
            f"with_pip_packages: {text!r} is an option; give it as extra_args={text!r}."
        )
    if _is_specifier(text):
        return
    single = re.fullmatch(r"([A-Za-z0-9._\[\]-]+)\s*=\s*([\w.*+!-]+)", text)
    split = text.replace(",", " ").split()
    if single:
        hint = f"; did you mean '{single[1]}=={single[2]}'?"
    elif len(split) > 1 and all(_is_specifier(word) for word in split):
        hint = f"; did you mean {', '.join(map(repr, split))}?"
    else:
        hint = "; write one such as 'pandas==2.2'."
    raise SpecError(f"with_pip_packages: {shown(text)} is no requirement{hint}")


def _is_specifier(text: str) -> bool:
    return len(text) <= _LONGEST and re.fullmatch(_SPECIFIER, text) is not None


def words(method: str, given: Iterable[Any]) -> tuple[str, ...]:
    """Return what a ``with_*`` method was given as strings without blanks around them.

    Raises:
        SpecTypeError: a list in place of strings, or no string.
        SpecError: nothing, or an empty string.
    """
    items = tuple(given)
    if not items:
        raise SpecError(f"{method}: nothing is given; name at least one.")
    for word in items:
        if isinstance(word, (list, tuple, set)):
            raise SpecTypeError(
                f"{method}: {shown(word)} is {kind(word)}; did you mean {method}(*{shown(word)})?"
            )
        if not isinstance(word, str):
            raise SpecTypeError(f"{method}: {shown(word)} is {kind(word)}; "
                                "give strings.")  # fmt: skip
        if not word.strip():
            raise SpecError(f"{method}: {word!r} is empty; leave it out.")
    return tuple(word.strip() for word in items)


def index_options(
    index_url: Any, extra: Any, pre: Any, extra_args: Any, secret_mounts: Any
) -> tuple[Any, ...]:
    """Return the options of an installation from an index, checked, in the order of the layers.

    Raises:
        SpecTypeError: a value of the wrong type.
        SpecError: no address.
    """
    urls = (extra,) if isinstance(extra, str) else tuple(extra or ())
    for url in (*([index_url] if index_url is not None else []), *urls):
        if not isinstance(url, str) or not re.match(r"(?:https?|file)://\S+$", url):
            raise SpecError(
                f"index_url={shown(url)} is no address of an index; "
                "write one such as 'https://example.org/simple'."
            )
    if not isinstance(pre, bool):
        raise SpecTypeError(f"pre={shown(pre)} is {kind(pre)}; give True or False.")
    if extra_args is not None and not isinstance(extra_args, str):
        raise SpecTypeError(
            f"extra_args={shown(extra_args)} is {kind(extra_args)}; give one string."
        )
    return index_url, urls, pre, extra_args, secrets_of(secret_mounts) or ()


def platforms(value: Any) -> tuple[str, ...]:
    """Return the platforms that an image is built for, sorted.

    Raises:
        SpecError: one that tasks do not run on.
    """
    given = (value,) if isinstance(value, str) else tuple(value or ())
    for item in given:
        if item not in _PLATFORMS:
            raise SpecError(
                f"platform={shown(item)} is none that tasks run on"
                + (did_you_mean(str(item), _PLATFORMS) or f"; take {listing(_PLATFORMS)}.")
            )
    return tuple(sorted(set(given)))
