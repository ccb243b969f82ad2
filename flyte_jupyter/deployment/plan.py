"""What a deployment would do: environments in waves, each with what it is now and was before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from flyte_jupyter.deployment.compare import changes
from flyte_jupyter.deployment.records import EnvironmentRecord, Source
from flyte_jupyter.deployment.result import Deployed, Deployment, State
from flyte_jupyter.errors import DeploymentError, FlyteError
from flyte_jupyter.spec import graph
from flyte_jupyter.spec.environment import TaskEnvironment
from flyte_jupyter.spec.hashing import digest

__all__ = ["Draft", "Plan", "Step", "make_plan"]

NEW = ("new",)
# environments that a target is asked about at the same time
AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Draft:
    """An environment as it would be deployed.

    Args:
        record: without the time of its deployment and the digest of its image.
        blobs: what it needs, by digest.
        notes: facts that are worth a word.
    """

    record: EnvironmentRecord
    blobs: Mapping[str, bytes]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One environment of a plan.

    Args:
        environment: the environment.
        wave: in which wave, from 1.
        draft: what would be deployed, ``None`` where its code cannot be shipped.
        error: why it cannot.
        before: what is deployed now, ``None`` if nothing is.
        changes: what is different from that, in words; nothing if it is unchanged.
        target: name of the target that it goes to.
    """

    environment: TaskEnvironment
    wave: int
    draft: Draft | None
    error: FlyteError | None
    before: EnvironmentRecord | None
    changes: tuple[str, ...]
    target: str

    @property
    def name(self) -> str:
        """The environment's name."""
        return self.environment.name

    @property
    def version(self) -> str:
        """Name of the version, empty where there is nothing to deploy."""
        return self.draft.record.version if self.draft is not None else ""

    def deployed(self) -> Deployed:
        """Return its state before anything is done."""
        record = self.draft.record if self.draft is not None else None
        return Deployed(
            name=self.name,
            wave=self.wave,
            target=self.target,
            version=self.version,
            depends_on=tuple(one.name for one in self.environment.depends_on),
            tasks=tuple(record.tasks) if record is not None else (),
            changes=self.changes,
            image=record.image.description if record is not None else "",
            notes=self.draft.notes if self.draft is not None else (),
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """A deployment before it is carried out.

    Args:
        waves: steps by wave; each depends on earlier waves only.
        version: name of the whole.
        project: the folder that the names belong to.
    """

    waves: tuple[tuple[Step, ...], ...]
    version: str
    project: str

    @property
    def steps(self) -> list[Step]:
        """Every step, wave by wave."""
        return [step for wave in self.waves for step in wave]

    def deployment(self, *, dry_run: bool = False) -> Deployment:
        """Return the deployment with everything still to be done."""
        states = {step.name: step.deployed() for step in self.steps}
        return Deployment(states, self.version, self.project, dry_run)


def make_plan(
    environments: Iterable[TaskEnvironment],
    current: Mapping[str, TaskEnvironment],
    draft: Callable[[TaskEnvironment], Draft],
    target_of: Callable[[TaskEnvironment], str],
    before: Callable[[TaskEnvironment], EnvironmentRecord | None],
    *,
    project: str,
    version: str | None = None,
) -> Plan:
    """Return the plan for environments and everything that they depend on.

    Args:
        environments: where to begin.
        current: the declarations in force by name.
        draft: makes what would be deployed of an environment, or says why it cannot.
        target_of: name of the target that one goes to.
        before: what is deployed of it now.
        project: the folder that the names belong to.
        version: name of the version, if it was given.

    Raises:
        CycleError: ``depends_on`` has a circle.
        DuplicateNameError: two different environments of one name meet.
    """
    waves = []
    for number, wave in enumerate(graph.waves(environments, current), 1):
        waves.append(tuple(_step(one, number, draft, target_of(one), before(one)) for one in wave))
    versions = [step.version for wave in waves for step in wave]
    return Plan(tuple(waves), version or digest("deployment", *versions)[:12], project)


def _step(
    environment: TaskEnvironment,
    wave: int,
    draft: Callable[[TaskEnvironment], Draft],
    target: str,
    before: EnvironmentRecord | None,
) -> Step:
    try:
        made = draft(environment)
    except FlyteError as error:
        return Step(environment, wave, None, error, before, (), target)
    words = NEW if before is None else changes(before, made.record)
    return Step(environment, wave, made, None, before, words, target)


def check_names(plan: Plan, source: Source) -> None:
    """Refuse names that were deployed from elsewhere.

    Args:
        plan: what is to be deployed.
        source: from where.

    Raises:
        DeploymentError: another notebook has deployed one of the names.
    """
    taken = [step for step in plan.steps if step.before and step.before.source.is_elsewhere(source)]
    if taken:
        names = ", ".join(step.name for step in taken)
        verb = "was" if len(taken) == 1 else "were"
        raise DeploymentError(
            f"{names} {verb} deployed from elsewhere in this project.",
            evidence=[f"{one.name}: {one.before.source}" for one in taken if one.before],
            remedy="Take the name over with take_over=True (%flyte_deploy --take-over), or name "
            "yours otherwise.",
        )


def dry(
    plan: Plan, is_ready: Callable[[Step], bool], judge: Callable[[Step], Iterable[str]]
) -> Deployment:
    """Return what would come of a plan, with nothing done.

    Args:
        plan: the plan.
        is_ready: whether the image of a step is there.
        judge: has the target of a step say whether it would take its workers, with notes; raises
            where it would not.
    """
    deployment = plan.deployment(dry_run=True)
    states = deployment.environments
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for wave in plan.waves:
            for step in wave:
                one = states[step.name]
                lacking = [name for name in one.depends_on if not states[name].ok]
                if step.error is not None:
                    _fails(one, step.error)
                elif lacking:
                    one.state, one.why = State.SKIPPED, f"{lacking[0]} cannot be deployed"
            asked = [step for step in wave if states[step.name].state is State.WAITING]
            verdicts = [threads.submit(judge, step) for step in asked]
            for step, verdict in zip(asked, verdicts, strict=True):
                one = states[step.name]
                try:
                    one.notes = (*one.notes, *verdict.result())
                except FlyteError as error:
                    _fails(one, error)
                    continue
                if not is_ready(step):
                    one.state = State.BUILT
                else:
                    one.state = State.DEPLOYED if step.changes else State.CACHED
    return deployment


def _fails(one: Deployed, error: FlyteError) -> None:
    one.state, one.error, one.why = State.FAILED, error, str(error)
