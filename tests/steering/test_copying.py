"""Code that says the same: executed, it gives the settings that it was made of."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import flyte_jupyter as flyte
from flyte_jupyter.catalog import Catalog
from flyte_jupyter.notebook.arguments import parse
from flyte_jupyter.notebook.declare import environment_fields, run_fields, task_fields
from flyte_jupyter.notebook.options import ENV_OPTIONS, RUN_OPTIONS
from flyte_jupyter.spec.settings import layer
from flyte_jupyter.steering.code import expression
from flyte_jupyter.steering.copying import magic_line, overrides_of, python_lines
from flyte_jupyter.steering.levels import Level, settings_at
from flyte_jupyter.steering.options import FLAGS, line_of, options_of

IMAGE = flyte.Image.from_debian_base("3.12")
BACKOFF = flyte.Backoff(timedelta(seconds=1), 2, timedelta(minutes=1))
NAMES = {"flyte": flyte}
VALUES: tuple[dict[str, Any], ...] = (
    {"resources": flyte.Resources(cpu=2, memory="4Gi")},
    {"resources": flyte.Resources(cpu=("500m", 4), memory=("1Gi", "1500Mi"), shm="auto")},
    {"resources": flyte.Resources(gpu=2, disk="10Gi")},
    {"resources": flyte.Resources(gpu="A100 80G:2", shm="1Gi")},
    {"resources": flyte.Resources(gpu=flyte.GPU("A100", 1, "1g.5gb"))},
    {"resources": flyte.Resources(gpu=flyte.TPU("V5P", "2x2x1"))},
    {"resources": flyte.Resources(gpu=flyte.Device("GPU", "of our own", 3))},
    {"image": "ghcr.io/you/ml:2"},
    {"image": IMAGE},
    {"image": IMAGE.with_apt_packages("git").with_pip_packages("pandas>=2,<3", "numpy")},
    {"image": IMAGE.with_pip_packages("a", index_url="https://x/y", pre=True)},
    {"image": IMAGE.with_pip_packages("a").with_commands(['echo "a b"']).with_workdir("/x")},
    {"image": IMAGE.with_env_vars({"A": "{b}"}).clone(name="mine", registry="ghcr.io/me")},
    {"env_vars": {"A": "1", "B": "x y", "C": "{q}", "D": 'it\'s "q"', "E": "$HOME\\n", "F": ""}},
    {"env_vars": {"A": "two\nlines"}},
    {"secrets": ["key", flyte.Secret("other", as_env_var="TOKEN")]},
    {"description": 'what it\'s for, "truly"'},
    {"cache": "auto"},
    {"cache": flyte.Cache("override", "v1", True, ("a", "b"), "salt", max_age=60)},
    {"reusable": True},
    {"reusable": flyte.ReusePolicy(3, 90, 2)},
    {"reusable": flyte.ReusePolicy((1, 4), 30, scope="run")},
    {"queue": "gpus", "target": "docker", "interruptible": True, "network": False},
    {"interruptible": False, "network": True, "service_account": "bot"},
    {"include": ["a b.txt", "c,d.txt"]},
    {"pod_template": "ours"},
    {"pod_template": flyte.PodTemplate({"nodeSelector": {"a": "b"}}, labels={"x": "it's"})},
    {"max_inline_io_bytes": "10Mi"},
    {"max_inline_io_bytes": 1001},
)
OF_TASKS: tuple[dict[str, Any], ...] = (
    {"retries": 3},
    {"retries": flyte.RetryStrategy(2, BACKOFF)},
    {"timeout": 5400},
    {"timeout": 0.5},
    {"timeout": flyte.Timeout(60, deadline=600)},
    {"timeout": flyte.Timeout(max_queued_time=30)},
)  # fmt: skip


@pytest.mark.parametrize("given", VALUES, ids=str)
def test_the_declaration_says_the_same(given: dict[str, Any]) -> None:
    catalog = Catalog()
    environment = flyte.TaskEnvironment("copied", **given)
    catalog.declare_environment(environment)
    names: dict[str, Any] = dict(NAMES)
    exec(python_lines(catalog, Level("copied")), names)
    assert names["copied"].settings == environment.settings
    line = magic_line(catalog, Level("copied")).removeprefix("%%flyte_env copied")
    options = parse(line, ENV_OPTIONS, NAMES)
    assert options.positionals == ()
    again = flyte.TaskEnvironment("copied", **environment_fields(options.values, print))
    assert again.settings == environment.settings


@pytest.mark.parametrize("given", OF_TASKS, ids=str)
def test_what_is_said_of_tasks_is_said_the_same(given: dict[str, Any]) -> None:
    fields = layer(given)
    assert layer({n: eval(expression(v), dict(NAMES)) for n, v in fields.items()}) == fields
    options = parse(line_of(options_of(fields)), ENV_OPTIONS, NAMES)
    assert layer(task_fields(options.values)) == fields


def test_a_requirements_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "my requirements.txt"
    file.write_text("pandas\n")
    image = IMAGE.with_requirements(file).with_requirements(file).with_pip_packages("a")
    options = parse(line_of(options_of({"image": image})), ENV_OPTIONS, NAMES)
    assert environment_fields(options.values, print)["image"] == image
    assert eval(expression(image), dict(NAMES)) == image


def test_an_environment_is_copied_with_what_the_panel_overrides(
    catalog: Catalog, ml: Level
) -> None:
    catalog.set_override("ml", memory="1.5Gi", retries=3)
    assert python_lines(catalog, ml) == (
        "ml = flyte.TaskEnvironment(name='ml', image=flyte.Image.from_debian_base()"
        ".with_pip_packages('pandas'), resources=flyte.Resources(cpu=2, memory='1536Mi'), "
        "env_vars={'A': '1', 'B': '2'})\n"
        "@ml.task(retries=3)"
    )
    assert magic_line(catalog, ml) == (
        "%%flyte_env ml --pip pandas --cpu 2 --memory 1536Mi --env-vars A=1 B=2 --retries 3"
    )


def test_a_task_is_copied_as_the_call_that_needs_no_panel(
    catalog: Catalog, ml: Level, of_train: Level
) -> None:
    catalog.set_override("ml", memory="2Gi")
    catalog.set_override("ml.train", gpu="A100:2", env_vars={"A": None, "C": "x"}, timeout=60)
    train = catalog.tasks["ml.train"]
    wanted = catalog.resolve(train).settings
    call, decorator = python_lines(catalog, of_train).split("\n")
    run = magic_line(catalog, of_train)
    for scope in ("ml", "ml.train"):
        catalog.clear_override(scope)
    assert catalog.resolve(eval(call, {**NAMES, "train": train})).settings == wanted
    assert decorator.startswith("@ml.task(resources=flyte.Resources(memory='2Gi', gpu='A100:2')")
    assert run == "%flyte_run --memory 2Gi --gpu A100:2 --env-vars C=x --timeout 1m train(...)"
    line = run.removeprefix("%flyte_run ").removesuffix(" train(...)")
    fields = run_fields(parse(line, RUN_OPTIONS, NAMES).values)
    assert layer(fields["overrides"], "run")["resources"] == flyte.Resources(
        memory="2Gi", gpu="A100:2"
    )
    assert fields["env_vars"] == {"C": "x"}


def test_what_belongs_to_the_environment_is_said_beside_a_task(
    catalog: Catalog, of_train: Level
) -> None:
    catalog.set_override("ml", image="python:3.12-slim")
    assert python_lines(catalog, of_train).split("\n") == [
        "train",
        "@ml.task",
        "# image='python:3.12-slim' belongs to the environment",
    ]


def test_overrides_of_both_levels_are_laid_together(
    catalog: Catalog, ml: Level, of_train: Level
) -> None:
    catalog.set_override("ml", memory="2Gi")
    catalog.set_override("ml.train", cpu=1)
    assert overrides_of(catalog, of_train) == {"resources": flyte.Resources(cpu=1, memory="2Gi")}
    assert settings_at(catalog, of_train).resources == flyte.Resources(cpu=1, memory="2Gi")


def test_every_flag_is_an_option_of_the_magic() -> None:
    known = {flag for option in ENV_OPTIONS for flag in option.flags}
    flags = {flag.replace("--no-", "--") for own in FLAGS.values() for flag in own}
    assert flags <= known
    assert known - flags - {"--depends-on"} == {
        flag for option in ENV_OPTIONS for flag in option.flags[1:]
    }
