"""A secret as a name: where it comes from and where the task finds it. Never its value."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from flyte_jupyter.errors import SpecError, SpecTypeError
from flyte_jupyter.spec.naming import check_text, check_variable, kind, shown

__all__ = ["Secret", "secrets_of"]

_WORD = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?"

MOUNT = "/etc/flyte/secrets"
"""Folder that secrets are mounted in as files."""


@dataclass(frozen=True)
class Secret:
    """A secret that a task needs; it is looked up before the task starts, and never shown.

    Args:
        key: its name.
        group: the group it belongs to.
        mount: the folder it is laid in as a file; ``/etc/flyte/secrets`` is the only one.
        as_env_var: the environment variable it is set as; by default ``GROUP_KEY`` in capitals.

    Raises:
        SpecTypeError: a value of a type that the field does not take.
        SpecError: a name that cannot be one.
    """

    key: str
    group: str | None = None
    mount: str | None = None
    as_env_var: str | None = None

    def __post_init__(self) -> None:
        for name in ("key", "group"):
            value = getattr(self, name)
            if name == "group" and value is None:
                continue
            # the text may be the secret itself, given by mistake: errors must not repeat it
            if not isinstance(value, str):
                raise SpecTypeError(f"Secret {name}= takes a name as a string, not {kind(value)}.")
            if not re.fullmatch(_WORD, value) or len(value) > 253:
                raise SpecError(
                    f"Secret {name}= takes a name: letters, digits, '-', '_' and '.', with a "
                    "letter or digit at both ends; the value itself is never written here."
                )
        if self.mount is not None:
            mount = str(self.mount).rstrip("/")
            if mount != MOUNT:
                raise SpecError(
                    f"mount={shown(str(self.mount))} is not taken; secrets are mounted in "
                    f"{MOUNT!r}."
                )
            object.__setattr__(self, "mount", mount)
        if self.as_env_var is not None:
            check_text("as_env_var", self.as_env_var)
            check_variable("as_env_var", self.as_env_var)

    @property
    def variable(self) -> str | None:
        """The environment variable it is set as, or None when it is only mounted."""
        if self.as_env_var is None and self.mount is not None:
            return None
        words = [self.group, self.key] if self.group else [self.key]
        name = re.sub(r"\W", "_", "_".join(words), flags=re.ASCII).upper()
        return self.as_env_var or ("_" + name if name[0].isdigit() else name)

    @property
    def path(self) -> str | None:
        """The file it is laid in, or None when it is only a variable."""
        if self.mount is None:
            return None
        return "/".join(part for part in (self.mount, self.group, self.key) if part)

    def _repr_html_(self) -> str:
        from flyte_jupyter.spec.html import table

        rows = [(name, str(value)) for name, value in vars(self).items() if value is not None]
        return table("Secret", rows)


def secrets_of(value: Any) -> tuple[Secret, ...] | None:
    """Return the secrets that ``secrets=`` asks for; None if there are none.

    Args:
        value: a name, a `Secret`, or a list of both.

    Raises:
        SpecTypeError: something else.
    """
    if value is None:
        return None
    given = value if isinstance(value, (list, tuple)) else [value]
    found: dict[Secret, None] = {}
    for item in given:
        if isinstance(item, str):
            item = Secret(item)
        if not isinstance(item, Secret):
            raise SpecTypeError(
                f"secrets= takes names and Secret(...), not {kind(item)}; "
                "write secrets=[Secret('api-key', as_env_var='API_KEY')]."
            )
        found[item] = None
    return tuple(found) or None
