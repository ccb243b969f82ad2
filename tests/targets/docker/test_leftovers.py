"""What kernels have in an engine is listed, and what dead ones left is removed; nothing else."""

from __future__ import annotations

import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from flyte_jupyter.daemon import Daemon
from flyte_jupyter.daemon.labels import ENVIRONMENT, KIND, OWNER
from flyte_jupyter.errors import NotFoundError
from flyte_jupyter.notebook.leftovers import cleaned, presence
from flyte_jupyter.session import leftovers
from flyte_jupyter.store.owners import owner
from flyte_jupyter.targets.docker.leftovers import EXPIRES, sweep

BASE = "python:{}.{}-slim".format(*sys.version_info)
ELSEWHERE = "elsewhere:1:2-3"


def of_dead_process() -> str:
    ask = "from flyte_jupyter.store.owners import owner; print(owner())"
    command = [sys.executable, "-c", ask]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


class Engine:
    """Makes things in the engine and knows which of them are there."""

    def __init__(self, api: Any) -> None:
        self.api = api
        self.prefix = f"fjt-{secrets.token_hex(3)}"
        self.made: list[tuple[str, str]] = []

    def container(self, who: str | None, running: bool = True, **labels: str) -> str:
        name = self._name("container")
        given = dict(labels) if who is None else {OWNER: who, KIND: "worker", **labels}
        created = self.api.create_container(
            BASE, ["sleep" if running else "true", "300"], name=name, labels=given
        )
        self.api.start(created["Id"])
        if not running:
            self.api.wait(created["Id"])
        return name

    def network(self, who: str) -> str:
        name = self._name("network")
        self.api.create_network(name, labels={OWNER: who, KIND: "network"}, internal=True)
        return name

    def volume(self, who: str) -> str:
        name = self._name("volume")
        self.api.create_volume(name, labels={OWNER: who})
        return name

    def _name(self, kind: str) -> str:
        name = f"{self.prefix}-{len(self.made)}"
        self.made.append((kind, name))
        return name

    def there(self) -> set[str]:
        containers = self.api.containers(all=True, filters={"name": self.prefix})
        networks = self.api.networks(names=[self.prefix])
        volumes = self.api.volumes(filters={"name": self.prefix})["Volumes"] or []
        names = {name[1:] for each in containers for name in each["Names"]}
        return names | {each["Name"] for each in [*networks, *volumes]}

    def close(self) -> None:
        there = self.there()
        for kind, name in self.made:
            if name in there:
                if kind == "container":
                    self.api.remove_container(name, force=True)
                else:
                    getattr(self.api, f"remove_{kind}")(name)


@pytest.fixture
def engine(docker_engine: Daemon) -> Iterator[Engine]:
    """The engine, cleared of what the test made."""
    made = Engine(docker_engine.fresh())
    yield made
    made.close()
    made.api.close()


@pytest.fixture
def found(docker_engine: Daemon, engine: Engine) -> Callable[[], dict[str, Any]]:
    """A function that returns what a sweep finds of the test's own, by name."""

    def look() -> dict[str, Any]:
        swept = sweep(docker_engine)
        return {each.name: each for each in swept if each.name.startswith(engine.prefix)}

    return look


def test_what_is_ours_is_found_with_what_is_known_of_it(engine: Engine, found: Any) -> None:
    mine = engine.container(owner(), **{ENVIRONMENT: "ml"})
    ended = engine.container(of_dead_process(), running=False)
    network, volume = engine.network(ELSEWHERE), engine.volume(ELSEWHERE)
    foreign = engine.container(None)
    there = found()
    assert set(there) == {mine, ended, network, volume}
    assert foreign in engine.there()
    one = there[mine]
    assert (one.kind, one.state, one.environment, one.alive) == ("container", "running", "ml", True)
    assert one.memory > 0
    assert abs(one.created - time.time()) < 120
    assert one.description.startswith("a worker, ")
    assert (there[ended].state, there[ended].alive) == ("exited, status 0", False)
    assert there[ended].memory is None
    assert [(there[each].kind, there[each].alive) for each in (network, volume)] == [
        ("network", None),
        ("volume", None),
    ]


def test_detached_work_lives_until_it_expires(engine: Engine, found: Any) -> None:
    who, now = of_dead_process(), int(time.time())
    going = engine.container(who, **{EXPIRES: str(now + 600)})
    over = engine.container(who, **{EXPIRES: str(now - 1)})
    assert [found()[each].alive for each in (going, over)] == [True, False]


def test_cleaning_removes_only_what_dead_kernels_left(engine: Engine) -> None:
    dead = of_dead_process()
    gone = {engine.container(dead), engine.network(dead), engine.volume(dead)}
    kept = {
        engine.container(owner()),
        engine.container(ELSEWHERE),
        engine.container(None),
        engine.network(owner()),
        engine.volume(ELSEWHERE),
    }
    told = leftovers.clean(dry_run=True)
    assert gone <= {one.what.name for one in told.removed}
    assert engine.there() == gone | kept
    done = leftovers.clean()
    assert gone <= {one.what.name for one in done.removed}
    assert not kept & {one.what.name for one in done.removed}
    assert engine.there() == kept
    assert "removed:" in repr(cleaned(done))
    assert "whose kernel cannot be seen from here" in repr(cleaned(done))


def test_what_is_named_is_removed_whoever_made_it(engine: Engine) -> None:
    mine, away = engine.container(owner()), engine.container(ELSEWHERE)
    foreign = engine.container(None)
    done = leftovers.clean([mine, away])
    assert {one.what.name for one in done.removed} == {mine, away}
    assert engine.there() == {foreign}
    with pytest.raises(NotFoundError, match="there is nothing of ours called"):
        leftovers.clean([foreign])
    assert engine.there() == {foreign}


def test_a_list_shows_this_kernel_and_what_is_left_over(engine: Engine) -> None:
    mine = engine.container(owner(), **{ENVIRONMENT: "ml"})
    dead, away = engine.container(of_dead_process()), engine.container(ELSEWHERE)
    all_ = leftovers.present()
    short = repr(presence(all_, everything=False))
    assert mine in short
    assert "this kernel" in short
    assert dead in short
    assert "(ended)" in short
    assert away not in short
    assert "of other kernels: %flyte_ps --all" in short
    assert "of kernels that have ended: %flyte_clean removes" in short
    assert "kernel 1 on elsewhere" in repr(presence(all_, everything=True))
    terminal = repr(presence(all_, everything=False, terminal=True))
    assert away in terminal
    assert "flyte-jupyter clean removes" in terminal
    assert "<table>" in presence(all_, everything=True)._repr_html_()
