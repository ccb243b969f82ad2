"""From a capsule to the function that it carries, in a module of its own.

The module is built, not imported: each entry of the payload becomes an object, in the order that
the notebook's side found; plain functions exist from the start, so that mutual recursion is no
special case. The user's own failures (a module that the image lacks) are raised as such.
"""

from __future__ import annotations

import io
import linecache
import os
import pickle
import sys
import tempfile
import types
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

from flyte_jupyter.errors import CapsuleError, ModuleLoadError
from flyte_jupyter.wire.code import (
    DEFAULT,
    annotations_of,
    compile_definition,
    compile_function,
    parse_piece,
)
from flyte_jupyter.wire.values import Encoded, decode

__all__ = ["FORMAT", "Loaded", "load"]

FORMAT = 1
FACE = "flyte_jupyter"

OpenRef = Optional[Callable[[Any], Any]]


@dataclass(frozen=True)
class Loaded:
    """A capsule that can be called.

    Args:
        callable: the function.
        is_async: whether a call gives a coroutine.
        module: the module that is ``__main__`` for the code; the caller puts it into
            ``sys.modules``.
        interface: what the task takes and gives, ``None`` if nothing is said about it.
        classes: finds a class of the notebook by module and qualified name.
        folder: where local modules were written, ``None`` if there are none; on ``sys.path``.
        class_hash: gives the hash of how a class of the notebook is written, for ``encode``.
    """

    callable: Callable[..., Any]
    is_async: bool
    module: types.ModuleType
    interface: Optional[Dict[str, Any]]
    classes: Callable[..., Any]
    folder: Optional[str] = None
    class_hash: Callable[[type], Optional[str]] = lambda cls: None  # noqa: ARG005


def load(
    payload: Mapping[str, Any],
    buffers: Sequence[Any],
    open_ref: OpenRef = None,
    place: Optional[str] = None,
) -> Loaded:
    """Build what a capsule carries.

    Args:
        payload: the capsule's.
        buffers: the capsule's.
        open_ref: opens a buffer that lies elsewhere.
        place: folder to make the one for local modules in; that for temporary files if not
            given.

    Raises:
        ModuleLoadError: a module that the code imports is missing here.
        CapsuleError: this Python cannot load it.
        BaseException: what the user's own definitions raise.
    """
    if payload["format"] != FORMAT:
        raise CapsuleError(
            f"The capsule has format {payload['format']}, and this worker reads format {FORMAT}.",
            remedy="Use one version of flyte_jupyter on both sides.",
        )
    exact = payload["python"]
    if exact and list(sys.version_info[:2]) != exact:
        raise CapsuleError(
            f"{payload['why_python']} travels as bytecode of Python {exact[0]}.{exact[1]}, and "
            f"this is Python {sys.version_info[0]}.{sys.version_info[1]}.",
            remedy=f"Use an image with Python {exact[0]}.{exact[1]}, or write it as a function "
            "in a cell.",
        )
    return _Loader(payload, buffers, open_ref, place).load()


