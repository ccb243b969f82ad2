"""`%flyte_graph`, `flyte.graph` and what an environment looks like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import flyte_jupyter as flyte
from flyte_jupyter import catalog
from flyte_jupyter.cli import main
from flyte_jupyter.deployment.result import Deployed, Deployment, State
from flyte_jupyter.drawing import Graph
from flyte_jupyter.errors import FlyteError, NotFoundError
from flyte_jupyter.notebook.complete import candidates
from flyte_jupyter.notebook.graph import bundle
from flyte_jupyter.session.graph import deployment_view

SEED = """
import flyte
base_env = flyte.TaskEnvironment(
    name="base-utils", image="python:3.12-slim", resources=flyte.Resources(cpu="1", memory="2Gi")
)
ml_env = flyte.TaskEnvironment(name="ml-training", depends_on=[base_env])
api_env = flyte.TaskEnvironment(name="api")
api_env.add_dependency(ml_env)

@base_env.task
async def load_config() -> dict:
    return {}

@ml_env.task
async def train_model(rows: int = 1) -> str:
    return "trained"

@base_env.task
async def ml_pipeline() -> str:
    await load_config()
    return [await train_model(rows) for rows in range(3)][-1]
"""


@pytest.fixture
def declared(cell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The cells of the documentation, executed; a function that executes more."""
    monkeypatch.chdir(tmp_path)
    flyte.init(project=str(tmp_path))
    assert cell(SEED).success
    return cell


def test_the_magic_draws_all_environments_in_waves(declared: Any) -> None:
    graph = declared("%flyte_graph").result
    assert isinstance(graph, Graph)
    assert graph.view.waves == (("base-utils",), ("ml-training",), ("api",))
    assert graph.text == (
        "wave 1  base-utils   python:3.12-slim  cpu 1, memory 2Gi  2 tasks\n"
        "wave 2  ml-training  default image                        1 task    ← base-utils\n"
        "wave 3  api          default image                        no tasks  ← ml-training"
    )


def test_a_name_or_a_variable_draws_it_with_what_it_depends_on(declared: Any) -> None:
    for words in ("ml-training", "ml_env", "{ml_env}"):
        graph = declared(f"%flyte_graph {words}").result
        assert graph.view.waves == (("base-utils",), ("ml-training",))


def test_edges_tell_how_and_where_they_were_declared(declared: Any) -> None:
    reasons = [edge.reason for edge in declared("%flyte_graph").result.view.edges]
    assert reasons == ["depends_on in a cell, line 5", "add_dependency in a cell, line 7"]


def test_a_cell_that_was_run_again_counts_as_it_is_now(declared: Any) -> None:
    declared('ml_env = flyte.TaskEnvironment(name="ml-training")')
    assert declared("%flyte_graph api").result.view.waves == (("ml-training",), ("api",))


def test_tasks_are_shown_if_asked_for(declared: Any) -> None:
    assert "load_config" not in declared("%flyte_graph").result.text
    assert "· load_config" in declared("%flyte_graph --tasks").result.text


def test_the_calls_of_a_run_are_laid_over_the_graph(declared: Any) -> None:
    assert declared("result = %flyte_run ml_pipeline()").success
    graph = declared("%flyte_graph --run last").result
    assert graph.view.waves == (("base-utils",), ("ml-training",))
    assert graph.text.partition("\n\n")[2] == (
        "calls of the run of ml_pipeline:\n"
        "  the run      ⇢  ml_pipeline  started here    ✓ succeeded\n"
        "  ml_pipeline  ⇢  load_config  called once     ✓ succeeded\n"
        "  ml_pipeline  ⇢  train_model  called 3 times  ✓ succeeded"
    )
    assert declared("%flyte_graph --run ml_pipeline").result.text == graph.text


def test_what_a_run_called_and_is_gone_is_shown_as_such(declared: Any) -> None:
    declared("run = %flyte_run --no-wait ml_pipeline()")
    declared("run.wait()")
    catalog.current().forget("ml-training")
    graph = declared("%flyte_graph --run {run}").result
    assert "not declared here" in graph.text
    assert "✓ train_model" in graph.text


def test_a_run_that_is_not_known_is_said_so(declared: Any) -> None:
    declared("result = %flyte_run load_config()")
    ran = declared("%flyte_graph --run nothing")
    assert isinstance(ran.error, NotFoundError)


