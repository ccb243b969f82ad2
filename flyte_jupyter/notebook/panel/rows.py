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

__all__ = ["Row", "Shapes"]

Choices = list[tuple[str, str]]
LABELLED = {"description_width": "15em"}
WIDTH = "26em"
SLIDER = "11em"


class Shapes:
    """Layouts and styles that rows share: each is a message to the front end."""

    def __init__(self) -> None:
        self.control = widgets.Layout(width=WIDTH)
        self.lines = widgets.Layout(width="37em")
        self.slider = widgets.Layout(width=SLIDER)
        self.line = widgets.Layout(flex_flow="row wrap", align_items="center")
        self.plain = widgets.Layout()
        self.styles = {
            widgets.Dropdown: widgets.Dropdown.style.klass(**LABELLED),
            widgets.Text: widgets.Text.style.klass(**LABELLED),
            widgets.Textarea: widgets.Textarea.style.klass(**LABELLED),
            widgets.HTML: widgets.HTML.style.klass(),
            widgets.Button: widgets.Button.style.klass(),
            widgets.SelectionSlider: widgets.SelectionSlider.style.klass(),
        }
        self.gap = widgets.Box(layout=self.slider)
        """Stands where a field has no slider."""

    def make(self, kind: Any, layout: Any = None, **fields: Any) -> Any:
        """Return a widget in the style of its kind."""
        return kind(layout=layout or self.plain, style=self.styles[kind], **fields)

    def close(self) -> None:
        """Let go of all of them."""
        layouts = (self.control, self.lines, self.slider, self.line, self.plain)
        for each in (self.gap, *layouts, *self.styles.values()):
            each.close()


class Row:
    """The widgets of one field; they are made once and only change what they show.

    Args:
        field: the field.
        shapes: what it shares with other rows.
        edit: called with the field and a text that somebody has given.
        reset: called with the field when its override is to go.
    """

    def __init__(
        self,
        field: Field,
        shapes: Shapes,
        edit: Callable[[Field, str], None],
        reset: Callable[[Field], None],
    ) -> None:
        self.field = field
        self._edit = edit
        self._quiet = 0
        self._last: State | None = None
        self.control = _control(field, shapes)
        self.slider: Any = None
        self.status = shapes.make(widgets.HTML)
        below = {"margin": "0 0 0 15.5em", "display": "none"}
        self.refusal = shapes.make(widgets.HTML, widgets.Layout(**below))
        self.more = shapes.make(widgets.HTML, widgets.Layout(**below))
        hidden = widgets.Layout(width="auto", visibility="hidden")
        self.button = shapes.make(widgets.Button, hidden, description="Reset")
        self.button.on_click(lambda _: reset(field))
        self.control.observe(self._given, "value")
        beside = [] if field.kind is Kind.LINES else [shapes.gap]
        if field.kind in (Kind.AMOUNT, Kind.COUNT):
            self.slider = shapes.make(
                widgets.SelectionSlider,
                shapes.slider,
                options=[("", "")],
                readout=False,
                continuous_update=False,
                tooltip=field.label,
            )
            self.slider.observe(self._given, "value")
            beside = [self.slider]
        line = widgets.HBox([self.control, *beside, self.button, self.status], layout=shapes.line)
        self.box = widgets.VBox([line, self.refusal, self.more], layout=shapes.plain)

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
        for each in (self.refusal, self.more, self.button):
            each.layout.close()

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


def _control(field: Field, shapes: Shapes) -> Any:
    common: dict[str, Any] = {"description": field.label, "tooltip": field.help}
    if field.kind is Kind.CHOICE:
        names = target_names() if field.name == "target" else field.choices
        options = [
            (text or f"{field.empty} (default)", text) for text in dict.fromkeys(("", *names))
        ]
        return shapes.make(widgets.Dropdown, shapes.control, options=options, **common)
    common["continuous_update"] = False
    if field.kind is Kind.LINES:
        return shapes.make(widgets.Textarea, shapes.lines, rows=2, **common)
    return shapes.make(widgets.Text, shapes.control, placeholder=field.empty, **common)