class _Loader:
    def __init__(
        self,
        payload: Mapping[str, Any],
        buffers: Sequence[Any],
        open_ref: OpenRef,
        place: Optional[str],
    ) -> None:
        self._payload = payload
        self._buffers = buffers
        self._open_ref = open_ref
        self._place = place
        self._folder: Optional[str] = None
        self._entries: List[Dict[str, Any]] = payload["entries"]
        self._objects: Dict[int, Any] = {}
        self._names: Dict[int, List[Any]] = {}
        self._spaces: List[Dict[str, Any]] = []
        self._nodes: Dict[int, Any] = {}
        self._lines: List[List[str]] = []
        self._main = types.ModuleType("__main__")

    def load(self) -> Loaded:
        payload = self._payload
        self._write_files()
        self._register_sources()
        previous = sys.modules.get("__main__")
        sys.modules["__main__"] = self._main  # classes look for their module when they are made
        try:
            self._open_spaces()
            for space, name, index in payload["binds"]:
                self._names.setdefault(index, []).append((space, name))
            for index, entry in enumerate(self._entries):
                if entry["k"] == "cell":
                    self._set(index, types.CellType())
            for index, entry in enumerate(self._entries):
                if entry["k"] == "function":
                    self._set(index, self._function(entry))
            self._note_references()
            for index in payload["order"]:
                self._make(index)
            self._fill_facades()
            root = self._root()
        finally:
            if previous is not None:
                sys.modules["__main__"] = previous
        return Loaded(
            root,
            payload["is_async"],
            self._main,
            payload["interface"],
            self._find_class,
            self._folder,
            self._hash_of,
        )

    def _root(self) -> Any:
        cell = self._payload.get("cell")
        if cell is not None:
            from flyte_jupyter.worker.load_cell import body_of_cell

            filename = self._payload["sources"][cell["file"]]["file"]
            return body_of_cell(cell, self._lines[cell["file"]], filename, self._spaces[0])
        return self._objects[self._payload["root"]]

    def _set(self, index: int, value: Any) -> None:
        self._objects[index] = value
        for space, name in self._names.get(index, ()):
            self._spaces[space][name] = value

    # Surroundings

    def _register_sources(self) -> None:
        for source in self._payload["sources"]:
            lines = source["text"].splitlines(True)
            self._lines.append(lines)
            # without a time of change the lines are kept whatever is on this machine's disk
            linecache.cache[source["file"]] = (len(source["text"]), None, lines, source["file"])

    def _write_files(self) -> None:
        files = self._payload["files"]
        if not files:
            return
        if self._place:
            os.makedirs(self._place, mode=0o700, exist_ok=True)
        self._folder = tempfile.mkdtemp(prefix="flyte-modules-", dir=self._place)
        for path, node in files.items():
            target = os.path.join(self._folder, *path.split("/"))
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "wb") as file:
                file.write(self._bytes(node))
        _use_folder(self._folder, {path.split("/")[0].partition(".py")[0] for path in files})

    def _open_spaces(self) -> None:
        for number, space in enumerate(self._payload["spaces"]):
            if space.get("module"):
                self._spaces.append(vars(_imported(space["module"])))
                continue
            module = self._main if number == 0 else types.ModuleType(space["name"])
            module.__dict__["__builtins__"] = __import__("builtins")
            self._spaces.append(module.__dict__)

    def _bytes(self, node: Mapping[str, Any]) -> Any:
        at = node["b"]
        if isinstance(at, int):
            buffer = self._buffers[at]
            return buffer if _is_bytes(buffer) else self._open(buffer)
        number, start, size = at
        buffer = self._buffers[number]
        return memoryview(buffer if _is_bytes(buffer) else self._open(buffer))[start : start + size]

    def _open(self, ref: Any) -> Any:
        assert self._open_ref is not None
        return self._open_ref(ref)

    # Entries

    def _make(self, index: int) -> None:
        entry = self._entries[index]
        if entry["k"] == "function":
            self._fill_function(entry, self._objects[index])
        elif entry["k"] == "cell":
            if entry["value"] is not None:
                self._objects[index].cell_contents = self._objects[entry["value"]]
        else:
            self._set(index, getattr(self, "_make_" + entry["k"])(entry))

    def _function(self, entry: Mapping[str, Any]) -> types.FunctionType:
        piece = entry["piece"]
        node = parse_piece(self._lines[piece["file"]], piece)
        annotations = annotations_of(node)
        filename = self._payload["sources"][piece["file"]]["file"]
        code = compile_function(node, piece, filename)
        cells = dict(zip(piece.get("free", ()), entry["cells"]))
        closure = tuple(self._objects[cells[name]] for name in code.co_freevars)
        function = types.FunctionType(
            code, self._spaces[entry["space"]], None, None, closure or None
        )
        function.__annotations__ = annotations
        if "qualname" in entry:
            function.__qualname__ = entry["qualname"]
        if "name" in entry:
            function.__name__ = entry["name"]
        if "doc" in entry:
            function.__doc__ = entry["doc"]
        return function

    def _fill_function(self, entry: Mapping[str, Any], function: Any) -> None:
        if entry["defaults"]:
            function.__defaults__ = tuple(self._objects[one] for one in entry["defaults"])
        if entry["kwdefaults"]:
            function.__kwdefaults__ = {
                name: self._objects[one] for name, one in entry["kwdefaults"].items()
            }
        for name, one in entry["state"].items():
            setattr(function, name, self._objects[one])

    def _make_define(self, entry: Mapping[str, Any]) -> Any:
        piece = entry["piece"]
        node = parse_piece(self._lines[piece["file"]], piece)
        filename = self._payload["sources"][piece["file"]]["file"]
        code = compile_definition(node, piece, filename)
        local = {
            DEFAULT.format(number): self._objects[one]
            for number, one in enumerate(entry["defaults"])
        }
        exec(code, self._spaces[entry["space"]], local)
        return local[piece["name"]]

    def _make_import(self, entry: Mapping[str, Any]) -> Any:
        return _imported(entry["module"], entry["attr"])

    def _make_facade(self, entry: Mapping[str, Any]) -> Any:
        return types.ModuleType(entry["module"])

    def _fill_facades(self) -> None:
        for index, entry in enumerate(self._entries):
            if entry["k"] == "facade":
                tasks = {name: self._objects[one] for name, one in entry["attrs"].items()}
                vars(self._objects[index]).update(tasks)

    def _make_attr(self, entry: Mapping[str, Any]) -> Any:
        return _attribute(self._objects[entry["of"]], entry["path"])

    def _make_value(self, entry: Mapping[str, Any]) -> Any:
        tree = entry["tree"]
        if tree is None or isinstance(tree, (bool, int, float, str)):
            return tree
        encoded = Encoded(tree, self._buffers)
        return decode(encoded, open_ref=self._open_ref, classes=self._find_class)

    def _make_pickle(self, entry: Mapping[str, Any]) -> Any:
        data, *buffers = (self._bytes(node) for node in entry["data"])
        return _Unpickler(io.BytesIO(data), buffers, self._objects).load()

    def _make_cloudpickle(self, entry: Mapping[str, Any]) -> Any:
        return _Unpickler(io.BytesIO(self._bytes(entry["data"])), [], self._objects).load()

    def _make_call(self, entry: Mapping[str, Any]) -> Any:
        args = [self._objects[one] for one in entry["args"]]
        kwargs = {name: self._objects[one] for name, one in entry["kwargs"].items()}
        return self._objects[entry["func"]](*args, **kwargs)

    def _make_task(self, entry: Mapping[str, Any]) -> Any:
        from flyte_jupyter.worker.stubs import task_stub

        return task_stub(entry)

    def _note_references(self) -> None:
        """Let the files that travel along find the deployed tasks that they look up."""
        for entry in self._entries:
            if entry["k"] == "task" and "place" in entry:
                from flyte_jupyter.worker.remote import note_reference

                note_reference(self._make_task(entry))

    def _make_environment(self, entry: Mapping[str, Any]) -> Any:
        from flyte_jupyter.worker.stubs import environment_stub

        return environment_stub(entry)

    def _find_class(self, module: str, qualname: str, *_: Any) -> Any:
        """Find a class of the notebook, ``None`` if the capsule does not carry it."""
        for own_module, own_name, index, _ in self._payload["classes"]:
            if own_name == qualname and own_module == module and index in self._objects:
                return self._objects[index]
        return None

    def _hash_of(self, cls: type) -> Optional[str]:
        for _, _, index, digest in self._payload["classes"]:
            if self._objects.get(index) is cls:
                return digest  # type: ignore[no-any-return]
        return None


