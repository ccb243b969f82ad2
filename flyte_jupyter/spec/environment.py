"""`TaskEnvironment`: a name for what tasks run in, and the decorator that makes the tasks."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Callable, Iterable, Mapping, NoReturn, Sequence, overload

from flyte_jupyter.errors import EngineError, SpecTypeError
from flyte_jupyter.spec import graph, listeners, naming, ranks
from flyte_jupyter.spec.edges import Edge
from flyte_jupyter.spec.fields import UNSET
from flyte_jupyter.spec.image import Image
from flyte_jupyter.spec.origin import Origin, origin_of_caller
from flyte_jupyter.spec.settings import Settings, apply_layer, from_plain, layer, to_plain
from flyte_jupyter.spec.task import Task

__all__ = ["TaskEnvironment"]


class TaskEnvironment:
    """What tasks run in: image, resources, variables and so on, under a name.

    An environment does not change, except that `add_dependency` adds to what it depends on. Two
    with the same name, settings and dependencies are equal, whatever tasks they have.

    Args:
        name: lower-case letters and digits, joined by single ``-`` or ``_``.
        image: an `Image`, an image reference, or ``"auto"``: the slim Debian image of this Python.
        resources: what each task may use.
        limits: upper ends of the resources; alone, they are requests as well.
        accelerator: type of the accelerator, such as ``GPUAccelerator.NVIDIA_A10G``.
        env_vars: environment variables.
        secrets: names of secrets, or `Secret` values.
        depends_on: environments that are to be deployed before this one. No runtime dependency.
        description: what the environment is for.
        cache: ``"auto"``, ``"override"``, ``"disable"`` or a `Cache`.
        reusable: a `ReusePolicy` to keep containers for many calls.
        queue: name of the queue that tasks go to.
        task_queue: another spelling of ``queue``.
        interruptible: whether tasks may run on machines that can be taken away.
        include: files that travel with the code.
        pod_template: a `PodTemplate`, or the name of one in the cluster.
        service_account: account that pods run under.
        max_inline_io_bytes: how much all inputs, or all outputs, of a task may be inline, in bytes
            or as a quantity.
        network: False for tasks without network.
        target: name of the target that its tasks run on, where the run itself names none.
        **spellings: other spellings (``requests``, ``container_image``, ``environment``,
            ``secret_requests``).

    Attributes:
        name: the name.
        settings: every field that is set, checked, as one value.
        given: names of the settings that were given, not defaults.
        origin: where it was declared.

    Raises:
        SpecTypeError: a parameter that does not exist, or a value of the wrong type.
        SpecError: a value that its field does not take.
        CycleError: ``depends_on`` closes a circle.
    """

    __slots__ = (
        "__weakref__",
        "_depends_on",
        "_edges",
        "_is_needed",
        "_rank",
        "_tasks",
        "given",
        "name",
        "origin",
        "settings",
    )

    name: str
    settings: Settings
    given: frozenset[str]
    _rank: int
    _is_needed: bool

    def __init__(
        self,
        name: str,
        *,
        image: Any = UNSET,
        resources: Any = UNSET,
        limits: Any = UNSET,
        accelerator: Any = UNSET,
        env_vars: Mapping[str, str] | None = UNSET,  # type: ignore[assignment]
        secrets: Any = UNSET,
        depends_on: Sequence[TaskEnvironment] | None = (),
        description: str | None = UNSET,  # type: ignore[assignment]
        cache: Any = UNSET,
        reusable: Any = UNSET,
        queue: str | None = UNSET,  # type: ignore[assignment]
        task_queue: str | None = UNSET,  # type: ignore[assignment]
        interruptible: bool | None = UNSET,  # type: ignore[assignment]
        include: Iterable[str] | None = UNSET,  # type: ignore[assignment]
        pod_template: Any = UNSET,
        service_account: str | None = UNSET,  # type: ignore[assignment]
        max_inline_io_bytes: int | str | None = UNSET,  # type: ignore[assignment]
        network: bool | None = UNSET,  # type: ignore[assignment]
        target: str | None = UNSET,  # type: ignore[assignment]
        **spellings: Any,
    ) -> None:
        given = {
            "image": image,
            "resources": resources,
            "limits": limits,
            "accelerator": accelerator,
            "env_vars": env_vars,
            "secrets": secrets,
            "description": description,
            "cache": cache,
            "reusable": reusable,
            "queue": queue,
            "task_queue": task_queue,
            "interruptible": interruptible,
            "include": include,
            "pod_template": pod_template,
            "service_account": service_account,
            "max_inline_io_bytes": max_inline_io_bytes,
            "network": network,
            "target": target,
            **spellings,
        }
        # a parameter given as None is one that is not set, as in every generation of Flyte
        known = {key: value for key, value in given.items() if value is not None}
        fields = layer(known, "environment")
        origin = origin_of_caller()
        self._declare(naming.check_environment_name(name), fields, origin)
        self._depend(_environments(depends_on), Edge("depends_on", origin))
        listeners.announce_environment(self)

    def _declare(self, name: str, fields: Mapping[str, Any], origin: Origin) -> None:
        keep = object.__setattr__
        keep(self, "name", name)
        keep(self, "origin", origin)
        keep(self, "_rank", 0)
        keep(self, "_is_needed", False)
        keep(self, "_depends_on", ())
        keep(self, "_edges", {})
        keep(self, "_tasks", {})
        keep(self, "given", frozenset(key for key, value in fields.items() if value is not None))
        keep(self, "settings", apply_layer(Settings(image=_default_image(fields)), fields))

    @property
    def depends_on(self) -> tuple[TaskEnvironment, ...]:
        """Environments that are deployed before this one, each once, in the order given."""
        depends_on: tuple[TaskEnvironment, ...] = self._depends_on
        return depends_on

    @property
    def edges(self) -> Mapping[str, Edge]:
        """Name of each dependency to why it is there; one that was unpickled knows no reasons."""
        return MappingProxyType(self._edges)

    @property
    def tasks(self) -> Mapping[str, Task]:
        """Full name (``environment.function``) to task, in the order of first declaration."""
        return MappingProxyType(self._tasks)

    @property
    def variable_name(self) -> str:
        """The Python variable that a cell binds it to: ``ml_training`` for ``ml-training``."""
        return naming.variable_name(self.name)

    def add_dependency(self, *environments: TaskEnvironment) -> None:
        """Add environments that are to be deployed before this one; known ones change nothing.

        Raises:
            SpecTypeError: no environment.
            CycleError: one of them depends on this one.
        """
        self._depend(_environments(environments), Edge("add_dependency", origin_of_caller()))

    def clone_with(self, name: str, **fields: Any) -> TaskEnvironment:
        """Return an environment of another name, with the fields given replaced.

        Args:
            name: its name.
            **fields: any parameter of `TaskEnvironment` in any spelling; None clears. A field that
                is not given is that of this one. An accelerator alone keeps the rest of the
                resources.

        Returns:
            An environment without tasks.

        Raises:
            SpecTypeError: a parameter that does not exist, or a value of the wrong type.
            SpecError: a value that its field does not take.
            CycleError: a dependency that is given, or taken over, depends on the clone's name.
        """
        depends_on = fields.pop("depends_on", UNSET)
        if fields.get("accelerator") is not None and not {"resources", "limits", "requests"} & {
            key for key, value in fields.items() if value is not UNSET
        }:
            fields["resources"] = _retyped(self.settings, fields.pop("accelerator"))
        inherited = {key: getattr(self.settings, key) for key in self.given}
        changed = layer(fields, "environment")
        clone = object.__new__(type(self))
        origin = origin_of_caller()
        clone._declare(naming.check_environment_name(name), {**inherited, **changed}, origin)
        if depends_on is UNSET:
            clone._depend(self.depends_on, Edge("clone_with", origin), self.edges)
        else:
            clone._depend(_environments(depends_on), Edge("depends_on", origin))
        listeners.announce_environment(clone)
        return clone

    def panel(self) -> Any:
        """Return the panel of this environment, which a notebook shows.

        What is edited there overrides what is declared, for the runs that follow.

        Raises:
            EngineError: there are no panels here, inside a task.
        """
        panel = listeners.panel_of(self)
        if panel is None:
            raise EngineError("There are no panels here.", remedy="Open it in a notebook.")
        return panel

    @overload
    def task(self, function: Callable[..., Any], /, **fields: Any) -> Task: ...

    @overload
    def task(
        self, function: None = None, /, **fields: Any
    ) -> Callable[[Callable[..., Any]], Task]: ...

    def task(self, function: Callable[..., Any] | None = None, /, **fields: Any) -> Any:
        """Make a function a task of this environment: ``@env.task`` or ``@env.task(retries=3)``.

        Args:
            function: the function, sync or async.
            **fields: ``retries``, ``timeout``, ``cache``, ``short_name``, ``docs``, ``queue``,
                ``interruptible``, ``max_inline_io_bytes``, ``pod_template``, ``service_account``,
                ``report``, ``entrypoint``, ``resources``, ``env_vars``, ``secrets``, ``target``.
                None inherits.

        Returns:
            The task, or a decorator.

        Raises:
            SpecTypeError: no function, or a parameter that does not exist.
            SpecError: a value that its field does not take.
        """
        own = layer({key: value for key, value in fields.items() if value is not None}, "task")
        if function is not None:
            return self._add(function, own)
        return lambda function: self._add(function, own)

    def _add(self, function: Any, own: Mapping[str, Any]) -> Task:
        task = Task.declare(self, function, own)
        self._tasks[task.name] = task
        listeners.announce_task(task)
        return task

    def _depend(
        self,
        environments: tuple[TaskEnvironment, ...],
        reason: Edge | None,
        reasons: Mapping[str, Edge] = MappingProxyType({}),
    ) -> None:
        """Depend on these too, for ``reason`` where ``reasons`` has none of their own."""
        known = {environment.name: environment for environment in self.depends_on}
        edges = dict(self._edges)
        for environment in environments:
            why = reasons.get(environment.name, reason)
            self._refuse_circle(environment, why)
            known[environment.name] = environment
            if why is not None:
                edges.setdefault(environment.name, why)
        ranks.raise_rank(self, environments)
        object.__setattr__(self, "_depends_on", tuple(known.values()))
        object.__setattr__(self, "_edges", edges)

    def _refuse_circle(self, environment: TaskEnvironment, why: Edge | None) -> None:
        while (path := _path(self.name, environment)) is not None:
            inner = path[1:-1]
            # a path over a declaration that is no longer in force is none
            if not any(_rewire(*step) for step in zip(path, inner)):
                raise graph.circle_error([self, *path], why)

    def __getattr__(self, name: str) -> Any:
        """Answer for the settings: ``env.resources`` is ``env.settings.resources``."""
        if name in Settings.__dataclass_fields__:
            return getattr(self.settings, name)
        hint = "" if name.startswith("_") else naming.did_you_mean(name, dir(self))
        raise AttributeError(f"TaskEnvironment has no attribute {name!r}{hint}")

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *Settings.__dataclass_fields__})

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError(
            f"environment {self.name!r} does not change; make another with "
            f"clone_with({self.name!r}, {name}=...), or declare it again."
        )

    def __copy__(self) -> TaskEnvironment:
        return self

    def __deepcopy__(self, memo: Any) -> TaskEnvironment:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        own = {key: getattr(self.settings, key) for key in self.given}
        return _rebuild, (type(self), self.name, to_plain(own), self.depends_on)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TaskEnvironment):
            return NotImplemented
        return self is other or (
            self.name == other.name
            and self.settings == other.settings
            and {known.name for known in self.depends_on}
            == {known.name for known in other.depends_on}
        )

    def __hash__(self) -> int:
        # of the name alone: dependencies can be added
        return hash(("TaskEnvironment", self.name))

    def __repr__(self) -> str:
        parts = [repr(self.name)]
        pairs = dict(self.settings.given())
        parts += [f"{key}={value!r}" for key, value in pairs.items() if key in self.given]
        if self.depends_on:
            parts.append(f"depends_on=[{', '.join(known.name for known in self.depends_on)}]")
        return f"TaskEnvironment({', '.join(parts)})"

    def _repr_html_(self) -> str:
        from flyte_jupyter.spec.html import table

        rows = self.settings.rows()
        if self.depends_on:
            rows.append(("depends on", ", ".join(known.name for known in self.depends_on)))
        rows.append(("tasks", ", ".join(task.func_name for task in self.tasks.values()) or "none"))
        rows.append(("declared in", self.origin.label))
        return table(f"Environment {self.name}", rows)


def _rebuild(
    kind: type[TaskEnvironment], name: str, fields: Mapping[str, Any], depends_on: Any
) -> TaskEnvironment:
    """Return an environment that was pickled; it is no new declaration."""
    environment = object.__new__(kind)
    environment._declare(name, from_plain(fields), origin_of_caller())
    environment._depend(depends_on, None)
    return environment


def _path(name: str, start: TaskEnvironment) -> list[TaskEnvironment] | None:
    return graph.trail(name, start, lambda node: ranks.may_lead(node, name))


def _rewire(user: TaskEnvironment, needed: TaskEnvironment) -> bool:
    """Let ``user`` depend on what took the place of ``needed``; return whether something did."""
    later = listeners.in_force(needed)
    if later is needed or _path(user.name, later) is not None:
        return False
    ranks.raise_rank(user, (later,))
    depends_on = tuple(later if each is needed else each for each in user.depends_on)
    object.__setattr__(user, "_depends_on", depends_on)
    return True


def _default_image(fields: Mapping[str, Any]) -> Image | None:
    return None if fields.get("image") else Image.from_debian_base()


def _retyped(settings: Settings, accelerator: Any) -> Any:
    from flyte_jupyter.spec.devices import accelerator_of
    from flyte_jupyter.spec.resources import Resources

    wanted = accelerator_of(accelerator)
    return (settings.resources or Resources()).merge(Resources(gpu=wanted.device))


def _environments(given: Any) -> tuple[TaskEnvironment, ...]:
    if given is None:
        return ()
    if isinstance(given, TaskEnvironment):
        raise SpecTypeError(
            f"depends_on={given.name} is one environment; did you mean depends_on=[{given.name}]?"
        )
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise SpecTypeError(
            f"depends_on={naming.shown(given)} is {naming.kind(given)}; "
            "give a list of environments."
        )
    environments = tuple(given)
    for environment in environments:
        if isinstance(environment, str):
            raise SpecTypeError(
                f"depends_on: {environment!r} is a name; give the environment itself, "
                f"such as {naming.variable_name(environment)}."
            )
        if isinstance(environment, Task):
            raise SpecTypeError(
                f"depends_on: {environment.name!r} is a task; give its environment, "
                f"{environment.env_name!r}."
            )
        if not isinstance(environment, TaskEnvironment):
            raise SpecTypeError(
                f"depends_on: {naming.shown(environment)} is {naming.kind(environment)}; "
                "give environments."
            )
    return environments
