"""The launch form in a notebook: core widgets over the form's model, and its summary as text."""

from __future__ import annotations

from flyte_jupyter.notebook.launch.opened import OpenForm, launch_form

__all__ = ["OpenForm", "launch_form"]
