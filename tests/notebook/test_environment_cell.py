import pytest

import flyte_jupyter as flyte
from flyte_jupyter.errors import SpecError
from flyte_jupyter.notebook.usage import MagicUsageError

CELL = """%%flyte_env ml-training --cpu 2 --memory 4Gi --description "two words" --retries 3
LIMIT = 3

def _helper(x):
    return x

def clean(x: int) -> int:
    return _helper(x)

async def train(rows: int = 100) -> int:
    return clean(rows)
"""


def test_public_functions_become_tasks_and_the_cell_says_which(cell, shell) -> None:
    ran = cell(CELL)
    assert ran.success
    assert ran.stdout == (
        "Environment ml-training: tasks clean, train.\n"
        "`clean` is called by `train`: it runs in its own container; `_clean` keeps it inline.\n"
    )
    names = shell.user_ns
    assert isinstance(names["clean"], flyte.Task)
    assert names["train"].name == "ml-training.train"
    assert not isinstance(names["_helper"], flyte.Task)
    assert names["LIMIT"] == 3


def test_the_environment_is_bound_under_a_name_that_python_takes(cell, shell) -> None:
    cell(CELL)
    environment = shell.user_ns["ml_training"]
    assert environment == flyte.TaskEnvironment(
        "ml-training",
        resources=flyte.Resources(cpu=2, memory="4Gi"),
        description="two words",
    )
    assert environment.origin.is_cell
    assert shell.user_ns["clean"].settings["retries"] == flyte.RetryStrategy(3)


def test_decorated_functions_alone_are_the_tasks_if_there_are_any(cell, shell) -> None:
    ran = cell(
        "%%flyte_env ml\n"
        "def helper(): return 1\n"
        "@ml.task(retries=3)\n"
        "def train(): return helper()\n"
    )
    assert ran.stdout == "Environment ml: task train.\n"
    assert not isinstance(shell.user_ns["helper"], flyte.Task)
    assert shell.user_ns["train"].settings["retries"].count == 3


def test_imported_functions_never_become_tasks(cell, shell) -> None:
    cell("%%flyte_env ml\nfrom textwrap import dedent\ndef train(): return dedent('')\n")
    assert not isinstance(shell.user_ns["dedent"], flyte.Task)


def test_functions_inside_conditions_are_functions_of_the_cell(cell, shell) -> None:
    cell("%%flyte_env ml\nif True:\n    def a(): ...\ntry:\n    def b(): ...\nfinally:\n    pass\n")
    assert isinstance(shell.user_ns["a"], flyte.Task)
    assert isinstance(shell.user_ns["b"], flyte.Task)


def test_what_its_decorators_made_something_else_of_is_no_task(cell) -> None:
    ran = cell("%%flyte_env ml\nimport functools\n@functools.cache\ndef f(): ...\n")
    assert "`f` is a _lru_cache_wrapper after its decorators and no task." in ran.stdout


def test_nothing_stays_of_a_cell_that_fails(cell, shell, session_catalog) -> None:
    cell(CELL)
    before = shell.user_ns["ml_training"], shell.user_ns["train"]
    ran = cell("%%flyte_env ml-training --cpu 1\ndef train(): ...\ndef other(): ...\n1/0\n")
    assert isinstance(ran.error, ZeroDivisionError)
    assert (shell.user_ns["ml_training"], shell.user_ns["train"]) == before
    assert list(session_catalog.tasks) == ["ml-training.clean", "ml-training.train"]
    assert session_catalog.find_environment("ml-training") is before[0]


def test_a_new_name_goes_again_if_its_cell_fails(cell, shell, session_catalog) -> None:
    cell("%%flyte_env fresh\n@fresh.task\ndef f(): ...\n1/0\n")
    assert "fresh" not in shell.user_ns
    assert not session_catalog.environments
    assert not session_catalog.tasks


def test_the_body_does_not_run_after_a_wrong_first_line(cell, shell) -> None:
    ran = cell("%%flyte_env ml --cpu banana\nran = True\n")
    assert isinstance(ran.error, SpecError)
    assert "ran" not in shell.user_ns


def test_a_task_goes_when_its_own_cell_is_run_without_it(cell, session_catalog) -> None:
    cell("%%flyte_env ml\ndef a(): ...\ndef b(): ...\n", "one")
    cell("%%flyte_env ml\ndef c(): ...\n", "two")
    cell("%%flyte_env ml\ndef a(): ...\n", "one")
    assert sorted(session_catalog.tasks) == ["ml.a", "ml.c"]


def test_a_plain_cell_that_is_run_again_drops_what_it_no_longer_declares(
    cell, session_catalog
) -> None:
    declare = "import flyte_jupyter as flyte\nenv = flyte.TaskEnvironment('x')\n"
    cell(declare + "@env.task\ndef a(): ...\n@env.task\ndef b(): ...\n", "one")
    cell(declare + "@env.task\ndef a(): ...\n", "one")
    assert list(session_catalog.tasks) == ["x.a"]
    cell(declare + "1/0\n", "one")
    assert list(session_catalog.tasks) == ["x.a"], "a cell that fails removes nothing"


