import itertools
import threading
from collections.abc import Callable

import pytest

from flyte_jupyter.engine.events import Event
from flyte_jupyter.notebook import comm, live
from flyte_jupyter.notebook.live import follow, is_interactive, wait
from flyte_jupyter.notebook.state import RunState


class Played:
    """A run that plays its events from a thread of its own."""

    def __init__(self, script: list[tuple[str, str | None, dict]], ends: bool = True) -> None:
        self._events: list[Event] = []
        self._callbacks: list[Callable[[], None]] = []
        self._script = script
        self.name = f"run-{id(self)}"
        self._ends = ends
        self.aborted = threading.Event()
        self.thread = threading.Thread(target=self._play)

    def _play(self) -> None:
        for kind, action, data in self._script:
            self._add(kind, action, data)
        if not self._ends:
            self.aborted.wait(10)
            self._add("end", None, {"phase": "aborted", "seconds": 1.0})

    def _add(self, kind: str, action: str | None, data: dict) -> None:
        event = Event("run-1", len(self._events), 1000.0 + len(self._events), kind, action, data)
        self._events.append(event)
        if kind == "end":
            for callback in self._callbacks:
                callback()

    def events(self, start: int = 0) -> list[Event]:
        return self._events[start:]

    def when_done(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)
        self.thread.start()

    def abort(self) -> None:
        self.aborted.set()


BEGIN = [
    ("run", None, {"name": "run-1", "task": "ml.train", "target": "local"}),
    ("action", "a0", {"parent": None, "task": "ml.train", "environment": "ml", "resources": ""}),
    ("action", "a1", {"parent": "a0", "task": "ml.load", "environment": "ml", "resources": ""}),
    ("phase", "a0", {"phase": "running", "attempt": 1, "why": ""}),
    ("log", "a1", {"text": "loading\n", "stream": "stdout", "attempt": 1}),
    ("log", "a0", {"text": "\r10%\r90%", "stream": "stderr", "attempt": 1}),
    ("log", "a0", {"text": "\r100%\n", "stream": "stderr", "attempt": 1}),
]
END = [
    ("phase", "a1", {"phase": "succeeded", "attempt": 1, "why": ""}),
    ("phase", "a0", {"phase": "succeeded", "attempt": 1, "why": ""}),
    ("end", None, {"phase": "succeeded", "seconds": 1.0}),
]


class Display:
    """Stands for IPython's display and counts what it is told."""

    def __init__(self) -> None:
        self.bundles: list[dict[str, str]] = []
        self.threads: set[str] = set()

    def __call__(self, bundle: dict[str, str], **_: object) -> "Display":
        self.update(bundle)
        return self

    def update(self, bundle: dict[str, str], **_: object) -> None:
        self.bundles.append(bundle)
        self.threads.add(threading.current_thread().name)


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch) -> Display:
    display = Display()
    monkeypatch.setattr("IPython.display.display", display)
    return display


def test_unwatched_logs_are_printed_once_by_the_cell_in_the_order_of_actions(
    display: Display, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Played(BEGIN + END)
    wait(run, interactive=False)
    run.thread.join()
    assert capsys.readouterr().out == "100%\nloading\n"
    assert len(display.bundles) == 1
    assert display.bundles[0] == {
        "text/plain": "Run(train: succeeded)\n✓ train succeeded [ml]\n└─ ✓ load succeeded [ml]"
    }


def test_a_short_run_is_displayed_once(display: Display) -> None:
    run = Played(BEGIN + END)
    state = wait(run, interactive=True)
    run.thread.join()
    assert state.done
    assert len(display.bundles) == 1
    assert set(display.bundles[0]) == {"text/plain", "text/html"}


def test_a_flood_of_events_makes_few_updates(
    display: Display, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "PATIENCE", 0.0)
    flood = [
        ("log", "a0", {"text": f"{n}\n", "stream": "stdout", "attempt": 1}) for n in range(5000)
    ]
    run = Played(BEGIN + flood + END)
    wait(run, interactive=True)
    run.thread.join()
    assert len(display.bundles) <= 4
    assert "4999" in display.bundles[-1]["text/plain"]


class Costly:
    """A screen that takes its time to draw."""

    updates = bounded = True

    def __init__(self, seconds: float) -> None:
        self.shown: list[float] = []
        self._seconds = seconds

    def show(self, state: RunState) -> None:
        self.shown.append(clock[0])
        clock[0] += self._seconds

    end = amend = show


clock = [0.0]


@pytest.mark.parametrize(("cost", "least"), [(0.001, 0.2), (0.05, 1.6)])
def test_a_view_is_drawn_at_most_5_times_a_second_and_less_often_if_it_costs_more(
    monkeypatch: pytest.MonkeyPatch, cost: float, least: float
) -> None:
    monkeypatch.setattr(live.time, "monotonic", lambda: clock[0])
    screen = Costly(cost)
    view = live.LiveRun(Idle(), screen)
    for _ in range(2000):
        view.tick()
        clock[0] += 0.01
    gaps = [b - a for a, b in itertools.pairwise(screen.shown)]
    assert gaps
    assert min(gaps) >= least


class Idle:
    """A run of which nothing is heard."""

    name, done = "idle", False

    def events(self, start: int = 0) -> list[Event]:
        return []

    def when_done(self, callback: Callable[[], None]) -> None:
        pass

    def abort(self) -> None:
        pass


def test_the_view_has_its_own_button_where_the_extension_is_heard_while_a_cell_runs(
    display: Display, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comm, "can_act_while_busy", lambda: True)
    run = Played(BEGIN, ends=False)
    followed = follow(run, interactive=True)
    button = f'data-flyte-jupyter-cancel="{run.events()[0].data["name"]}"'
    while button not in display.bundles[-1]["text/html"]:
        followed.step(0.05)
    assert "disabled" not in display.bundles[-1]["text/html"]
    run.abort()
    followed.thread.join(10)
    assert button not in display.bundles[-1]["text/html"]


def test_an_interrupt_aborts_the_run_and_is_raised_again(
    display: Display, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Played(BEGIN, ends=False)
    steps = []

    def step(self: live.LiveRun, timeout: float) -> bool:
        steps.append(timeout)
        raise KeyboardInterrupt

    monkeypatch.setattr(live.LiveRun, "step", step)
    with pytest.raises(KeyboardInterrupt) as caught:
        wait(run, interactive=True)
    assert run.aborted.is_set()
    assert caught.value._render_traceback_() == [
        "KeyboardInterrupt: train was aborted with all that it started"
    ]
    run.thread.join()


def test_following_does_not_wait_and_prints_nothing(
    display: Display, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Played(BEGIN, ends=False)
    followed = follow(run, interactive=True)
    assert followed is not None
    assert len(display.bundles) >= 1
    run.abort()
    followed.thread.join(10)
    assert "aborted" in display.bundles[-1]["text/plain"]
    assert capsys.readouterr().out == ""


def test_unwatched_following_shows_nothing(display: Display) -> None:
    assert follow(Played(BEGIN), interactive=False) is None
    assert display.bundles == []


def test_who_watches_is_told_by_the_front_end_or_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Shell:
        class kernel:  # noqa: N801
            _allow_stdin = True

    monkeypatch.delenv("FLYTE_JUPYTER_INTERACTIVE", raising=False)
    assert is_interactive(Shell())
    assert not is_interactive(object())
    monkeypatch.setenv("FLYTE_JUPYTER_INTERACTIVE", "0")
    assert not is_interactive(Shell())
    monkeypatch.setenv("FLYTE_JUPYTER_INTERACTIVE", "1")
    assert is_interactive(object())
