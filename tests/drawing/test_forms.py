"""Text, DOT, HTML and files of a graph."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import graphviz
import pytest

from flyte_jupyter.drawing import EdgeView, Graph, GraphView, NodeView
from flyte_jupyter.drawing.collapse import collapsed
from flyte_jupyter.drawing.graph import html
from flyte_jupyter.drawing.text import text
from flyte_jupyter.errors import FlyteError


def test_the_text_reads_wave_by_wave(seed: GraphView) -> None:
    assert Graph(seed).text == (
        "wave 1  ✓ deployed      base-utils   python:3.12-slim  cpu 1, memory 2Gi  no tasks\n"
        "wave 2  △ changed       ml-training  python:3.12-slim  cpu 1, memory 2Gi  no tasks"
        "  ← base-utils\n"
        "wave 3  ◦ not deployed  api          python:3.12-slim  cpu 1, memory 2Gi  no tasks"
        "  ← ml-training"
    )


def test_states_are_left_out_where_nothing_is_deployed(make: Callable[..., GraphView]) -> None:
    view = make(["a", "b"], {"b": ["a"]}, tasks={"a": ["f"], "b": []})
    assert repr(Graph(view)) == (
        "wave 1  a  python:3.12-slim  cpu 1, memory 2Gi  1 task\n"
        "          · f\n"
        "wave 2  b  python:3.12-slim  cpu 1, memory 2Gi  no tasks  ← a"
    )


def test_the_text_tells_calls_apart_from_dependencies(called: GraphView) -> None:
    below = Graph(called).text.partition("\n\n")[2]
    assert below == (
        "calls of the run of pipeline:\n"
        "  the run   ⇢  pipeline  started here    ✗ failed\n"
        "  pipeline  ⇢  load      called once     ✓ succeeded\n"
        "  pipeline  ⇢  train     called 3 times  ✗ 1 failed, 2 succeeded\n"
        "  pipeline  ⇢  serve     called once     ▶ running\n"
        "  serve     ⇢  load      called 2 times  ✓ succeeded\n"
        "  train     ⇢  train     called once     ✓ succeeded"
    )


def test_the_text_gives_reasons_if_asked(seed: GraphView) -> None:
    assert text(seed, reasons=True).endswith(
        "\n\nml-training depends on base-utils: depends_on in cell 7, line 3\n"
        "api depends on ml-training: depends_on in cell 7, line 3"
    )


# DOT


def test_dot_has_waves_as_clusters_and_reasons_as_tooltips(seed: GraphView) -> None:
    source = Graph(seed).dot
    assert [line.split()[1] for line in source.splitlines() if "subgraph" in line] == [
        "cluster_wave_1",
        "cluster_wave_2",
        "cluster_wave_3",
    ]
    assert (
        '"base-utils" -> "ml-training" '
        '[tooltip="ml-training depends on base-utils: depends_on in cell 7, line 3"]' in source
    )
    assert r"base-utils\npython:3.12-slim\ncpu 1 · memory 2Gi\nno tasks · ✓ deployed" in source


def test_calls_are_dashed_in_dot_and_move_nothing(called: GraphView) -> None:
    calls = [line for line in Graph(called).dot.splitlines() if "dashed" in line]
    assert len(calls) == 5
    assert all("arrowhead=vee" in line and "constraint=false" in line for line in calls)


ODD = ('say "hi"', "back\\slash", "trailing\\", "<b>html</b>", "node", "a:b:c", "", "1.5", "ä ö")


@pytest.mark.parametrize("name", ODD)
def test_any_name_is_quoted(name: str) -> None:
    nodes = NodeView(name, detail=(name,)), NodeView("plain")
    view = GraphView(nodes, ((name,), ("plain",)), (EdgeView("plain", name, name),))
    source = Graph(view).dot
    label = name.replace("\\", "\\\\").replace('"', '\\"')
    assert f'label="{label}' in source or f"label={label}" in source
    assert source.count("->") == 1
    # what is quoted ends where it should: an even number of quotes that are not escaped
    assert source.replace("\\\\", "").replace('\\"', "").count('"') % 2 == 0


# A notebook's forms


def test_a_notebook_gets_every_form(seed: GraphView) -> None:
    bundle = Graph(seed)._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", "image/svg+xml", "text/vnd.graphviz"}
    assert bundle["image/svg+xml"].startswith("<svg xmlns=")
    assert bundle["text/vnd.graphviz"].startswith("digraph flyte {")


def test_the_page_follows_its_theme_and_the_picture_brings_its_paper(seed: GraphView) -> None:
    assert "var(--jp-layout-color0" in html(seed)
    assert "var(" not in Graph(seed).svg


def test_without_trust_the_texts_of_the_picture_are_hidden(seed: GraphView) -> None:
    page = html(seed)
    assert (
        page.index('<div hidden="hidden" style="display:flow-root')
        < page.index("<svg")
        < page.index("</div>")
    )
    assert "as text" in page[page.index("</svg>") :]


def test_a_graph_is_drawn_the_same_in_every_process(tmp_path: Path) -> None:
    script = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('views', {str(_VIEWS)!r})\n"
        "views = importlib.util.module_from_spec(spec); spec.loader.exec_module(views)\n"
        "from flyte_jupyter.drawing import Graph\n"
        "bundle = Graph(views.layered(50, 5, 1))._repr_mimebundle_()\n"
        "sys.stdout.write(''.join(bundle.values()))\n"
    )
    drawn = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(_ROOT), "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            check=True,
            cwd=tmp_path,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(drawn) == 1


_VIEWS = Path(__file__).parent / "conftest.py"
_ROOT = Path(__file__).parent.parent.parent


# Files


@pytest.mark.parametrize(
    ("name", "beginning"), [("graph.svg", "<svg"), ("graph.dot", "digraph"), ("g.gv", "digraph")]
)
def test_a_graph_is_saved_as_its_suffix_says(
    seed: GraphView, tmp_path: Path, name: str, beginning: str
) -> None:
    path = Graph(seed).save(tmp_path / name)
    assert path == tmp_path / name
    assert path.read_text("utf-8").startswith(beginning)


def test_a_suffix_that_means_nothing_is_refused(seed: GraphView, tmp_path: Path) -> None:
    with pytest.raises(FlyteError) as caught:
        Graph(seed).save(tmp_path / "graph.pgn")
    assert str(caught.value) == (
        "'graph.pgn' does not end in one of the forms of a graph; did you mean 'png'?\n"
        "Those are .svg, .dot, .gv, .png and .pdf."
    )


def test_png_without_graphviz_says_what_is_missing(
    seed: GraphView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FlyteError) as caught:
        Graph(seed).save(tmp_path / "graph.png")
    assert str(caught.value) == (
        "graph.png cannot be written: a png is drawn by Graphviz's program dot, which is not "
        "installed here.\n"
        "Install Graphviz (apt install graphviz), or save graph.svg, which needs nothing."
    )


def test_graphviz_draws_what_we_write(called: GraphView, tmp_path: Path) -> None:
    try:
        graphviz.version()
    except graphviz.ExecutableNotFound:
        pytest.skip("without the program dot of Graphviz")
    assert Graph(called).save(tmp_path / "graph.png").read_bytes().startswith(b"\x89PNG")
    assert Graph(called).save(tmp_path / "graph.pdf").read_bytes().startswith(b"%PDF")
    odd = GraphView(tuple(map(NodeView, ODD)), (ODD,))
    assert Graph(odd).save(tmp_path / "odd.png").read_bytes().startswith(b"\x89PNG")


# Many environments


def fan(make: Callable[..., GraphView], count: int) -> GraphView:
    names = ["base", *(f"train-{number}" for number in range(count)), "report"]
    trained = names[1:-1]
    needs = {**{name: ["base"] for name in trained}, "report": trained}
    return make(names, needs, {"base": "deployed", **dict.fromkeys(trained[2:], "deployed")})


def test_many_environments_in_one_place_are_one_node(make: Callable[..., GraphView]) -> None:
    view = fan(make, 198)
    shown = collapsed(view)
    assert [node.label for node in shown.nodes] == ["base", "198 environments", "report"]
    assert [len(wave) for wave in shown.waves] == [1, 1, 1]
    assert list(shown.sentences.values()) == [
        "198 environments depend on base: depends_on in cell 7, line 3",
        "report depends on 198 environments: depends_on in cell 7, line 3",
    ]
    line = Graph(view).text.splitlines()[1]
    assert line.split("  ")[:4] == [
        "wave 2",
        "✓ 196 deployed, ◦ 2 not deployed",
        "198 environments",
        "train-0, train-1, train-2, train-3, train-4, train-5, …",
    ]


def test_each_is_drawn_if_asked_for_or_if_there_are_few(make: Callable[..., GraphView]) -> None:
    assert len(Graph(fan(make, 198), expand=True).shown.nodes) == 200
    assert len(Graph(fan(make, 38)).shown.nodes) == 40
    assert len(Graph(fan(make, 39)).shown.nodes) == 3


def test_nothing_is_collapsed_where_tasks_or_calls_are_shown(
    make: Callable[..., GraphView],
) -> None:
    assert len(Graph(replace(fan(make, 50), tasks=True)).shown.nodes) == 52


def test_the_tooltip_of_many_names_them_all(make: Callable[..., GraphView]) -> None:
    picture = Graph(fan(make, 60)).svg
    assert "✓ train-59: deployed" in picture
    assert "◦ train-0: not deployed" in picture
