"""The error of a magic that was written wrongly.

IPython's own ``UsageError`` is only a line on standard error: tools that run notebooks do not see
it and go on. This one is a real error of its cell, shown as one sentence without frames.
"""

from __future__ import annotations

from flyte_jupyter.errors import FlyteError

__all__ = ["MagicUsageError"]


class MagicUsageError(FlyteError, ValueError):
    """A magic or a command line has an option or an argument that it does not take."""
