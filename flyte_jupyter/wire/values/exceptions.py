"""Exceptions across the boundary: each arrives as its own type and as ``RuntimeUserError``.

So ``except ValueError`` and ``except flyte.errors.RuntimeUserError`` both work. An exception is
rebuilt from its arguments and attributes; its ``__init__``, which may want something else, is not
called. One whose type is unknown here arrives as ``CustomError`` with the type's name as ``code``.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional, Tuple
from weakref import WeakKeyDictionary

from flyte_jupyter.errors import CustomError, FlyteError, ProtocolError, RuntimeUserError
from flyte_jupyter.wire.values.classes import class_node, is_made_by_class_statement
from flyte_jupyter.wire.values.decoding import Decoder, Missing
from flyte_jupyter.wire.values.encoding import Encoder
from flyte_jupyter.wire.values.model import TAG, Encoded, Ref
from flyte_jupyter.wire.values.previews import preview
from flyte_jupyter.wire.values.registry import reads, writes_kind

__all__ = ["RemoteTraceback", "decode_exception", "encode_exception"]

Node = Dict[str, Any]

#: How many causes behind causes travel with an exception.
CAUSES = 8

#: What may not be raised here as itself: Python would take it for a sign of its own.
_SIGNS = (StopIteration, StopAsyncIteration)

#: Attributes that these keep outside of their ``__dict__`` and their arguments.
_HIDDEN = ((ImportError, ("name", "path")), (AttributeError, ("name",)), (NameError, ("name",)))


class RemoteTraceback(Exception):
    """Stands as the cause of an exception that came from a container, and shows where it rose."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return "\n" + self.text


def encode_exception(
    error: BaseException, traceback_plain: str = "", *, pickle: bool = True
) -> Encoded:
    """Write an exception down; what of it cannot be encoded goes as a few words.

    Args:
        error: the exception.
        traceback_plain: its traceback as text, with its causes.
        pickle: whether arguments that no codec knows may go by pickle.
    """
    encoder = Encoder(pickle)
    node = _write_exception(error, encoder)
    if traceback_plain:
        node["tb"] = _text(traceback_plain, encoder)
    return Encoded(node, encoder.finish())


def decode_exception(
    encoded: Encoded,
    *,
    open_ref: Optional[Callable[[Ref], Any]] = None,
    classes: Optional[Callable[..., Any]] = None,
    tasks: Optional[Callable[[str], Any]] = None,
    pickle: bool = True,
) -> BaseException:
    """Return the exception that was encoded, ready to be raised.

    It has ``.code`` (the class name) and ``.remote_traceback`` (text, "" if there was none).

    Args:
        encoded: what :func:`encode_exception` returned.
        open_ref: as for :func:`~flyte_jupyter.wire.values.decode`.
        classes: as there.
        tasks: as there.
        pickle: as there.

    Raises:
        ProtocolError: this is no exception.
    """
    node = encoded.tree
    if type(node) is not dict or node.get(TAG) != "exception":
        raise ProtocolError("What should be an exception is none.")
    decoder = Decoder(encoded, open_ref, "opaque", classes, tasks, pickle)
    try:
        error = _read_exception(node, decoder, as_user_error=True)
        text = decoder.value(node.get("tb", ""))
    except FlyteError:
        raise
    except Exception as problem:
        raise ProtocolError(f"An exception is malformed: {problem!r}.") from problem
    if type(text) is str and text:
        error.__dict__["remote_traceback"] = text
        last: BaseException = error
        while last.__cause__ is not None:
            last = last.__cause__
        last.__cause__ = RemoteTraceback(text)
    else:
        error.__dict__.setdefault("remote_traceback", "")
    return error


# Exceptions as values: results of tasks that returned them


@writes_kind(15, lambda kind: issubclass(kind, BaseException))
def _encode_value(value: BaseException, encoder: Encoder) -> Any:
    return encoder.container(value, _write_exception)


@reads("exception")
def _decode_value(node: Node, decoder: Decoder) -> BaseException:
    return _read_exception(node, decoder, as_user_error=False)


# Writing


def _write_exception(error: BaseException, encoder: Encoder, causes: int = CAUSES) -> Node:
    kind = getattr(type(error), "flyte_original_type", type(error))
    node = class_node("exception", kind, encoder)
    node["m"] = _text(_message(error), encoder)
    node["a"] = [encoder.attempt(item, preview) for item in _arguments(error)]
    state = {k: v for k, v in vars(error).items() if k != "remote_traceback"}
    for base, names in _HIDDEN:
        if isinstance(error, base):
            state.update({k: getattr(error, k, None) for k in names})
    node["k"] = [_text(str(key), encoder) for key in state]
    node["v"] = [encoder.attempt(item, preview) for item in state.values()]
    cause = error.__cause__
    if isinstance(cause, RemoteTraceback):
        cause = None
    if cause is not None and causes:
        node["cause"] = _write_exception(cause, encoder, causes - 1)
    if error.__suppress_context__:
        node["quiet"] = True
    return node


