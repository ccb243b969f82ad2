"""What all tests share: folders of their own, other Pythons, and what a skip means."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator

import pytest

CI = os.environ.get("FLYTE_JUPYTER_CI") == "1"
NEEDS = "needs "


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The folder of state and caches: one for all tests of a session, never the user's own."""
    folder = str(tmp_path_factory.mktemp("home"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLYTE_JUPYTER_HOME", folder)
        yield folder


@pytest.fixture(scope="session")
def needs_python(home: str) -> Callable[[str], str]:
    """A function that returns the path of a Python such as ``"3.9"``, or skips without it."""
    from pathlib import Path

    from flyte_jupyter.images import Interpreters

    interpreters = Interpreters(Path(home) / "cache" / "interpreters.json")

    def path(version: str) -> str:
        major, minor = version.split(".")
        found = interpreters.find((int(major), int(minor)))
        if found is None:
            pytest.skip(
                f"{NEEDS}Python {version}: install it, run .ci/pythons.py, or name it in "
                "FLYTE_JUPYTER_PYTHONS"
            )
        return found.path

    return path


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail what is skipped because something is missing, where everything has to be there."""
    report = yield
    if CI and report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if reason.startswith(NEEDS):
            report.outcome = "failed"
            report.longrepr = f"{reason} (no test is skipped where FLYTE_JUPYTER_CI=1)"
    return report
