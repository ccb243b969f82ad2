import pytest

from flyte_jupyter.notebook.splitting import split
from flyte_jupyter.notebook.usage import MagicUsageError


def texts(line: str) -> list[str]:
    return [word.text for word in split(line)]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", []),
        ("a  b\tc", ["a", "b", "c"]),
        ('--description "two words"', ["--description", "two words"]),
        ("A='b c'd", ["A=b cd"]),
        (r"a\ b", ["a b"]),
        (r'"say \"hi\""', ['say "hi"']),
        (r"'C:\temp'", [r"C:\temp"]),
        ('""', [""]),
        ("pandas>=2,<3 'numpy<2'", ["pandas>=2,<3", "numpy<2"]),
    ],
)
def test_quotes_group_words_and_are_taken_off(line: str, words: list[str]) -> None:
    assert texts(line) == words


def test_a_word_knows_where_it_stood() -> None:
    word = split('a "b c" d')[1]
    assert 'a "b c" d'[word.start : word.end] == '"b c"'


def test_an_open_quote_is_named() -> None:
    with pytest.raises(MagicUsageError) as caught:
        split('--cpu 2 --description "never closed')
    assert caught.value.sentence == 'a quote is opened and never closed: "never closed'


def test_a_line_that_is_being_typed_may_have_an_open_quote() -> None:
    assert [word.text for word in split('--description "two wo', tolerant=True)] == [
        "--description",
        "two wo",
    ]


def test_single_quotes_make_a_word_literal() -> None:
    assert [word.literal for word in split("'{x}' {x} \"{x}\"")] == [True, False, False]
