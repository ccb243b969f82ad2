"""What is proposed from what runs have used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import flyte_jupyter as flyte
from flyte_jupyter.catalog import Catalog
from flyte_jupyter.spec import Settings
from flyte_jupyter.steering.levels import Level, settings_at
from flyte_jupyter.steering.sizing import ENOUGH, accept, sizing_of, sizings
from flyte_jupyter.steering.usage import Use, uses_of

GI = 1 << 30
LEVEL = Level("ml", "ml.train")


def runs(count: int, peak: float, cores: float = 0.1, seconds: float = 10.0) -> list[Use]:
    """Runs of one attempt each that ended well; the peak is in GiB."""
    return [Use(f"run-{n}", seconds, int(peak * GI), cores * seconds, 4 * GI) for n in range(count)]


def killed(limit: float, count: int = 1) -> list[Use]:
    """Attempts that were ended for lack of memory; the limit is in GiB."""
    size = int(limit * GI)
    return [Use(f"killed-{n}", 1.0, size, 1.0, size, True, False) for n in range(count)]


def proposed(uses: list[Use], **asked: Any) -> list[str]:
    settings = Settings(resources=flyte.Resources(**asked))
    return [str(one) for one in sizing_of(LEVEL, settings, uses).proposals]


PROPOSED = (
    ({"memory": "4Gi"}, runs(12, 1.1), ["memory 4Gi → 1.5Gi: peak 1.1Gi over 12 runs"]),
    ({"memory": "4Gi"}, runs(ENOUGH - 1, 1.1), []),
    ({"memory": "4Gi"}, runs(12, 2.9), []),
    ({"memory": "1Gi"}, runs(3, 0.04), ["memory 1Gi → 64Mi: peak 41Mi over 3 runs"]),
    ({}, runs(12, 1.1), []),
    (
        {"memory": ("2Gi", "4Gi")},
        runs(3, 0.5),
        ["memory 2Gi to 4Gi → 768Mi to 4Gi: peak 512Mi over 3 runs"],
    ),
    # never what was too little
    (
        {"memory": "8Gi"},
        [*runs(5, 1.1), *killed(2)],
        ["memory 8Gi → 3Gi: peak 1.1Gi over 5 runs, and 2Gi was too little"],
    ),
    ({"memory": "4Gi"}, [*runs(5, 1.1), *killed(3)], []),
    ({"memory": "1Gi"}, killed(1), ["memory 1Gi → 1.5Gi: 1Gi was too little once"]),
    (
        {"memory": "1Gi"},
        [*runs(3, 0.5), *killed(1, 2)],
        ["memory 1Gi → 1.5Gi: 1Gi was too little 2 times and peak 512Mi over 3 runs"],
    ),
    ({"cpu": 4}, runs(3, 0.1, 0.8), ["cpu 4 → 1250m: used 800m at most over 3 runs"]),
    ({"cpu": (4, 8)}, runs(3, 0.1), ["cpu 4 to 8 → 250m to 8: used 100m at most over 3 runs"]),
    ({"cpu": 1}, runs(3, 0.1, 0.8), []),
    # a moment tells nothing of cores
    ({"cpu": 4}, runs(3, 0.1, 0.8, seconds=0.2), []),
)


@pytest.mark.parametrize(("asked", "uses", "expected"), PROPOSED)
def test_what_is_proposed(asked: dict[str, Any], uses: list[Use], expected: list[str]) -> None:
    assert proposed(uses, **asked) == expected


def test_attempts_that_failed_say_nothing_of_what_is_enough() -> None:
    failed = [Use(f"r{n}", 10.0, GI // 10, 1.0, 4 * GI, succeeded=False) for n in range(9)]
    assert proposed(failed, memory="4Gi") == []


def test_a_proposal_becomes_the_override(catalog: Catalog, of_train: Level) -> None:
    (proposal, _) = sizing_of(of_train, settings_at(catalog, of_train), runs(12, 1.1)).proposals
    accept(catalog, proposal)
    assert catalog.overrides["ml.train"]["resources"] == flyte.Resources(memory="1.5Gi")
    again = sizing_of(of_train, settings_at(catalog, of_train), runs(12, 1.1)).proposals
    assert [one.part for one in again] == ["cpu"]


def test_real_runs_are_read_from_the_journal(
    cell: Callable[[str], Any], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flyte_jupyter import catalog

    flyte.init(state=tmp_path / "state", project=str(tmp_path))
    notebook = cell(
        """
        sized = flyte.TaskEnvironment("sized", resources=flyte.Resources(memory="2Gi"))

        @sized.task
        def hold(mib: int) -> int:
            import time
            data = bytearray(b"x") * (mib << 20)
            time.sleep(0.3)
            return len(data)
        """
    )
    assert sizings(catalog.current(), "sized") == []
    for _ in range(ENOUGH):
        flyte.run(notebook.hold, 20).result()
    small = notebook.hold.override(memory="128Mi")
    with pytest.raises(flyte.errors.OOMError):
        flyte.run(small, 400).result()
    flyte.shut_down()  # every worker has told what it used
    uses = uses_of("sized.hold")
    assert [use.out_of_memory for use in uses] == [True, False, False, False]
    assert uses[0].memory_limit == 128 << 20
    assert all(use.peak_memory and use.peak_memory > 20 << 20 for use in uses)
    (found,) = sizings(catalog.current(), "sized")
    assert (found.runs, found.lacked) == (ENOUGH + 1, 1)
    (proposal,) = found.proposals
    assert str(proposal).startswith("memory 2Gi → ")
    assert str(proposal).endswith("over 3 runs, and 128Mi was too little")
    # the session's catalog outlives the test
    catalog.current().forget("sized")
