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


def encoders() -> Dict[type, Callable[[Any, Encoder], Any]]:
    """Return the codec of tasks, as soon as there are any."""
    spec = sys.modules.get("flyte_jupyter.spec.task")
    return {} if spec is None else dict.fromkeys((spec.Task, spec.OverriddenTask), encode_task)


def encode_task(value: Any, encoder: Encoder) -> Node:
    """A task goes by its full name, with the settings that it was given by ``override``."""
    node: Node = {TAG: "task", "name": value.name}
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
