"""A notebook executed without a front end, its story printed: text, code and outputs in order."""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from typing import Any, TextIO

__all__ = ["play_notebook"]

SHOWN_CODE = 12
TIMEOUT = 900
"""Seconds that one cell may take: the first one may download packages."""
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def play_notebook(path: Path, out: TextIO | None = None) -> bool:
    """Execute a notebook in a kernel of this Python and print what it says and does.

    A cell that is tagged ``raises-exception`` may fail; it is part of the story.

    Args:
        path: the notebook; it is not changed.
        out: where to print.

    Returns:
        Whether every cell succeeded.
    """
    import asyncio

    import nbformat

    notebook: Any = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    with tempfile.TemporaryDirectory(prefix="flyte-jupyter-demo-") as folder:
        return asyncio.run(_play(notebook, folder, out or sys.stdout))


async def _play(notebook: Any, folder: str, out: TextIO) -> bool:
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    client = NotebookClient(
        notebook,
        timeout=TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": folder}},
    )
    async with client.async_setup_kernel():
        for index, cell in enumerate(notebook.cells):
            if cell.cell_type == "markdown":
                _print(out, _prose(cell.source))
            if cell.cell_type != "code" or not cell.source.strip():
                continue
            _print(out, _code(cell.source))
            try:
                await client.async_execute_cell(cell, index)
            except CellExecutionError:
                _print(out, _outputs(cell.outputs))
                _print(out, "The notebook stopped here.")
                return False
            _print(out, _outputs(cell.outputs))
    return True


def _print(stream: TextIO, text: str) -> None:
    if text:
        print(text + "\n", file=stream, flush=True)


def _prose(source: str) -> str:
    """Return Markdown as text: headings underlined, the rest as it is."""
    lines = []
    for line in source.strip().splitlines():
        if line.startswith("#"):
            title = line.lstrip("#").strip()
            lines += [title, "─" * len(title)]
        else:
            lines.append(line)
    return "\n".join(lines)


def _code(source: str) -> str:
    lines = source.rstrip().splitlines()
    shown = ["│ " + line for line in lines[:SHOWN_CODE]]
    if len(lines) > SHOWN_CODE:
        shown.append(f"│ … {len(lines) - SHOWN_CODE} more lines")
    return "\n".join(shown)


def _outputs(outputs: list[Any]) -> str:
    texts = []
    for output in outputs:
        if output.output_type == "stream":
            texts.append(output.text)
        elif output.output_type == "error":
            texts.append("\n".join(output.traceback))
        elif "text/plain" in output.get("data", {}):
            texts.append(output.data["text/plain"])
    lines = ESCAPES.sub("", "\n".join(text.rstrip("\n") for text in texts)).splitlines()
    return "\n".join("  " + line for line in lines)
