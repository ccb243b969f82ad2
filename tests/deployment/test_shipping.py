"""Tasks become records that stand for themselves, and records become what a run takes."""

from __future__ import annotations

import json
import linecache
import sys
import textwrap
import types
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

import flyte_jupyter as flyte
from flyte_jupyter import catalog
from flyte_jupyter.capsule import CapsuleCache
from flyte_jupyter.deployment.components import components
from flyte_jupyter.deployment.records import UnitRecord
from flyte_jupyter.deployment.shipping import (
    Pinned,
    Shipment,
    need_of,
    reachable,
    references,
    ship,
    task_record,
    unit_of,
)
from flyte_jupyter.errors import EngineError
from flyte_jupyter.session.submit import unit_of as unit_here
from flyte_jupyter.wire.exchange import unpack
from flyte_jupyter.wire.values import decode

_numbers = count(1)

Cell = Callable[..., Any]


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> Cell:
    """A function that executes a cell of a fresh notebook, or of the one that is given."""

    def execute(source: str, book: types.ModuleType | None = None) -> Any:
        if book is None:
            book = types.ModuleType("__main__")
            book.__dict__.update(flyte=flyte, env=flyte.TaskEnvironment(name="env"))
            monkeypatch.setitem(sys.modules, "__main__", book)
        text = textwrap.dedent(source)
        name = f"<cell {next(_numbers)}>"
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        exec(compile(text, name, "exec", dont_inherit=True), book.__dict__)
        return book

    return execute


def shipment(*tasks: Any, pinned: dict[str, Pinned] | None = None) -> Shipment:
    found = reachable(tasks, CapsuleCache().get)
    units = {
        name: unit_here(name, task.env_name, catalog.current().resolve(task).settings, capsule)
        for name, (task, capsule) in found.items()
    }
    return ship(units, {name: capsule for name, (_, capsule) in found.items()}, pinned)


CHAIN = """
    other = flyte.TaskEnvironment(name="other", env_vars={"LEVEL": "1"})

    @other.task
    def leaf(x: int) -> int:
        return x + 1

    @env.task
    def top(x: int) -> int:
        return leaf(x)
"""


def test_a_unit_is_the_same_after_a_way_through_json(cell: Cell) -> None:
    book = cell(CHAIN)
    made = shipment(book.top)
    (key,) = (key for key in made.units if key.startswith("env.top@"))
    plain = json.loads(json.dumps({name: getattr(made.units[key], name) for name in FIELDS}))
    record = UnitRecord(
        **{**plain, **{name: tuple(plain[name]) for name in ("modules", "files")}},
    )
    unit = unit_of(record, made.blobs.get)
    capsule = CapsuleCache().get(book.top)
    assert unit.name == key
    assert unit.environment == "env"
    assert unit.settings == catalog.current().resolve(book.top).settings
    assert unpack(unit.capsule).tree == json.loads(json.dumps(capsule.payload))
    assert (unit.capsule_hash, unit.capsule_key) == (capsule.hash, capsule.key)
    assert unit.calls == {"other.leaf": made.keys["other.leaf"]}


FIELDS = (
    *("key", "name", "environment", "settings", "capsule", "capsule_hash", "capsule_key"),
    *("modules", "files", "calls", "why"),
)