def test_another_declaration_of_a_name_is_said(cell) -> None:
    cell("%%flyte_env ml --cpu 1\n", "one")
    assert "declared differently by another cell" in cell("%%flyte_env ml --cpu 2\n", "two").stdout
    assert "declared differently" not in cell("%%flyte_env ml --cpu 3\n", "two").stdout


def test_a_variable_that_is_no_environment_is_kept(cell, shell) -> None:
    cell("data = [1, 2]")
    ran = cell("%%flyte_env data\ndef f(): ...\n")
    assert shell.user_ns["data"] == [1, 2]
    assert "`data` stays the list that it was" in ran.stdout
    assert shell.user_ns["f"].name == "data.f"


def test_variables_expand_in_the_first_line(cell, shell) -> None:
    cell("cores = 3\nimage = __import__('flyte_jupyter').Image.from_base('python:3.12-slim')")
    cell("%%flyte_env ml --cpu {cores} --image {image} --env-vars A=$cores\n")
    environment = shell.user_ns["ml"]
    assert environment.resources.cpu_request == 3000
    assert environment.image is shell.user_ns["image"]
    assert dict(environment.settings.env_vars) == {"A": "3"}


def test_every_option_reaches_its_field(cell, shell) -> None:
    cell("%%flyte_env base\n")
    ran = cell(
        "%%flyte_env ml --python 3.12 --pip pandas==2.2 --apt git --cpu 1,4 --mem 1Gi --gpu 2 "
        "--accelerator NVIDIA_A10G --disk 10Gi --shm auto --env-vars A=1 B='x y' --secret TOKEN "
        "--depends-on base --cache auto --reusable 3 --task_queue gpus --interruptible --on local "
        "--no-network --include data/ --service-account me --max-inline-io-bytes 5Mi "
        "--pod-template big --timeout 1h30m\n"
        "async def f(): ...\n"
    )
    assert ran.success, ran.error
    settings = shell.user_ns["ml"].settings
    assert str(settings.image) == "Python 3.12 on slim Debian + apt git + pip pandas==2.2"
    assert str(settings.resources.device) == "A10G:2"
    assert (settings.resources.cpu_request, settings.resources.cpu_limit) == (1000, 4000)
    assert dict(settings.env_vars) == {"A": "1", "B": "x y"}
    assert [secret.key for secret in settings.secrets] == ["TOKEN"]
    assert shell.user_ns["ml"].depends_on == (shell.user_ns["base"],)
    assert settings.reusable.max_replicas == 3
    assert (settings.queue, settings.interruptible, settings.network) == ("gpus", True, False)
    assert settings.include == ("data/",)
    assert settings.service_account == "me"
    assert settings.target == "local"
    assert settings.max_inline_io_bytes == 5 * 1024 * 1024
    assert settings.pod_template == "big"
    assert settings.cache is not None
    assert shell.user_ns["f"].settings["timeout"].max_runtime.total_seconds() == 5400


def test_wrong_lines_are_said_in_one_sentence(cell) -> None:
    table = {
        "%%flyte_env": "%%flyte_env needs a name",
        "%%flyte_env a b": "%%flyte_env takes one name, but 'a' 'b' were given",
        "%%flyte_env a --depends-on nothing": "no environment is named 'nothing'; no environment "
        "is declared yet",
        "%%flyte_env a --env-vars B": "--env-vars takes KEY=VALUE, but 'B' was given",
        "%%flyte_env a --retries many": "--retries takes a whole number, not 'many'",
        "%%flyte_env a --timeout soon": "--timeout takes a time such as 90, 90s, 10m or 1h30m, "
        "not 'soon'",
        "%%flyte_env a --image x --python 3.12": "--python and --image both say which Python is "
        "used; give one of them",
    }
    for line, sentence in table.items():
        error = cell(line + "\nx = 1\n").error
        assert getattr(error, "sentence", error) == sentence, line


def test_one_cell_declares_one_environment(cell) -> None:
    ran = cell("%%flyte_env a\n%flyte_env b\n")
    assert isinstance(ran.error, MagicUsageError)
    assert "already declares an environment" in ran.error.sentence


def test_an_exported_script_declares_the_same(shell, session_catalog) -> None:
    shell.run_cell_magic("flyte_env", "ml --cpu 2", "def f(): return 1\n")
    assert isinstance(shell.user_ns["f"], flyte.Task)
    assert list(session_catalog.tasks) == ["ml.f"]


def test_source_of_a_task_can_be_found(cell, shell) -> None:
    import inspect

    cell("# a comment\n%%flyte_env ml\ndef f():\n    return 41 + 1\n")
    assert inspect.getsource(shell.user_ns["f"].func) == "def f():\n    return 41 + 1\n"
    assert shell.user_ns["f"].origin.line == 3


@pytest.mark.parametrize("magic", ["%%time", "%%capture"])
def test_another_cell_magic_may_stand_above(cell, shell, magic: str) -> None:
    ran = cell(f"{magic}\n%%flyte_env ml\ndef f(): return 1\n")
    assert ran.success, ran.error
    assert isinstance(shell.user_ns["f"], flyte.Task)
