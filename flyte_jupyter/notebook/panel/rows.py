"""One field in a panel: its control, a slider beside it, what is declared, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from flyte_jupyter.notebook.panel import looks
from flyte_jupyter.session.session import target_names
from flyte_jupyter.steering.fields import Field, Kind
from flyte_jupyter.steering.levels import State
from flyte_jupyter.steering.offer import Offer, steps

__all__ = ["Row"]

Choices = list[tuple[str, str]]
LABELLED = {"description_width": "15em"}
WIDTH = "26em"
SLIDER = "11em"


class Row:
    """The widgets of one field; they are made once and only change what they show.

    Args:
        field: the field.
        edit: called with the field and a text that somebody has given.
        reset: called with the field when its override is to go.
    """

    def __init__(
        self, field: Field, edit: Callable[[Field, str], None], reset: Callable[[Field], None]
    ) -> None:
        self.field = field
        self._edit = edit
        self._quiet = 0
        self._last: State | None = None
        self.control = _control(field)
        self.slider: Any = None
        self.status = widgets.HTML()
        self.refusal = widgets.HTML()
        self.more = widgets.HTML()
        self.button = widgets.Button(description="Reset", layout=widgets.Layout(width="auto"))
        self.button.on_click(lambda _: reset(field))
        self.control.observe(self._given, "value")
        beside = "0" if field.kind is Kind.LINES else SLIDER
        line = [self.control, widgets.Box(layout=widgets.Layout(width=beside))]
        if field.kind in (Kind.AMOUNT, Kind.COUNT):
            self.slider = widgets.SelectionSlider(
                options=[("", "")],
                readout=False,
                continuous_update=False,
                tooltip=field.label,
                layout=widgets.Layout(width=SLIDER),
            )
            self.slider.observe(self._given, "value")
            line[1] = self.slider
        shape = widgets.Layout(flex_flow="row wrap", align_items="center")
        self.box = widgets.VBox(
            [widgets.HBox([*line, self.button, self.status], layout=shape), self.refusal, self.more]
        )
        for each in (self.refusal, self.more):
            each.layout.margin = "0 0 0 15.5em"
            each.layout.display = "none"

    def show(self, state: State, offer: Offer, choices: Choices | None = None) -> None:
        """Show what holds now; a refused text stays until what holds changes.

        Args:
            state: what holds.
            offer: what the target has.
            choices: what can be chosen, of a field that is chosen: text shown, text meant.
        """
        changed = self._last is None or _differs(self._last, state)
        self._last = state
        self._quiet += 1
        try:
            if choices is not None and list(self.control.options) != choices:
                self.control.options = choices
                self.control.value = state.text
            if changed:
                self.refuse("")
            if not self.refusal.value and self.control.value != state.text:
                self.control.value = state.text
            self._move(state, offer)
        finally:
            self._quiet -= 1
        self.control.disabled = bool(state.fixed)
        if self.slider is not None:
            self.slider.disabled = bool(state.fixed)
        self._say(state, offer)

    def refuse(self, why: str) -> None:
        """Show why the text that was given is not taken, nothing to take that back."""
        self.refusal.value = looks.refusal(why)
        self.refusal.layout.display = "" if why else "none"

    def close(self) -> None:
        """Let go of the widgets."""
        self.control.unobserve_all()
        if self.slider is not None:
            self.slider.unobserve_all()
        widgets.Widget.close(self.box)

    def _move(self, state: State, offer: Offer) -> None:
        if self.slider is None:
            return
        ticks = [text for text in (state.text, state.declared) if text]
        found = steps(self.field.name, offer, ticks)
        options = [(text or self.field.empty, text) for text in found]
        if list(self.slider.options) != options:
            self.slider.options = options
        where = state.text if state.text in found else found[0]
        if self.slider.value != where:
            self.slider.value = where
        self.slider.tooltip = f"{self.field.label}, up to {found[-1]}"

    def _say(self, state: State, offer: Offer) -> None:
        field = self.field
        declared = state.declared.replace("\n", " ") or field.empty
        if state.overridden:
            text = f"{looks.heading('overridden')} {looks.muted(f'declared: {declared}')}"
            self.button.tooltip = f"Reset {field.label} to {declared}"
        else:
            # a limit that is not given is no word of whoever gave the request
            text = looks.muted(state.origin if state.text else "default")
        if self.status.value != text:
            self.status.value = text
        self.button.layout.visibility = "visible" if state.overridden else "hidden"
        self.button.disabled = not state.overridden
        notes = [state.fixed, state.note, offer.note(_note_about(field)) if state.text else ""]
        more = "<br>".join(looks.muted(each) for each in notes if each)
        if self.more.value != more:
            self.more.value = more
            self.more.layout.display = "" if more else "none"

    def _given(self, change: Any) -> None:
        if self._quiet:
            return
        text = str(change["new"])
        if change["owner"] is self.slider:
            self._quiet += 1
            try:
                self.control.value = text
            finally:
                self._quiet -= 1
        self._edit(self.field, text)


def _note_about(field: Field) -> str:
    if field.name in ("accelerator", "partition"):
        return ""  # said once, at the count
    return {"memory_limit": ""}.get(field.name, field.name)


def _differs(one: State, other: State) -> bool:
    return (one.text, one.declared, one.fixed) != (other.text, other.declared, other.fixed)


def _control(field: Field) -> Any:
    common = {
        "description": field.label,
        "tooltip": field.help,
        "style": LABELLED,
        "layout": widgets.Layout(width=WIDTH),
    }
    if field.kind is Kind.CHOICE:
        names = target_names() if field.name == "target" else field.choices
        options = [
            (text or f"{field.empty} (default)", text) for text in dict.fromkeys(("", *names))
        ]
        return widgets.Dropdown(options=options, **common)
    if field.kind is Kind.LINES:
        common["layout"] = widgets.Layout(width="37em")
        return widgets.Textarea(continuous_update=False, rows=2, **common)
    return widgets.Text(continuous_update=False, placeholder=field.empty, **common)
