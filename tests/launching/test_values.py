"""What was filled in, as the value that the call gets, as code, or as the call's own sentence."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import flyte_jupyter as flyte
from flyte_jupyter.errors import FlyteError, InputError
from flyte_jupyter.launching.form import LaunchForm

from .test_fields import CLASSES

Forms = Callable[..., LaunchForm]


@pytest.mark.parametrize(
    ("annotation", "text", "code"),
    [
        ("int", "-12", "-12"),
        ("float", "1e-3", "0.001"),
        ("float", "inf", "float('inf')"),
        ("bool", "yes", "True"),
        ("str", "a 'b'", '''"a 'b'"'''),
        ("str", "", "''"),
        ("Colour", "RED", "Colour.RED"),
        ("Literal['a', 3]", "3", "3"),
        ("datetime.date", "2024-05-01", "datetime.date.fromisoformat('2024-05-01')"),
        ("datetime.timedelta", "90s", "datetime.timedelta(seconds=90)"),
        ("pathlib.Path", "a/b", "pathlib.Path('a/b')"),
        ("list[int]", "[1, 2]", "[1, 2]"),
        ("list[str]", "['a', \"b\"]", "['a', 'b']"),
        ("dict[str, float]", '{"a": 1}', "{'a': 1.0}"),
        ("tuple[int, str]", "(1, 'a')", "(1, 'a')"),
        ("tuple[int, ...]", "[1]", "(1,)"),
        ("set[int]", "[1]", "{1}"),
        ("int | str", "three", "'three'"),
        ("Any", "[1, (2, None)]", "[1, (2, None)]"),
        ("Optional[int]", "3", "3"),
        ("list[Inner]", '[{"at": "2024-05-01", "n": 2}]',
         "[Inner(at=datetime.date.fromisoformat('2024-05-01'), n=2)]"),
        ("int", "{seven}", "seven"),
        ("str", "{word}", "word"),
        ("str", "{seven}", "'{seven}'"),
        ("list[int]", "{numbers}", "numbers"),
        ("np.ndarray", "array", "array"),
        ("np.ndarray", "{array}", "array"),
        ("Config", "{config}", "config"),
    ],
)  # fmt: skip
def test_a_text_is_a_value_and_its_code(
    form_of: Forms, annotation: str, text: str, code: str
) -> None:
    variables = (
        CLASSES + "seven = 7\nword = 'w'\nnumbers = [1]\narray = np.zeros(3)\n"
        "config = Config(1.0, Inner(datetime.date(2024, 5, 1)))\n"
    )
    form = form_of(f"x: {annotation}", variables)
    form.fill("x", text)
    assert form.problems() == []
    filled = form.call().inputs["x"]
    assert filled.code == code
    again = eval(code, dict(form._notebook))
    assert type(again) is type(filled.value)
    assert repr(again) == repr(filled.value)


WRONG = [
    ("int", "2.5", "2.5"),
    ("int", "two", "'two'"),
    ("int", "", None),
    ("float", "much", "'much'"),
    ("bool", "maybe", "'maybe'"),
    ("datetime.date", "May", "'May'"),
    ("Colour", "REDD", "'REDD'"),
    ("Literal['a', 'b']", "c", "'c'"),
    ("list[int]", "{}", "{}"),
    ("list[int]", "[1, 'b']", "[1, 'b']"),
    ("list[int]", "[1,", "'[1,'"),
    ("tuple[int, int]", "[1]", "(1,)"),
    ("dict[str, int]", "{'a': 'b'}", "{'a': 'b'}"),
    ("Annotated[int, Ge(1), Le(9)]", "10", "10"),
    ("Annotated[float, Gt(0)]", "0", "0.0"),
    ("int", "{word}", "word"),
    ("np.ndarray", "{word}", "word"),
]


@pytest.mark.parametrize(("annotation", "text", "code"), WRONG)
def test_what_does_not_fit_is_refused_with_the_sentence_of_the_call(
    form_of: Forms, annotation: str, text: str, code: str | None
) -> None:
    form = form_of(f"x: {annotation}", CLASSES + "word = 'w'\n")
    form.fill("x", text)
    (problem,) = form.problems()
    arguments = {} if code is None else {"x": eval(code, dict(form._notebook))}
    with pytest.raises(FlyteError) as caught:
        flyte.run(form.task, **arguments)
    assert problem.sentence == caught.value.sentence
    assert problem.key == "x"
    with pytest.raises(InputError) as launched:
        form.launch()
    assert launched.value.sentence == problem.sentence


def test_a_variable_that_is_not_there_is_said(form_of: Forms) -> None:
    form = form_of("x: np.ndarray", "frame = np.zeros(3)")
    form.fill("x", "fram")
    (problem,) = form.problems()
    assert problem.sentence == ("name 'fram' is not defined in the notebook; did you mean 'frame'?")


def test_variables_are_offered_by_their_type(form_of: Forms) -> None:
    form = form_of(
        "array: np.ndarray, numbers: list[int], anything: Any, text: Optional[str] = None",
        "a = np.zeros(2)\nb = [1]\nc = 'text'\n_hidden = np.zeros(1)\ndef f(): ...\n",
    )
    offered = {each.name: form.variables(each) for each in form.fields}
    assert offered == {"array": ["a"], "numbers": ["b"], "anything": ["a", "b", "c"], "text": ["c"]}
    assert form.described("a") == "a: ndarray 2"
    assert form.described("b") == "b: list of 1"


def test_a_record_is_made_of_its_fields(form_of: Forms) -> None:
    form = form_of("config: Config", CLASSES)
    form.fill("config.rate", "0.5")
    form.fill("config.inner.at", "2024-05-01")
    filled = form.call().inputs["config"]
    assert repr(filled.value) == (
        "Config(rate=0.5, inner=Inner(at=datetime.date(2024, 5, 1), n=1), names=[])"
    )
    assert filled.code == (
        "Config(rate=0.5, inner=Inner(at=datetime.date.fromisoformat('2024-05-01')))"
    )


def test_a_field_that_a_record_lacks_is_said_at_the_field(form_of: Forms) -> None:
    form = form_of("config: Config", CLASSES)
    form.fill("config.inner.at", "2024-05-01")
    (problem,) = form.problems()
    assert (problem.key, problem.sentence) == (
        "config.rate",
        "Config() is missing the input rate.",
    )


def test_a_field_of_a_record_is_refused_in_its_place(form_of: Forms) -> None:
    form = form_of("config: Config", CLASSES)
    form.fill("config.rate", "fast")
    form.fill("config.inner.at", "May")
    told = {each.key: each.sentence for each in form.problems()}
    assert told == {
        "config.rate": "Input 'config.rate' of train() must be float, but it is str: 'fast'.",
        "config.inner.at": "Input 'config.inner.at' of train() must be datetime.date, "
        "but it is str: 'May'.",
    }


def test_a_model_says_itself_what_it_refuses(form_of: Forms) -> None:
    form = form_of(
        "model: Model",
        "class Model(pydantic.BaseModel):\n"
        "    word: str = pydantic.Field(pattern='^a')\n"
        "    size: int = 1\n",
    )
    form.fill("model.word", "b")
    (problem,) = form.problems()
    assert problem.key == "model.word"
    assert problem.sentence == "Model.word: String should match pattern '^a'."


def test_a_class_that_refuses_says_why(form_of: Forms) -> None:
    form = form_of(
        "config: Config",
        "@dataclass\nclass Config:\n    n: int\n"
        "    def __post_init__(self):\n"
        "        if self.n % 2: raise ValueError('n must be even')\n",
    )
    form.fill("config.n", "3")
    (problem,) = form.problems()
    assert (problem.key, problem.sentence) == ("config", "Config: n must be even")


def test_a_default_record_keeps_what_is_not_changed(form_of: Forms) -> None:
    form = form_of("point: Point = Point(1, 2.0)", CLASSES)
    assert form.call().inputs == {}
    form.fill("point.y", "3.5")
    assert repr(form.call().inputs["point"].value) == "Point(x=1, y=3.5)"
    assert form.call().inputs["point"].code == "Point(x=1, y=3.5)"


def test_none_is_given_where_something_else_holds(form_of: Forms) -> None:
    form = form_of("x: Optional[int] = 3")
    form.fill_none("x")
    assert form.call().inputs["x"].value is None
    form.leave("x")
    assert form.call().inputs == {}


def test_none_is_refused_where_it_is_none(form_of: Forms) -> None:
    form = form_of("x: int = 3")
    form.fill_none("x")
    (problem,) = form.problems()
    assert problem.sentence == "Input 'x' of train() must be int, but it is None."


def test_an_unknown_input_is_refused(form_of: Forms) -> None:
    with pytest.raises(InputError, match="The form has no input 'rowz'; did you mean 'rows'"):
        form_of("rows: int").fill("rowz", "1")


def test_pickle_is_refused_where_it_is_switched_off(form_of: Forms) -> None:
    flyte.init(pickle=False)
    form = form_of("x: Any", "import random\nchance = random.Random(1)\n")
    form.fill("x", "{chance}")
    (problem,) = form.problems()
    assert "could only go by pickle, and pickle is switched off." in problem.sentence
