"""Deploying the environments of this session: planned, carried out, kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from flyte_jupyter import catalog
from flyte_jupyter.deployment.carry import carry_out
from flyte_jupyter.deployment.plan import Draft, Plan, Step, check_names, dry, make_plan
from flyte_jupyter.deployment.records import EnvironmentRecord, Source
from flyte_jupyter.deployment.result import Deployment
from flyte_jupyter.errors import DeploymentError, NotFoundError, SpecTypeError
from flyte_jupyter.session import session
from flyte_jupyter.session.drafts import Targets, draft, source_of, target_of
from flyte_jupyter.session.lookup import ledger_of
from flyte_jupyter.session.manifests import judged
from flyte_jupyter.spec import Task, TaskEnvironment
from flyte_jupyter.spec.naming import kind, shown
from flyte_jupyter.spec.reference import ReferenceTask
from flyte_jupyter.store.ledger import Ledger, Row

__all__ = ["deploy", "plan_of"]


def plan_of(
    environments: Iterable[TaskEnvironment | Task | str] = (),
    *,
    target: str | None = None,
    version: str | None = None,
    source: Source | None = None,
) -> Plan:
    """Return what a deployment would do.

    Args:
        environments: where to begin, themselves or by name; all of the session if none is given.
        target: name of the target that all of them go to; what they say themselves if not given.
        version: name of the version.
        source: from where, if the caller knows it better.

    Raises:
        NotFoundError: there is nothing of a name, or nothing at all.
        CycleError: ``depends_on`` has a circle.
        DeploymentError: the version exists with another content.
    """
    known = catalog.current()
    roots = _environments(environments)
    current = {name: one.value for name, one in known.environments.items()}
    project, here = session.config().project, source or source_of()
    ledgers: dict[str, Ledger] = {}

    def ledger(name: str) -> Ledger:
        if name not in ledgers:
            ledgers[name] = ledger_of(name)
        return ledgers[name]

    targets = Targets()

    def drafted(environment: TaskEnvironment) -> Draft:
        place = target_of(environment, target)
        made = draft(environment, place, here, version)
        return replace(made, notes=(*targets.notes(environment, place), *made.notes))

    def before(environment: TaskEnvironment) -> EnvironmentRecord | None:
        plain = ledger(target_of(environment, target)).read(project, environment.name)
        return None if plain is None else EnvironmentRecord.from_plain(plain)

    plan = make_plan(
        roots,
        current,
        drafted,
        lambda one: target_of(one, target),
        before,
        project=project,
        version=version,
    )
    if version is not None:
        _check_version(plan, version, ledger)
    return plan


def deploy(
    environments: Iterable[TaskEnvironment | Task | str] = (),
    *,
    target: str | None = None,
    version: str | None = None,
    dry_run: bool = False,
    take_over: bool = False,
    source: Source | None = None,
    watch: Callable[[Deployment], None] = lambda _: None,
) -> Deployment:
    """Deploy environments with everything that they depend on; a failure is a state, not raised.

    Args:
        environments: see `plan_of`.
        target: see `plan_of`.
        version: see `plan_of`.
        dry_run: only return what would come of it.
        take_over: take names that were deployed from elsewhere.
        source: see `plan_of`.
        watch: called on this thread after every change.

    Raises:
        DeploymentError: a name was deployed from elsewhere, or a version exists with another
            content; nothing was done then.
        NotFoundError: there is nothing of a name, or nothing at all.
        CycleError: ``depends_on`` has a circle.
        KeyboardInterrupt: it was interrupted.
    """
    here = source or source_of()
    plan = plan_of(environments, target=target, version=version, source=here)
    if not take_over:
        check_names(plan, here)
    if dry_run:
        return dry(plan, _is_ready, _judge)
    return carry_out(plan, session.engine(), _judge, _keep, watch)


def _is_ready(step: Step) -> bool:
    return session.make_target(step.target).ready_made(step.environment.settings)


def _judge(step: Step) -> tuple[str, ...]:
    """Return what stands in the way of a step's workers now; raises where the target refuses."""
    assert step.draft is not None
    return tuple(judged(session.make_target(step.target), step.draft.record))


def _keep(step: Step, record: EnvironmentRecord) -> None:
    assert step.draft is not None
    ledger = ledger_of(step.target)
    row = Row(
        ledger.place,
        record.project,
        record.name,
        record.version,
        record.content,
        record.deployed,
        True,
    )
    ledger.put(row, record.to_plain(), step.draft.blobs, record.blobs)


def _check_version(plan: Plan, version: str, ledger: Callable[[str], Ledger]) -> None:
    """Refuse to give a version another content."""
    for step in plan.steps:
        plain: Mapping[str, object] | None = ledger(step.target).read(
            plan.project, step.name, version
        )
        if plain is None or step.draft is None:
            continue
        if plain["content"] != step.draft.record.content:
            raise DeploymentError(
                f"Version {version!r} of {step.name} was deployed with another content.",
                evidence=[f"{step.name}: {'; '.join(step.changes) or 'changed'}"],
                remedy="Choose another version, or leave it out: the content names it then.",
            )


def _environments(given: Iterable[TaskEnvironment | Task | str]) -> list[TaskEnvironment]:
    known = catalog.current()
    found = [_environment(one) for one in given]
    found = found or [one.value for one in known.environments.values()]
    if not found:
        raise NotFoundError(
            "there is nothing to deploy: no environment is declared yet",
            remedy="Declare one with flyte.TaskEnvironment(...) or %%flyte_env.",
        )
    return found


def _environment(given: TaskEnvironment | Task | str) -> TaskEnvironment:
    known = catalog.current()
    if isinstance(given, str):
        return known.find_environment(given)
    if isinstance(given, ReferenceTask):
        raise SpecTypeError(
            f"{given.name} is deployed already, and its code is not here.",
            remedy="Deploy its environment where it is declared.",
        )
    if isinstance(given, Task):
        return known.environment_of(given)
    if isinstance(given, TaskEnvironment):
        return given
    raise SpecTypeError(
        f"{shown(given)} is {kind(given)}; deploy environments, themselves or by name."
    )
