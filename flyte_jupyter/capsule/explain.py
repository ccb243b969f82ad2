"""What a task would ship, said before anything runs: the plan as data, with a plain rendering."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from typing import TYPE_CHECKING, Any

from flyte_jupyter.capsule.build import finish, gather
from flyte_jupyter.capsule.model import Import, LocalFile, PythonNeed, Symbol
from flyte_jupyter.errors import FlyteError
from flyte_jupyter.spec.amounts import readable_bytes

if TYPE_CHECKING:
    from flyte_jupyter.spec.task import Task

__all__ = ["Explanation", "explain"]


@dataclass(frozen=True)
class Explanation:
    """What would be shipped for a task, and what is wrong with it.

    Args:
        task: full name of the task.
        symbols: functions, classes, values and tasks that its code reads.
        imports: modules that the container imports.
        files: files of local modules that travel along.
        children: full names of tasks that it may call.
        warnings: what will be otherwise than in the notebook, a sentence each.
        errors: why it cannot be shipped.
        bytes: size of the capsule, 0 if it cannot be shipped.
        hash: hash of the capsule, empty if it cannot be shipped.
        python: which Python versions can load it.
        sections: further facts for the rendering, title and lines.
        manifest: what declares its worker, where the target has such a thing; ``None`` elsewhere.
            What differs from worker to worker is a word in angle brackets.
    """

    task: str
    symbols: tuple[Symbol, ...] = ()
    imports: tuple[Import, ...] = ()
    files: tuple[LocalFile, ...] = ()
    children: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    errors: tuple[Exception, ...] = ()
    bytes: int = 0
    hash: str = ""
    python: PythonNeed = field(default_factory=PythonNeed)
    sections: tuple[tuple[str, tuple[str, ...]], ...] = ()
    manifest: Mapping[str, Any] | None = None

    @property
    def ok(self) -> bool:
        """Whether the task can be shipped."""
        return not self.errors

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str | None:
        """Return the page with its last section, the manifest, folded; None without one."""
        if self.manifest is None:
            return None
        *_, (title, lines) = self.sections
        rest = replace(self, sections=self.sections[:-1])
        page, folded = escape(str(rest)), escape("\n".join(lines))
        return (
            f"<pre>{page}</pre>"
            f"<details><summary>{escape(title)}</summary><pre>{folded}</pre></details>"
        )

    def _lines(self) -> Iterator[str]:
        size = f"{readable_bytes(self.bytes)}, {self.hash[:12]}" if self.ok else "cannot be shipped"
        yield f"{self.task}: {size}"
        for title, lines in [*self._sections(), *self.sections]:
            if lines:
                yield f"  {title}"
                yield from (f"    {line}" for line in lines)

    def _sections(self) -> Iterator[tuple[str, list[str]]]:
        yield "wrong", [line for one in self.errors for line in str(one).split("\n")]
        yield "mind", list(self.warnings)
        shown = [one for one in self.symbols if one.kind not in ("task", "environment")]
        yield "ships", _table([_row(one) for one in shown])
        files = [(one.path, readable_bytes(one.bytes), one.note) for one in self.files]
        yield "files", _table(files)
        kinds = {"standard": "Python", "installed": "image", "local": "shipped", "flyte": "flyte"}
        imports = [(one.module, kinds[one.kind], one.needed_by) for one in self.imports]
        yield "imports", _table(imports)
        yield "calls", list(self.children)
        yield "python", _python(self.python)


def _row(one: Symbol) -> tuple[str, ...]:
    what = f"{one.kind} ({one.note})" if one.note else one.kind
    return one.name, what, one.origin, readable_bytes(one.bytes)


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    if not rows:
        return []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _python(need: PythonNeed) -> list[str]:
    if need.exact is not None:
        return [f"{need.exact[0]}.{need.exact[1]} exactly: {need.why}"]
    if need.minimum is not None:
        return [f"{need.minimum[0]}.{need.minimum[1]} or newer: {need.why}"]
    return []


def explain(task: Task) -> Explanation:
    """Say what would be shipped for a task; nothing is run, and nothing wrong raises.

    Args:
        task: any task.
    """
    try:
        collector, root = gather(task)
    except FlyteError as error:
        return Explanation(task.name, errors=(error,))
    found = finish(collector, root, task=task)
    report = found.report
    return Explanation(
        task=task.name,
        symbols=report.symbols,
        imports=report.imports,
        files=report.files,
        children=found.children,
        warnings=report.warnings,
        errors=report.errors,
        bytes=found.size if not report.errors else 0,
        hash=found.hash if not report.errors else "",
        python=found.python,
    )