def test_buffers_and_included_files_travel_in_blobs(
    cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.txt").write_text("one two")
    book = cell("""
        weights = b"w" * 100_000
        reader = flyte.TaskEnvironment(name="reader", include=["words.txt"])

        @reader.task
        def read() -> int:
            return len(weights) + len(open("words.txt").read())
    """)
    made = shipment(book.read)
    (record,) = made.units.values()
    (tmp_path / "words.txt").unlink()
    unit = unit_of(record, made.blobs.get)
    assert unit.files is not None
    assert decode(unpack(unit.files[1])) == {"words.txt": b"one two"}
    assert [bytes(one) for one in unit.capsule.buffers] == [b"w" * 100_000]
    assert set(made.blobs) == {record.capsule, record.files[1]}


def test_the_values_of_secrets_are_nowhere_in_it(
    cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "very-secret-text")
    book = cell("""
        keeper = flyte.TaskEnvironment(name="keeper", secrets="token")

        @keeper.task
        def use() -> int:
            return 1
    """)
    made = shipment(book.use)
    text = repr(made.units).encode() + b"".join(made.blobs.values())
    assert b"very-secret-text" not in text
    (record,) = made.units.values()
    unit = unit_of(record, made.blobs.get)
    assert unit.settings.secrets is not None
    assert [one.key for one in unit.settings.secrets] == ["token"]
    assert unit.secrets == {}


def test_a_key_tells_apart_what_differs_anywhere_below(cell: Cell) -> None:
    before = shipment(cell(CHAIN).top).keys
    again = shipment(cell("\n\n" + CHAIN).top).keys
    changed = shipment(cell(CHAIN.replace("x + 1", "x + 2")).top).keys
    settings = shipment(cell(CHAIN.replace('"1"', '"2"')).top).keys
    assert again == before
    assert len({one["env.top"] for one in (before, changed, settings)}) == 3
    assert len({one["other.leaf"] for one in (before, changed, settings)}) == 3


def test_tasks_that_call_each_other_have_keys_that_follow_a_change_of_either(cell: Cell) -> None:
    source = """
        @env.task
        def even(n: int) -> bool:
            return n == 0 or odd(n - 1)

        @env.task
        def odd(n: int) -> bool:
            return n != 0 and even(n - 1)
    """
    before = shipment(cell(source).even)
    changed = shipment(cell(source.replace("n != 0", "n > 0")).even)
    assert set(before.keys) == {"env.even", "env.odd"}
    assert before.keys["env.even"] != changed.keys["env.even"]
    assert before.keys["env.odd"] != changed.keys["env.odd"]
    assert before.units[before.keys["env.even"]].calls == {"env.odd": before.keys["env.odd"]}
    # where the walk begins makes no difference
    assert shipment(cell(source).odd).keys == before.keys


def test_the_units_of_one_task_are_those_that_it_may_call(cell: Cell) -> None:
    book = cell(CHAIN)
    made = shipment(book.top, book.leaf)
    leaf, top = made.keys["other.leaf"], made.keys["env.top"]
    assert set(made.units_of(["env.top"])) == {top, leaf}
    assert set(made.units_of(["other.leaf"])) == {leaf}
    assert set(made.blobs_of(made.units_of(["other.leaf"]))) == {made.units[leaf].capsule}


def test_what_needs_a_python_says_so(cell: Cell) -> None:
    book = cell("""
        namespace = {}
        exec("def made(): return 1", namespace)
        made = namespace["made"]

        @env.task
        def use() -> int:
            return made()
    """)
    made = shipment(book.use)
    (record,) = made.units.values()
    assert need_of(record) == CapsuleCache().get(book.use).python
    assert record.exact == sys.version_info[:2]
    assert "made" in record.why


def test_a_blob_that_is_gone_is_named_by_its_task(cell: Cell) -> None:
    made = shipment(cell(CHAIN).leaf)
    (record,) = made.units.values()
    with pytest.raises(EngineError, match=rf"The code of {record.key} is not among") as caught:
        unit_of(record, {}.get)
    assert caught.value.remedy == "Deploy its environment again."


def test_a_task_is_told_as_it_was_written(cell: Cell) -> None:
    book = cell("""
        import typing as t

        @env.task(retries=2, short_name="go")
        async def train(
            rows: list[int], rate: "float" = 0.5, *more: t.Any, name: str | None = None
        ) -> dict[str, float]:
            '''Train it.'''
            return {}
    """)
    record = task_record(book.train, "env.train@12345678")
    assert [(one.name, one.annotation, one.default) for one in record.parameters] == [
        ("rows", "list[int]", None),
        ("rate", "float", "0.5"),
        ("more", "Any", None),
        ("name", "str | None", "None"),
    ]
    assert record.returns == "dict[str, float]"
    assert record.is_async
    assert record.doc == "Train it."
    assert record.settings["short_name"] == "go"
    assert record.interface is not None
    assert set(record.interface["inputs"]) == {"rows", "rate", "more", "name"}


def test_code_without_references_has_none(cell: Cell) -> None:
    found = reachable([cell(CHAIN).top], CapsuleCache().get)
    assert set(found) == {"env.top", "other.leaf"}
    assert references(capsule for _, capsule in found.values()) == {}


def test_components_come_after_all_that_they_lead_to() -> None:
    edges = {"a": ["b", "d"], "b": ["c"], "c": ["b", "d"], "d": [], "e": ["e", "a"]}
    assert [sorted(one) for one in components(edges)] == [["d"], ["b", "c"], ["a"], ["e"]]


def test_components_of_a_long_chain_need_no_recursion() -> None:
    many = 20_000
    chain = {str(at): [str(at + 1)] for at in range(many)} | {str(many): []}
    assert sum(map(len, components(chain))) == many + 1
    assert [len(one) for one in components({**chain, str(many): ["0"]})] == [many + 1]
