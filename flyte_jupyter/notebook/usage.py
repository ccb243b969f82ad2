"""The error of a magic that was written wrongly, where the magics look for it."""

from __future__ import annotations

from flyte_jupyter.launching.usage import MagicUsageError

__all__ = ["MagicUsageError"]
