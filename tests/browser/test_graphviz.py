"""Graphs in the language of Graphviz, drawn by the extension: no program `dot` is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("extension")

SHOW = "from IPython.display import display\ndisplay({'text/vnd.graphviz': %r}, raw=True)"
PLAIN = 'digraph pipeline { rankdir=LR; load -> train; train -> "a report" [label=writes] }'
COLOURED = "digraph { n1 [style=filled fillcolor=gold label=gold]; n1 -> n2 }"
HOSTILE = (
    'digraph { a [URL="javascript:alert(1)" label="bad"]; '
    'b [URL="https://example.org/" label="good"] }'
)
BESIDE = 'graph { a -- b; a [pos="0,0!"]; b [pos="2,0!"] }'
PACKAGE = f"%load_ext flyte_jupyter\nimport graphviz\ngraphviz.Source({BESIDE!r}, engine='neato')"
WRONG = "digraph { a -> "


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_graph_is_drawn_in_the_colours_of_the_theme(
    open_notebook: Callable[..., Any], theme: str
) -> None:
    notebook = open_notebook(SHOW % PLAIN, SHOW % COLOURED, theme=theme)
    notebook.run_all()
    drawn = notebook.output(0).locator(".flyte-graphviz svg")
    drawn.wait_for()
    ink = "node => getComputedStyle(node).fill"
    page = "() => getComputedStyle(document.body).getPropertyValue('--jp-ui-font-color1')"
    colours = {text.evaluate(ink) for text in drawn.locator("text").all()}
    assert len(colours) == 1
    assert ("255" in colours.pop()) == (theme == "dark")
    assert notebook.page.evaluate(page)
    gold = notebook.output(1).locator(".flyte-graphviz svg g.node", has_text="gold")
    assert gold.locator("ellipse").evaluate(ink) == "rgb(255, 215, 0)"
    assert gold.locator("text").evaluate(ink) == "rgb(0, 0, 0)"


def test_keys_move_and_zoom_a_graph(open_notebook: Callable[..., Any]) -> None:
    notebook = open_notebook(SHOW % PLAIN, PACKAGE)
    notebook.run_all()
    # one of the Graphviz package is drawn, too, by the engine that it names: side by side
    ends = notebook.output(1).locator(".flyte-graphviz g.node text")
    ends.nth(1).wait_for()
    boxes = [ends.nth(number).bounding_box() for number in (0, 1)]
    assert abs(boxes[0]["y"] - boxes[1]["y"]) < abs(boxes[0]["x"] - boxes[1]["x"])
    stage = notebook.output(0).locator(".flyte-graphviz-stage")
    stage.focus()
    svg = stage.locator("svg")
    whole = svg.get_attribute("viewBox")
    notebook.page.keyboard.press("+")
    near = svg.get_attribute("viewBox")
    notebook.page.keyboard.press("ArrowRight")
    beside = svg.get_attribute("viewBox")
    assert len({whole, near, beside}) == 3
    notebook.page.keyboard.press("0")
    assert [float(part) for part in svg.get_attribute("viewBox").split()] == [
        float(part) for part in whole.split()
    ]


def test_nothing_of_a_graph_runs_and_what_is_wrong_is_shown_as_text(
    open_notebook: Callable[..., Any],
) -> None:
    notebook = open_notebook(SHOW % HOSTILE, SHOW % WRONG)
    notebook.run_all()
    drawn = notebook.output(0).locator(".flyte-graphviz svg")
    drawn.wait_for()
    links = [
        link.get_attribute("xlink:href") or link.get_attribute("href")
        for link in drawn.locator("a").all()
    ]
    assert [link for link in links if link] == ["https://example.org/"]
    wrong = notebook.output(1).locator(".flyte-graphviz")
    wrong.locator("pre").wait_for()
    assert "cannot be drawn" in wrong.inner_text()
    assert WRONG.strip() in wrong.inner_text()
