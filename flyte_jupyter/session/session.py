"""The session of a kernel: its configuration and its engine, started when first needed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flyte_jupyter.errors import TargetError
from flyte_jupyter.spec.naming import did_you_mean
from flyte_jupyter.spec.policies import span

if TYPE_CHECKING:
    from flyte_jupyter.engine.engine import Engine
    from flyte_jupyter.targets.protocol import Inventory, Target

__all__ = [
    "Config",
    "cancel",
    "check_options",
    "check_target",
    "config",
    "configure",
    "default_target",
    "engine",
    "free_of",
    "keep",
    "make_target",
    "places",
    "shut_down",
    "target_names",
]

OVERSIZE = ("refuse", "clamp")
VARIABLE = "FLYTE_JUPYTER_TARGET"
LEASE = "lease"
# the kernel says every minute that it is there
SHORTEST_LEASE = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Config:
    """What ``flyte.init`` sets.

    Args:
        target: name of the target that runs go to by default; ``None`` leaves it to the variable
            ``FLYTE_JUPYTER_TARGET``, and without it to ``local``.
        pickle: whether values that no codec takes may travel as pickle.
        oversize: what to do with a request above the target's capacity: ``"refuse"`` or
            ``"clamp"`` (run it with what there is, and say so).
        state: folder of the journal; the default is the user's state folder.
        project: folder that names belong to; the default is the notebook's.
        options: of the targets, by target name.
    """

    target: str | None = None
    pickle: bool = True
    oversize: str = "refuse"
    state: Path | None = None
    project: str = field(default_factory=os.getcwd)
    options: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TargetRow:
    """A target that this version knows.

    Args:
        make: makes one, from the options that ``flyte.init`` was given for it.
        options: the names of these.
        either: those that say the same in other ways, so that only one can be given.
    """

    make: Callable[[Mapping[str, Any]], Target]
    options: tuple[str, ...] = ()
    either: tuple[str, ...] = ()


def _local(options: Mapping[str, Any]) -> Target:
    from flyte_jupyter.targets.local import LocalTarget

    del options
    return LocalTarget()


def _docker(options: Mapping[str, Any]) -> Target:
    from flyte_jupyter.targets.docker import DockerTarget

    return DockerTarget(options)


def _kubernetes(options: Mapping[str, Any]) -> Target:
    from flyte_jupyter.targets.kubernetes import KubernetesTarget

    return KubernetesTarget(options)


TARGETS: dict[str, TargetRow] = {
    "local": TargetRow(_local),
    "docker": TargetRow(_docker, ("host", "context", "lease"), ("host", "context")),
    "kubernetes": TargetRow(
        _kubernetes,
        (
            "context",
            "namespace",
            "kubeconfig",
            "registry",
            "registry_secret",
            "containerd",
            "lease",
        ),
    ),
}

# each with the options that it was made with
_asked: dict[str, tuple[dict[str, Any], Target]] = {}
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
    hint = did_you_mean(str(name), TARGETS) or "."
    raise TargetError(f"There is no target {name!r}{hint}", remedy=f"Targets: {known}.")


def default_target() -> str:
    """Return the name of the target that runs go to where nothing else is said.

    Raises:
        TargetError: the environment variable names a target that there is not.
    """
    if _config.target is not None:
        return _config.target
    named = os.environ.get(VARIABLE, "").strip() or "local"
    if named not in TARGETS:
        known = ", ".join(TARGETS)
        hint = did_you_mean(named, TARGETS) or "."
        raise TargetError(
            f"{VARIABLE} names the target {named!r}, which there is not{hint}",
            remedy=f"Targets: {known}. flyte.init(target=...) comes before the variable.",
        )
    return named


def make_target(name: str) -> Target:
    """Return a target of our own to ask about, apart from the engine's.

    Raises:
        TargetError: there is no such target.
    """
    name = check_target(name)
    options = _config.options.get(name, {})
    known = _asked.get(name)
    if known is None or known[0] != options:
        known = _asked[name] = (options, _make(name))
    return known[1]


def places() -> tuple[str, ...]:
    """Return the targets whose deployments are looked through where none is named.

    One that keeps them for other machines too is among them where this session has to do with it: a
    cluster that somebody can reach is not asked for every list.
    """
    return tuple(name for name in TARGETS if not make_target(name).shared or _is_used(name))


def _is_used(name: str) -> bool:
    running = _engine
    return (
        name == default_target()
        or name in _config.options
        or (running is not None and running.has_met([name]))
    )


def _make(name: str) -> Target:
    return TARGETS[name].make(_config.options.get(name, {}))


def check_options(target: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a target, without those that are ``None``.

    Raises:
        TargetError: the target has no such option, or takes it in another form.
    """
    row = TARGETS[check_target(target)]
    known = row.options
    for name, value in options.items():
        if name not in known:
            raise TargetError(
                f"The target {target!r} has no option {name!r}{_other_option(name, known)}"
            )
        if name != LEASE and value is not None and not (isinstance(value, str) and value.strip()):
            raise TargetError(f"{name}={value!r} is no name; give a string.")
    given = {name: value for name, value in options.items() if value is not None}
    if LEASE in given:
        given[LEASE] = _lease(given[LEASE])
    said = [name for name in given if name in row.either]
    if len(said) > 1:
        both = " and ".join(f"{name}=" for name in said)
        raise TargetError(f"{both} both say where {target} is; give one.")
    return given


