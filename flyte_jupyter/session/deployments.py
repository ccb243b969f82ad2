"""What is deployed: listed, compared with the notebook, rolled back, taken away."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from flyte_jupyter import catalog
from flyte_jupyter.deployment.compare import changes
from flyte_jupyter.deployment.records import EnvironmentRecord
from flyte_jupyter.errors import DeploymentError, FlyteError, NotFoundError
from flyte_jupyter.session import session
from flyte_jupyter.session.drafts import draft, source_of
from flyte_jupyter.session.lookup import ledger_of, record_of
from flyte_jupyter.spec import Settings
from flyte_jupyter.spec.naming import did_you_mean, listing
from flyte_jupyter.store.ledger import Ledger, Row

__all__ = ["Standing", "deployments", "rollback", "standing", "undeploy", "versions"]

DEPLOYED, CHANGED, ELSEWHERE = "deployed", "changed", "not declared here"


@dataclass(frozen=True, slots=True, repr=False)
class Standing:
    """A deployed environment beside what this session declares.

    Args:
        record: what is deployed.
        current_since: since when this is its current version, in seconds since the epoch.
        word: ``deployed`` where both are the same, ``changed``, or ``not declared here``.
        changes: what is different, in words.
        versions: how many versions of it there are.
    """

    record: EnvironmentRecord
    current_since: float
    word: str
    changes: tuple[str, ...] = ()
    versions: int = 1

    def __repr__(self) -> str:
        record = self.record
        what = self.sentence or self.word
        return f"<{record.name} {record.version} on {record.target}: {what}>"

    @property
    def sentence(self) -> str:
        """What has changed since, in one line; empty if nothing has."""
        return f"changed since deployed: {', '.join(self.changes)}" if self.changes else ""


def deployments(*names: str, target: str | None = None, everywhere: bool = False) -> list[Standing]:
    """Return what is deployed, each beside what this session declares.

    Args:
        names: only these.
        target: only on this target.
        everywhere: of all projects, not only of this session's.

    Raises:
        NotFoundError: one of the names is not deployed.
    """
    found = list(_standings(target, None if everywhere else session.config().project))
    if not names:
        return found
    known = {one.record.name for one in found}
    for name in names:
        if name not in known:
            raise _not_deployed(name, known)
    return [one for one in found if one.record.name in names]


def standing(names: Iterable[str]) -> dict[str, Standing]:
    """Return how declared environments stand to what is deployed, of those that are deployed."""
    wanted = set(names)
    return {
        one.record.name: one
        for one in _standings(None, session.config().project, wanted)
        if one.record.name in wanted
    }


def versions(name: str, *, target: str | None = None) -> list[Row]:
    """Return the versions of an environment, the newest first.

    Raises:
        NotFoundError: it is not deployed.
    """
    _, rows = _find(name, target)
    return rows


def rollback(name: str, version: str | None = None, *, target: str | None = None) -> Row:
    """Make an earlier version of an environment the current one, with its image made ready.

    Args:
        name: name of the environment.
        version: name of the version; the one that was current before if not given.
        target: name of the target, if it is deployed on several.

    Returns:
        The version that is the current one now.

    Raises:
        NotFoundError: it is not deployed, or there is no such version.
        ImageBuildError: its image cannot be had any more.
    """
    ledger, rows = _find(name, target)
    row = _version(name, version, rows)
    plain = ledger.read(row.project, name, row.version)
    if plain is None:  # taken away meanwhile
        raise _no_version(name, row.version, rows)
    record = EnvironmentRecord.from_plain(plain)
    settings = Settings.from_plain(record.settings)
    future = session.engine().prepare(record.target, settings, lambda _: None)
    try:
        future.result()
    except KeyboardInterrupt:
        future.cancel()
        raise
    ledger.make_current(row.project, name, row.version, time.time())
    return next(one for one in ledger.rows(row.project, name) if one.current)


def undeploy(*names: str, target: str | None = None, take_over: bool = False) -> list[Row]:
    """Take environments away with all their versions, and return these.

    Args:
        names: names of the environments.
        target: name of the target, if they are deployed on several.
        take_over: also what was deployed from elsewhere.

    Raises:
        NotFoundError: one is not deployed; nothing is taken away then.
        DeploymentError: one was deployed from elsewhere; nothing is taken away then.
    """
    found = [_find(name, target) for name in names]
    if not take_over:
        for ledger, rows in found:
            _refuse_elsewhere(ledger, rows[0])
    for ledger, rows in found:
        ledger.remove(rows[0].project, rows[0].name)
    return [row for _, rows in found for row in rows]


def _refuse_elsewhere(ledger: Ledger, row: Row) -> None:
    plain = ledger.read(row.project, row.name)
    source = None if plain is None else EnvironmentRecord.from_plain(plain).source
    if source is not None and source.is_elsewhere(source_of()):
        raise DeploymentError(
            f"{row.name} was deployed from elsewhere in this project.",
            evidence=[str(source)],
            remedy="Take it away there, or with take_over=True (%flyte_undeploy --take-over).",
        )


def _standings(
    target: str | None, project: str | None, wanted: set[str] | None = None
) -> Iterator[Standing]:
    for ledger in _ledgers(target):
        rows = ledger.rows(project)
        counts: dict[tuple[str, str], int] = {}
        for row in rows:
            counts[row.project, row.name] = counts.get((row.project, row.name), 0) + 1
        for row in rows:
            if not row.current or (wanted is not None and row.name not in wanted):
                continue
            try:
                record = record_of(ledger, row)
            except NotFoundError:
                continue  # it was taken away meanwhile
            words = _compared(record)
            yield Standing(record, row.deployed, *words, counts[row.project, row.name])


def _compared(record: EnvironmentRecord) -> tuple[str, tuple[str, ...]]:
    """Return how a record stands to what this session declares."""
    declared = catalog.current().environments.get(record.name)
    if declared is None or record.project != session.config().project:
        return ELSEWHERE, ()
    try:
        now = draft(declared.value, record.target, source_of()).record
    except FlyteError as error:
        return CHANGED, (str(error.sentence),)
    words = changes(record, now)
    return (CHANGED, words) if words else (DEPLOYED, ())


def _ledgers(target: str | None) -> Iterator[Ledger]:
    """Yield the ledgers to look at, that of the session's own target first."""
    if target is not None:
        yield ledger_of(target)
        return
    own = session.default_target()
    for name in sorted(session.places(), key=lambda name: name != own):
        yield ledger_of(name)


