"""From a tree and buffers back to the value, with nothing executed that the tree does not name.

Whatever cannot be opened here, because a package or a class is missing, becomes an
:class:`~flyte_jupyter.wire.values.opaque.Opaque` handle around its part of the tree; the rest of
the value is as usual. A tree that no encoder wrote is refused with ``ProtocolError``.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, Callable, Dict, List, Optional

from flyte_jupyter.errors import FlyteError, OpaqueValueError, ProtocolError
from flyte_jupyter.wire.values.model import TAG, Encoded, Place, Ref
from flyte_jupyter.wire.values.registry import decoder_of

__all__ = ["Decoder", "Missing", "decode"]

#: A tree may be this deep: what an encoder writes, several levels of the tree for one of a value.
MAX_DEPTH = 300

_PLAIN = frozenset({str, int, float, bool, type(None)})


class Missing(Exception):
    """Something that a node needs is not to be had here.

    Args:
        what: name of the package, or words for the class or function.
        why: what happened, if there is more to say than that it is missing.
    """

    def __init__(self, what: str, why: str = "") -> None:
        super().__init__(what, why)
        self.what = what
        self.why = why


def decode(
    encoded: Encoded,
    *,
    open_ref: Optional[Callable[[Ref], Any]] = None,
    missing: str = "opaque",
    classes: Optional[Callable[..., Any]] = None,
    tasks: Optional[Callable[[str], Any]] = None,
    pickle: bool = True,
) -> Any:
    """Return the value that was encoded.

    Arrays use the memory of writable buffers as it is; what lies in read-only ones is copied.

    Args:
        encoded: what :func:`~flyte_jupyter.wire.values.encode` returned, maybe after a journey.
        open_ref: gives the bytes of a buffer that lies elsewhere.
        missing: ``"opaque"`` turns what needs a missing package into a handle, ``"raise"`` raises.
        classes: finds what is called ``(module, qualified name)``, None if it does not know; with
            a third argument, the hash of its source, where the node carries one. It is asked
            before anything is imported.
        tasks: finds the task of a full name.
        pickle: whether pickled parts may be opened.

    Raises:
        ProtocolError: no encoder wrote this.
        OpaqueValueError: with ``missing="raise"``, when a package or class is missing.
        SerializationError: a pickled part was refused.
    """
    tree = encoded.tree
    if type(tree) in _PLAIN:
        return tree
    decoder = Decoder(encoded, open_ref, missing, classes, tasks, pickle)
    try:
        return decoder.value(tree)
    except RecursionError:
        raise ProtocolError("The tree of a value is nested too deeply.") from None


class Decoder:
    """One walk over one tree; codecs call it for what is inside their nodes."""

    __slots__ = (
        "_depth",
        "_opened",
        "buffers",
        "classes",
        "missing",
        "open_ref",
        "pickle",
        "tasks",
    )

    def __init__(
        self,
        encoded: Encoded,
        open_ref: Optional[Callable[[Ref], Any]] = None,
        missing: str = "opaque",
        classes: Optional[Callable[..., Any]] = None,
        tasks: Optional[Callable[[str], Any]] = None,
        pickle: bool = True,
    ) -> None:
        self.buffers = encoded.buffers
        self.open_ref = open_ref
        self.missing = missing
        self.classes = classes
        self.tasks = tasks
        self.pickle = pickle
        self._opened: Dict[int, memoryview] = {}
        self._depth = 0

    def value(self, node: Any) -> Any:
        """Return the value of a node."""
        kind = type(node)
        if kind in _PLAIN:
            return node
        depth = self._depth
        if depth > MAX_DEPTH:
            raise ProtocolError(f"The tree of a value is more than {MAX_DEPTH} levels deep.")
        self._depth = depth + 1
        value: Any
        if kind is list:
            value = self.values(node)
        elif kind is not dict:
            raise ProtocolError(f"A tree of JSON values cannot hold a {kind.__qualname__}.")
        elif TAG in node:
            value = self._tagged(node)
            self._depth = depth
        else:
            of = self.value
            value = {key: of(item) for key, item in node.items()}
        self._depth = depth
        return value

    def values(self, nodes: List[Any]) -> List[Any]:
        """Return the values of a list of nodes."""
        if type(nodes) is not list:
            raise ProtocolError(f"A {type(nodes).__qualname__} stands where a list of nodes does.")
        if len(nodes) > 8 and _PLAIN.issuperset(set(map(type, nodes))):
            return nodes.copy()
        of = self.value
        return [of(item) for item in nodes]

    def buffer(self, place: Place) -> memoryview:
        """Return the bytes at a place, writable if the buffer is."""
        if type(place) is list:
            index, start, size = place
            whole = self._whole(index)
            if not (type(start) is int and type(size) is int and 0 <= start <= start + size):
                raise ProtocolError(f"{place!r} is no place in a buffer.")
            if start + size > whole.nbytes:
                raise ProtocolError(f"A buffer of {whole.nbytes} bytes has no place {place!r}.")
            return whole[start : start + size]
        return self._whole(place)

    def one(self, node: Dict[str, Any]) -> memoryview:
        """Return the only raw buffer of a node."""
        (place,) = node["r"]
        return self.buffer(place)

    def _whole(self, index: Any) -> memoryview:
        found = self._opened.get(index) if type(index) is int else None
        if found is not None:
            return found
        if type(index) is not int or not 0 <= index < len(self.buffers):
            raise ProtocolError(f"The value has {len(self.buffers)} buffers, none is {index!r}.")
        buffer: Any = self.buffers[index]
        if isinstance(buffer, Ref):
            if self.open_ref is None:
                raise ProtocolError(f"The buffer {buffer.id!r} lies elsewhere: nothing opens it.")
            size, buffer = buffer.size, self.open_ref(buffer)
            if memoryview(buffer).nbytes != size:
                raise ProtocolError(
                    f"A buffer of {size} bytes was announced, "
                    f"{memoryview(buffer).nbytes} bytes came."
                )
        view = memoryview(buffer)
        view = view.cast("B") if view.nbytes else memoryview(bytearray())
        self._opened[index] = view
        return view

    def package(self, name: str) -> Any:
        """Import a package that a node needs.

        Raises:
            Missing: it is not installed here, or its import fails.
        """
        module = sys.modules.get(name)
        if module is not None:
            return module
        try:
            return import_module(name)
        except ImportError as error:
            lacking = (error.name or name).partition(".")[0]
            raise Missing(
                lacking, "" if lacking == name.partition(".")[0] else str(error)
            ) from None

    def named(self, module: Any, qualname: Any, source: Any = None) -> Any:
        """Return the class or function of a name.

        Raises:
            Missing: there is none.
        """
        if type(module) is not str or type(qualname) is not str:
            raise ProtocolError(f"{module!r}, {qualname!r} is no name of a class.")
        if self.classes is not None:
            extra = () if source is None else (source,)
            found = self.classes(module, qualname, *extra)
            if found is not None:
                return found
        if module == "__main__":
            found = sys.modules.get(module)
            why = f"no {qualname!r} is defined in the notebook's cells"
        else:
            found = self.package(module)
            why = f"module {module!r} has no {qualname!r} here"
        for part in qualname.split("."):
            found = getattr(found, part, None)
            if found is None:
                raise Missing(f"{module}.{qualname}", why)
        return found

    def cls(self, node: Dict[str, Any]) -> Any:
        """Return the class of a class-tagged node."""
        found = self.named(*node["c"])
        if not isinstance(found, type):
            raise Missing(".".join(node["c"][:2]), f"{node['c'][1]!r} is no class here")
        return found

    def _tagged(self, node: Dict[str, Any]) -> Any:
        read = decoder_of(node[TAG])
        if read is None:
            raise ProtocolError(f"A value has a node of the unknown kind {node[TAG]!r}.")
        depth = self._depth
        try:
            return read(node, self)
        except Missing as error:
            what, why = error.what, error.why
        except OpaqueValueError as error:
            # An opaque item was needed to build this: a member of a set, a key.
            what, why = error.args[0], "it holds an opaque value"
            if self.missing == "raise":
                raise
        except (FlyteError, RecursionError, MemoryError):
            raise
        except Exception as error:
            raise ProtocolError(
                f"A node {node[TAG]!r} of a value is malformed: {type(error).__name__}: {error}"
            ) from error
        self._depth = depth
        from flyte_jupyter.wire.values.opaque import opaque_of

        handle = opaque_of(node, self.buffers, what, why)
        if self.missing == "raise":
            handle._refuse()
        return handle
