"""Graphs of the Graphviz package in a shell that has the extension."""

from __future__ import annotations

from typing import Any

import pytest

MIME = "text/vnd.graphviz"


def shown(shell: Any, source: str) -> tuple[dict[str, Any], dict[str, Any]]:
    shell.run_cell(f"import graphviz\ngraph = {source}")
    bundle: tuple[dict[str, Any], dict[str, Any]] = shell.display_formatter.format(
        shell.user_ns["graph"]
    )
    return bundle


def test_a_graph_has_its_source_beside_it_where_there_is_no_dot(
    shell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    data, metadata = shown(shell, "graphviz.Source('graph { a -- b }', engine='neato')")
    assert set(data) == {"text/plain", MIME}
    assert data[MIME].strip() == "graph { a -- b }"
    assert metadata == {MIME: {"engine": "neato"}}


def test_our_own_graph_keeps_its_picture(shell: Any) -> None:
    shell.run_cell("import flyte_jupyter as flyte\nenv = flyte.TaskEnvironment('drawn')")
    data, _ = shown(shell, "flyte.graph(env)")
    assert {"text/html", "image/svg+xml", MIME} <= set(data)


def test_a_graph_of_a_plain_digraph_is_drawn_by_dot_by_default(shell: Any) -> None:
    data, metadata = shown(shell, "graphviz.Digraph('pipeline')")
    assert data[MIME].startswith("digraph pipeline {")
    assert metadata[MIME] == {"engine": "dot"}
