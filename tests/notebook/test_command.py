import pytest

from flyte_jupyter.errors import InputError, InputTypeError, NotFoundError
from flyte_jupyter.notebook.command import read_command
from flyte_jupyter.notebook.splitting import split
from flyte_jupyter.notebook.usage import MagicUsageError


@pytest.fixture
def read(cell, shell, session_catalog):
    cell(
        "%%flyte_env ml\n"
        "def train(rows: int, learning_rate: float = 0.1, deep: bool = False, cpu: int = 1): ...\n"
        "def nothing(): ...\n"
    )

    def command(line: str):
        return read_command(split(line), shell.user_ns, session_catalog)

    return command


def test_inputs_are_typed_by_the_signature(read) -> None:
    command = read("train --rows 1000 --learning-rate=0.5 --deep")
    assert command.call.keywords == {"rows": 1000, "learning_rate": 0.5, "deep": True}
    assert read("train --rows 1 --learning_rate 2 --no-deep").call.keywords == {
        "rows": 1,
        "learning_rate": 2.0,
        "deep": False,
    }


def test_what_the_signature_does_not_name_is_an_option_of_the_run(read) -> None:
    command = read("--on local train --rows 1 --task_queue gpus --memory 2Gi --env A=1 --env B=2")
    assert command.values == {
        "on": "local",
        "task_queue": "gpus",
        "memory": "2Gi",
        "env_vars": ["A=1", "B=2"],
    }


def test_a_name_of_the_signature_is_an_input_even_if_an_option_has_it(read) -> None:
    command = read("train --rows 1 --cpu 7")
    assert command.call.keywords["cpu"] == 7
    assert command.values == {}
    assert read("--cpu 7 train --rows 1").values == {"cpu": "7"}


def test_local_is_flytes_word_for_the_local_target(read) -> None:
    assert read("--local nothing").values == {"on": "local"}


def test_an_expression_hands_over_the_object(read, shell) -> None:
    shell.user_ns["n"] = 12
    assert read("train --rows {n}").call.keywords == {"rows": 12}
    assert read("train --rows 1{n}").call.keywords == {"rows": 112}


def test_a_task_is_found_by_its_full_name(read) -> None:
    assert read("ml.nothing").call.task.name == "ml.nothing"


@pytest.mark.parametrize(
    ("line", "kind", "sentence"),
    [
        ("", MagicUsageError, "run needs the name of a task"),
        ("trian", NotFoundError, "no task is named 'trian'; did you mean 'train'?"),
        ("train", InputError, "train needs --rows"),
        ("train --rows", MagicUsageError, "--rows needs a value"),
        ("train --rows x", InputTypeError, "--rows takes a whole number, not 'x'"),
        ("train --rowz 1", InputError, "train has no input --rowz; did you mean '--rows'?"),
        ("nothing --speed 1", InputError, "nothing has no input --speed"),
        ("train 5", MagicUsageError, "'5' stands behind the task without a name"),
        ("--onn x train", MagicUsageError, "there is no option '--onn'; did you mean '--on'?"),
        ("missing.py train", NotFoundError, "there is no file 'missing.py'"),
    ],
)
def test_a_wrong_line_is_said_in_one_sentence(read, line: str, kind: type, sentence: str) -> None:
    with pytest.raises(kind) as caught:
        read(line)
    assert caught.value.sentence == sentence


def test_the_magic_takes_the_verb_run_only(cell) -> None:
    error = cell("%flyte rum train").error
    assert error.sentence == "%flyte takes a verb, not 'rum'; did you mean 'run'?"
