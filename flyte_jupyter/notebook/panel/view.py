"""The widgets of a panel: core ipywidgets over the session's one model, which they never copy.

What a front end says may come on any thread, and so may a change of the model: one lock takes them
in turn. Widgets are made once; a change of the model only changes what they show, so that nothing
is lost that somebody is typing elsewhere in the panel.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import ipywidgets as widgets

from flyte_jupyter.catalog import Catalog, Change
from flyte_jupyter.errors import FlyteError, NotFoundError
from flyte_jupyter.notebook.panel import looks
from flyte_jupyter.notebook.panel.code import CodeBox
from flyte_jupyter.notebook.panel.launcher import Launcher
from flyte_jupyter.notebook.panel.rows import LABELLED, Row, Shapes
from flyte_jupyter.notebook.panel.sizes import Sizes
from flyte_jupyter.steering import levels, texts
from flyte_jupyter.steering.fields import FIELDS, GROUPS, Field
from flyte_jupyter.steering.levels import Level
from flyte_jupyter.steering.offer import Offer, look, noted, target_of

__all__ = ["View"]

EVERY = "every task"
OPEN = GROUPS[:2]
# what else an answer needs that a target gives late
WIDE = widgets.Layout(width="26em")


class View:
    """The widgets of one panel.

    Args:
        catalog: the session's declarations.
        level: where it begins.
        shell: the IPython shell, ``None`` without one.
        ask: has a target asked on a thread of its own; runs the function that it is given.
        follow: called with the level whenever something else is shown.
    """

    def __init__(
        self,
        catalog: Catalog,
        level: Level,
        shell: Any = None,
        ask: Callable[[Callable[[], None]], None] | None = None,
        follow: Callable[[Level], None] = lambda _: None,
    ) -> None:
        self._catalog = catalog
        self._shell = shell
        self._lock = threading.RLock()
        self._ask = ask or _on_a_thread
        self._follow = follow
        self._quiet = 0
        self._closed = False
        self.level = level
        self.offer = Offer("")
        self.environment = widgets.Dropdown(
            description="Environment",
            tooltip="Whose settings are shown",
            layout=WIDE,
            style=LABELLED,
        )
        self.task = widgets.Dropdown(
            description="Tasks",
            tooltip="Whether all its tasks are edited, or one",
            layout=WIDE,
        )
        self.there = widgets.HTML()
        self.message = widgets.HTML()
        self._shapes = Shapes()
        self.rows = {
            field.name: Row(field, self._shapes, self._edit, self._reset) for field in FIELDS
        }
        self.headings: dict[str, Any] = {}
        self.not_there = widgets.HTML(layout=widgets.Layout(margin="0 0 0 15.5em"))
        self.reset_all = widgets.Button(
            description="Reset all",
            tooltip="Take back every override that is shown as such here",
        )
        self.look_again = widgets.Button(
            description="Look again", tooltip="Ask the target what it has, and the journal for runs"
        )
        self.code = CodeBox(catalog, shell, self.say)
        self.sizes = Sizes(catalog, self.say)
        self.launcher = Launcher(catalog, shell, self._guarded)
        self.root = widgets.VBox(list(self._parts()))
        self._connect()
        self.refresh()  # asks the target
        self.sizes.look(level, self._ask)

    def _parts(self) -> Iterator[Any]:
        row = widgets.Layout(flex_flow="row wrap")
        yield widgets.HBox([self.environment, self.task], layout=row)
        yield self.there
        for group in GROUPS:
            rows = [self.rows[field.name].box for field in FIELDS if field.group == group]
            if group == GROUPS[1]:
                rows.append(self.not_there)
            box = widgets.VBox(rows)
            heading = widgets.Button(
                tooltip=f"Show or hide: {group}", layout=widgets.Layout(width="max-content")
            )
            self.headings[group] = heading
            _fold(heading, box, group, group in OPEN)
            heading.on_click(partial(_turn, box, group))
            yield heading
            yield box
        yield self.message
        buttons = [self.launcher.button, self.reset_all, *self.code.buttons, self.look_again]
        yield widgets.HBox(buttons, layout=row)
        yield self.code.box
        yield self.launcher.box
        yield self.sizes.box

    def _connect(self) -> None:
        self._unsubscribe = self._catalog.on_change(self._changed)
        self.environment.observe(self._choose_environment, "value")
        self.task.observe(self._choose_task, "value")
        self.reset_all.on_click(lambda _: self._reset(None))
        self.look_again.on_click(lambda _: self._look())
        events = getattr(self._shell, "events", None)
        if events is not None:
            events.register("post_run_cell", self._cell_has_ended)

    # What the session says

    def mimebundle(self) -> dict[str, Any]:
        """Return what a front end with widgets shows them by."""
        found = self.root._repr_mimebundle_()
        bundle = found[0] if isinstance(found, tuple) else found
        return {kind: data for kind, data in bundle.items() if kind.startswith("application/")}

    def refresh(self) -> None:
        """Show what holds now."""
        with self._lock:
            if self._closed:
                return
            if not self._find_level():
                return
            with self._silence():
                self._show_choices()
            settings = levels.settings_at(self._catalog, self.level)
            self._follow_target(target_of(settings))
            self.offer = noted(self.offer, settings)
            for state in levels.states(self._catalog, self.level):
                row = self.rows[state.field.name]
                row.show(state, self.offer, self._choices(state))
            self._show_offer()
            self.reset_all.disabled = not self._catalog.overrides.get(self.level.scope)
            self.code.show(self.level)
            self.launcher.show(self.level)
            self._follow(self.level)

    def say(self, text: str, *, refused: bool = False) -> None:
        """Show a message in the panel."""
        self.message.value = looks.refusal(text) if refused else looks.said(text)

    def close(self) -> None:
        """Let go of the session and of the front end."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._unsubscribe()
            events = getattr(self._shell, "events", None)
            if events is not None:
                events.unregister("post_run_cell", self._cell_has_ended)
            self.sizes.close()
            self.launcher.close()
            for row in self.rows.values():
                row.close()
            for part in _all(self.root):
                part.close()
            self._shapes.close()

    def _changed(self, change: Change) -> None:
        """Follow the model; called on the thread that has changed it."""
        self._guarded(self.refresh)
        if change.tasks or change.overrides:
            self.sizes.look(self.level, self._ask)

    def _cell_has_ended(self, _result: Any) -> None:
        """Look at what is free and what runs have used, once a cell has been executed."""
        self._guarded(self.refresh)
        self.sizes.look(self.level, self._ask)

    # What the front end says

    def _edit(self, field: Field, text: str) -> None:
        with self._lock:
            row = self.rows[field.name]
            try:
                levels.set_text(self._catalog, self.level, field, text)
            except FlyteError as error:
                row.refuse(str(error))
                return
            except Exception as error:  # it would be lost in the log of the kernel
                row.refuse(f"{type(error).__name__}: {error}")
                return
            row.refuse("")
            self.refresh()
            state = levels.state_of(self._catalog, self.level, field)
            shown = state.text.replace("\n", " ") or field.empty
            how = "overridden for" if state.overridden else "as declared for"
            self.say(f"{field.label}: {shown}, {how} {self._whom()}; the next run has it.")

    def _reset(self, field: Field | None) -> None:
        def take_back() -> None:
            levels.reset(self._catalog, self.level, field)
            for row in self.rows.values():
                if field is None or row.field is field:
                    row.refuse("")
            self.refresh()
            what = "Everything" if field is None else field.label
            self.say(f"{what}: as declared again for {self._whom()}.")

        self._guarded(take_back)

    def _choose_environment(self, change: Any) -> None:
        if not self._quiet and change["new"]:
            self._go_to(Level(change["new"]))

    def _choose_task(self, change: Any) -> None:
        if not self._quiet:
            self._go_to(Level(self.level.environment, change["new"] or ""))

    def _go_to(self, level: Level) -> None:
        def go() -> None:
            self.level = level
            for row in self.rows.values():
                row.refuse("")
            self.say("")
            self.refresh()
            self.sizes.look(level, self._ask)

        self._guarded(go)

    def _guarded(self, do: Callable[[], None]) -> None:
        """Do something in turn; what goes wrong is said in the panel, never lost."""
        with self._lock:
            if self._closed:
                return
            try:
                do()
            except FlyteError as error:
                self.say(str(error), refused=True)
            except Exception as error:
                self.say(f"{type(error).__name__}: {error}", refused=True)

    # Parts

    def _whom(self) -> str:
        return self.level.label if self.level.task else f"every task of {self.level.environment}"

    def _find_level(self) -> bool:
        """Go to a level that there is, if this one is gone; return whether there is any."""
        if self.level.environment not in self._catalog.environments:
            names = list(self._catalog.environments)
            if not names:
                self.say("No environment is declared any more.", refused=True)
                return False
            self.level = Level(names[0])
        if self.level.task and self.level.task not in self._catalog.tasks:
            self.level = Level(self.level.environment)
        return True

    def _show_choices(self) -> None:
        names = tuple(self._catalog.environments)
        if tuple(self.environment.options) != names:
            self.environment.options = names
        if self.environment.value != self.level.environment:
            self.environment.value = self.level.environment
        tasks = self._catalog.tasks_of(self.level.environment)
        options = ((EVERY, ""), *((task.func_name, task.name) for task in tasks))
        if tuple(self.task.options) != options:
            self.task.options = options
        if self.task.value != self.level.task:
            self.task.value = self.level.task

    def _choices(self, state: levels.State) -> list[tuple[str, str]] | None:
        """Return what can be chosen for a field now, ``None`` where that never changes."""
        if state.field.name == "accelerator":
            choices = self.offer.accelerators(state.text)
            found = [(choice.text, choice.name) for choice in choices if choice.offered]
        elif state.field.name == "partition":
            settings = levels.settings_at(self._catalog, self.level)
            found = [(share, share) for share in texts.partitions_of(settings)]
        else:
            return None
        found.insert(0, (state.field.empty, ""))
        if state.text not in [meant for _, meant in found]:
            # what is asked for stays to be seen, wherever that is to be had
            found.append((f"{state.text} (not on {self.offer.target})", state.text))
        return found

    def _show_offer(self) -> None:
        self.there.value = looks.muted(self.offer.words)
        asked = levels.state_of(self._catalog, self.level, self.rows["accelerator"].field).text
        reasons: dict[str, list[str]] = {}
        for choice in self.offer.accelerators(asked):
            if not choice.offered:
                reasons.setdefault(choice.reason, []).append(choice.name)
        lines = [f"{why}: {', '.join(names)}" for why, names in reasons.items()]
        count = sum(map(len, reasons.values()))
        title = f"{count} types that cannot be chosen on {self.offer.target}, and why"
        html = looks.details(title, lines)
        if self.not_there.value != html:
            self.not_there.value = html

    # What the target says

    def _follow_target(self, target: str) -> None:
        if target != self.offer.target:
            self.offer = Offer(target)
            self._look_at(target)

    def _look(self) -> None:
        """Ask the target and the journal again."""
        self._look_at(self.offer.target)
        self.sizes.look(self.level, self._ask)

    def _look_at(self, target: str) -> None:
        def ask() -> None:
            try:
                settings = levels.settings_at(self._catalog, self.level)
            except NotFoundError:
                return
            offer = look(target, settings)
            with self._lock:
                if self._closed or self.offer.target != target:
                    return
                self.offer = offer
            self._guarded(self.refresh)

        self._ask(ask)

    @contextmanager
    def _silence(self) -> Iterator[None]:
        self._quiet += 1
        try:
            yield
        finally:
            self._quiet -= 1


def _turn(box: Any, group: str, heading: Any) -> None:
    _fold(heading, box, group, box.layout.display == "none")


def _fold(heading: Any, box: Any, group: str, shown: bool) -> None:
    heading.description = f"{'▾' if shown else '▸'} {group}"
    box.layout.display = "" if shown else "none"


def _all(widget: Any) -> Iterator[Any]:
    for child in getattr(widget, "children", ()):
        yield from _all(child)
    yield widget


def _on_a_thread(do: Callable[[], None]) -> None:
    threading.Thread(target=do, name="flyte-panel", daemon=True).start()
