import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flyte_jupyter.errors import ImageBuildError
from flyte_jupyter.images import VirtualEnvironments
from flyte_jupyter.spec.image import Image

IMAGE = Image.from_debian_base().with_pip_packages("apple", "pear")
REPOSITORY = Path(__file__).parent.parent.parent

# a kernel that waits for the word to start, and tells each step
KERNEL = """
import asyncio, sys
from flyte_jupyter.images import VirtualEnvironments
from flyte_jupyter.spec.image import Image

image = Image.from_debian_base().with_pip_packages("apple", "pear")
say = lambda line: print(line, flush=True)
say("ready")
sys.stdin.readline()
print(asyncio.run(VirtualEnvironments(sys.argv[1]).prepare(image, say)).python)
"""


def kernel(cache: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", KERNEL, str(cache)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
    assert process.stdout.readline() == "ready\n"
    return process


def test_two_processes_build_one_environment_once(tmp_path):
    kernels = [kernel(tmp_path / "cache") for _ in range(2)]
    for one in kernels:
        one.stdin.write("go\n")
        one.stdin.flush()
    told = [one.communicate()[0].splitlines() for one in kernels]
    assert [one.returncode for one in kernels] == [0, 0]
    assert sum("Installing pip apple pear" in lines for lines in told) == 1
    assert told[0][-1] == told[1][-1]


def test_a_builder_that_was_killed_leaves_the_place_to_the_next(tmp_path):
    victim = kernel(tmp_path / "cache")
    victim.stdin.write("go\n")
    victim.stdin.flush()
    while victim.stdout.readline() != "Installing pip apple pear\n":
        pass
    victim.kill()
    victim.communicate()
    assert victim.returncode == -signal.SIGKILL
    environments = VirtualEnvironments(tmp_path / "cache")
    prepared = asyncio.run(environments.prepare(IMAGE))
    code = "import apple, pear"
    assert subprocess.run([prepared.python, *prepared.args, "-c", code], check=True).returncode == 0
    assert os.listdir(tmp_path / "cache" / "building") == []


def test_calls_of_one_loop_share_a_build_and_its_progress(environments):
    first, second = [], []

    async def both() -> None:
        prepared = await asyncio.gather(
            environments.prepare(IMAGE, first.append), environments.prepare(IMAGE, second.append)
        )
        assert prepared[0] == prepared[1]

    asyncio.run(both())
    assert first.count("Installing pip apple pear") == 1
    assert second == first


def test_calls_that_share_a_build_share_its_failure(environments):
    async def both() -> None:
        image = Image.from_debian_base().with_pip_packages("plum")
        calls = [environments.prepare(image) for _ in range(2)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(result) for result in results] == [ImageBuildError, ImageBuildError]

    asyncio.run(both())


def test_different_environments_are_built_at_the_same_time(environments, index):
    async def both() -> None:
        under_way = {name: asyncio.Event() for name in ("apple", "pear")}

        async def one(name: str, other: str) -> None:
            image = Image.from_debian_base().with_pip_packages(name)
            call = asyncio.ensure_future(
                environments.prepare(image, lambda line: under_way[name].set())
            )
            await asyncio.wait_for(under_way[other].wait(), 60)
            await call

        await asyncio.gather(one("apple", "pear"), one("pear", "apple"))

    asyncio.run(both())


def test_the_loop_goes_on_while_an_environment_is_built(environments):
    async def count() -> int:
        call = asyncio.ensure_future(environments.prepare(IMAGE))
        turns = 0
        while not call.done():
            await asyncio.sleep(0.002)
            turns += 1
        await call
        return turns

    assert asyncio.run(count()) >= 10


def test_a_build_ends_when_the_last_who_waits_gives_up(environments, tmp_path):
    async def give_up() -> None:
        installing = asyncio.Event()
        call = asyncio.ensure_future(
            environments.prepare(
                IMAGE, lambda line: installing.set() if line.startswith("Installing") else None
            )
        )
        await installing.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)

    asyncio.run(give_up())
    assert os.listdir(tmp_path / "cache" / "building") == []
    assert os.listdir(tmp_path / "cache" / "environments") == []


def test_a_build_goes_on_when_only_one_of_two_gives_up(environments):
    async def one_gives_up() -> None:
        installing = asyncio.Event()
        impatient = asyncio.ensure_future(
            environments.prepare(IMAGE, lambda line: installing.set())
        )
        patient = asyncio.ensure_future(environments.prepare(IMAGE))
        await installing.wait()
        impatient.cancel()
        assert os.path.exists((await patient).python)
        assert impatient.cancelled()

    asyncio.run(one_gives_up())


def test_who_comes_just_after_a_build_was_given_up_gets_a_build(environments):
    async def come_late() -> None:
        installing = asyncio.Event()
        first = asyncio.ensure_future(environments.prepare(IMAGE, lambda line: installing.set()))
        await installing.wait()
        first.cancel()
        await asyncio.wait([first])
        assert os.path.exists((await environments.prepare(IMAGE)).python)

    asyncio.run(come_late())


def test_a_build_can_be_waited_for_from_another_loop(environments):
    import threading

    results = []
    threads = [
        threading.Thread(
            target=lambda: results.append(asyncio.run(environments.prepare(IMAGE)).python)
        )
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 3
    assert len(set(results)) == 1
