import pytest

from flyte_jupyter.notebook.arguments import expand, leading_options, parse
from flyte_jupyter.notebook.options import ENV_OPTIONS, RUN_OPTIONS, Kind, help_text
from flyte_jupyter.notebook.usage import MagicUsageError


def test_every_kind_of_option_is_read() -> None:
    arguments = parse(
        "ml --pip pandas==2.2 numpy --cpu 2 --pip scikit-learn --no-network --reusable "
        '--interruptible --description "two words" --retries=3',
        ENV_OPTIONS,
        {},
    )
    assert arguments.positionals == ("ml",)
    assert arguments.values == {
        "pip": ["pandas==2.2", "numpy", "scikit-learn"],
        "cpu": "2",
        "network": False,
        "reusable": True,
        "interruptible": True,
        "description": "two words",
        "retries": "3",
    }


@pytest.mark.parametrize("flag", ["--task-queue", "--task_queue", "--queue", "--TASK_QUEUE"])
def test_all_spellings_of_the_queue_are_one(flag: str) -> None:
    assert parse(f"ml {flag} gpus", ENV_OPTIONS, {}).values == {"task_queue": "gpus"}


def test_a_later_value_holds() -> None:
    assert parse("ml --mem 1Gi --memory 2Gi", ENV_OPTIONS, {}).values == {"memory": "2Gi"}


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("ml --cpus 2", "there is no option '--cpus'; did you mean '--cpu'?"),
        ("ml --no-gpu", "there is no option '--no-gpu'; did you mean '--gpu'?"),
        ("ml --cpu", "--cpu needs a value: --cpu CORES"),
        ("ml --cpu --gpu 1", "--cpu needs a value: --cpu CORES"),
        ("ml --pip", "--pip needs a value: --pip PACKAGE ..."),
        ("ml --network=yes", "--network takes no value, but 'yes' was given"),
        ("ml --cpu {cores}", "name 'cores' is not defined in '{cores}'"),
        ("ml --cpu {1/0}", "'{1/0}' cannot be evaluated: ZeroDivisionError('division by zero')"),
    ],
)
def test_a_wrong_option_is_said_in_one_sentence(line: str, sentence: str) -> None:
    with pytest.raises(MagicUsageError) as caught:
        parse(line, ENV_OPTIONS, {})
    assert caught.value.sentence == sentence


def test_a_variable_that_does_not_exist_gets_a_suggestion() -> None:
    with pytest.raises(MagicUsageError, match="did you mean 'cores'"):
        parse("ml --cpu {core}", ENV_OPTIONS, {"cores": 2})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{n}", 3),
        ("$n", 3),
        ("{n + 1}", 4),
        ("a{n}b$n", "a3b3"),
        ('{"lr": 1}', '{"lr": 1}'),
        ("100$", "100$"),
        ("{unclosed", "{unclosed"),
        ("plain", "plain"),
    ],
)
def test_variables_expand(text: str, value: object) -> None:
    assert expand(text, {"n": 3}) == value


def test_a_word_that_is_one_expression_gives_the_object_itself() -> None:
    image = object()
    assert parse("ml --image {image}", ENV_OPTIONS, {"image": image}).values["image"] is image


def test_single_quotes_keep_braces_as_they_are() -> None:
    values = parse("ml --env-vars 'HOME=$HOME'", ENV_OPTIONS, {}).values
    assert values == {"env_vars": ["HOME=$HOME"]}


def test_options_before_a_call_leave_the_call_untouched() -> None:
    call = 'train(x=1, text="a  --b", d={"k": 2})'
    arguments, rest = leading_options(f"--on local --no-wait --cpu=4  {call}", RUN_OPTIONS, {})
    assert rest == call
    assert arguments.values == {"on": "local", "wait": False, "cpu": "4"}


def test_help_names_every_option() -> None:
    text = help_text(ENV_OPTIONS)
    for option in ENV_OPTIONS:
        assert all(flag in text for flag in option.flags)
        assert option.help in text
    assert "--network, --no-network" in text


def test_no_spelling_belongs_to_two_options() -> None:
    for table in (ENV_OPTIONS, RUN_OPTIONS):
        flags = [flag for option in table for flag in option.flags]
        flags += ["--no-" + o.flags[0][2:] for o in table if o.kind is Kind.SWITCH]
        assert len(flags) == len(set(flags))
