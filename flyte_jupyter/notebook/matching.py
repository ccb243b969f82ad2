"""The door of IPython's completer to `complete`; cheap until a line of ours is completed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

__all__ = ["LINE", "matcher_for"]

LINE = re.compile(
    r"^\s*(?:[\w.,\s]+=\s*)?(?P<mark>%%?)"
    r"(?P<magic>flyte_(?:env|run|explain|envs|logs|ps|clean|images|graph|panel"
    r"|deploy|deployments|rollback|undeploy))\s"
)
"""A line that `complete` knows about."""


def matcher_for(shell: Any) -> Callable[[Any], Any]:
    """Return a matcher for IPython's completer (its interface of version 2)."""
    from IPython.core.completer import SimpleCompletion, context_matcher

    @context_matcher(identifier="flyte_jupyter")  # type: ignore[untyped-decorator]
    def flyte_matcher(context: Any) -> Any:
        line = context.line_with_cursor[: context.cursor_position]
        if not LINE.match(line):
            return {"completions": []}
        from flyte_jupyter.catalog import current
        from flyte_jupyter.notebook.complete import candidates

        completion = candidates(line, current(), shell.user_ns)
        if completion is None or not completion.candidates:
            return {"completions": []}
        return {
            "completions": [
                SimpleCompletion(each.text, type=each.type) for each in completion.candidates
            ],
            "suppress": True,
            "matched_fragment": completion.fragment,
            "ordered": True,
        }

    return flyte_matcher  # type: ignore[no-any-return]
