"""How nodes tell the type of their accelerators: each cloud and operator has a label of its own.

What a cluster labels in another way is added in ``accelerators.json`` in the state folder, in the
form of the file here.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from importlib.resources import files

from flyte_jupyter.errors import TargetError
from flyte_jupyter.store.folders import state_folder
from flyte_jupyter.targets.nvidia import type_of

__all__ = ["PRODUCT", "table_of_labels", "type_by_labels"]

FILE = "accelerators.json"
PRODUCT = "nvidia.com/gpu.product"


def type_by_labels(labels: Mapping[str, str]) -> str:
    """Return the catalogue's word for the accelerators of a node, ``""`` if no label tells.

    Args:
        labels: the node's.
    """
    product = labels.get(PRODUCT, "")
    known = type_of(product.partition("-MIG-")[0]) if product else ""
    if known:
        return known
    for label, types in table_of_labels().items():
        value = labels.get(label)
        for kind, values in types.items():
            if value in values:
                return kind
    return ""


@functools.cache
def table_of_labels() -> Mapping[str, Mapping[str, list[str]]]:
    """Return (label, type, its values there).

    Raises:
        TargetError: what the user has added is no such table.
    """
    text = files(__package__).joinpath(FILE).read_text("utf-8")
    table: dict[str, dict[str, list[str]]] = json.loads(text)
    own = state_folder() / FILE
    if not own.is_file():
        return table
    try:
        for label, types in json.loads(own.read_text("utf-8")).items():
            table.setdefault(label, {}).update({kind: list(types[kind]) for kind in types})
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise TargetError(
            f"{own} is no table of the labels of accelerators.",
            evidence=[f"{type(error).__name__}: {error}"],
            remedy='It is like {"example.com/gpu": {"A100": ["a100-sxm"]}}: label, type, values.',
        ) from None
    return table
