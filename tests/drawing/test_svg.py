"""The graph as a picture."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from flyte_jupyter.drawing import Graph, GraphView, NodeView
from flyte_jupyter.drawing.measure import fitted, width
from flyte_jupyter.drawing.paint import PAPER
from flyte_jupyter.drawing.states import CALLS, STATES, look
from flyte_jupyter.drawing.svg import svg

NAMESPACE = "{http://www.w3.org/2000/svg}"
DARK = "#111111"
"""The paper of JupyterLab's dark theme."""


def parsed(picture: str) -> ElementTree.Element:
    return ElementTree.fromstring(picture)


def texts(picture: str) -> list[str]:
    return [element.text or "" for element in parsed(picture).iter(f"{NAMESPACE}text")]


def tooltips(picture: str) -> list[str]:
    return [element.text or "" for element in parsed(picture).iter(f"{NAMESPACE}title")]


def test_a_picture_says_what_it_is(seed: GraphView) -> None:
    root = parsed(svg(seed))
    assert root.get("role") == "img"
    assert root.get("aria-label") == "Deployment graph: 3 environments in 3 waves"
    assert root[0].text == "Deployment graph"


def test_a_card_tells_name_image_resources_tasks_and_state(seed: GraphView) -> None:
    said = texts(svg(seed))
    for text in ("base-utils", "python:3.12-slim", "cpu 1 · memory 2Gi", "no tasks", "deployed"):
        assert text in said
    assert [text for text in said if text.startswith("wave")] == ["wave 1", "wave 2", "wave 3"]
    assert "is deployed before" in said


def test_every_arrow_tells_why_it_is_there(seed: GraphView) -> None:
    assert "ml-training depends on base-utils: depends_on in cell 7, line 3" in tooltips(svg(seed))


def test_a_tooltip_tells_all_of_an_environment(seed: GraphView) -> None:
    node = replace(seed.nodes[0], detail=("changed since deployed: train",))
    told = tooltips(svg(replace(seed, nodes=(node, *seed.nodes[1:]))))[3]
    assert told.splitlines() == [
        "base-utils: deployed",
        "changed since deployed: train",
        "python:3.12-slim",
        "cpu 1, memory 2Gi",
        "no tasks",
        "declared in cell 7, line 3",
    ]


def test_a_picture_has_nothing_that_a_page_could_meet(called: GraphView) -> None:
    picture = Graph(called)._repr_mimebundle_()["text/html"] + svg(called)
    for forbidden in ("<script", "<style", " id=", "url(", "http://", "https://", "@import"):
        assert forbidden not in picture.replace("http://www.w3.org/2000/svg", "")


def test_names_are_written_as_they_are() -> None:
    name = "<b>&\"'\x00\\]]>"
    node = NodeView(name, image="<img>", detail=("</title>",), origin="&amp;")
    picture = svg(GraphView((node,), ((name,),)))
    assert "<b>&\"'\\]]>" in texts(picture)


def test_what_does_not_fit_is_cut_and_stands_in_the_tooltip() -> None:
    node = NodeView("e" * 200, image="registry.example.org/" + "i" * 200)
    picture = svg(GraphView((node,), ((node.name,),)))
    cut = [text for text in texts(picture) if text.endswith("…")]
    assert len(cut) == 2
    assert node.image in tooltips(picture)[1]
    assert float(parsed(picture).get("width", "0")) < 400


def test_an_empty_session_says_how_to_begin() -> None:
    assert "No environment is declared yet" in texts(svg(GraphView((), ())))[0]


def test_calls_and_dependencies_cannot_be_taken_for_one_another(called: GraphView) -> None:
    picture = svg(called)
    said = texts(picture)
    assert "calls, in the run of pipeline" in said
    assert "is deployed before" in said
    assert [text for text in said if text.startswith("called")] == [
        "called ×1",
        "called ×3, 1 failed",
        "called ×1",
        "called ×2",
        "called ×1",
    ]
    dashed = [path for path in re.findall("<path[^>]*>", picture) if "stroke-dasharray" in path]
    # five calls and the sample of the legend; no dependency is dashed
    assert len(dashed) == 6
    assert "stroke-dasharray" not in svg(replace(called, calls=()))
    assert "base.pipeline calls ml.train: called 3 times, 1 failed, 2 succeeded" in tooltips(
        picture
    )


def test_tags_of_calls_cover_neither_each_other_nor_a_card(called: GraphView) -> None:
    root = parsed(svg(called))
    rectangles = [
        tuple(float(element.get(key, "0")) for key in ("x", "y", "width", "height"))
        for element in root.iter(f"{NAMESPACE}rect")
        if element.get("rx") == "4"
    ]
    assert len(rectangles) == 5
    for index, (x, y, wide, high) in enumerate(rectangles):
        for ox, oy, other_wide, other_high in rectangles[index + 1 :]:
            beside = x < ox + other_wide and ox < x + wide
            assert not (beside and y < oy + other_high and oy < y + high)


# Colours


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


COLOURS = sorted({shown.colour for shown in (*STATES.values(), *CALLS.values()) if shown.colour})


@pytest.mark.parametrize("colour", COLOURS)
def test_a_badge_is_readable_on_light_and_dark_paper(colour: str) -> None:
    assert contrast("#ffffff", colour) >= 4.5  # its text
    assert contrast(colour, PAPER.card) >= 3
    assert contrast(colour, PAPER.band) >= 3
    assert contrast(colour, DARK) >= 3


def test_texts_are_readable_on_their_paper() -> None:
    # 0.76 of the ink over the paper, as what recedes is drawn
    soft = "#" + "".join(
        f"{round(0.76 * int(PAPER.ink[p : p + 2], 16) + 0.24 * int(PAPER.band[p : p + 2], 16)):02x}"
        for p in (1, 3, 5)
    )
    assert contrast(soft, PAPER.band) >= 4.5
    assert contrast(PAPER.edge, PAPER.band) >= 3


def test_every_state_has_a_symbol_an_icon_and_a_word_of_its_own() -> None:
    for table in (STATES, CALLS):
        for attribute in ("symbol", "word", "icon"):
            values = [getattr(shown, attribute) for shown in table.values()]
            expected = len(values) - (1 if table is CALLS and attribute != "word" else 0)
            assert len(set(values)) >= expected, attribute


def test_an_unknown_state_is_shown_as_it_is() -> None:
    assert look("some_state").word == "some state"


# Widths of texts


def test_a_text_is_cut_to_its_room() -> None:
    assert fitted("short", 100, 12) == "short"
    cut = fitted("a rather long text", 60, 12)
    assert cut.endswith("…")
    assert width(cut, 12) <= 60
    assert fitted("長い名前の環境です", 60, 12).endswith("…")


# Many environments


def test_one_line_for_each_where_there_are_many(random_graph: Callable[..., GraphView]) -> None:
    picture = svg(random_graph(30, 3, 0))
    assert "python:3.12-slim" not in texts(picture)
    assert texts(picture).count("not deployed") == 30
