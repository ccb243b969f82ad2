"""Which modules are there already, which are installed in the image, and which travel along.

A module is *standard* if it belongs to Python, *installed* if it lies in a folder for installed
packages, and *local* otherwise: beside the notebook, on a path that was added, or behind an
editable install. A local module travels with its whole top-level package, as it is on disk now.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import os
import site
import sys
import sysconfig
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["LocalPackage", "module_kind", "origin_of", "read_package", "resolves"]

OURS = ("flyte_jupyter", "flyte")
# A data file above this stays behind, as do files of a package above the second figure in all.
LARGE_FILE = 1 << 20
LARGE_PACKAGE = 32 << 20
LEFT_OUT_FOLDERS = frozenset(["__pycache__", "node_modules", "site-packages"])
LEFT_OUT_ENDINGS = (".pyc", ".pyo", ".so", ".pyd", ".dylib", ".ipynb")


@functools.cache
def _installed_folders() -> tuple[str, ...]:
    paths = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    paths.update(site.getsitepackages())
    paths.add(site.getusersitepackages())
    return tuple(os.path.realpath(path) + os.sep for path in paths if path)


@functools.cache
def _standard_folders() -> tuple[str, ...]:
    paths = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib")}
    return tuple(os.path.realpath(path) + os.sep for path in paths if path)


def module_kind(name: str) -> str:
    """Return ``"standard"``, ``"installed"``, ``"local"``, ``"flyte"`` or ``"unknown"``.

    Args:
        name: full name of a module.
    """
    top = name.partition(".")[0]
    if top in OURS and _is_ours(top):
        return "flyte"
    if top in sys.builtin_module_names:
        return "standard"
    origin = origin_of(top)
    if origin is None:
        return "standard" if top in sys.stdlib_module_names else "unknown"
    return _kind_of_path(origin)


def _is_ours(top: str) -> bool:
    if top == "flyte_jupyter":
        return True
    return sys.modules.get(top) is sys.modules.get("flyte_jupyter") or top not in sys.modules


@functools.lru_cache(maxsize=4096)
def _kind_of_path(origin: str) -> str:
    real = os.path.realpath(origin)
    parts = real.split(os.sep)
    if "site-packages" in parts or "dist-packages" in parts:
        return "installed"
    if real.startswith(_installed_folders()):
        return "installed"
    if real.startswith(_standard_folders()):
        return "standard"
    return "local"


def origin_of(top: str) -> str | None:
    """Return the file or folder of a top-level module, ``None`` if it has none."""
    module = sys.modules.get(top)
    if module is not None:
        file = getattr(module, "__file__", None)
        if file:
            return str(file)
        paths = list(getattr(module, "__path__", ()))
        return str(paths[0]) if paths else None
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if spec.origin and spec.has_location:
        return spec.origin
    paths = list(spec.submodule_search_locations or ())
    return str(paths[0]) if paths else None


def resolves(module: str, qualname: str, value: object) -> bool:
    """Say whether importing that module and looking up the name gives this very object."""
    found: object = sys.modules.get(module)
    if found is None:
        return False
    for part in qualname.split("."):
        found = getattr(found, part, None)
        if found is None:
            return False
    return found is value


@dataclass(frozen=True)
class LocalPackage:
    """A top-level local module or package as it is on disk.

    Args:
        name: its top-level name.
        root: its file or folder.
        files: path in the container and path here.
        left_out: files that stay behind, with the reason.
    """

    name: str
    root: Path
    files: tuple[tuple[str, Path], ...]
    left_out: tuple[str, ...] = ()


def read_package(name: str) -> LocalPackage:
    """List the files of a local top-level module.

    Args:
        name: its top-level name.

    Raises:
        LookupError: it has no files.
    """
    origin = origin_of(name)
    if origin is None:
        raise LookupError(name)
    path = Path(origin)
    if path.is_dir():  # a namespace package may hold anything: take only its modules
        roots = list(getattr(sys.modules.get(name), "__path__", [origin]))
        files = [
            (f"{name}/{file.relative_to(root).as_posix()}", file)
            for root in map(Path, roots)
            for file in _tree(root)
            if file.suffix == ".py"
        ]
        return LocalPackage(name, path, tuple(files))
    if path.name != "__init__.py":
        return LocalPackage(name, path, ((path.name, path),))
    return _regular_package(name, path.parent)


def _regular_package(name: str, root: Path) -> LocalPackage:
    files: list[tuple[str, Path]] = []
    left_out: list[str] = []
    total = 0
    for file in _tree(root):
        inside = f"{name}/{file.relative_to(root).as_posix()}"
        size = file.stat().st_size
        if file.suffix in (".so", ".pyd", ".dylib"):
            left_out.append(f"{inside} is compiled for this machine")
        elif file.suffix != ".py" and size > LARGE_FILE:
            left_out.append(f"{inside} is larger than {LARGE_FILE >> 20} MiB")
        elif file.name.endswith(LEFT_OUT_ENDINGS):
            continue
        elif total + size > LARGE_PACKAGE:
            left_out.append(
                f"{inside} would make the package larger than {LARGE_PACKAGE >> 20} MiB"
            )
        else:
            total += size
            files.append((inside, file))
    return LocalPackage(name, root, tuple(files), tuple(left_out))


def _tree(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(
            one for one in folders if one not in LEFT_OUT_FOLDERS and not one.startswith(".")
        )
        for one in sorted(names):
            if not one.startswith("."):
                yield Path(folder, one)


def imported_names(tree: ast.AST) -> Iterator[str]:
    """Yield the full names of modules that a file imports, relative imports left out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module


def differs_from_disk(module: types.ModuleType, tree: ast.Module) -> list[str]:
    """Return the names of literal constants whose value in the module is not that in its file."""
    found = []
    for node in tree.body:
        if not isinstance(node, ast.Assign) or len(node.targets) != 1:
            continue
        target = node.targets[0]
        if isinstance(target, ast.Name) and isinstance(node.value, ast.Constant):
            live = module.__dict__.get(target.id, node.value.value)
            if type(live) in (int, str, float, bool, bytes) and live != node.value.value:
                found.append(target.id)
    return found