def _lease(value: Any) -> float:
    """Return a lease in seconds."""
    given = span(LEASE, value)
    if given is None or given < SHORTEST_LEASE:
        raise TargetError(
            f"lease={value!r} is too short: a kernel that lives may be silent for as long.",
            remedy=f"Give {SHORTEST_LEASE.total_seconds():g} seconds or more, or a timedelta.",
        )
    return given.total_seconds()


def _other_option(name: str, known: tuple[str, ...]) -> str:
    for other, row in TARGETS.items():
        if name in row.options:
            return f"; {other!r} has: flyte.init(target={other!r}, {name}=...)."
    own = ("target", "pickle", "oversize", "state", "project")
    return did_you_mean(name, (*known, *own)) or "."


def config() -> Config:
    """Return the configuration in force."""
    return _config


def configure(**changes: Any) -> Config:
    """Change the configuration.

    A running engine is ended if its state folder changes, or where a target is that it has met.
    """
    global _config
    changed = replace(_config, **changes)
    if changed.target is not None:
        check_target(changed.target)
    if changed.oversize not in OVERSIZE:
        hint = did_you_mean(str(changed.oversize), OVERSIZE)
        raise TargetError(
            f"oversize={changed.oversize!r} is neither 'refuse' nor 'clamp'{hint}",
            remedy="'refuse' says what is missing; 'clamp' runs with what there is.",
        )
    moved = {name for name in TARGETS if changed.options.get(name) != _config.options.get(name)}
    running = _engine
    if changed.state != _config.state or (running is not None and running.has_met(moved)):
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

            targets = {name: partial(_make, name) for name in TARGETS}
            _engine = Engine(targets, _config.state or state_folder())
        return _engine


def keep() -> None:
    """Have all that the engine knows so far written down, if one runs."""
    running = _engine
    if running is not None and running.alive:
        running.keep()


def free_of(target: str) -> Inventory | None:
    """Return what of a target this kernel's runs leave free, ``None`` where nobody counts it."""
    running = _engine
    return running.free(target) if running is not None and running.alive else None


def cancel(run: str, why: str) -> bool:
    """Abort a run of this kernel by its name; returns at once.

    Returns:
        Whether this kernel has such a run, and it has not ended.
    """
    running = _engine
    state = running.state_of(run) if running is not None and running.alive else None
    if running is None or state is None:
        return False
    running.cancel(state, why)
    return True


def shut_down() -> None:
    """End the engine with everything that it runs; the next run starts another."""
    global _engine
    with _lock:
        if _engine is not None:
            _engine.close()
            _engine = None
