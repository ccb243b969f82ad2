"""``%flyte_logs``: what a run wrote, attempt by attempt, as text and as HTML."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from flyte_jupyter.engine.events import Phase
from flyte_jupyter.errors import NotFoundError
from flyte_jupyter.notebook.logtail import LogTail
from flyte_jupyter.notebook.usage import MagicUsageError
from flyte_jupyter.notebook.view import COLOURS, MUTED, SYMBOLS, WORDS
from flyte_jupyter.session.history import AttemptRecord, RunRecord, find_run, names_of
from flyte_jupyter.spec.amounts import readable_bytes, readable_seconds

__all__ = ["Logs", "logs_of"]

# How many lines of each attempt a notebook shows if nobody says.
TAIL = 200
# A log may be larger than what anybody reads: then its end is read.
READ = 16 << 20


@dataclass(frozen=True, slots=True)
class AttemptLog:
    """What one attempt wrote.

    Args:
        record: the attempt.
        title: which call it was.
        lines: its lines, the last ones.
        hidden: how many stand above them.
    """

    record: AttemptRecord
    title: str
    lines: tuple[str, ...]
    hidden: int


@dataclass(frozen=True, slots=True)
class Logs:
    """What a run wrote.

    Args:
        run: the run.
        attempts: the attempts that were asked for.
        what: which part of the output it is: ``"output"`` or ``"standard error"``.
    """

    run: RunRecord
    attempts: tuple[AttemptLog, ...]
    what: str = "output"

    def __repr__(self) -> str:
        lines = [_symbol(self.run) + " " + " · ".join(_head(self.run))]
        for attempt in self.attempts:
            lines += ["", "── " + " · ".join((attempt.title, *_usage(attempt.record)))]
            if attempt.hidden:
                lines.append(f"… {_lines(attempt.hidden)} above")
            lines += attempt.lines or [f"(no {self.what})"]
        if not self.attempts:
            lines.append("Nothing of it has started.")
        if self.run.error:
            lines += ["", self.run.error, *filter(None, (self.run.remedy,))]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        colour = COLOURS.get(self.run.phase, MUTED)
        name, *rest = _head(self.run)
        parts = [
            f'<div><span style="color:{colour};font-weight:600">{_symbol(self.run)}</span> '
            f'<b>{escape(name)}</b> <span style="color:{MUTED}">'
            f"{escape(' · '.join(rest))}</span></div>"
        ]
        parts += [self._block(attempt) for attempt in self.attempts]
        if not self.attempts:
            parts.append("<div>Nothing of it has started.</div>")
        if self.run.error:
            parts.append(
                f'<div role="alert" style="border-left:3px solid {COLOURS[Phase.FAILED]};'
                f'padding:2px 8px;margin:4px 0">'
                f"<div>{escape(self.run.error)}</div><div>{escape(self.run.remedy)}</div></div>"
            )
        return f'<div class="flyte-jupyter-logs">{"".join(parts)}</div>'

    def _block(self, attempt: AttemptLog) -> str:
        details = escape(" · ".join(_usage(attempt.record)))
        above = f"… {_lines(attempt.hidden)} above\n" if attempt.hidden else ""
        text = escape(above + "\n".join(attempt.lines)) or f"(no {self.what})"
        opened = " open" if attempt.lines and len(self.attempts) <= 8 else ""
        return (
            f"<details{opened}><summary>{escape(attempt.title)} "
            f'<span style="color:{MUTED}">{details}</span></summary>'
            '<pre style="margin:2px 0;padding:4px 8px;overflow:auto;max-height:40em;'
            f'border-left:2px solid var(--jp-border-color1, #bdbdbd)">{text}</pre></details>'
        )


def logs_of(
    words: Sequence[Any], values: Mapping[str, Any], variables: Mapping[str, Any], tail: int | None
) -> Logs:
    """Return what a run wrote, as a magic or a command asks for it.

    Args:
        words: a run and an action or a task of it, see `find_run`; a run may be the ``Run`` itself
            or the name of a variable that holds it.
        values: the options ``attempt``, ``tail`` and ``stderr``.
        variables: the names of the notebook.
        tail: how many lines of each attempt if nobody says, ``None`` for all.

    Raises:
        MagicUsageError: too many words, or an option that is no number.
        NotFoundError: there is no such run, action, task or attempt.
    """
    if len(words) > 2:
        raise MagicUsageError(
            f"logs are of one run, but {' '.join(map(repr, map(str, words)))} were given",
            remedy="Write %flyte_logs [RUN] [ACTION or TASK].",
        )
    run, part = find_run(tuple(_name(word, variables) for word in words))
    number = _whole("--attempt", values.get("attempt"))
    given = _whole("--tail", values.get("tail"))
    most = tail if given is None else given
    chosen = [one for one in run.attempts if part in ("", one.action, *names_of(one.task))]
    if number is not None:
        chosen = _of_number(chosen, number)
    errors = bool(values.get("stderr"))
    calls = Counter(one.task for one in run.attempts if one.number == 1)
    tries = Counter(one.action for one in run.attempts)
    attempts = tuple(_attempt(one, _title(one, calls, tries), most, errors) for one in chosen)
    return Logs(run, attempts, "standard error" if errors else "output")


def _of_number(attempts: list[AttemptRecord], number: int) -> list[AttemptRecord]:
    found = [one for one in attempts if one.number == number]
    if not found:
        most = max((one.number for one in attempts), default=0)
        raise NotFoundError(
            f"there is no attempt {number}",
            remedy=f"The last one is {most}." if most else "Nothing of it has started.",
        )
    return found


def _name(word: Any, variables: Mapping[str, Any]) -> str:
    """Return what a word names: a run that it is, or that a variable of that name holds."""
    held = variables.get(word) if isinstance(word, str) else word
    name = getattr(held, "name", None) if hasattr(held, "actions") else None
    return name if isinstance(name, str) else str(word)


def _whole(flag: str, text: Any) -> int | None:
    if text is None:
        return None
    try:
        number = int(text)
    except (TypeError, ValueError):
        number = -1
    if number < 0:
        raise MagicUsageError(f"{flag} takes a whole number, not {text!r}")
    return number


def _title(one: AttemptRecord, calls: Counter[str], tries: Counter[str]) -> str:
    """Return what tells an attempt from the others of its run, and no more."""
    title = _short(one.task)
    if calls[one.task] > 1:
        title = f"{one.action} {title}"
    if tries[one.action] > 1:
        title += f", attempt {one.number}"
    return title


def _attempt(one: AttemptRecord, title: str, most: int | None, errors: bool) -> AttemptLog:
    log = LogTail(most)
    log.feed(_text(one.errors if errors else one.log))
    lines = log.lines if most is None else log.lines[-most:] if most else []
    hidden = log.dropped + len(log.lines) - len(lines)
    return AttemptLog(one, title, tuple(lines), hidden)


def _text(path: Any) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - READ))
            return str(file.read().decode("utf-8", "replace"))
    except OSError:  # it has written nothing, or its log was removed
        return ""


# Words


def _symbol(run: RunRecord) -> str:
    return SYMBOLS[Phase.ABORTED if run.lost else run.phase]


def _head(run: RunRecord) -> list[str]:
    phase = f"{WORDS[run.phase]} when its kernel ended" if run.lost else WORDS[run.phase]
    parts = [run.name, f"{run.task} on {run.target}", phase]
    if run.ended is not None:
        parts.append(readable_seconds(run.ended - run.created))
    parts.append(time.strftime("%Y-%m-%d %H:%M", time.localtime(run.created)))
    return parts


def _usage(one: AttemptRecord) -> list[str]:
    parts = [WORDS[one.phase]]
    if one.seconds is not None:
        parts.append(readable_seconds(one.seconds))
    if one.peak_memory:
        parts.append(f"peak memory {readable_bytes(one.peak_memory)}")
    if one.cpu_seconds is not None:
        parts.append(f"cpu time {readable_seconds(one.cpu_seconds)}")
    if one.oom_kills:
        noun = "process" if one.oom_kills == 1 else "processes"
        parts.append(f"{one.oom_kills} {noun} ended for lack of memory")
    return parts


def _lines(count: int) -> str:
    return f"{count:,} line" + ("s" if count != 1 else "")


def _short(task: str) -> str:
    return task.rpartition(".")[2]
