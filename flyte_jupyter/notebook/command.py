"""Flyte's command line, in a cell (``%flyte run ...``) and in a terminal.

    run [options] [FILE] TASK [--input value ...] [options]

What the task's signature names is an input; any other option is one of the run.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flyte_jupyter.catalog import Catalog
from flyte_jupyter.launching.interfaces import annotations_for
from flyte_jupyter.launching.reading import from_text, unknown_input
from flyte_jupyter.notebook.arguments import Reader, expanded, parse_words
from flyte_jupyter.notebook.calls import Call
from flyte_jupyter.notebook.options import COMMAND_OPTIONS, Kind
from flyte_jupyter.notebook.splitting import Word, split
from flyte_jupyter.notebook.usage import MagicUsageError
from flyte_jupyter.notebook.verbs import VERBS
from flyte_jupyter.spec.naming import did_you_mean, listing
from flyte_jupyter.spec.task import Task

__all__ = ["Command", "read_command", "run_command"]

RUN = "run"
FILES = (".py", ".ipynb")


@dataclass(frozen=True, slots=True)
class Command:
    """What a ``run`` line says: the call, and the options of the run."""

    call: Call
    values: dict[str, Any]


def run_command(line: str, shell: Any, catalog: Catalog) -> Any:
    """Do what ``%flyte`` is told.

    Args:
        line: what follows ``%flyte``.
        shell: the IPython shell.
        catalog: the session's declarations.

    Returns:
        The result of the task, or what the verb shows.
    """
    from flyte_jupyter.notebook.running import start

    words = split(line)
    said = words[0].text if words else ""
    if said in VERBS:
        return VERBS[said].do(
            parse_words(words[1:], VERBS[said].options, shell.user_ns), shell.user_ns, False
        )
    if said != RUN:
        verbs = (RUN, *VERBS)
        raise MagicUsageError(
            f"%flyte takes a verb, not {said!r}{did_you_mean(said, verbs)}"
            if said
            else "%flyte takes a verb",
            remedy="Write %flyte run TASK --input value; "
            f"the other verbs are {listing(VERBS, 'and')}.",
        )
    command = read_command(words[1:], shell.user_ns, catalog)
    return start(command.call, command.values, shell)


def read_command(
    words: Sequence[Word],
    variables: Mapping[str, Any] | None,
    catalog: Catalog,
    *,
    needs_file: bool = False,
) -> Command:
    """Return what the words after ``run`` say.

    Args:
        words: the words.
        variables: where a task may be bound, and what ``{expression}`` may refer to; ``None`` in
            a terminal, whose shell has expanded its own.
        catalog: the session's declarations.
        needs_file: whether the task must come from a file, as in a terminal.

    Raises:
        MagicUsageError: no task, or a wrong option.
        NotFoundError: no such file or task.
        InputError: an input that the task does not have, or one that is missing.
        InputTypeError: a text that is no such value.
    """
    reader = Reader(words, COMMAND_OPTIONS, variables)
    task = _find(reader, variables, catalog, needs_file)
    inputs: dict[str, Any] = {}
    parameters = task.signature.parameters
    annotations = annotations_for(task)
    while (word := reader.peek()) is not None:
        if not word.text.startswith("--"):
            raise MagicUsageError(
                f"{word.text!r} stands behind the task without a name",
                remedy="Name every input: --input value.",
            )
        name, equals, attached = word.text[2:].partition("=")
        key = name.replace("-", "_")
        if key in parameters:
            reader.take()
            annotation = annotations.get(key, Any)
            inputs[key] = _input(reader, key, attached if equals else None, annotation, variables)
        elif key.startswith("no_") and annotations.get(key[3:]) is bool:
            reader.take()
            inputs[key[3:]] = False
        else:
            flags = [flag for option in COMMAND_OPTIONS for flag in option.flags]
            if not _is_run_option("--" + name):
                raise unknown_input(name, task.func_name, parameters, flags)
            reader.option()
    return Command(Call(task, (), _complete(task, inputs)), _settled(reader.values))


def _find(
    reader: Reader, variables: Mapping[str, Any] | None, catalog: Catalog, needs_file: bool
) -> Task:
    """Take the words up to the task and return it."""
    file = None
    while (word := reader.peek()) is not None:
        if word.text.startswith("-"):
            reader.option()
            continue
        reader.take()
        if file is None and word.text.endswith(FILES):
            file = word.text
        elif file is not None:
            from flyte_jupyter.notebook.programs import load_task

            return load_task(file, word.text, catalog)
        elif needs_file:
            raise MagicUsageError(
                f"{word.text!r} is no file",
                remedy="Write run FILE TASK, with a .py file or a notebook.",
            )
        else:
            bound = (variables or {}).get(word.text)
            return bound if isinstance(bound, Task) else catalog.find_task(word.text)
    raise MagicUsageError(
        "run needs the name of a task" + (f" in {file}" if file else ""),
        remedy="Write run [FILE] TASK --input value.",
    )


def _input(
    reader: Reader,
    name: str,
    attached: str | None,
    annotation: Any,
    variables: Mapping[str, Any] | None,
) -> Any:
    """Return the value of an input, from ``--name=value`` or from the word that follows."""
    if attached is None:
        following = reader.peek()
        absent = following is None or following.text.startswith("--")
        if absent and annotation is bool:
            return True
        if following is None or absent:
            raise MagicUsageError(f"--{name.replace('_', '-')} needs a value")
        word = reader.take()
    else:
        word = Word(attached, 0, 0)
    value = expanded(word, variables)
    return from_text(name, value, annotation) if isinstance(value, str) else value


def _is_run_option(flag: str) -> bool:
    wanted = flag.replace("_", "-")
    return any(
        wanted in option.flags
        or (option.kind is Kind.SWITCH and wanted == "--no-" + option.flags[0].lstrip("-"))
        for option in COMMAND_OPTIONS
    )


def _complete(task: Task, inputs: dict[str, Any]) -> dict[str, Any]:
    """Return the inputs if none is missing."""
    from flyte_jupyter.errors import InputError

    missing = [
        name
        for name, parameter in task.signature.parameters.items()
        if parameter.default is inspect.Parameter.empty
        and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        and name not in inputs
    ]
    if missing:
        flags = ", ".join("--" + name.replace("_", "-") for name in missing)
        raise InputError(f"{task.func_name} needs {flags}", remedy="Write each as --input value.")
    return inputs


def _settled(values: dict[str, Any]) -> dict[str, Any]:
    """Return the options of the run with Flyte's two other spellings folded in."""
    settled = dict(values)
    if settled.pop("local", False):
        settled.setdefault("on", "local")
    if variables := settled.pop("env", None):
        settled["env_vars"] = [*settled.get("env_vars", []), *variables]
    return settled
