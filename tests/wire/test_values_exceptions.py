from __future__ import annotations

import asyncio
import json
import pickle
import sys
import traceback
import types

import pytest
from values_cases import journey

from flyte_jupyter import errors
from flyte_jupyter.wire.values import (
    Encoded,
    RemoteTraceback,
    decode_exception,
    encode_exception,
)


def arrival(error, text="Traceback: the text", **options):
    encoded = encode_exception(error, text)
    tree = json.loads(json.dumps(encoded.tree, allow_nan=False))
    return decode_exception(Encoded(tree, encoded.buffers), **options)


def raised(error):
    try:
        raise error
    except type(error) as caught:
        return caught


class TwoError(Exception):
    """Its constructor takes something else than its arguments."""

    def __init__(self, code, detail):
        super().__init__(f"{code}: {detail}")
        self.detail = detail

    def where(self):
        return f"at {self.detail}"


class SpokenError(LookupError):
    code = "E42"

    def __str__(self):
        return "spoken"


class Fatal(errors.NonRecoverableError):
    pass


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x", 1),
        KeyError("k"),
        ZeroDivisionError(),
        RuntimeError("r"),
        Exception("e"),
        AssertionError("a"),
        NotImplementedError("n"),
        FileNotFoundError(2, "No such file", "a.txt"),
        OSError("plain"),
        PermissionError(13, "denied", "a", None, "b"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        SyntaxError("bad", ("f.py", 1, 2, "x =", 1, 3)),
        ModuleNotFoundError("No module named 'q'", name="q", path="p"),
        AttributeError("no a", name="a"),
        NameError("no n", name="n"),
        json.JSONDecodeError("bad", "doc", 1),
        TimeoutError("late"),
        MemoryError("m"),
        RecursionError("deep"),
        TwoError(5, "here"),
        SpokenError("s"),
        ExceptionGroup("many", [ValueError(1), KeyError("b")]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_exception_arrives_as_its_type_and_as_a_user_error(error):
    back = raised(arrival(error))
    assert isinstance(back, type(error))
    assert isinstance(back, errors.RuntimeUserError)
    assert type(back).__name__ == type(error).__name__
    assert str(back) == str(error)
    assert repr(back) == repr(error)
    assert back.args == error.args or isinstance(error, ExceptionGroup)
    assert back.code == getattr(error, "code", type(error).__name__)
    assert back.remote_traceback == "Traceback: the text"
    assert back.kind == "user"
    for name in ("errno", "filename", "filename2", "name", "path", "lineno", "start", "pos"):
        assert getattr(back, name, None) == getattr(error, name, None)


def test_attributes_notes_and_methods_come_along():
    error = TwoError(5, "here")
    error.add_note("look there")
    error.rows = (1, 2)
    back = arrival(error)
    assert back.where() == "at here"
    assert back.rows == (1, 2)
    assert back.__notes__ == ["look there"]


def test_equal_types_arrive_as_equal_types():
    assert type(arrival(ValueError(1))) is type(arrival(ValueError(2)))


def test_an_attribute_of_the_users_own_wins():
    error = ValueError("x")
    error.code = 404
    assert arrival(error).code == 404
    assert arrival(arrival(error)).code == 404


def test_errors_of_this_package_keep_their_type():
    for error in (
        errors.OOMError("", "too much", remedy="less"),
        errors.InputError("wrong"),
        errors.NonRecoverableError("stop"),
        Fatal("stop"),
        errors.RuntimeUserError("Custom", "text", "worker-1"),
    ):
        back = arrival(error)
        assert type(back) is type(error)
        assert str(back) == str(error)
        assert vars(back).items() >= vars(error).items()


def test_an_exception_of_an_unknown_type_is_a_custom_error():
    tree = encode_exception(TwoError(5, "here"), "the text").tree
    back = decode_exception(Encoded({**tree, "c": ["absent_package.errors", "Odd"]}))
    assert type(back) is errors.CustomError
    assert (back.code, str(back)) == ("Odd", "5: here")
    assert back.detail == "here"
    assert back.remote_traceback == "the text"


@pytest.mark.parametrize(
    "error", [SystemExit(3), KeyboardInterrupt(), StopIteration(5), asyncio.CancelledError()]
)
def test_what_python_takes_for_a_sign_does_not_arrive_as_one(error):
    back = arrival(error)
    assert type(back) is errors.CustomError
    assert back.code == type(error).__name__


def test_an_exception_of_a_cell_is_found_by_the_resolver(monkeypatch):
    main = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    exec("class Odd(ValueError): pass", main.__dict__)
    encoded = encode_exception(main.Odd("x"))
    here = main.Odd
    del main.Odd
    back = decode_exception(encoded, classes=lambda module, name: here if name == "Odd" else None)
    assert isinstance(back, here)
    assert type(decode_exception(encoded)) is errors.CustomError


def test_causes_arrive_with_the_remote_traceback_behind_them():
    try:
        try:
            {}["k"]
        except KeyError as cause:
            raise ValueError("outer") from cause
    except ValueError as error:
        back = arrival(error)
    assert isinstance(back.__cause__, KeyError)
    assert isinstance(back.__cause__.__cause__, RemoteTraceback)
    shown = "".join(traceback.format_exception(back))
    assert "Traceback: the text" in shown


def test_an_exception_may_travel_on():
    first = arrival(TwoError(5, "here"), "first")
    second = arrival(first, "second")
    assert type(second) is type(first)
    assert str(second) == "5: here"
    assert second.remote_traceback == "second"
    assert isinstance(second.__cause__, RemoteTraceback)
    assert second.__cause__.__cause__ is None


def test_an_exception_that_arrived_can_be_pickled():
    back = pickle.loads(pickle.dumps(arrival(ValueError("x", 1))))
    assert isinstance(back, errors.RuntimeUserError)
    assert (str(back), back.remote_traceback) == ("('x', 1)", "Traceback: the text")


def test_what_of_an_exception_cannot_be_encoded_goes_as_words():
    with open(__file__) as file:
        error = ValueError("x", file, lambda: 0)
        error.file = file
        back = arrival(error)
    assert back.args[0] == "x"
    assert back.args[1].startswith("<_io.TextIOWrapper")
    assert back.args[2].startswith("<function ")
    assert back.file == back.args[1]


def test_an_exception_that_holds_itself_arrives():
    error = ValueError("x")
    error.me = error
    assert isinstance(arrival(error), ValueError)


def test_an_exception_whose_words_fail_arrives():
    class MuteError(Exception):
        def __str__(self):
            raise RuntimeError("no")

    tree = encode_exception(MuteError("x")).tree
    assert type(decode_exception(Encoded(tree))) is errors.CustomError


def test_an_exception_as_a_value_is_of_its_own_type():
    back = journey([ValueError("x"), SystemExit(3)])
    assert [type(error) for error in back] == [ValueError, SystemExit]
    assert back[0].args == ("x",)


def test_what_is_no_exception_is_refused():
    with pytest.raises(errors.ProtocolError, match="What should be an exception is none"):
        decode_exception(Encoded([1]))
    with pytest.raises(errors.ProtocolError, match="An exception is malformed"):
        decode_exception(Encoded({"~": "exception"}))
