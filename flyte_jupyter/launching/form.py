"""The form that launches a task: what was filled in, what is wrong with it, what it launches.

Views fill it in and show it; they hold nothing themselves. It may be used on any thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from flyte_jupyter import catalog
from flyte_jupyter.capsule.explain import Explanation
from flyte_jupyter.errors import FlyteError, InputError
from flyte_jupyter.launching.code import Call, magic_of, python_of
from flyte_jupyter.launching.fields import Field, fields_of, walk
from flyte_jupyter.launching.picking import fitting, in_short
from flyte_jupyter.launching.settings import Setting, Settings, inherited_text
from flyte_jupyter.launching.values import LEFT, Entry, Filled, Problem, Reader, State, text_of
from flyte_jupyter.launching.written import Writer
from flyte_jupyter.session.explain import explain_task
from flyte_jupyter.session.rerun import Recorded, context_for, inputs_of, task_of
from flyte_jupyter.session.run import Run
from flyte_jupyter.session.submit import submit
from flyte_jupyter.spec import Task
from flyte_jupyter.spec.binding import spread
from flyte_jupyter.spec.naming import did_you_mean

__all__ = ["LaunchForm"]


class LaunchForm:
    """A form for one task.

    Args:
        task: what it launches; not needed where a recorded run says it.
        notebook: the variables that can be picked.
        recorded: the run that is to be run again, whose inputs and options stand in the fields.
        args: inputs by position that stand in the fields.
        kwargs: inputs by name, likewise.

    Raises:
        InputError: an input that the task does not take.
        NotFoundError: the task of the recorded run is declared no more, or its inputs are not kept
            any more.
    """

    def __init__(
        self,
        task: Task | None,
        notebook: Mapping[str, Any],
        recorded: Recorded | None = None,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self._lock = threading.RLock()
        self._callbacks: list[Callable[[], None]] = []
        self._notebook = notebook
        self._entries: dict[str, Entry] = {}
        self._picked: dict[str, tuple[Any]] = {}
        self._known: tuple[Task, list[Field]] | None = None
        self.recorded = recorded
        self._inputs = inputs_of(recorded) if recorded is not None else {}
        self.settings = Settings(recorded)
        found = task if task is not None else None if recorded is None else task_of(recorded)
        if found is None:
            raise InputError("A launch form needs a task, or a recorded run.")
        self.task: Task = found
        self._given = _bound(found, args, dict(kwargs))
        self.runs: list[Run] = []
        """What was launched from here, the last one at the end."""

    # reading

    @property
    def fields(self) -> list[Field]:
        """The inputs, in the order of the signature."""
        task = self.current
        if self._known is None or self._known[0] is not task:
            self._picked = {}
            self._known = task, fields_of(task, {**self._inputs, **self._given})
        return self._known[1]

    @property
    def title(self) -> tuple[str, str]:
        """What is launched, and what it runs in: the image and the target."""
        task = self.current
        settings = catalog.current().resolve(task).settings if task.func is not None else None
        image = str(settings.image) if settings is not None and settings.image else ""
        again = f"again, as {self.recorded.name}" if self.recorded is not None else ""
        said = [again, image, (task.doc or "").split("\n")[0]]
        return f"Launch {task.name}", " · ".join(filter(None, said))

    @property
    def recorded_inputs(self) -> Mapping[str, Any]:
        """The inputs of the recorded run, by parameter; none without one."""
        return self._inputs

    @property
    def current(self) -> Task:
        """The task as it is declared now: its cell may have been run again since."""
        declared = catalog.current().declaration_of(self.task.name)
        if declared is None or self.task.overrides:
            return self.task
        return declared.value

    @property
    def notes(self) -> list[str]:
        """What is worth a word before anything is filled in."""
        parameters = self.current.signature.parameters
        gone = [name for name in self._inputs if name not in parameters]
        name = self.recorded.name if self.recorded is not None else ""
        return [
            f"{name} was given {one!r}, which {self.task.func_name}() does not take any more"
            f"{did_you_mean(one, parameters) or '.'}"
            for one in gone
        ]

    def entry(self, key: str) -> Entry:
        """Return what was done with an input, by its key."""
        return self._entries.get(key, LEFT)

    def text(self, field: Field) -> str:
        """Return the text that stands in a field: what was filled in, else what is left there."""
        entry = self.entry(field.key)
        return text_of(field, field.default) if entry.state is State.LEFT else entry.text

    def variables(self, field: Field) -> list[str]:
        """Return the variables of the notebook that fit a field, by name."""
        return fitting(field, self._notebook)

    def described(self, name: str) -> str:
        """Return a variable with its type: ``frame: DataFrame 100 x 3``."""
        if name not in self._notebook:
            return name
        return f"{name}: {in_short(self._notebook[name])}"

    def inherited(self, setting: Setting) -> str:
        """Return what holds for a setting where the form says nothing, and who said so."""
        if self.current.func is None:  # deployed: what holds for it is kept where it lies
            return ""
        resolved = catalog.current().resolve(self.current)
        return inherited_text(setting, resolved)

    # filling in

    def fill(self, key: str, text: str) -> None:
        """Fill an input in with a text; ``{name}`` means a variable of the notebook."""
        self._enter(key, Entry(text, State.GIVEN))

    def fill_none(self, key: str) -> None:
        """Give ``None`` for an input."""
        self._enter(key, Entry("", State.NONE))

    def leave(self, key: str) -> None:
        """Leave an input, with all that is in it, to its default again."""
        with self._lock:
            for one in list(self._entries):
                if one == key or one.startswith(f"{key}."):
                    del self._entries[one]
        self._tell()

    def say(self, name: str, text: str) -> None:
        """Say something of the run, by the name of the option; an empty text says nothing."""
        with self._lock:
            self.settings.say(name, text)
        self._tell()

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call back after every change, on the thread that made it."""
        self._callbacks.append(callback)

    def off_change(self, callback: Callable[[], None]) -> None:
        """Call back no more."""
        self._callbacks = [one for one in self._callbacks if one != callback]

    def _enter(self, key: str, entry: Entry) -> None:
        known = {field.key: field for field in walk(self.fields)}
        if key not in known:
            raise InputError(f"The form has no input {key!r}{did_you_mean(key, known) or '.'}")
        with self._lock:
            if entry.text == text_of(known[key], known[key].default) and entry.state is State.GIVEN:
                # what stands there anyway is no change, unless there is no default at all
                is_left = not known[key].required and bool(entry.text or known[key].default == "")
                entry = LEFT if is_left else entry
            self._entries[key] = entry
        self._tell()

    def _tell(self) -> None:
        for callback in tuple(self._callbacks):
            callback()

    # what comes of it

    def problems(self) -> list[Problem]:
        """Return all that is wrong, each with the key of its field."""
        return self._read()[1]

    def _read(self) -> tuple[dict[str, Filled], list[Problem], Writer]:
        with self._lock:
            writer = Writer(self._notebook)
            task = self.current
            reader = Reader(
                task.func_name, dict(self._entries), self._notebook, writer, self._picked
            )
            filled = {
                field.name: value
                for field in self.fields
                if (value := reader.read(field)) is not None
            }
            for name, value in self._given.items():
                if name not in filled:
                    filled[name] = Filled(value, reader.written(name, value))
            problems = [*reader.problems, *self.settings.problems()]
        if not reader.problems and (problem := self._missing(task, filled)) is not None:
            problems.insert(0, problem)
        return filled, problems, writer

    def _missing(self, task: Task, filled: Mapping[str, Filled]) -> Problem | None:
        """Return what the call would say of inputs that lack."""
        try:
            self._arguments(task, filled)
        except FlyteError as error:
            lacking = [one.key for one in self.fields if one.required and one.name not in filled]
            return Problem(lacking[0] if lacking else "", error.sentence, error.remedy)
        return None

    def _arguments(
        self, task: Task, filled: Mapping[str, Filled]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        parameters = task.signature.parameters
        known = {name: value for name, value in self._inputs.items() if name in parameters}
        changes = {name: one.value for name, one in filled.items()}
        args, kwargs = spread(task.signature, {**known, **changes})
        task.bind(args, kwargs)
        return tuple(args), kwargs

    def call(self) -> Call:
        """Return what the form launches, as it is filled in now.

        Raises:
            InputError: something is wrong with it.
        """
        self._picked = {}  # what fitted may have changed since
        filled, problems, writer = self._read()
        if problems:
            raise InputError(problems[0].sentence, remedy=problems[0].remedy)
        return Call(self.current, filled, self.settings, self._notebook, writer)

    def code(self) -> str:
        """Return the Python that does what the form does.

        Raises:
            InputError: something is wrong with it.
        """
        return python_of(self.call())

    def magic(self) -> str:
        """Return the magic's line that does what the form does.

        Raises:
            InputError: something is wrong with it.
        """
        return magic_of(self.call())

    def explanation(self) -> Explanation:
        """Return what would happen if it was launched as it is now; nothing runs.

        Raises:
            InputError: something is wrong with what was filled in.
        """
        call = self.call()
        args, kwargs = self._arguments(call.task, call.inputs)
        context, recorded = self.settings.context(), self.settings.remaining()
        if recorded is not None:
            context = context_for(recorded, context, call.task)
        said = {name: value for name, value in context.layer.items() if value is not None}
        task = call.task.override(**said) if said else call.task
        return explain_task(task, args, kwargs, context.target)

    def launch(self) -> Run:
        """Start the run and return it at once.

        Raises:
            InputError: something is wrong with what was filled in.
            CapsuleError: the task's code cannot be shipped.
        """
        call = self.call()
        args, kwargs = self._arguments(call.task, call.inputs)
        context, recorded = self.settings.context(), self.settings.remaining()
        task = call.task
        if recorded is not None:
            task = task_of(recorded)
            context = context_for(recorded, context, task)
        run = submit(task, args, kwargs, context)
        with self._lock:
            self.runs.append(run)
        return run


def _bound(task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return parameter to value of what is given, which need not be all that a call needs."""
    try:
        return dict(task.signature.bind_partial(*args, **kwargs).arguments)
    except TypeError:
        return task.bind(args, kwargs)  # says what does not fit
