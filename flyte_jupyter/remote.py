"""Flyte's names for deployed things: ``flyte.remote.Task.get``."""

from __future__ import annotations

from typing import Any

from flyte_jupyter.errors import InputError
from flyte_jupyter.session.reference import reference_task
from flyte_jupyter.session.twin import Twin
from flyte_jupyter.spec.naming import did_you_mean
from flyte_jupyter.spec.reference import ReferenceTask

__all__ = ["Task"]

AUTO = ("latest", "current")


def _get(
    name: str,
    project: str | None = None,
    domain: str | None = None,
    version: str | None = None,
    auto_version: str | None = None,
    *,
    target: str | None = None,
) -> ReferenceTask:
    """Return a deployed task by its full name, as :func:`flyte_jupyter.reference_task` does.

    Args:
        name: ``environment.task``.
        project: the project that it was deployed in.
        domain: Flyte's division of projects, which there is none of here.
        version: the version to call.
        auto_version: in place of a version ``"latest"`` or ``"current"``; either is what is
            current when it is called, as without both.
        target: name of the target that it was deployed to.

    Raises:
        NotFoundError: nothing of that name or version is deployed.
        InputError: both a version and ``auto_version`` are given, or another word for this.
    """
    del domain
    if auto_version is not None and auto_version not in AUTO:
        hint = did_you_mean(str(auto_version), AUTO) or "."
        raise InputError(f"auto_version={auto_version!r} is neither 'latest' nor 'current'{hint}")
    if auto_version is not None and version is not None:
        raise InputError(
            f"version={version!r} and auto_version={auto_version!r} exclude each other; give one."
        )
    return reference_task(name, version=version, project=project, target=target)


async def _get_aio(*args: Any, **kwargs: Any) -> ReferenceTask:
    return _get(*args, **kwargs)


class Task:
    """Deployed tasks.

    Attributes:
        get: returns a deployed task by its name.
    """

    get: Twin[..., ReferenceTask] = Twin(_get, _get_aio)
