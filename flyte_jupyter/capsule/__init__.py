"""A task's code made shippable: its source closure, collected across cells and local modules."""

from __future__ import annotations

from flyte_jupyter.capsule.build import build_capsule, collect_units
from flyte_jupyter.capsule.cache import CapsuleCache
from flyte_jupyter.capsule.cells import build_cell
from flyte_jupyter.capsule.classes import source_hash
from flyte_jupyter.capsule.explain import Explanation, explain
from flyte_jupyter.capsule.model import Capsule, PythonNeed, Report

__all__ = [
    "Capsule",
    "CapsuleCache",
    "Explanation",
    "PythonNeed",
    "Report",
    "build_capsule",
    "build_cell",
    "collect_units",
    "explain",
    "source_hash",
]
