"""Grammars of the names a user gives, and the suggestion that goes with a wrong one."""

from __future__ import annotations

import re
from typing import Any, Iterable

from flyte_jupyter.errors import SpecError, SpecTypeError

__all__ = [
    "check_environment_name",
    "check_label",
    "check_service_account",
    "check_text",
    "check_variable",
    "closest",
    "did_you_mean",
    "kind",
    "listing",
    "shown",
    "variable_name",
]

# plain text: `re` compiles, and keeps, what is used
_ENVIRONMENT = r"[a-z0-9]+(?:[_-][a-z0-9]+)*"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?"
_SUBDOMAIN = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*"
_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"


def shown(value: Any, limit: int = 80) -> str:
    """Return the ``repr`` of a value, cut to what an error sentence bears.

    Args:
        value: anything a user gave.
        limit: characters at most.
    """
    try:
        text = repr(value)
    except Exception:  # the value is the user's, and so is its repr
        text = object.__repr__(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def kind(value: Any) -> str:
    """Return the type of a value as a sentence says it: ``an int``, ``a dict``, ``no value``."""
    if value is None:
        return "no value"
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIO' else 'a'} {name}"


def listing(words: Iterable[str], joint: str = "or") -> str:
    """Return words as one phrase: ``a, b or c``."""
    given = list(words)
    if len(given) < 2:
        return "".join(given)
    return ", ".join(given[:-1]) + f" {joint} " + given[-1]


def closest(word: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate that a slip of the keyboard would have turned into ``word``, if any."""
    from difflib import get_close_matches

    by_fold: dict[str, str] = {}
    for candidate in candidates:
        by_fold.setdefault(candidate.casefold(), candidate)
    found = get_close_matches(word.casefold(), by_fold, n=1, cutoff=0.6)
    return by_fold[found[0]] if found else None


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest candidate, or the empty string."""
    found = closest(word, candidates)
    return f"; did you mean {found!r}?" if found else ""


def check_text(field: str, value: Any) -> str:
    """Return ``value`` if it is a string with something in it.

    Args:
        field: what the value is given for, as the user spells it.
        value: what was given.

    Raises:
        SpecTypeError: it is no string.
        SpecError: it is empty.
    """
    if not isinstance(value, str):
        raise SpecTypeError(f"{field}={shown(value)} is {kind(value)}; give a string.")
    if not value.strip():
        raise SpecError(f"{field}={value!r} is empty; give at least one character.")
    return value


def check_environment_name(value: Any) -> str:
    """Return ``value`` if an environment may have that name.

    The rule is Flyte's: lower-case letters and digits, in groups joined by single ``_`` or ``-``.

    Raises:
        SpecTypeError: it is no string.
        SpecError: it breaks the rule.
    """
    name = check_text("name", value)
    if not re.fullmatch(_ENVIRONMENT, name):
        raise SpecError(
            f"name={name!r} cannot name an environment: write lower-case letters and digits, "
            f"joined by single '-' or '_'{_suggestion(name)}"
        )
    return name


def _suggestion(name: str) -> str:
    from unicodedata import normalize

    plain = normalize("NFKD", name).encode("ascii", "ignore").decode()
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", plain).lower()
    joints = "_" if "_" in name and "-" not in name else "-"
    fixed = re.sub(r"[^a-z0-9]+", joints, spaced).strip("-_")
    return f"; did you mean {fixed!r}?" if re.fullmatch(_ENVIRONMENT, fixed) else "."


def check_label(field: str, value: Any) -> str:
    """Return ``value`` if it may stand in a label, as the names of queues do.

    Raises:
        SpecTypeError: it is no string.
        SpecError: it is no label value of Kubernetes.
    """
    text = check_text(field, value)
    if len(text) > 63:
        raise SpecError(f"{field}={shown(text)} has {len(text)} characters; at most 63 are taken.")
    if not re.fullmatch(_LABEL, text):
        raise SpecError(
            f"{field}={text!r} is no name: write letters, digits, '-', '_' and '.', "
            "with a letter or digit at both ends."
        )
    return text


def check_service_account(value: Any) -> str:
    """Return ``value`` if a Kubernetes service account may have that name (RFC 1123 subdomain).

    Raises:
        SpecTypeError: it is no string.
        SpecError: it breaks the rule.
    """
    text = check_text("service_account", value)
    if len(text) > 253 or not re.fullmatch(_SUBDOMAIN, text):
        fixed = re.sub(r"[^a-z0-9.-]+", "-", text.lower()).strip("-.")
        hint = f"; did you mean {fixed!r}?" if fixed and re.fullmatch(_SUBDOMAIN, fixed) else "."
        raise SpecError(
            f"service_account={shown(text)} is no name of Kubernetes: write at most 253 "
            f"lower-case letters, digits, '-' and '.', with a letter or digit at both ends{hint}"
        )
    return text


def check_variable(field: str, value: Any) -> str:
    """Return ``value`` if an environment variable may have that name.

    Raises:
        SpecTypeError: it is no string.
        SpecError: it breaks the rule.
    """
    if not isinstance(value, str):
        raise SpecTypeError(
            f"{field}: the variable name {shown(value)} is {kind(value)}; give a string."
        )
    if not re.fullmatch(_VARIABLE, value):
        fixed = re.sub(r"\W", "_", value, flags=re.ASCII)
        hint = f"; did you mean {fixed!r}?" if re.fullmatch(_VARIABLE, fixed) else "."
        raise SpecError(
            f"{field}: {value!r} cannot name an environment variable: write letters, digits and "
            f"'_', no digit first{hint}"
        )
    return value


def variable_name(name: str) -> str:
    """Return the Python variable that an environment's name binds to: ``ml_training``."""
    from keyword import iskeyword

    text = name.replace("-", "_")
    if text[:1].isdigit():
        return "_" + text
    return text + "_" if iskeyword(text) else text
