"""The Pythons of this machine: where they are looked for, and what each one is.

An installed Python stands in for the base image of its version. ``FLYTE_JUPYTER_PYTHONS``, a list
of interpreters or folders separated like ``PATH``, comes before everything else.
"""

from __future__ import annotations

import contextlib
import glob
import itertools
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Interpreter", "Interpreters", "current"]

VARIABLE = "FLYTE_JUPYTER_PYTHONS"
# folders below which version managers and installers keep their Pythons
MANAGED = (
    "${PYENV_ROOT:-~/.pyenv}/versions/*/bin",
    "${UV_PYTHON_INSTALL_DIR:-~/.local/share/uv/python}/*/bin",
    "~/.asdf/installs/python/*/bin",
    "~/.local/share/mise/installs/python/*/bin",
    "/opt/homebrew/bin",
    "/usr/local/bin",
    "/Library/Frameworks/Python.framework/Versions/*/bin",
)
SURROUNDINGS = (VARIABLE, "PATH", "PYENV_ROOT", "UV_PYTHON_INSTALL_DIR", "HOME")
NAME = re.compile(r"python3?(?:\.\d+)?")
PROBE = """
import json, sys
print(json.dumps([sys.version_info[:3], sys.implementation.name,
                  sys.prefix != sys.base_prefix, getattr(sys, "_base_executable", None)]))
"""
PROBE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python that can be started.

    Args:
        path: the program; never that of a virtual environment.
        version: major, minor and micro.
        implementation: ``"cpython"``, ``"pypy"`` …
    """

    path: str
    version: tuple[int, int, int]
    implementation: str

    @property
    def text(self) -> str:
        """The version as people write it, such as ``3.12.1``."""
        return ".".join(map(str, self.version))


def current() -> Interpreter:
    """Return the Python of this kernel, seen past its virtual environment."""
    base = getattr(sys, "_base_executable", None) or sys.executable
    return Interpreter(os.path.realpath(base), sys.version_info[:3], sys.implementation.name)


class Interpreters:
    """What is known of this machine's Pythons, kept in a file between kernels.

    Args:
        record: the file. An entry counts only as long as the program it describes is unchanged.
    """

    def __init__(self, record: Path) -> None:
        self._record = record
        self._known: _Record | None = None

    def remembered(self, version: tuple[int, int]) -> Interpreter | None:
        """Return what `find` found before in the same surroundings; never starts anything."""
        own = current()
        if VARIABLE not in os.environ and own.version[:2] == version:
            return own
        surroundings, path = self._load().answers.get("{}.{}".format(*version), ("", ""))
        if surroundings != _surroundings():
            return None
        entry = self._load().programs.get(path)
        return _interpreter(entry) if entry and entry[:2] == _stamp(path) else None

    def find(self, version: tuple[int, int]) -> Interpreter | None:
        """Return an installed CPython of a minor version, the kernel's own if it is one.

        May start the programs that it finds, to ask them what they are.
        """
        known = self.remembered(version)
        if known is not None:
            return known
        own = current()
        found = self._first(version, _named())
        if found is None and own.version[:2] == version:
            return own
        return found or self._first(version, _places(version))

    def installed(self) -> list[Interpreter]:
        """Return one interpreter for each minor version found, the newest first."""
        found: dict[tuple[int, int], Interpreter] = {current().version[:2]: current()}
        for path in _candidates(None, itertools.chain(_named(), _places(None))):
            probed = self._probe(path)
            if probed is not None and probed.implementation == "cpython":
                found.setdefault(probed.version[:2], probed)
        return [found[minor] for minor in sorted(found, reverse=True)]

    def _first(self, version: tuple[int, int], places: Iterable[str]) -> Interpreter | None:
        for path in _candidates(version, places):
            found = self._probe(path)
            if (
                found is not None
                and found.version[:2] == version
                and found.implementation == "cpython"
            ):
                self._load().answers["{}.{}".format(*version)] = (_surroundings(), path)
                self._save()
                return found
        return None

    def _probe(self, path: str) -> Interpreter | None:
        stamp = _stamp(path)
        if not stamp:
            return None
        programs = self._load().programs
        entry = programs.get(path)
        if entry is None or entry[:2] != stamp:
            # asked again if that was a passing failure, which must not be kept as an answer
            answer = _ask(path) or _ask(path)
            if answer is None:
                return None
            entry = programs[path] = [*stamp, *answer]
            self._save()
        return _interpreter(entry)

    def _load(self) -> _Record:
        if self._known is None:
            try:
                programs, answers = json.loads(self._record.read_text("utf-8"))
                if not isinstance(programs, dict) or not isinstance(answers, dict):
                    raise TypeError("another version of this package wrote the file")
                self._known = _Record(programs, answers)
            except (OSError, ValueError, TypeError):
                self._known = _Record({}, {})
        return self._known

    def _save(self) -> None:
        known = self._load()
        with contextlib.suppress(OSError):  # else it is only asked again next time
            self._record.parent.mkdir(parents=True, exist_ok=True)
            descriptor, partial = tempfile.mkstemp(dir=self._record.parent)
            with open(descriptor, "w", encoding="utf-8") as stream:
                json.dump([known.programs, known.answers], stream)
            os.replace(partial, self._record)


@dataclass(frozen=True, slots=True)
class _Record:
    """What the file holds.

    Args:
        programs: path: time of change, size, program to start, version, implementation.
        answers: minor version: where it was looked for, path that was found.
    """

    programs: dict[str, list[object]]
    answers: dict[str, tuple[str, str]]


def _interpreter(entry: list[object]) -> Interpreter | None:
    program, version, implementation = entry[2:5]
    if not isinstance(program, str) or not isinstance(version, list):
        return None
    major, minor, micro = version
    return Interpreter(program, (major, minor, micro), str(implementation))


def _stamp(path: str) -> list[object]:
    try:
        status = os.stat(path)
    except OSError:
        return []
    return [status.st_mtime_ns, status.st_size]


def _surroundings() -> str:
    """Return all that decides where `find` looks and in which order."""
    return "\0".join(os.environ.get(name, "") for name in SURROUNDINGS)


def _ask(path: str) -> list[object] | None:
    """Return program, version and implementation as the interpreter tells them.

    Each is None where it is no interpreter; None alone if it did not answer: it took too long, did
    not end well, or could not be started. A machine short of something does that to good ones, too.
    """
    import subprocess

    try:
        result = subprocess.run(
            [path, "-I", "-c", PROBE],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=PROBE_SECONDS,
            check=False,
        )
        if result.returncode != 0:
            return None
        version, implementation, virtual, base = json.loads(result.stdout)
    except (OSError, subprocess.TimeoutExpired):
        return None
    except (ValueError, TypeError):
        return [None, None, None]
    return [base if virtual and base else path, version, implementation]


def _candidates(version: tuple[int, int] | None, places: Iterable[str]) -> Iterator[str]:
    """Yield programs that may be of that version, the likely ones of each place first."""
    seen: set[str] = set()
    names = ["python3", "python"]
    if version is not None:
        names.insert(0, "python{}.{}".format(*version))
    for place in places:
        if os.path.isdir(place):
            programs = [os.path.join(place, name) for name in names]
            if version is None:
                programs = sorted(
                    os.path.join(place, name) for name in os.listdir(place) if NAME.fullmatch(name)
                )
        else:
            programs = [place]
        for program in programs:
            real = os.path.realpath(program)
            if real not in seen and os.access(program, os.X_OK) and not os.path.isdir(program):
                seen.add(real)
                yield program


def _named() -> Iterator[str]:
    return filter(None, os.environ.get(VARIABLE, "").split(os.pathsep))


def _places(version: tuple[int, int] | None) -> Iterator[str]:
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        # a version manager's shims are scripts, slow to start and never what they seem
        if folder and os.path.basename(folder) != "shims":
            yield folder
    likely = "" if version is None else "{}.{}".format(*version)
    for pattern in MANAGED:
        folders = glob.glob(_expanded(pattern))
        yield from sorted(folders, key=lambda one: (likely not in one, _by_number(one)))


def _by_number(text: str) -> list[tuple[int, str]]:
    """Return a key that puts 3.12.10 before 3.12.9."""
    return [(-int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", text)]


def _expanded(pattern: str) -> str:
    def value(match: re.Match[str]) -> str:
        return os.environ.get(match[1]) or match[2]

    return os.path.expanduser(re.sub(r"\$\{(\w+):-([^}]*)\}", value, pattern))
