"""uv as a child process that never blocks the loop, and ends when its caller gives up."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from flyte_jupyter.errors import ImageBuildError

__all__ = ["Outcome", "find_uv", "run_uv"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run of uv ended.

    Args:
        code: exit status.
        lines: what it wrote, without the line that says where.
        output: what it wrote to its standard output.
    """

    code: int
    lines: tuple[str, ...]
    output: str = ""


def find_uv() -> str:
    """Return the path of uv: the one installed with this package, else one of ``PATH``.

    Raises:
        ImageBuildError: there is none.
    """
    try:
        from uv import find_uv_bin

        return str(find_uv_bin())
    except (ImportError, FileNotFoundError):
        pass
    found = shutil.which("uv")
    if found is None:
        raise ImageBuildError(
            "uv, which installs the packages of an image, is not to be found.",
            remedy="Install it in the environment of this kernel: pip install uv.",
        )
    return found


async def run_uv(
    arguments: Sequence[str],
    environ: Mapping[str, str],
    on_line: Callable[[str], None],
) -> Outcome:
    """Run uv and hand over each line as it comes.

    Args:
        arguments: what follows ``uv``.
        environ: all variables of the child.
        on_line: called with every line of its standard error.

    Raises:
        ImageBuildError: there is no uv, or it cannot be started.
    """
    import asyncio
    from asyncio.subprocess import DEVNULL, PIPE

    program = find_uv()
    try:
        # a session of its own: an interrupt in the terminal is ours to pass on
        process = await asyncio.create_subprocess_exec(
            program,
            *arguments,
            env=dict(environ),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise ImageBuildError(f"uv ({program}) cannot be started: {error.strerror}.") from None
    assert process.stdout is not None
    assert process.stderr is not None
    lines: list[str] = []
    try:
        reading = asyncio.ensure_future(process.stdout.read())
        while data := await _line(process.stderr):
            line = data.decode("utf-8", "replace").rstrip()
            # which environment is told by us, in our words
            if line.startswith(("Using Python ", "Using CPython ")) or (not line and not lines):
                continue
            lines.append(line)
            on_line(line)
        output = (await reading).decode("utf-8", "replace")
        code = await process.wait()
    except BaseException:
        _end(process.pid)
        await process.wait()
        raise
    return Outcome(code, tuple(lines), output)


async def _line(stream: object) -> bytes:
    """Return the next line; of one that is too long for the buffer, its beginning."""
    import asyncio

    assert isinstance(stream, asyncio.StreamReader)
    try:
        return await stream.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        return error.partial
    except asyncio.LimitOverrunError as error:
        return await stream.read(error.consumed)


def _end(process: int) -> None:
    # a build backend that uv has started ends with it
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)
