"""What a form launches, as code that does the same: in Python and on a magic's line."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

import flyte_jupyter as flyte
from flyte_jupyter.launching.form import LaunchForm

Forms = Callable[..., LaunchForm]


@pytest.mark.parametrize(
    ("said", "python", "magic"),
    [
        ({}, "flyte.run(train, x=1)", "%flyte_run train(x=1)"),
        (
            {"task_queue": "gpus"},
            "flyte.run(train, x=1, task_queue='gpus')",
            "%flyte_run --task-queue gpus train(x=1)",
        ),
        (
            {"on": "docker", "cpu": "1,2", "gpu": "A100:2", "timeout": "2m"},
            "flyte.with_runcontext(target='docker', overrides={'cpu': ('1', '2'), "
            "'gpu': 'A100:2', 'timeout': 120.0}).run(train, x=1)",
            "%flyte_run --on docker --cpu 1,2 --gpu A100:2 --timeout 2m train(x=1)",
        ),
        (
            {"env_vars": "A=1 'B=x y'", "label": "a=b", "interruptible": "no", "retries": "3"},
            "flyte.with_runcontext(env_vars={'A': '1', 'B': 'x y'}, labels={'a': 'b'}, "
            "overrides={'retries': 3, 'interruptible': False}).run(train, x=1)",
            "%flyte_run --retries 3 --env-vars A=1 --env-vars 'B=x y' --label a=b "
            "--no-interruptible train(x=1)",
        ),
        (
            {"name": "mine", "cache": "override", "accelerator": "NVIDIA_A10G"},
            "flyte.with_runcontext(name='mine', overrides={'accelerator': 'NVIDIA_A10G', "
            "'cache': 'override'}).run(train, x=1)",
            "%flyte_run --name mine --accelerator NVIDIA_A10G --cache override train(x=1)",
        ),
    ],
)
def test_a_form_is_copied_as_code(
    form_of: Forms, said: dict[str, str], python: str, magic: str
) -> None:
    form = form_of("x: int")
    form.fill("x", "1")
    for name, text in said.items():
        form.say(name, text)
    assert form.code() == python
    assert form.magic() == magic


@pytest.mark.parametrize(
    ("parameters", "filled", "code"),
    [
        ("x: int, y: int = 2", {"x": "1"}, "x=1"),
        ("x: int, /, y: int = 2", {"x": "1", "y": "3"}, "1, 3"),
        ("x: int, /, y: int = 2, *, z: int = 0", {"x": "1", "z": "3"}, "1, z=3"),
        ("*xs: int, z: int = 0", {"xs": "[1, 2]", "z": "3"}, "*(1, 2), z=3"),
        ("x: int = 0, **more: int", {"more": "{'a': 1}"}, "**{'a': 1}"),
    ],
)
def test_every_kind_of_parameter_is_written(
    form_of: Forms, parameters: str, filled: dict[str, str], code: str
) -> None:
    form = form_of(parameters)
    for name, text in filled.items():
        form.fill(name, text)
    assert form.code() == f"flyte.run(train, {code})"
    copied = eval(form.code(), dict(form._notebook))
    launched = form.launch()
    assert copied.result() == launched.result()


def test_what_the_code_needs_is_imported_above_it(cell: Any) -> None:
    book = cell("""
        import datetime as time_of
        from pathlib import Path as File

        @env.task
        def train(day: time_of.date, file: File) -> str:
            return f"{day} {file}"
    """)
    del book.flyte
    form = LaunchForm(book.train, vars(book))
    form.fill("day", "2024-05-01")
    form.fill("file", "a")
    assert form.code() == (
        "from datetime import date\n"
        "import flyte_jupyter as flyte\n"
        "flyte.run(train, day=date.fromisoformat('2024-05-01'), file=File('a'))"
    )
    assert form.magic() == (
        "from datetime import date\n"
        "%flyte_run train(day=date.fromisoformat('2024-05-01'), file=File('a'))"
    )


def test_a_task_that_no_variable_holds_is_called_by_its_name(form_of: Forms) -> None:
    form = form_of("x: int = 1")
    notebook: Any = form._notebook
    del notebook["train"]
    assert form.code() == "flyte.run('env.train')"
    assert form.magic() == "%flyte_run env.train()"


def test_an_input_named_as_an_option_stays_an_input(form_of: Forms) -> None:
    form = form_of("task_queue: str = 'a'")
    form.fill("task_queue", "b")
    form.say("task_queue", "gpus")
    assert form.code() == "flyte.with_runcontext(queue='gpus').run(train, task_queue='b')"


def test_a_rerun_is_written_as_one(form_of: Forms) -> None:
    first = form_of("x: int, y: int = 2")
    first.fill("x", "1")
    first.say("task_queue", "slow")
    first.say("memory", "300Mi")
    run = first.launch().wait()
    form = again(first, run)
    assert form.code() == f"flyte.rerun({run.name!r})"
    form.fill("y", "3")
    form.say("task_queue", "fast")
    assert form.code() == f"flyte.rerun({run.name!r}, y=3, task_queue='fast')"
    assert form.magic() == f"%flyte_rerun --task-queue fast {run.name}(y=3)"
    form.say("memory", "")
    assert form.code() == (
        f"flyte.with_runcontext(target='local', queue='fast', keep=False).rerun({run.name!r}, y=3)"
    )
    assert form.magic() == (f"%flyte_rerun --on local --task-queue fast --no-keep {run.name}(y=3)")
    copied = eval(form.code(), dict(form._notebook))
    assert copied.result() == form.launch().result() == {"x": 1, "y": 3}


def test_the_code_of_a_rerun_runs_under_the_same_settings(form_of: Forms) -> None:
    first = form_of("x: int = 1")
    for name, text in {"retries": "2", "cpu": "1", "memory": "300Mi", "env_vars": "A=1"}.items():
        first.say(name, text)
    form = again(first, first.launch().wait())
    form.say("cpu", "")
    form.say("retries", "1")
    copied, launched = eval(form.code(), dict(form._notebook)), form.launch()
    assert settings_of(copied.wait()) == settings_of(launched.wait())
    assert settings_of(launched)["resources"] == {"memory": "300Mi"}
    assert settings_of(launched)["retries"] == [1, None]
    assert settings_of(launched)["env_vars"] == {"A": "1"}


def again(form: LaunchForm, run: flyte.Run) -> LaunchForm:
    from flyte_jupyter.session.rerun import recorded

    return LaunchForm(None, form._notebook, recorded(run))


def settings_of(run: flyte.Run) -> dict[str, Any]:
    from flyte_jupyter.session import session
    from flyte_jupyter.session.history import reading

    session.keep()
    folder = session.config().state
    assert folder is not None
    with reading(folder) as db:
        (settings,) = db.execute(
            "SELECT settings FROM specs JOIN actions ON spec = hash WHERE run = ?", (run.name,)
        ).fetchone()
    found: dict[str, Any] = json.loads(settings)
    return found
