"""The labels on everything that a kernel makes in a Docker engine."""

from flyte_jupyter.daemon.labels import ENVIRONMENT, KIND, OWNER, labels

__all__ = ["ENVIRONMENT", "KIND", "OWNER", "labels"]
