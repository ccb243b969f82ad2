"""The target ``local``: each task in a process of its own on this machine."""

from flyte_jupyter.targets.local.target import LocalTarget

__all__ = ["LocalTarget"]