def test_deployments_give_the_states(declared: Any) -> None:
    assert declared("%flyte_deploy base-utils").success
    states = {node.name: node.state for node in declared("%flyte_graph").result.view.nodes}
    assert states == {"base-utils": "deployed", "ml-training": "", "api": ""}
    declared(SEED.replace("return {}", "return {'changed': True}"))
    node = declared("%flyte_graph").result.view.nodes[0]
    assert node.state == "changed"
    assert node.detail[0].startswith("changed since deployed: ")


def test_a_deployment_is_drawn_as_it_stands(declared: Any) -> None:
    rows = (("base-utils", State.FAILED, "no such image"), ("ml-training", State.SKIPPED, ""))
    deployment = Deployment(
        {
            name: Deployed(name, wave, "local", "v1", state=state, why=why)
            for wave, (name, state, why) in enumerate(rows, 1)
        },
        "v1",
        "project",
    )
    view = deployment_view(deployment)
    assert [node.state for node in view.nodes] == ["failed", "skipped"]
    assert view.nodes[0].detail == ("no such image",)
    assert set(bundle(view, interactive=True)) == {"text/plain", "text/html"}
    assert set(bundle(view, interactive=False)) > {"image/svg+xml"}


def test_the_graph_is_saved(declared: Any, tmp_path: Path) -> None:
    ran = declared("%flyte_graph --save graph.svg")
    assert ran.stdout.splitlines()[0] == "graph.svg is written."
    assert (tmp_path / "graph.svg").read_text("utf-8") == ran.result.svg
    refused = declared("%flyte_graph --save graph.jpeg")
    assert isinstance(refused.error, FlyteError)


def test_a_name_that_is_not_declared_is_refused(declared: Any) -> None:
    assert str(declared("%flyte_graph ml-trainin").error) == (
        "no environment is named 'ml-trainin'; did you mean 'ml-training'?"
    )


def test_the_function_takes_environments_tasks_and_names(declared: Any, shell: Any) -> None:
    names = shell.user_ns
    expected = flyte.graph("ml-training").text
    assert flyte.graph(names["ml_env"]).text == expected
    assert flyte.graph(names["train_model"]).text == expected
    with pytest.raises(FlyteError, match="7 is an int; draw environments"):
        flyte.graph(7)


def test_without_an_environment_the_graph_says_how_to_begin(cell: Any) -> None:
    assert cell("%flyte_graph").result.text.startswith("No environment is declared yet.")


def test_an_environment_shows_its_graph_if_it_depends_on_something(
    declared: Any, shell: Any
) -> None:
    formatted, _ = shell.display_formatter.format(shell.user_ns["ml_env"])
    assert formatted["text/plain"] == "TaskEnvironment('ml-training', depends_on=[base-utils])"
    assert "<svg" in formatted["text/html"]
    assert "<table" in formatted["text/html"]
    alone, _ = shell.display_formatter.format(shell.user_ns["base_env"])
    assert "<svg" not in alone["text/html"]


def test_unloading_takes_the_display_away(declared: Any, shell: Any) -> None:
    environment = shell.user_ns["ml_env"]
    shell.display_formatter.format(environment)
    shell.extension_manager.unload_extension("flyte_jupyter")
    formatted, _ = shell.display_formatter.format(environment)
    assert "<svg" not in formatted["text/html"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("%flyte_graph ml", ["ml-training"]),
        ("%flyte_graph --ta", ["--tasks"]),
        ("%flyte_graph --run la", ["last"]),
    ],
)
def test_names_options_and_runs_are_completed(
    declared: Any, session_catalog: Any, line: str, expected: list[str]
) -> None:
    found = candidates(line, session_catalog)
    assert found is not None
    assert [each.text for each in found.candidates] == expected


def test_help_tells_the_options(shell: Any) -> None:
    told = shell.magics_manager.magics["line"]["flyte_graph"].__doc__
    assert "--save FILE" in told


def test_a_terminal_draws_a_file_as_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], session_catalog: Any
) -> None:
    (tmp_path / "program.py").write_text(
        "import flyte\n"
        "base = flyte.TaskEnvironment(name='base')\n"
        "api = flyte.TaskEnvironment(name='api', depends_on=[base])\n"
    )
    flyte.init(project=str(tmp_path))
    assert main(["graph", str(tmp_path / "program.py"), "api"]) == 0
    assert capsys.readouterr().out == (
        "wave 1  base  default image  no tasks\nwave 2  api   default image  no tasks  ← base\n"
    )