class _Unpickler(pickle.Unpickler):
    """Puts the entries of the capsule in where the pickle has left them out."""

    def __init__(self, file: Any, buffers: Sequence[Any], objects: Mapping[int, Any]) -> None:
        super().__init__(file, buffers=buffers)
        self._objects = objects

    def persistent_load(self, pid: Any) -> Any:
        return self._objects[pid]


def _is_bytes(buffer: Any) -> bool:
    return isinstance(buffer, (bytes, bytearray, memoryview))


def _use_folder(folder: str, names: Any) -> None:
    """Put a folder on ``sys.path``, and forget modules that came from another such folder."""
    if folder not in sys.path:
        sys.path.insert(0, folder)
    import importlib

    importlib.invalidate_caches()
    for name in [one for one in sys.modules if one.partition(".")[0] in names]:
        if name != "cloudpickle" and not name.startswith("cloudpickle."):
            file = getattr(sys.modules[name], "__file__", None) or ""
            if not file.startswith(folder + os.sep):
                del sys.modules[name]


def _imported(module: str, path: str = "") -> Any:
    try:
        found = import_module(module)
    except ModuleNotFoundError as error:
        from flyte_jupyter.spec.packages import package_of

        missing = error.name or module
        raise ModuleLoadError(
            "ModuleLoadError",
            f"No module named {missing!r} in the image of this task.",
            remedy=f"Add the package that has it: Image.from_debian_base()"
            f".with_pip_packages({package_of(missing)!r}).",
        ) from error
    try:
        return _attribute(found, path)
    except AttributeError:
        if module == FACE:
            raise CapsuleError(
                f"flyte.{path} belongs to the notebook and is not there inside a task."
            ) from None
        raise


def _attribute(value: Any, path: str) -> Any:
    for part in path.split(".") if path else ():
        value = getattr(value, part)
    return value
