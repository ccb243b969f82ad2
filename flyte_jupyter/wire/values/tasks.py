"""Codec of tasks: a task goes by its full name, and is looked up where it arrives."""

from __future__ import annotations

import sys
from typing import Any, Callable, Dict

from flyte_jupyter.wire.values.decoding import Decoder, Missing
from flyte_jupyter.wire.values.encoding import Encoder
from flyte_jupyter.wire.values.model import TAG
from flyte_jupyter.wire.values.registry import reads

__all__ = ["decode_task", "encode_task", "encoders"]

Node = Dict[str, Any]

KINDS = {
    "task": ("Task", "OverriddenTask"),
    "reference": ("ReferenceTask", "OverriddenReference"),
}


def encoders() -> Dict[type, Callable[[Any, Encoder], Any]]:
    """Return the codec of tasks, as soon as there are any."""
    found: Dict[type, Callable[[Any, Encoder], Any]] = {}
    for module, names in KINDS.items():
        spec = sys.modules.get(f"flyte_jupyter.spec.{module}")
        if spec is not None:
            found.update((getattr(spec, name), encode_task) for name in names)
    return found


def encode_task(value: Any, encoder: Encoder) -> Node:
    """A task goes by its full name, with the settings that it was given by ``override``."""
    node: Node = {TAG: "task", "name": value.address}
    if value.overrides:
        from flyte_jupyter.spec.settings import to_plain

        node["o"] = encoder.node(to_plain(value.overrides))
    return node


@reads("task")
def decode_task(node: Node, decoder: Decoder) -> Any:
    """Return the task of a name, under the settings that came with it."""
    name = node["name"]
    task = decoder.tasks(name) if decoder.tasks is not None else None
    if task is None:
        raise Missing(f"the task {name!r}")
    if "o" in node:
        from flyte_jupyter.spec.settings import from_plain

        task = task.override(**from_plain(decoder.value(node["o"])))
    return task
