"""What a panel overrides of a task, in words: each run says it, so that nobody wonders later."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from flyte_jupyter import catalog
from flyte_jupyter.spec.settings import Layer, Settings, merge_layers

__all__ = ["overridden"]


def overridden(tasks: Iterable[tuple[str, str]]) -> list[str]:
    """Return a sentence for each task that a panel overrides something of.

    Args:
        tasks: full name and name of the environment of each.
    """
    panel = catalog.current().overrides
    if not panel:
        return []
    found = []
    for name, environment in tasks:
        fields = merge_layers(panel.get(environment) or {}, panel.get(name) or {})
        if fields:
            found.append(f"{name} runs under what the panel overrides: {', '.join(_words(fields))}")
    return found


def _words(fields: Layer) -> Iterator[str]:
    for name, value in fields.items():
        if value is None:
            yield f"no {name}"
        elif name == "resources":
            yield from (f"{part} {text}" for part, text in value.rows())
            yield from (f"no {part}" for part in sorted(value.cleared))
        elif name == "env_vars":
            yield from (
                f"no {key}" if text is None else f"{key}={text}" for key, text in value.items()
            )
        else:
            yield from (f"{field} {text}" for field, text in Settings(**{name: value}).rows())
