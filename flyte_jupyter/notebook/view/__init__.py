"""A run shown: pure functions of its state that give text, HTML and what a terminal draws."""

from flyte_jupyter.notebook.view.looks import COLOURS, MUTED, SYMBOLS, WORDS
from flyte_jupyter.notebook.view.page import html
from flyte_jupyter.notebook.view.text import one_line, plain

__all__ = ["COLOURS", "MUTED", "SYMBOLS", "WORDS", "html", "one_line", "plain"]
