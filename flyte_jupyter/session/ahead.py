"""Whoever declares an environment will run something: the engine is started meanwhile."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable
from importlib import import_module

__all__ = ["start_ahead"]


def start_ahead(names: Iterable[str]) -> None:
    """Start the engine, and a worker for each environment, beside the user's work.

    Nothing is built or fetched for this. Whatever goes wrong is left to the run that meets it.

    Args:
        names: of environments that were declared.
    """
    threading.Thread(target=_start, args=(tuple(names),), name="flyte-ahead", daemon=True).start()


def _start(names: tuple[str, ...]) -> None:
    with contextlib.suppress(Exception):
        import_module("flyte_jupyter.api")
        from flyte_jupyter.catalog import current
        from flyte_jupyter.session import session

        engine = session.engine()
        for name in names:
            declared = current().environments.get(name)
            if declared is not None:
                settings = declared.value.settings
                target = settings.target or session.default_target()
                engine.start_ahead(target, settings, name)
