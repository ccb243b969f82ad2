"""Deployments looked through for a task: which one a name means, and what is there instead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from flyte_jupyter.deployment.records import EnvironmentRecord, TaskRecord
from flyte_jupyter.errors import NotFoundError
from flyte_jupyter.session import session
from flyte_jupyter.spec.naming import did_you_mean, listing
from flyte_jupyter.store.folders import state_folder
from flyte_jupyter.store.ledger import Ledger, Row

__all__ = ["choose", "gone", "ledger_of", "record_of", "task_of"]

# records of late, which are read once
MOST = 512
# names that an error offers
OFFERED = 8


def choose(
    name: str, version: str | None, project: str | None, target: str | None
) -> tuple[Ledger, Row]:
    """Return the one row that a name means.

    Raises:
        NotFoundError: there is none, or several.
    """
    places = [session.check_target(target)] if target is not None else session.places()
    ledgers = {place: ledger_of(place) for place in places}
    environment = name.rpartition(".")[0]
    rows = [
        (place, row)
        for place, ledger in ledgers.items()
        for row in ledger.rows(project, environment)
        if environment
    ]
    fitting = [
        (place, row)
        for place, row in rows
        if (row.version == version if version is not None else row.current)
        and name in record_of(ledgers[place], row).tasks
    ]
    if not fitting:
        raise _missing(name, version, project, ledgers, [row for _, row in rows])
    own = [one for one in fitting if one[1].project == session.config().project] or fitting
    projects = list(dict.fromkeys(row.project for _, row in own))
    if len(projects) > 1:
        raise NotFoundError(
            f"{name} is deployed in several projects: {listing(projects, 'and')}.",
            remedy=f"Say which: reference_task({name!r}, project={projects[0]!r}).",
        )
    if len(own) > 1:
        own = [one for one in own if one[0] == session.default_target()] or own
    if len(own) > 1:
        named = [place for place, _ in own]
        raise NotFoundError(
            f"{name} is deployed to several targets: {listing(named, 'and')}.",
            remedy=f"Say which: reference_task({name!r}, target={named[0]!r}).",
        )
    place, row = own[0]
    return ledgers[place], row


def _missing(
    name: str,
    version: str | None,
    project: str | None,
    ledgers: Mapping[str, Ledger],
    rows: list[Row],
) -> NotFoundError:
    """Return the error for a name that means nothing that is deployed."""
    tasks = list(_all_tasks(ledgers, project))
    if version is not None and rows and (name in tasks or not tasks):
        return gone(name, rows, version, "")
    where = f" in {project}" if project is not None else ""
    if not tasks:
        return NotFoundError(
            f"no task {name!r} is deployed{where}: nothing is.",
            remedy="Deploy its environment in its own notebook: flyte.deploy(environment).",
        )
    short = {task.rpartition(".")[2]: task for task in tasks}
    meant = short.get(name.rpartition(".")[2])
    hint = did_you_mean(name, tasks) or (f"; did you mean {meant!r}?" if meant else ".")
    offered = [*tasks[:OFFERED], *(["more"] if len(tasks) > OFFERED else [])]
    verb = "is" if len(offered) == 1 else "are"
    return NotFoundError(
        f"no task {name!r} is deployed{where}{hint}",
        remedy=f"Deployed {verb} {listing(offered, 'and')}.",
    )


def _all_tasks(ledgers: Mapping[str, Ledger], project: str | None) -> Iterator[str]:
    """Yield the names of the tasks that can be called now, those of this project first."""
    own = session.config().project
    current = [
        (ledger, row) for ledger in ledgers.values() for row in ledger.rows(project) if row.current
    ]
    current.sort(key=lambda one: one[1].project != own)
    tasks = (name for ledger, row in current for name in record_of(ledger, row).tasks)
    yield from dict.fromkeys(tasks)


def gone(name: str, rows: Iterable[Row], version: str | None, where: str) -> NotFoundError:
    """Return the error for a version that is not there, or a name of which there is none.

    Args:
        name: full name of the task.
        rows: the versions of its environment that are there.
        version: the version that was asked for.
        where: words for the place, with a space before them, or nothing.
    """
    versions = list(dict.fromkeys(row.version for row in rows))
    if not versions:
        return NotFoundError(
            f"{name} is not deployed any more{where}.",
            remedy="Deploy its environment again in its own notebook: flyte.deploy(environment).",
        )
    environment = name.rpartition(".")[0]
    verb = "is" if len(versions) == 1 else "are"
    return NotFoundError(
        f"{name} has no version {version!r}{where}{did_you_mean(str(version), versions) or '.'}",
        remedy=f"Of {environment} there {verb} {listing(versions, 'and')}.",
    )


def task_of(record: EnvironmentRecord, name: str) -> TaskRecord:
    """Return a task of an environment as it was deployed.

    Raises:
        NotFoundError: it has no such task.
    """
    task = record.tasks.get(name)
    if task is None:
        has = listing([one.rpartition(".")[2] for one in record.tasks], "and") or "no task"
        raise NotFoundError(
            f"{record.name} has no task {name.rpartition('.')[2]!r} in version {record.version}"
            f"{did_you_mean(name, record.tasks) or '.'}",
            remedy=f"It has {has}.",
        )
    return task


def ledger_of(target: str) -> Ledger:
    """Return where a target keeps what was deployed to it.

    Raises:
        TargetError: there is no such target.
    """
    state: Path = session.config().state or state_folder()
    return session.make_target(target).records(state)


_records: dict[Row, EnvironmentRecord] = {}


def record_of(ledger: Ledger, row: Row) -> EnvironmentRecord:
    """Return the record of a row, read once.

    Raises:
        NotFoundError: it was taken away meanwhile.
    """
    known = _records.get(row)
    if known is None:
        plain = ledger.read(row.project, row.name, row.version)
        if plain is None:
            raise gone(row.name, [], row.version, "")
        known = EnvironmentRecord.from_plain(plain)
        while len(_records) >= MOST:
            del _records[next(iter(_records))]
        _records[row] = known
    return known
