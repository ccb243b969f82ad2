"""What is said of the run in a form: target, queue, overrides, each below what holds without it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from flyte_jupyter.launching.form import LaunchForm
from flyte_jupyter.launching.settings import SETTINGS, Setting
from flyte_jupyter.launching.values import Problem
from flyte_jupyter.notebook.launch import looks
from flyte_jupyter.notebook.launch.controls import LABEL, WIDE

__all__ = ["Options"]

FIRST = ("on", "task_queue", "name")
MARGIN = "0 0 0 13.5em"
# the many others stand in two columns, where there is room
HALF = "34em"
NARROW = {"description_width": "9em"}
NARROW_MARGIN = "0 0 0 9.5em"


class Options:
    """The settings of one form.

    Args:
        form: what is filled in.
        guard: wraps what a front end calls.
    """

    def __init__(self, form: LaunchForm, guard: Callable[[Callable[..., Any]], Any]) -> None:
        self._form = form
        self._guard = guard
        self._quiet = False
        self.controls: dict[str, Any] = {}
        self.messages: dict[str, Any] = {}
        self.hints: dict[str, Any] = {}
        boxes = {setting.name: self._box(setting) for setting in SETTINGS}
        first = [boxes[name] for name in FIRST]
        rest = [box for name, box in boxes.items() if name not in FIRST]
        for box in rest:
            box.layout.width = HALF
        self._more = widgets.Box(rest, layout=widgets.Layout(display="none", flex_flow="row wrap"))
        self.fold = widgets.ToggleButton(
            description="Overrides, cache and more",
            tooltip="Show or hide resources, accelerator, cache, retries and more",
            icon="chevron-right",
            layout=widgets.Layout(width="max-content"),
        )
        self.fold.observe(guard(self._folded), "value")
        title = widgets.HTML(looks.heading("The run", "where it runs, and what holds for it"))
        self.box = widgets.VBox([title, *first, self.fold, self._more])
        if any(form.settings.text(one) for one in SETTINGS if one.name not in FIRST):
            self.fold.value = True

    def _box(self, setting: Setting) -> Any:
        first = setting.name in FIRST
        layout = widgets.Layout(width=WIDE if first else "21em")
        style, margin = (LABEL, MARGIN) if first else (NARROW, NARROW_MARGIN)
        common = {"description": setting.label, "style": style, "layout": layout}
        if setting.choices:
            options = [("", ""), *((one, one) for one in setting.choices)]
            control = widgets.Dropdown(options=options, **common)
        else:
            control = widgets.Text(placeholder=setting.hint, **common)
        control.observe(self._guard(lambda change: self._said(setting, change)), "value")
        self.controls[setting.name] = control
        message = self.messages[setting.name] = widgets.HTML(layout=widgets.Layout(margin=margin))
        hint = self.hints[setting.name] = widgets.HTML()
        shape = widgets.Layout(flex_flow="row wrap", align_items="center")
        return widgets.VBox([widgets.HBox([control, hint], layout=shape), message])

    def _folded(self, change: Any) -> None:
        self._more.layout.display = "" if change["new"] else "none"
        self.fold.icon = "chevron-down" if change["new"] else "chevron-right"

    def _said(self, setting: Setting, change: Any) -> None:
        if not self._quiet:
            self._form.say(setting.name, change["new"] or "")

    def show(self, problems: dict[str, Problem]) -> None:
        """Show what is said, what holds where nothing is, and what is wrong."""
        self._quiet = True
        try:
            for setting in SETTINGS:
                self._show(setting, problems.get(setting.key))
        finally:
            self._quiet = False

    def _show(self, setting: Setting, problem: Problem | None) -> None:
        control, text = self.controls[setting.name], self._form.settings.text(setting)
        inherited = self._form.inherited(setting)
        if setting.choices:
            options = [(inherited or "as it is", ""), *((one, one) for one in setting.choices)]
            if text and text not in setting.choices:
                options.append((text, text))
            if list(control.options) != options:
                control.options = options
                control.value = text
        if (control.value or "").strip() != text:
            control.value = text
        words = [setting.unit, setting.hint if setting.choices else ""]
        words.append(f"otherwise {inherited}" if inherited and not setting.choices else "")
        words.append("reaches every task of the run" if setting.every and text else "")
        self.hints[setting.name].value = looks.hint(" · ".join(filter(None, words)))
        message = self.messages[setting.name]
        message.value = looks.wrong(str(problem) if problem is not None else "")
        message.layout.display = "" if problem is not None else "none"
        if problem is not None and setting.name not in FIRST:
            self.fold.value = True
