"""The session of a kernel: its configuration and its engine, started when first needed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flyte_jupyter.errors import TargetError
from flyte_jupyter.spec.naming import did_you_mean

if TYPE_CHECKING:
    from flyte_jupyter.engine.engine import Engine
    from flyte_jupyter.targets.protocol import Target

__all__ = ["Config", "config", "configure", "engine", "shut_down", "target_names"]

OVERSIZE = ("refuse", "clamp")


@dataclass(frozen=True, slots=True)
class Config:
    """What ``flyte.init`` sets.

    Args:
        target: name of the target that runs go to by default.
        pickle: whether values that no codec takes may travel as pickle.
        oversize: what to do with a request above the target's capacity: ``"refuse"`` or
            ``"clamp"`` (run it with what there is, and say so).
        state: folder of the journal; the default is the user's state folder.
        project: folder that names belong to; the default is the notebook's.
        options: of the targets, by target name.
    """

    target: str = "local"
    pickle: bool = True
    oversize: str = "refuse"
    state: Path | None = None
    project: str = field(default_factory=os.getcwd)
    options: dict[str, dict[str, Any]] = field(default_factory=dict)


def _local() -> Target:
    from flyte_jupyter.targets.local import LocalTarget

    return LocalTarget()


TARGETS: dict[str, Callable[[], Target]] = {"local": _local}
OPTIONS: dict[str, tuple[str, ...]] = {}

_asked: dict[str, Target] = {}
_config = Config()
_engine: Engine | None = None
_lock = threading.Lock()


def target_names() -> tuple[str, ...]:
    """Return the names of the targets that this version knows."""
    return tuple(TARGETS)


def check_target(name: str) -> str:
    """Return the name of a target.

    Raises:
        TargetError: there is no such target.
    """
    if name in TARGETS:
        return name
    known = ", ".join(TARGETS)
    hint = did_you_mean(name, TARGETS)
    raise TargetError(f"There is no target {name!r}{hint}", remedy=f"Targets: {known}.")


def make_target(name: str) -> Target:
    """Return a target of our own to ask about, apart from the engine's.

    Raises:
        TargetError: there is no such target.
    """
    name = check_target(name)
    if name not in _asked:
        _asked[name] = TARGETS[name]()
    return _asked[name]


def check_options(target: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a target.

    Raises:
        TargetError: the target has no such option.
    """
    known = OPTIONS.get(target, ())
    for name in options:
        if name not in known:
            hint = did_you_mean(name, (*known, "target", "pickle", "oversize", "state", "project"))
            raise TargetError(f"The target {target!r} has no option {name!r}{hint}")
    return options


def config() -> Config:
    """Return the configuration in force."""
    return _config


def configure(**changes: Any) -> Config:
    """Change the configuration; a running engine is kept unless its state folder changes."""
    global _config
    changed = replace(_config, **changes)
    check_target(changed.target)
    if changed.oversize not in OVERSIZE:
        hint = did_you_mean(str(changed.oversize), OVERSIZE)
        raise TargetError(
            f"oversize={changed.oversize!r} is neither 'refuse' nor 'clamp'{hint}",
            remedy="'refuse' says what is missing; 'clamp' runs with what there is.",
        )
    if changed.state != _config.state:
        shut_down()
    _config = changed
    return _config


def engine() -> Engine:
    """Return the engine of this kernel, started now if it is the first time."""
    global _engine
    running = _engine
    if running is not None and running.alive:
        return running
    with _lock:
        if _engine is None or not _engine.alive:
            from flyte_jupyter.engine.engine import Engine
            from flyte_jupyter.store.folders import state_folder

            _engine = Engine(TARGETS, _config.state or state_folder())
        return _engine


def shut_down() -> None:
    """End the engine with everything that it runs; the next run starts another."""
    global _engine
    with _lock:
        if _engine is not None:
            _engine.close()
            _engine = None
