"""`Task`: a function that runs in an environment of its own when it is called inside a run."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Callable, Generator, Mapping, Sequence, TypeVar

from flyte_jupyter.errors import EngineError, SpecError, SpecTypeError
from flyte_jupyter.spec import binding, calling, naming
from flyte_jupyter.spec.origin import Origin, origin_of_function
from flyte_jupyter.spec.settings import layer, merge_layers

if TYPE_CHECKING:
    import inspect

    from flyte_jupyter.spec.environment import TaskEnvironment

__all__ = ["Task"]

_NOTHING: Mapping[str, Any] = MappingProxyType({})
Kind = TypeVar("Kind", bound="Task")


class Task:
    """A task; made by ``@env.task``.

    Calling it outside a run calls the function. Inside a run, the call goes to the task's own
    environment. `aio` is the awaitable twin.

    Attributes:
        name: full name, ``environment.function``.
        func: the plain function; None where only the signature is known (a *stub*).
        is_async: whether the function is a coroutine function.
        env_name: name of its environment.
        environment: the environment it was declared in; None for a stub.
        settings: the layer that the decorator gave: field to value, only what was given.
        overrides: the layer that `override` gave, likewise.
        signature: the parameters.
        doc: the documentation of the function.
        origin: where it was declared.
    """

    # Nobody who calls a deployed task by name sees whether it is asynchronous: in an asynchronous
    # body each call of one is to be awaited.
    is_deployed = False

    def __init__(
        self,
        func: Callable[..., Any] | None,
        *,
        env_name: str,
        func_name: str,
        signature: inspect.Signature,
        is_async: bool,
        environment: TaskEnvironment | None = None,
        settings: Mapping[str, Any] = _NOTHING,
        overrides: Mapping[str, Any] = _NOTHING,
        doc: str | None = None,
        origin: Origin | None = None,
    ) -> None:
        self.name = f"{env_name}.{func_name}"
        self.func = func
        self.func_name = func_name
        self.is_async = is_async
        self.env_name = env_name
        self.environment = environment
        self.settings: Mapping[str, Any] = dict(settings)
        self.overrides: Mapping[str, Any] = dict(overrides)
        self.signature = signature
        self.doc = doc
        self.origin = origin
        self.__name__ = func_name
        self.__qualname__ = getattr(func, "__qualname__", func_name)
        self.__module__ = getattr(func, "__module__", "__main__")
        self.__doc__ = doc

    @classmethod
    def declare(
        cls, environment: TaskEnvironment, function: Any, settings: Mapping[str, Any]
    ) -> Task:
        """Return a new task of an environment; `TaskEnvironment.task` is the way to call this.

        Raises:
            SpecTypeError: no function with a name of its own.
            SpecError: an async generator, or a function that its environment cannot run.
        """
        import inspect

        func = _function(environment, function)
        is_async = inspect.iscoroutinefunction(func)
        reuse = environment.settings.reusable
        if reuse is not None and reuse.concurrency > 1 and not is_async:
            raise SpecError(
                f"{func.__name__}() is no async function, and environment {environment.name!r} "
                f"runs {reuse.concurrency} calls at a time in one container; write "
                f"'async def {func.__name__}', or ReusePolicy(concurrency=1)."
            )
        return cls(
            func,
            env_name=environment.name,
            func_name=func.__name__,
            signature=inspect.signature(func),
            is_async=is_async,
            environment=environment,
            settings=settings,
            doc=inspect.getdoc(func),
            origin=origin_of_function(func),
        )

    @property
    def short_name(self) -> str:
        """What displays call the task: its ``short_name=``, or the function's name."""
        for own in (self.overrides, self.settings):
            if own.get("short_name"):
                return str(own["short_name"])
        return self.func_name

    @property
    def address(self) -> str:
        """What a call of it names: its full name; a reference says where it is deployed, too."""
        return self.name

    @property
    def __wrapped__(self) -> Callable[..., Any]:
        """The plain function, for whatever follows wrappers; a stub has none."""
        if self.func is None:
            raise AttributeError(f"{self.name} has no function here")
        return self.func

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the task: the plain function outside a run, a call of its own inside one.

        Raises:
            InputError: the arguments do not fit the signature.
            EngineError: the task is a stub, outside a run.
        """
        dispatcher = calling.dispatcher
        if dispatcher is not None:
            return dispatcher.call(self, args, kwargs)
        try:
            return self.func(*args, **kwargs)  # type: ignore[misc]
        except TypeError:
            self._explain(args, kwargs)
            raise

    def aio(self, *args: Any, **kwargs: Any) -> Any:
        """Call the task from async code; the result is to be awaited.

        Outside a run a sync function runs in a thread, so that calls can overlap there too.

        Raises:
            InputError: the arguments do not fit the signature.
            EngineError: the task is a stub, outside a run.
        """
        dispatcher = calling.dispatcher
        if dispatcher is not None:
            return dispatcher.aio(self, args, kwargs)
        if self.is_async:
            return self(*args, **kwargs)
        self._explain(args, kwargs)
        import asyncio

        return asyncio.to_thread(self, *args, **kwargs)

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return name to value of what a call gives; defaults stay with the function.

        Raises:
            InputError: an argument too many, an unknown or a missing one.
        """
        return binding.bind(self.func_name, self.signature, args, kwargs)

    def override(self, **fields: Any) -> Task:
        """Return the same task under other settings for the calls made through it.

        Args:
            **fields: any setting but those of the declaration (``name``, ``image``, ...); they
                merge over the task's, field by field, and None, ``0`` or ``{}`` clear.

        Returns:
            A task that shares the function. Awaiting it calls it without arguments.

        Raises:
            SpecTypeError: a parameter that does not exist, or a value of the wrong type.
            SpecError: a value that its field does not take.
        """
        return self._under(OverriddenTask, merge_layers(self.overrides, layer(fields)))

    with_overrides = override

    def without_overrides(self) -> Task:
        """Return the task as it was declared, before any override."""
        return self._under(Task, {}) if self.overrides else self

    def _under(self, kind: type[Kind], overrides: Mapping[str, Any]) -> Kind:
        """Return the same task under these overrides and no others."""
        same = kind.__new__(kind)
        vars(same).update(vars(self), overrides=dict(overrides))
        return same

    def __repr__(self) -> str:
        made = ", ".join(f"{key}={value!r}" for key, value in self.overrides.items())
        return f"<Task {self.name}{self.signature}{f' with {made}' if made else ''}>"

    def _repr_html_(self) -> str:
        from flyte_jupyter.spec.html import table

        rows = [("signature", f"{self.func_name}{self.signature}")]
        rows += [(key, str(value)) for key, value in self.settings.items()]
        rows += [(f"{key} (override)", str(value)) for key, value in self.overrides.items()]
        if self.doc:
            rows.append(("does", self.doc.split("\n")[0]))
        if self.origin:
            rows.append(("declared in", self.origin.label))
        return table(f"Task {self.name}", rows)

    def _explain(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Raise the better error, if the call failed because of what it was given."""
        if self.func is None:
            raise EngineError(
                f"{self.name} has no code here, only a signature; call it inside a run."
            ) from None
        self.bind(args, kwargs)


class OverriddenTask(Task):
    """A task under other settings; ``await`` on it is a call without arguments."""

    def __await__(self) -> Generator[Any, Any, Any]:
        """Call without arguments, as ``await task.override(queue="q")`` means to."""
        result: Generator[Any, Any, Any] = self.aio().__await__()
        return result


def _function(environment: TaskEnvironment, given: Any) -> Any:
    import inspect

    if isinstance(given, Task):
        if given.func is not None:
            return given.func
        raise SpecTypeError(f"@{environment.variable_name}.task: {given.name} has no code here.")
    if isinstance(given, (staticmethod, classmethod, property)) or inspect.isclass(given):
        kind = "class" if inspect.isclass(given) else type(given).__name__
        raise SpecTypeError(
            f"@{environment.variable_name}.task: a {kind} cannot be a task; declare a function."
        )
    if not callable(given):
        raise SpecTypeError(
            f"@{environment.variable_name}.task: {naming.shown(given)} is no function; write "
            f"@{environment.variable_name}.task or @{environment.variable_name}.task(retries=3) "
            "above one."
        )
    if not hasattr(given, "__name__"):
        raise SpecTypeError(
            f"@{environment.variable_name}.task: {naming.shown(given)} has no name; "
            "declare a function with def."
        )
    if given.__name__ == "<lambda>":
        raise SpecTypeError(
            f"@{environment.variable_name}.task: a lambda has no name; declare a function with def."
        )
    if "." in given.__qualname__.rpartition("<locals>.")[2] and "self" in _parameters(given):
        raise SpecTypeError(
            f"@{environment.variable_name}.task: {given.__qualname__}() is a method, whose self "
            "cannot be shipped; declare a function and pass it what it needs."
        )
    if inspect.isgeneratorfunction(given) or inspect.isasyncgenfunction(given):
        raise SpecTypeError(
            f"@{environment.variable_name}.task: {given.__name__}() is a generator, whose values "
            "come one by one; return a list."
        )
    return given


def _parameters(function: Any) -> tuple[str, ...]:
    code = getattr(function, "__code__", None)
    return code.co_varnames[: code.co_argcount] if code else ()
