"""Classes of the notebook's cells that capsules brought, found for values that name them."""

from __future__ import annotations

from typing import Any, Mapping, Optional

from flyte_jupyter.wire.values.decoding import Missing
from flyte_jupyter.worker.load import Loaded

__all__ = ["find_class", "find_same_class"]


def find_class(loaded: Mapping[str, Loaded], module: str, qualname: str, *_: Any) -> Any:
    """Return a class that some capsule brought, the newest first; ``None`` if none did.

    Args:
        loaded: the capsules.
        module: its module.
        qualname: its qualified name.
    """
    for one in reversed(list(loaded.values())):
        found = one.classes(module, qualname)
        if found is not None:
            return found
    return None


def find_same_class(
    loaded: Mapping[str, Loaded], module: str, qualname: str, digest: Optional[str] = None
) -> Any:
    """Return a class that is written as where the value comes from, a deployment of another kernel.

    Args:
        loaded: the capsules.
        module: its module.
        qualname: its qualified name.
        digest: hash of how it is written there.

    Raises:
        Missing: no capsule brought it; another class of that name would make another value of it.
    """
    for one in reversed(list(loaded.values())):
        found = one.classes(module, qualname)
        if found is not None and digest is not None and one.class_hash(found) == digest:
            return found
    if module != "__main__":
        return None
    raise Missing(f"{module}.{qualname}", f"this task has no such {qualname!r}")
