"""`Graph`: a drawn graph as a value: a notebook shows it, `save` writes it."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from flyte_jupyter.drawing.collapse import collapsed
from flyte_jupyter.drawing.view import GraphView
from flyte_jupyter.errors import FlyteError
from flyte_jupyter.spec.naming import did_you_mean

__all__ = ["Graph", "html"]

SOURCE = ("dot", "gv")
RENDERED = ("png", "pdf")
SUFFIXES = ("svg", *SOURCE, *RENDERED)
FITS = "max-width:100%;height:auto"
SHRUNK = 0.75
"""A drawing that is too wide for its page is made smaller down to this; then it scrolls."""


class Graph:
    """A graph of environments, drawn.

    Attributes:
        view: what is drawn, every environment for itself.
        shown: what is drawn, many environments in one place as one.

    Args:
        view: what is to be drawn.
        expand: whether every environment is drawn, however many there are.
    """

    def __init__(self, view: GraphView, *, expand: bool = False) -> None:
        self.view = view
        self.shown = view if expand else collapsed(view)

    @cached_property
    def dot(self) -> str:
        """The graph in the language of Graphviz."""
        from flyte_jupyter.drawing.dot import digraph

        return str(digraph(self.shown).source)

    @cached_property
    def svg(self) -> str:
        """The graph as a picture with its own paper."""
        from flyte_jupyter.drawing.svg import svg

        return svg(self.shown, style=FITS)

    @cached_property
    def text(self) -> str:
        """The graph as plain text, wave by wave."""
        from flyte_jupyter.drawing.text import text

        return text(self.shown)

    def save(self, path: str | Path) -> Path:
        """Write the graph to a file; its suffix says as what: svg, dot, gv, png or pdf.

        Returns:
            The path.

        Raises:
            FlyteError: there is no such form, or Graphviz is needed for it and not installed.
        """
        file = Path(path)
        kind = file.suffix.lstrip(".").lower()
        if kind not in SUFFIXES:
            hint = did_you_mean(kind, SUFFIXES) if kind else ""
            raise FlyteError(
                f"{file.name!r} does not end in one of the forms of a graph{hint or '.'}",
                remedy="Those are .svg, .dot, .gv, .png and .pdf.",
            )
        if kind in RENDERED:
            file.write_bytes(self._rendered(kind, file))
        else:
            file.write_text(self.svg if kind == "svg" else self.dot, encoding="utf-8")
        return file

    def _rendered(self, kind: str, file: Path) -> bytes:
        import graphviz

        from flyte_jupyter.drawing.dot import digraph

        try:
            return bytes(digraph(self.shown).pipe(format=kind))
        except graphviz.ExecutableNotFound:
            raise FlyteError(
                f"{file.name} cannot be written: a {kind} is drawn by Graphviz's program dot, "
                "which is not installed here.",
                remedy=f"Install Graphviz (apt install graphviz), or save {file.stem}.svg, "
                "which needs nothing.",
            ) from None
        except graphviz.CalledProcessError as error:
            said = (error.stderr or b"").decode("utf-8", "replace").strip().splitlines()
            raise FlyteError(
                f"{file.name} cannot be written: Graphviz's program dot failed.",
                evidence=said[:5],
            ) from None

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        del include, exclude
        return {
            "text/plain": self.text,
            "text/html": html(self.shown),
            "image/svg+xml": self.svg,
            "text/vnd.graphviz": self.dot,
        }


def html(view: GraphView) -> str:
    """Return a graph for a page, whose theme it follows, with the same as text below it.

    JupyterLab takes the picture out of a notebook that it does not trust, and leaves its texts.
    These are hidden then, by the attribute that a style overrides: one that it takes out, too.
    """
    from flyte_jupyter.drawing.paint import THEMED, written
    from flyte_jupyter.drawing.svg import svg
    from flyte_jupyter.drawing.text import text

    picture = svg(view, THEMED, style=f"display:block;{FITS};min-width:@")
    wide = float(picture.partition('width="')[2].partition('"')[0])
    picture = picture.replace("min-width:@", f"min-width:{round(wide * SHRUNK)}px", 1)
    return (
        '<div class="flyte-jupyter-graph">'
        '<div hidden="hidden" style="display:flow-root;overflow-x:auto">'
        f"{picture}</div>"
        '<details><summary style="cursor:pointer;font-size:11px">as text</summary>'
        f'<pre style="overflow-x:auto">{written(text(view, reasons=True))}</pre></details></div>'
    )
