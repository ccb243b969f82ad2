"""Secrets looked up where the user keeps them: the environment, files, the keyring."""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

from flyte_jupyter.engine.request import SecretValues
from flyte_jupyter.errors import SecretError
from flyte_jupyter.spec import Secret

__all__ = ["find_secrets"]

FOLDERS = ("/etc/flyte/secrets", "/etc/secrets")


def find_secrets(
    secrets: Iterable[Secret] | None, environment: str
) -> tuple[SecretValues, SecretValues]:
    """Return the variables, and the files by their path, that carry the secrets of an environment.

    Each is looked for as an environment variable ``GROUP_KEY`` or ``KEY``, as a file of that name
    in Flyte's folders, and in the system's keyring, where the ``keyring`` package is installed.

    Raises:
        SecretError: one is to be found nowhere.
    """
    variables, files = SecretValues(), SecretValues()
    for secret in secrets or ():
        value = _find(secret)
        if value is None:
            places = " or ".join(_names(secret))
            raise SecretError(
                f"{environment} needs the secret {secret.key!r}, which is to be found nowhere.",
                remedy=f"Set the environment variable {places} for the notebook, put it into a "
                f"file {FOLDERS[0]}/{secret.key.lower()}, or into the keyring under 'flyte'.",
            )
        if secret.variable is not None:
            variables[secret.variable] = value
        if secret.path is not None:
            files[secret.path] = value
    return variables, files


def _names(secret: Secret) -> list[str]:
    key = secret.key.replace("-", "_")
    names = [f"{secret.group.replace('-', '_')}_{key}"] if secret.group else []
    return [name.upper() for name in (*names, key)]


def _find(secret: Secret) -> str | None:
    for name in (*_names(secret), secret.key):
        if name in os.environ:
            return os.environ[name]
    for folder in FOLDERS:
        for name in _names(secret):
            path = Path(folder, name.lower())
            if path.is_file():
                return path.read_text().rstrip("\n")
    try:
        keyring = import_module("keyring")
    except ImportError:
        return None
    found = keyring.get_password("flyte", secret.key)
    return None if found is None else str(found)
