"""The rooms hold: imports run one way, the guest's rooms run on a bare Python 3.9."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "flyte_jupyter"
# From the ground up: a room imports only rooms that stand before it.
ROOMS = (
    "errors",
    "spec",
    "wire",
    "capsule",
    "worker",
    "store",
    "daemon",
    "cluster",
    "images",
    "diagnose",
    "targets",
    "engine",
    "catalog",
    "deployment",
    "drawing",
    "session",
    "steering",
    "launching",
    "api",
    "remote",
    "notebook",
    "doctor",
    "cli",
    "face",
)
# The guest's rooms travel together, without the rooms that stand between them.
GUEST = {
    "errors": {"errors"},
    "spec": {"errors", "spec"},
    "wire": {"errors", "spec", "wire"},
    "worker": {"errors", "spec", "wire", "worker"},
}
LONGEST_FILE = 450
# what a notebook should not wait for before it uses it
HEAVY = {
    "asyncio",
    "cloudpickle",
    "docker",
    "graphviz",
    "ipywidgets",
    "kubernetes",
    "numpy",
    "pandas",
    "polars",
    "pyarrow",
    "pydantic",
    "sqlite3",
    "ssl",
    "subprocess",
}
FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    """Return the room of a file; the package itself, which opens every room, is the last."""
    first = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return "face" if first in ("__init__", "__main__") else first


def imported(path: Path, *, deep: bool = True) -> Iterator[tuple[int, str]]:
    """Yield (line, module) of the imports of a file, those in functions too if deep."""
    tree = ast.parse(path.read_text("utf-8"))
    inside = path.relative_to(PACKAGE.parent).with_suffix("").parts
    for node in ast.walk(tree) if deep else at_import(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(inside[: -node.level]) if node.level else []
            if node.module:
                base.append(node.module)
            module = ".".join(base)
            yield node.lineno, module
            if module == "flyte_jupyter":
                yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def at_import(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield what runs when a module is imported, without what only type checkers read."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from at_import(node)


def public_definitions(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yield the classes and functions that a reader from outside meets."""
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in tree.body:
        if isinstance(node, kinds) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                for inner in node.body:
                    if isinstance(inner, kinds) and not inner.name.startswith("_"):
                        yield inner


def is_overload(node: ast.stmt) -> bool:
    decorators = getattr(node, "decorator_list", [])
    return any(ast.unparse(one).split(".")[-1] in ("overload", "setter") for one in decorators)


def guest_files() -> list[Path]:
    return [path for path in FILES if room_of(path) in GUEST]


def test_every_file_belongs_to_a_room() -> None:
    assert {room_of(path) for path in FILES} <= set(ROOMS)


def test_imports_follow_the_arrows() -> None:
    against = []
    for path in FILES:
        room = room_of(path)
        allowed = GUEST.get(room, set(ROOMS[: ROOMS.index(room) + 1]))
        for line, module in imported(path):
            parts = module.split(".")
            if parts[0] != "flyte_jupyter" or len(parts) < 2 or parts[1] not in ROOMS:
                continue
            if parts[1] not in allowed:
                against.append(f"{path.relative_to(PACKAGE.parent)}:{line} imports {module}")
    assert against == []


def test_the_guest_imports_only_the_standard_library() -> None:
    foreign = []
    for path in guest_files():
        for line, module in imported(path, deep=False):
            first = module.split(".")[0]
            if first != "flyte_jupyter" and first not in sys.stdlib_module_names:
                foreign.append(f"{path.relative_to(PACKAGE.parent)}:{line} imports {module}")
    assert foreign == []


@pytest.mark.parametrize("version", ["3.9", "3.13"])
def test_the_guest_compiles_under_other_pythons(
    version: str, needs_python: Callable[[str], str]
) -> None:
    script = (
        "import sys\n"
        "for path in sys.argv[1:]:\n"
        "    with open(path, encoding='utf-8') as stream:\n"
        "        compile(stream.read(), path, 'exec', dont_inherit=True)\n"
    )
    command = [needs_python(version), "-I", "-S", "-W", "error", "-c", script]
    done = subprocess.run(
        [*command, *map(str, guest_files())], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("version", ["3.9", "3.13"])
def test_the_guest_imports_under_other_pythons(
    version: str, needs_python: Callable[[str], str], tmp_path: Path
) -> None:
    home = tmp_path / "flyte_jupyter"
    home.mkdir()
    for path in guest_files():
        copy = home / path.relative_to(PACKAGE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    (home / "__init__.py").write_text("")
    modules = [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for path in guest_files()
        if path.name != "__main__.py"
    ]
    script = "import sys, importlib; sys.path.insert(0, sys.argv[1])\n"
    script += "for name in sys.argv[2:]: importlib.import_module(name)\n"
    done = subprocess.run(
        [needs_python(version), "-I", "-S", "-B", "-c", script, str(tmp_path), *modules],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_importing_the_package_is_light() -> None:
    script = (
        "import sys; before = set(sys.modules); import flyte_jupyter, json; "
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=PACKAGE.parent,
    )
    assert set(json.loads(done.stdout)) & HEAVY == set()


def test_no_file_is_long() -> None:
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in FILES}
    long = {str(path.relative_to(PACKAGE)): n for path, n in lengths.items() if n > LONGEST_FILE}
    assert long == {}


def test_what_is_public_is_explained() -> None:
    silent = []
    for path in FILES:
        tree = ast.parse(path.read_text("utf-8"))
        name = str(path.relative_to(PACKAGE))
        if ast.get_docstring(tree) is None:
            silent.append(name)
        for node in public_definitions(tree):
            if not is_overload(node) and ast.get_docstring(node) is None:  # type: ignore[arg-type]
                silent.append(f"{name}:{node.lineno} {node.name}")  # type: ignore[attr-defined]
    assert silent == []
