import re

from flyte_jupyter.engine.events import Event, Phase
from flyte_jupyter.notebook.state import RunState, state_of
from flyte_jupyter.notebook.view import html, one_line, plain

TRACEBACK = "Traceback (most recent call last):\n  Cell In[3], line 2\nValueError: <bad> & worse"


class Story:
    """Builds the events of a run."""

    def __init__(self, name: str = "train-x1", start: float = 1000.0) -> None:
        self.events: list[Event] = []
        self.name, self.time = name, start
        self("run", None, name=name, task="ml.train", target="local")

    def __call__(self, kind: str, action: str | None = "a0", **data: object) -> "Story":
        self.time += 0.5
        self.events.append(Event(self.name, len(self.events), self.time, kind, action, data))
        return self

    def begin(self, action: str, task: str, parent: str | None = None) -> "Story":
        environment = task.partition(".")[0]
        self("action", action, parent=parent, task=task, environment=environment, resources="cpu 2")
        return self("phase", action, attempt=1, phase="running", why="")

    def finish(self, action: str, phase: str = "succeeded") -> "Story":
        return self("phase", action, attempt=1, phase=phase, why="")

    def end(self, phase: str = "succeeded") -> "Story":
        return self("end", None, phase=phase, seconds=12.0)

    @property
    def state(self) -> RunState:
        return state_of(self.events)


def nested(**kwargs: object) -> Story:
    story = Story(**kwargs)  # type: ignore[arg-type]
    story.begin("a0", "ml.train").begin("a1", "data.load", "a0").begin("a2", "data.clean", "a1")
    story.finish("a2").finish("a1").begin("a3", "ml.fit", "a0").finish("a3").finish("a0")
    return story.end()


def failed() -> Story:
    story = Story().begin("a0", "ml.train").begin("a1", "data.load", "a0")
    error = {"type": "ValueError", "sentence": "<bad> & worse", "attempt": 1, "final": True}
    story("error", "a1", **error, traceback=TRACEBACK, remedy="Fix it.").finish("a1", "failed")
    story("error", "a0", **error, traceback=TRACEBACK).finish("a0", "failed")
    return story.end("failed")


def test_the_text_is_the_tree_of_actions() -> None:
    assert plain(nested().state) == "\n".join(
        [
            "Run(train: succeeded)",
            "✓ train succeeded [ml, cpu 2]",
            "├─ ✓ load succeeded [data, cpu 2]",
            "│  └─ ✓ clean succeeded [data, cpu 2]",
            "└─ ✓ fit succeeded [ml, cpu 2]",
        ]
    )


def test_who_does_not_see_the_tree_hears_who_called_what() -> None:
    assert re.search(
        'title="called by load"><span aria-hidden="true">[^<]+</span>clean<', html(nested().state)
    )


def test_two_equal_runs_read_the_same() -> None:
    first, second = nested(), nested(name="train-y2", start=5000.0)
    assert plain(first.state) == plain(second.state)
    assert html(first.state, times=False) == html(second.state, times=False)


def test_events_give_the_same_state_in_any_pieces() -> None:
    events = nested().events
    state = RunState()
    for event in events:
        state.feed([event])
    state.feed(events)  # told twice
    assert plain(state) == plain(state_of(events))


def test_the_failure_is_shown_where_it_arose() -> None:
    text = plain(failed().state)
    assert text.endswith("load failed: ValueError: <bad> & worse\nFix it.")
    assert "✗ train failed" in text


def test_a_cell_that_raises_the_failure_says_it_once() -> None:
    state = failed().state
    assert "bad" not in plain(state, failure=False)
    assert "bad" not in html(state, failure=False)


def test_html_escapes_everything() -> None:
    story = failed()
    text = html(story.state)
    assert "<bad>" not in text
    assert "&lt;bad&gt; &amp; worse" in text
    story = Story().begin("a0", "ml.train")
    story("log", text="<script>alert(1)</script>\n", stream="stdout", attempt=1)
    story("prepare", environment="<b>", text="<i>")("note", None, text="<u>")
    shown = html(story.state)
    assert not re.search(r"<(i|u)>", shown)
    assert "<script>alert" not in shown


def test_every_phase_has_a_symbol_and_a_word() -> None:
    for phase in Phase:
        story = Story().begin("a0", "ml.train")
        story("phase", attempt=1, phase=phase.value, why="")
        word = phase.value.replace("_", " ")
        assert word in plain(story.state)
        assert word in html(story.state)


def test_the_reason_for_waiting_is_said_while_it_waits() -> None:
    story = Story()("action", task="ml.train", environment="ml", parent=None)
    story("phase", attempt=0, phase="waiting", why="2 of 2 cpus are taken")
    assert "◌ train waiting [ml]: 2 of 2 cpus are taken" in plain(story.state)
    story("phase", attempt=1, phase="succeeded", why="")
    assert "cpus are taken" not in plain(story.state)


def test_progress_of_an_image_shows_its_last_line_until_the_task_runs() -> None:
    story = Story()("action", task="ml.train", environment="ml", parent=None)
    story("phase", attempt=0, phase="preparing", why="")
    story("prepare", environment="ml", text="resolving\ninstalling pandas")
    assert "preparing ml: installing pandas" in plain(story.state)
    story("phase", attempt=1, phase="running", why="")
    assert "installing" not in plain(story.state)


def test_a_second_attempt_is_counted() -> None:
    story = Story().begin("a0", "ml.train")
    story("error", type="OSError", sentence="lost", attempt=1, final=False)
    story("phase", attempt=2, phase="running", why="").finish("a0")
    story.events[-1].data["attempt"] = 2
    text = plain(story.end().state)
    assert "✓ train succeeded [ml, cpu 2], attempt 2" in text
    assert "lost" not in text


def test_logs_show_their_last_lines_by_action() -> None:
    story = Story().begin("a0", "ml.train").begin("a1", "data.load", "a0")
    for n in range(30):
        story("log", "a1", text=f"line {n}\n", stream="stdout", attempt=1)
    text = plain(story.state, log_lines=2)
    assert "── log of load (the last 2 lines; 28 more above)\nline 28\nline 29" in text
    assert "line 29" in html(story.state)


def test_notes_are_said_once() -> None:
    story = Story()("note", None, text="apt is not honoured")(
        "note", None, text="apt is not honoured"
    )
    assert plain(story.state).count("apt is not honoured") == 1


def test_a_run_of_many_different_actions_stays_readable() -> None:
    story = Story().begin("a0", "ml.train")
    for n in range(1, 500):
        story.begin(f"a{n}", f"ml.fit{n}", "a0")
    assert "… and 440 more actions" in plain(story.state)
    assert len(html(story.state)) < 60_000


def test_a_run_that_nothing_is_known_of_has_a_line() -> None:
    assert one_line(state_of([])) == "Run(run: queued)"
    assert html(state_of([]))


def test_times_are_in_the_html_only() -> None:
    state = nested().state
    assert "12 s" in html(state)
    assert "12 s" not in html(state, times=False)


def test_what_an_attempt_used_is_in_the_html_with_the_times() -> None:
    story = nested()
    assert "peak" not in html(story.state)
    story("stats", attempt=1, peak_memory=180 << 20, cpu_seconds=1.25)
    assert "180.0 MiB" in html(story.state)
    assert "1.2 s" in html(story.state)
    assert "MiB" not in html(story.state, times=False)
    assert "MiB" not in plain(story.state)
