"""What declares a worker before there is one: shown by explain, judged before a deployment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flyte_jupyter.deployment.records import EnvironmentRecord
from flyte_jupyter.engine.plans import request_for
from flyte_jupyter.spec import Settings
from flyte_jupyter.targets.protocol import Prepared, StartRequest, Target

__all__ = ["judged", "manifest_of", "written"]

# what a manifest has beyond so many lines in one field is told by its length
LONGEST = 12


def manifest_of(place: Target, settings: Settings, environment: str) -> dict[str, Any] | None:
    """Return what declares the workers of settings, None where the target has no such thing.

    Args:
        place: where they would be.
        settings: what is in force.
        environment: its name.
    """
    return place.manifest(settings, _request(place, settings, environment))


def judged(place: Target, record: EnvironmentRecord) -> Iterator[str]:
    """Have a target say whether it would take the workers of an environment; nothing is made.

    Args:
        place: the target.
        record: the environment as it would be deployed.

    Yields:
        What stands in their way now and may be otherwise later.

    Raises:
        TargetError: it would not take them, or cannot be asked.
        NotFoundError: they name something that is not there.
    """
    known: list[StartRequest] = []
    for what, settings in _kinds(record):
        request = _request(place, settings, record.name)
        if request not in known:
            known.append(request)
            note = place.judge(settings, request, f"the pods of {what}")
            if note:
                yield note


def _kinds(record: EnvironmentRecord) -> Iterator[tuple[str, Settings]]:
    yield record.name, Settings.from_plain(record.settings)
    for name, task in record.tasks.items():
        yield name, Settings.from_plain(record.units[task.unit].settings)


def _request(place: Target, settings: Settings, environment: str) -> StartRequest:
    prepared = place.prepared(settings) or Prepared("")
    return request_for(place, settings, environment if place.groups else "", prepared)


def written(manifest: Mapping[str, Any]) -> str:
    """Return a manifest as people read it: YAML, without the programs in it.

    Args:
        manifest: as JSON values.
    """
    import yaml

    text: str = yaml.safe_dump(_shortened(manifest), sort_keys=False, width=100, allow_unicode=True)
    return text.rstrip("\n")


def _shortened(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _shortened(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shortened(item) for item in value]
    if isinstance(value, str) and value.count("\n") > LONGEST:
        return f"<a program of {value.count(chr(10))} lines, the same for every task>"
    return value
