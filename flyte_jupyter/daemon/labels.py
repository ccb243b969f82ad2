"""The labels on everything that this package makes in a Docker engine."""

from __future__ import annotations

from flyte_jupyter.store.owners import owner

__all__ = ["BASE", "ENVIRONMENT", "IMAGE", "KIND", "OWNER", "labels"]

OWNER = "flyte_jupyter.owner"
KIND = "flyte_jupyter.kind"
ENVIRONMENT = "flyte_jupyter.environment"
# what an image holds, in words
IMAGE = "flyte_jupyter.image"
# id of the image that it was built upon
BASE = "flyte_jupyter.base"


def labels(kind: str, environment: str = "", image: str = "") -> dict[str, str]:
    """Return the labels of something that this kernel makes.

    Args:
        kind: ``worker``, ``network``, ``probe`` or ``build``.
        environment: the environment that it is for.
        image: what it is made from, in words.
    """
    pairs = {OWNER: owner(), KIND: kind}
    if environment:
        pairs[ENVIRONMENT] = environment
    if image:
        pairs[IMAGE] = image
    return pairs