def _arguments(error: BaseException) -> Tuple[Any, ...]:
    if isinstance(error, OSError):
        # It takes the file name out of its arguments; its reduction puts it back.
        reduced = OSError.__reduce__(error)
        if isinstance(reduced, tuple) and isinstance(reduced[1], tuple):
            return reduced[1]
    return error.args


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return ""  # a class of the user's that cannot say itself must not hide that it was raised


def _text(text: str, encoder: Encoder) -> Any:
    return encoder.node(str(text))


# Reading


def _read_exception(
    node: Node, decoder: Decoder, *, as_user_error: bool, causes: int = CAUSES
) -> BaseException:
    name = str(node["c"][1])
    message = str(decoder.value(node["m"]))
    arguments = tuple(decoder.values(node["a"]))
    state = dict(zip(decoder.values(node["k"]), decoder.values(node["v"])))
    kind: Any
    try:
        kind = decoder.named(*node["c"])
    except Missing:
        if not as_user_error:
            raise
        kind = None
    if not (isinstance(kind, type) and issubclass(kind, BaseException)):
        kind = None
    error = _rebuild(kind, name, message, arguments, state, as_user_error)
    if "cause" in node and causes:
        error.__cause__ = _read_exception(
            node["cause"], decoder, as_user_error=as_user_error, causes=causes - 1
        )
    error.__suppress_context__ = bool(node.get("quiet")) or error.__cause__ is not None
    return error


def _rebuild(
    kind: Any,
    name: str,
    message: str,
    arguments: Tuple[Any, ...],
    state: Dict[str, Any],
    as_user_error: bool,
) -> BaseException:
    made = _mixed(kind) if as_user_error and kind is not None else kind
    if made is None:
        error: BaseException = CustomError(name.rpartition(".")[2], message)
        for key, item in state.items():
            error.__dict__.setdefault(key, item)
        return error
    error = _empty(made, arguments)
    if not isinstance(error, OSError):
        error.args = arguments
    hidden = {key for base, keys in _HIDDEN if isinstance(error, base) for key in keys}
    for key, item in state.items():
        if key in hidden:
            setattr(error, key, item)
        else:
            error.__dict__[key] = item
    return error


def _empty(kind: Any, arguments: Tuple[Any, ...]) -> BaseException:
    """Make an exception with the constructors of built-in classes only."""
    problem: Exception = TypeError(kind)
    for base in kind.__mro__:
        if is_made_by_class_statement(base):
            continue
        try:
            error: BaseException = base.__new__(kind, *arguments)
            base.__init__(error, *arguments)
            return error
        except (TypeError, ValueError) as refused:
            problem = refused
    raise problem


_MIXED: WeakKeyDictionary[type, Any] = WeakKeyDictionary()


def _mixed(kind: Any) -> Any:
    """Return the class that is both ``kind`` and RuntimeUserError, None where there is none."""
    if issubclass(kind, FlyteError):
        return kind
    if not issubclass(kind, Exception) or issubclass(kind, _SIGNS):
        return None
    if kind not in _MIXED:
        _MIXED[kind] = _mix(kind)
    return _MIXED[kind]


def _mix(kind: Any) -> Any:
    bases = (RuntimeUserError,) if issubclass(RuntimeUserError, kind) else (kind, RuntimeUserError)
    namespace = {
        "__doc__": kind.__doc__,
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__str__": kind.__str__,
        "__repr__": kind.__repr__,
        "__reduce__": _reduce,
        "flyte_original_type": kind,
    }
    ours = {
        "code": kind.__name__,
        "worker": None,
        "evidence": (),
        "remedy": "",
        "sentence": _Sentence(),
    }
    namespace.update({key: item for key, item in ours.items() if not hasattr(kind, key)})
    try:
        return type(kind.__name__, bases, namespace)
    except TypeError:
        return None


class _Sentence:
    def __get__(self, error: Any, kind: Any = None) -> str:
        return "" if error is None else str(error)


def _reduce(error: BaseException) -> Any:
    kind: Any = type(error)
    return _revive, (kind.flyte_original_type, _arguments(error), dict(vars(error)))


def _revive(kind: Any, arguments: Tuple[Any, ...], state: Dict[str, Any]) -> BaseException:
    return _rebuild(kind, kind.__name__, "", arguments, state, True)
