"""What ``import flyte_jupyter as flyte`` can do: declare, run, map, explain."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flyte_jupyter import catalog
from flyte_jupyter.errors import EngineError, InputError
from flyte_jupyter.session import session
from flyte_jupyter.session.reference import reference_task, reference_tasks
from flyte_jupyter.session.run import Outputs, Run
from flyte_jupyter.session.submit import RunContext, submit
from flyte_jupyter.session.twin import Twin
from flyte_jupyter.spec import Task, calling
from flyte_jupyter.spec.naming import did_you_mean
from flyte_jupyter.spec.settings import layer

if TYPE_CHECKING:
    from flyte_jupyter.capsule.explain import Explanation
    from flyte_jupyter.deployment.result import Deployment
    from flyte_jupyter.engine.events import Event
    from flyte_jupyter.spec import TaskEnvironment

__all__ = [
    "Outputs",
    "Run",
    "deploy",
    "explain",
    "init",
    "map",
    "reference_task",
    "reference_tasks",
    "run",
    "run_cell",
    "shut_down",
    "with_runcontext",
]

# Options that `run` takes beside the inputs of the task.
RUN_OPTIONS = ("task_queue", "queue")


def init(
    target: str | None = None,
    *,
    pickle: bool | None = None,
    oversize: str | None = None,
    state: str | Path | None = None,
    project: str | None = None,
    **options: Any,
) -> None:
    """Say where runs go to and how; what is not given stays as it is.

    Args:
        target: name of the default target, ``"local"`` or ``"docker"``. Without it, the
            environment variable ``FLYTE_JUPYTER_TARGET`` names it.
        pickle: whether a value that no codec takes may travel as pickle; ``False`` refuses it.
        oversize: ``"refuse"`` a request above the target's capacity, or ``"clamp"`` it to what
            there is and say so.
        state: folder of the journal, the logs and large results.
        project: folder that the names of runs and deployments belong to.
        options: of the target; ``docker`` has ``host`` (the address of an engine) and ``context``
            (one of ``docker context ls``). Without them the engine is found as by ``docker``.
            ``kubernetes`` has ``context``, ``namespace`` and ``kubeconfig`` (path of a file);
            without them it is found as by ``kubectl``. What has to be built is built by the Docker
            engine of this machine and pushed to ``registry`` (``"ghcr.io/you"``), which the secret
            ``registry_secret`` of the cluster opens for pods; without a registry it is loaded into
            clusters of kind, k3d and minikube, or by the socket ``containerd`` (a path) into a node
            that is this machine. Both have ``lease``, for how long work on a cluster, or on an
            engine of another machine, goes on when its kernel is away: seconds or a timedelta,
            ten minutes where nothing is said.

    Raises:
        TargetError: there is no such target, or it has no such option.
    """
    given = {
        "target": target,
        "pickle": pickle,
        "oversize": oversize,
        "state": None if state is None else Path(state),
        "project": project,
    }
    changes: dict[str, Any] = {k: v for k, v in given.items() if v is not None}
    if options:
        name = target or session.default_target()
        changes["options"] = {
            **session.config().options,
            name: session.check_options(name, options),
        }
    session.configure(**changes)


class RunContextRunner:
    """A run with options of its own; see :func:`with_runcontext`."""

    def __init__(self, context: RunContext) -> None:
        self.context = context
        self.run: Twin[..., Run] = Twin(self._run, self._run_aio)

    def _run(self, task: Task, /, *args: Any, **kwargs: Any) -> Run:
        """Submit the run and return it."""
        _refuse_inside_a_task()
        return submit(_task_of(task), args, kwargs, self.context)

    async def _run_aio(self, task: Task, /, *args: Any, **kwargs: Any) -> Run:
        return self._run(task, *args, **kwargs)


def with_runcontext(
    mode: str | None = None,
    *,
    name: str | None = None,
    target: str | None = None,
    queue: str | None = None,
    task_queue: str | None = None,
    env_vars: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> RunContextRunner:
    """Give a run a name, a target, a queue, or overrides: ``with_runcontext(...).run(task, ...)``.

    Args:
        mode: Flyte's word for where: ``"local"`` is the target of that name, ``"remote"`` the
            session's target.
        name: unique name of the run.
        target: name of the target.
        queue: task queue of every action, except where a call names its own.
        task_queue: the same by its older name.
        env_vars: environment variables of every action.
        labels: recorded with the run.
        overrides: fields of the root action (``resources``, ``retries``, ``timeout`` …).
        on_event: called on the engine's thread with every event of the run.

    Raises:
        SpecError: an override has a value that its field does not take.
    """
    given = dict(overrides or {})
    if queue or task_queue:
        given["queue"] = queue or task_queue
    if env_vars:
        given["env_vars"] = dict(env_vars)
    fields = layer(given, "run")
    if mode == "local":
        target = target or "local"
    elif mode not in (None, "remote"):
        hint = did_you_mean(str(mode), ("local", "remote"))
        raise EngineError(f"mode={mode!r} is neither 'local' nor 'remote'{hint}")
    return RunContextRunner(RunContext(name, target, fields, dict(labels or {}), on_event))


def _run(task: Task, /, *args: Any, **kwargs: Any) -> Run:
    """Submit a run of a task and return it at once; ``outputs()`` waits for what it returns.

    Args:
        task: the task; a keyword that its signature does not know is an input that does not fit.
        args: its inputs by position.
        kwargs: its inputs by name. ``task_queue=`` or ``queue=`` is an option of the run, unless
            the task has an input of that name.

    Returns:
        The run: ``wait()``, ``outputs()``, ``phase``, ``logs()``, ``abort()``, ``actions``.

    Raises:
        InputError: the arguments do not fit the task's signature.
        CapsuleError: the task's code cannot be shipped.
    """
    _refuse_inside_a_task()
    task = _task_of(task)
    options = {
        name: kwargs.pop(name)
        for name in RUN_OPTIONS
        if name in kwargs and name not in task.signature.parameters
    }
    return submit(task, args, kwargs, RunContext(layer=layer(options, "run")))


async def _run_aio(task: Task, /, *args: Any, **kwargs: Any) -> Run:
    return _run(task, *args, **kwargs)


run: Twin[..., Run] = Twin(_run, _run_aio)


def _deploy(
    *environments: TaskEnvironment | Task | str,
    target: str | None = None,
    version: str | None = None,
    dryrun: bool = False,
    take_over: bool = False,
    interactive_mode: bool | None = None,
    copy_style: str | None = None,
) -> Deployment:
    """Deploy environments with everything that they depend on, in the order of ``depends_on``.

    What is deployed can be called by name from other notebooks (`reference_task`). What has not
    changed since is left as it is. A failure stops what comes after it, and nothing else.

    Args:
        environments: the environments, themselves or by name; all of the session if none is given.
        target: name of the target that all of them go to; what they say themselves if not given,
            else the session's.
        version: name of the version; the beginning of a hash of the content if not given.
        dryrun: only say what would come of it.
        take_over: take names that were deployed from elsewhere.
        interactive_mode: Flyte's word for where the code comes from; of no meaning here.
        copy_style: Flyte's word for which code travels: always what the tasks need, here.

    Returns:
        The deployment: ``deployment["ml"]`` tells state, version, image and times of one
        environment. As Flyte's ``deploy`` gives a list, ``deployment[0]`` is the deployment itself.

    Raises:
        DeploymentError: something could not be deployed; ``error.deployment`` tells what was.
        NotFoundError: there is nothing of a name.
        CycleError: ``depends_on`` has a circle.
    """
    from flyte_jupyter.session.deploy import deploy

    del interactive_mode, copy_style
    _refuse_inside_a_task()
    deployment = deploy(
        environments, target=target, version=version, dry_run=dryrun, take_over=take_over
    )
    error = None if dryrun else deployment.error()
    if error is not None:
        raise error
    return deployment


async def _deploy_aio(*environments: Any, **options: Any) -> Deployment:
    import asyncio

    return await asyncio.to_thread(_deploy, *environments, **options)


deploy: Twin[..., Deployment] = Twin(_deploy, _deploy_aio)


class _Map:
    """Call a task for each element of one or several iterables, side by side.

    Outside a run this opens one; inside a task it makes calls of that task.

    Args:
        task: the task, or a ``functools.partial`` of one that fixes some of its inputs.
        iterables: one for each input; they end with the shortest.
        group_name: label of the group of calls, for displays.
        concurrency: at most so many calls at once, 0 for as many as the target admits.
        return_exceptions: give an exception in the place of a result; otherwise raise the first.

    Returns:
        An iterator over the results in the order of the inputs, as in Flyte (``flyte.map``).
    """

    def __call__(
        self,
        task: Any,
        *iterables: Any,
        group_name: str | None = None,
        concurrency: int = 0,
        return_exceptions: bool = True,
    ) -> Iterator[Any]:
        from flyte_jupyter.session.mapping import map_blocking

        context = RunContext(labels={"group": group_name} if group_name else {})
        return map_blocking(task, iterables, concurrency, return_exceptions, context)

    def aio(
        self,
        task: Any,
        *iterables: Any,
        group_name: str | None = None,
        concurrency: int = 0,
        return_exceptions: bool = True,
    ) -> AsyncIterator[Any]:
        """Do the same in asynchronous code: ``async for result in flyte.map.aio(...)``."""
        from flyte_jupyter.session.mapping import map_aio

        context = RunContext(labels={"group": group_name} if group_name else {})
        return map_aio(task, iterables, concurrency, return_exceptions, context)


map = _Map()  # noqa: A001, the name is Flyte's


def explain(
    task: Task | str, /, *args: Any, target: str | None = None, **kwargs: Any
) -> Explanation:
    """Say what would happen if a task was run: what is shipped, to what, and what is wrong.

    Nothing is run or built.

    Args:
        task: the task, or its name.
        args: inputs by position, to see how they would travel.
        target: name of the target, the session's if not given; ``on=`` says the same, unless the
            task has an input of that name.
        kwargs: inputs by name.

    Returns:
        The plan as data; printed, it is a page of text.

    Raises:
        NotFoundError: there is no task of that name.
        TargetError: there is no such target.
    """
    from flyte_jupyter.session.explain import explain_task

    task = _task_of(task)
    if target is None and "on" in kwargs and "on" not in task.signature.parameters:
        target = kwargs.pop("on")
    return explain_task(task, args, kwargs, target)


def run_cell(
    source: str,
    namespace: dict[str, Any],
    *,
    env: TaskEnvironment | None = None,
    filename: str = "<cell>",
    **context: Any,
) -> Run:
    """Run the body of a cell in an environment, as ``%%flyte_run`` does.

    Args:
        source: the body.
        namespace: the names that it may read; what it reads travels by value.
        env: the environment; the default image if there is none.
        filename: of the cell's code, for tracebacks.
        context: as for :func:`with_runcontext`.

    Returns:
        A run whose result is a dictionary: ``assigned`` (names to values), ``value`` of the last
        expression, ``kept`` (names that cannot be brought back, and why).

    Raises:
        SyntaxError: the body is no Python.
        CapsuleError: something that it reads cannot be sent.
    """
    from flyte_jupyter.session.cell import submit_cell

    _refuse_inside_a_task()
    return submit_cell(source, namespace, env, filename, with_runcontext(**context).context)


def shut_down() -> None:
    """End the engine of this kernel with everything that it runs."""
    session.shut_down()


def _task_of(task: Any) -> Task:
    if isinstance(task, Task):
        return task
    if isinstance(task, str):
        return catalog.current().find_task(task)
    name = getattr(task, "__name__", type(task).__name__)
    raise InputError(
        f"{name} is no task.", remedy="Declare it with @env.task, and pass the task itself."
    )


def _refuse_inside_a_task() -> None:
    if calling.current_dispatcher() is not None:
        raise EngineError(
            "flyte.run starts a run from outside and cannot be used inside a task.",
            remedy="Call the task itself.",
        )
