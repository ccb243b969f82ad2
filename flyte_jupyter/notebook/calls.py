"""A call of a task as it is written on a magic's line: real Python syntax, evaluated by Python.

``train(x=1, df=frame)``, ``train`` alone (no arguments), ``ml.train(3)`` by its full name where
that is no Python expression of the notebook, and ``train.override(cpu=4)(x=1)`` are all calls.
"""

from __future__ import annotations

import ast
import builtins
import re
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flyte_jupyter.errors import FlyteError, NotFoundError
from flyte_jupyter.notebook.usage import MagicUsageError
from flyte_jupyter.spec.task import Task

__all__ = ["Call", "evaluate_call", "evaluate_changes", "split_trailing_options"]

FILENAME = "<the line of the magic>"
# an environment's name may have hyphens, which Python would read as minus
HYPHENATED = re.compile(r"[A-Za-z0-9_]+(?:-[A-Za-z0-9_]+)+\.[A-Za-z_]\w*(?=\s*(?:\(|$))")
NAMED_RUN = re.compile(r"([\w.-]*)\s*(\(.*\))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Call:
    """A task and the arguments for it."""

    task: Task
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] | None = None

    @property
    def keywords(self) -> dict[str, Any]:
        """Return the keyword arguments."""
        return self.kwargs or {}


def split_trailing_options(text: str) -> tuple[str, str]:
    """Return the call and the options that follow it, as in ``train(x=1) --cpu 2``."""
    depth, quote, position = 0, "", 0
    while position < len(text):
        char = text[position]
        if quote:
            if char == "\\":
                position += 1
            elif char == quote:
                quote = ""
        elif char in "'\"":
            quote = char
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        elif depth == 0 and text.startswith(" --", position) and text[position + 3 :][:1].isalpha():
            return text[:position].rstrip(), text[position:].strip()
        position += 1
    return text, ""


def evaluate_call(
    text: str, variables: Mapping[str, Any], find_task: Callable[[str], Task], magic: str
) -> Call:
    """Return the task that a line calls and the arguments, evaluated in the notebook.

    Args:
        text: the call as it was written.
        variables: the names it may use.
        find_task: finds a task by its name where the notebook has no such variable.
        magic: name of the magic, for messages.

    Raises:
        MagicUsageError: no call of a task; the sentence says what it is instead.
    """
    if not text:
        raise MagicUsageError(
            f"%{magic} needs a task", remedy=f"Write %{magic} task(x=1), with Python's call syntax."
        )
    if match := HYPHENATED.match(text):
        variables = {**variables, "_flyte_task": _found(match.group(), find_task, magic)}
        text = "_flyte_task" + text[match.end() :]
    expression = _parsed(text, magic)
    body = expression.body
    if isinstance(body, ast.Call):
        target = _task(body.func, variables, find_task, magic)
        if target is not None:
            args, kwargs = _arguments(body, variables, text)
            return Call(target, args, kwargs)
    task = _task(body, variables, find_task, magic)
    if task is not None:
        return Call(task)
    value = _evaluated(ast.Expression(body), variables, text)
    raise _no_task(ast.unparse(body), value)


def evaluate_changes(text: str, variables: Mapping[str, Any], magic: str) -> tuple[str, Any]:
    """Return the run that a line names and the inputs to change, as in ``train-1f2e(lr=0.2)``.

    Args:
        text: the name of a run, and perhaps inputs by name in parentheses.
        variables: the names it may use.
        magic: name of the magic, for messages.

    Raises:
        MagicUsageError: it is written otherwise.
    """
    match = NAMED_RUN.fullmatch(text)
    if match is None:
        raise MagicUsageError(
            f"{text!r} is no run",
            remedy=f"Write %{magic} RUN(x=1) [options]: a name, and the inputs to change.",
        )
    name, given = match.groups()
    if given is None:
        return name, {}
    body = _parsed("rerun" + given, magic).body
    if not isinstance(body, ast.Call) or not isinstance(body.func, ast.Name):
        raise MagicUsageError(f"{text!r} is no call", remedy="Write RUN(x=1).")
    args, kwargs = _arguments(body, variables, text)
    if args:
        raise MagicUsageError(
            "an input of a recorded run is changed by its name",
            remedy=f"Write %{magic} {name}(x=...).",
        )
    return name, kwargs