def _find(name: str, target: str | None) -> tuple[Ledger, list[Row]]:
    """Return where an environment of this project is deployed, with its versions."""
    project = session.config().project
    known: set[str] = set()
    for ledger in _ledgers(target):
        rows = ledger.rows(project)
        known |= {row.name for row in rows}
        mine = [row for row in rows if row.name == name]
        if mine:
            return ledger, mine
    raise _not_deployed(name, known)


def _version(name: str, version: str | None, rows: Sequence[Row]) -> Row:
    if version is None:
        earlier = [row for row in rows if not row.current]
        if not earlier:
            raise NotFoundError(f"{name} has only one version, {rows[0].version}.")
        return earlier[0]
    fitting = [row for row in rows if row.version == version]
    fitting = fitting or [row for row in rows if row.version.startswith(version)]
    if len(fitting) != 1:
        raise _no_version(name, version, rows)
    return fitting[0]


def _no_version(name: str, version: str, rows: Sequence[Row]) -> NotFoundError:
    known = [row.version for row in rows]
    return NotFoundError(
        f"{name} has no version {version!r}{did_you_mean(version, known)}",
        remedy=f"It has {listing(known[:12], 'and')}.",
    )


def _not_deployed(name: str, known: Iterable[str]) -> NotFoundError:
    names = sorted(known)
    return NotFoundError(
        f"{name!r} is not deployed{did_you_mean(name, names)}",
        remedy=f"Deployed are {listing(names[:12], 'and')}."
        if names
        else "Nothing is deployed in this project yet: %flyte_deploy deploys what is declared.",
    )
