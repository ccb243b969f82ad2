"""Whether the cluster knows who one is: told when it does not any more, and when it does again."""

from __future__ import annotations

import time
from collections.abc import Callable

from flyte_jupyter.cluster.api import ApiError
from flyte_jupyter.cluster.connect import NotLetInError

__all__ = ["Standing"]


class Standing:
    """What was heard last of who one is.

    Args:
        tell: called with what concerns all that runs.

    Attributes:
        why: what everything waits for while one is not known, else ``""``.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self.why = ""

    def heard(self, error: Exception | None) -> None:
        """Take what came of asking the cluster for something.

        Args:
            error: why it was refused, ``None`` where it was not.
        """
        if error is None:
            if self.why:
                self.why = ""
                self._tell(f"The cluster knows you again since {time.strftime('%H:%M:%S')}.")
            return
        if isinstance(error, ApiError) and error.stranger:
            error = NotLetInError(error.sentence)
        if isinstance(error, NotLetInError) and not self.why:
            self.why = f"waits for you to log in to the cluster again: {error.sentence}"
            since = time.strftime("%H:%M:%S")
            said = " ".join(error.evidence)
            self._tell(f"{error.sentence} (since {since}: {said}) {error.remedy}")