def _parsed(text: str, magic: str) -> ast.Expression:
    try:
        return ast.parse(text, FILENAME, "eval")
    except SyntaxError as error:
        column = (error.offset or 1) - 1
        raise MagicUsageError(
            f"{text!r} is no call of a task: {error.msg}",
            evidence=[text, " " * column + "^"] if "\n" not in text else (),
            remedy=f"Write %{magic} [options] task(x=1), with Python's call syntax.",
        ) from None


def _task(
    node: ast.expr, variables: Mapping[str, Any], find_task: Callable[[str], Task], magic: str
) -> Task | None:
    """Return the task that an expression stands for, ``None`` if it is something else.

    Raises:
        MagicUsageError: a name that is neither defined nor a task.
    """
    name = ast.unparse(node)
    root = name.partition(".")[0]
    dotted = name.replace(".", "").replace("_", "").isalnum()
    if not dotted or root in variables or hasattr(builtins, root):
        try:
            value = _evaluated(ast.Expression(node), variables, name)
        except AttributeError:
            if not dotted:
                raise
            return _found(name, find_task, magic)  # ml.train where ml is the environment
        if isinstance(value, Task):
            return value
        if isinstance(node, ast.Name):
            raise _no_task(name, value)
        return None
    return _found(name, find_task, magic)


def _found(name: str, find_task: Callable[[str], Task], magic: str) -> Task:
    try:
        return find_task(name)
    except NotFoundError as error:
        raise MagicUsageError(f"%{magic}: {error.sentence}", remedy=error.remedy) from None


def _no_task(name: str, value: Any) -> MagicUsageError:
    kind = type(value).__name__
    if callable(value):
        return MagicUsageError(
            f"{name} is a {kind}, not a task",
            remedy="Define it in a cell that begins with %%flyte_env NAME, or decorate it with "
            "@env.task. A task of a %%flyte_env cell is one when that cell has ended.",
        )
    return MagicUsageError(
        f"{name} is a {kind}, not a task", remedy="Write the call of a task: task(x=1)."
    )


def _arguments(
    call: ast.Call, variables: Mapping[str, Any], text: str
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    collect = ast.copy_location(ast.Name("__flyte_collect__", ast.Load()), call.func)
    expression = ast.Expression(
        ast.copy_location(ast.Call(collect, call.args, call.keywords), call)
    )
    names = {**variables, "__flyte_collect__": lambda *args, **kwargs: (args, kwargs)}
    result: tuple[tuple[Any, ...], dict[str, Any]] = _evaluated(expression, names, text)
    return result


def _evaluated(expression: ast.Expression, variables: Mapping[str, Any], text: str) -> Any:
    code = compile(ast.fix_missing_locations(expression), FILENAME, "eval")
    try:
        # the variables are globals too, so that lambdas and comprehensions find them
        return eval(code, dict(variables))
    except FlyteError:
        raise
    except Exception as error:
        _show_without_our_frames(error, text)
        raise


def _show_without_our_frames(error: Exception, text: str) -> None:
    """Make IPython show an error of the line as the user's, not as one of this package."""
    tail = error.__traceback__
    while tail is not None and tail.tb_frame.f_code.co_filename != FILENAME:
        tail = tail.tb_next
    frames = traceback.format_exception(type(error), error, tail)
    lines = [f"in the line of the magic: {text}", *(frame.rstrip("\n") for frame in frames)]
    error._render_traceback_ = lambda: lines  # type: ignore[attr-defined]
