"""``%flyte_attach``: a run of another kernel shown here until it ends."""

from __future__ import annotations

from typing import Any

from flyte_jupyter.notebook.arguments import Arguments
from flyte_jupyter.notebook.live import follow, is_interactive, wait
from flyte_jupyter.notebook.usage import MagicUsageError

__all__ = ["attach_line"]


def attach_line(said: Arguments, terminal: bool) -> Any:
    """Take up a run, show it, and return its result; the run itself if nobody wants to wait.

    Args:
        said: the run, and the options.
        terminal: whether a terminal asks.

    Raises:
        MagicUsageError: more than one run was named.
        Exception: what the run failed with.
    """
    from flyte_jupyter.session.attach import attach

    if len(said.positionals) > 1:
        raise MagicUsageError(
            f"%flyte_attach takes one run, but {len(said.positionals)} words were given"
        )
    run = attach(*map(str, said.positionals))
    interactive = not terminal and is_interactive(_shell())
    if said.values.get("wait") is False:
        follow(run, interactive=interactive)
        return run
    wait(run, interactive=interactive)
    return run.result()


def _shell() -> Any:
    from IPython import get_ipython

    return get_ipython()
