"""The last resort: pickle protocol 5, its large buffers beside it, and only where it is allowed."""

from __future__ import annotations

import io
import pickle
import sys
from typing import Any, Dict, List

from flyte_jupyter.errors import FlyteError, SerializationError
from flyte_jupyter.wire.values.decoding import Decoder, Missing
from flyte_jupyter.wire.values.encoding import Encoder
from flyte_jupyter.wire.values.registry import reads

__all__ = ["encode_pickle"]

Node = Dict[str, Any]


def encode_pickle(value: Any, encoder: Encoder) -> Any:
    """Pickle what no other codec knows.

    Raises:
        SerializationError: pickle is switched off, or cannot do it either.
    """
    from flyte_jupyter.wire.values.classes import class_node
    from flyte_jupyter.wire.values.previews import preview

    kind = type(value)
    if not encoder.pickle:
        raise SerializationError(
            f"A {kind.__module__}.{kind.__qualname__} could only go by pickle, and pickle is "
            "switched off.",
            remedy="Pass its parts as plain values or arrays, or allow it with init(pickle=True).",
        )
    out_of_band: List[pickle.PickleBuffer] = []
    body = io.BytesIO()
    try:
        _Pickler(body, protocol=5, buffer_callback=out_of_band.append).dump(value)
    except RecursionError:
        raise SerializationError(
            f"A {kind.__qualname__} is nested too deeply to be encoded.",
            remedy="Pass it on as a flat table of items that refer to each other by number.",
        ) from None
    except FlyteError:
        raise
    except Exception as error:
        raise SerializationError(
            f"A {kind.__module__}.{kind.__qualname__} cannot be encoded: {error}",
            remedy="Make it inside the task from plain values instead.",
        ) from error
    node = class_node("pickle", kind, encoder)
    node["b"] = encoder.raw(body.getbuffer())
    node["r"] = [encoder.raw(buffer.raw()) for buffer in out_of_band]
    node["p"] = encoder.node(preview(value))
    return node


@reads("pickle")
def decode_pickle(node: Node, decoder: Decoder) -> Any:
    """Return what was pickled.

    Raises:
        SerializationError: pickle is switched off.
        Missing: it cannot be opened here.
    """
    name = ".".join(node["c"][:2])
    if not decoder.pickle:
        raise SerializationError(
            f"A value of type {name} came by pickle, and pickle is switched off.",
            remedy="Pass its parts as plain values or arrays, or allow it with init(pickle=True).",
        )
    buffers = [_own(decoder.buffer(place)) for place in node["r"]]
    body = io.BytesIO(decoder.buffer(node["b"]))
    try:
        return _Unpickler(body, decoder, buffers).load()
    except ImportError as error:
        raise Missing((error.name or name).partition(".")[0], str(error)) from None
    except (FlyteError, Missing, RecursionError, MemoryError):
        raise
    except Exception as error:
        raise Missing(name, f"it cannot be unpickled here: {error}") from error


def _own(buffer: memoryview) -> Any:
    """Return writable memory: what was writable when it was pickled must be so again."""
    return bytearray(buffer) if buffer.readonly else buffer


def find_class(module: str, qualname: str) -> Any:
    """Stand for a class of the notebook in a pickle; the unpickler puts its own in the place."""
    raise SerializationError(f"The class {module}.{qualname} can only be found while decoding.")


class _Pickler(pickle.Pickler):
    """Pickles classes of the notebook by name, also when their cell was run again since."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, type) and value.__module__ == "__main__":
            found: Any = sys.modules.get("__main__")
            for part in value.__qualname__.split("."):
                found = getattr(found, part, None)
            if found is not value:
                return find_class, (value.__module__, value.__qualname__)
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def __init__(self, body: io.BytesIO, decoder: Decoder, buffers: List[Any]) -> None:
        super().__init__(body, buffers=buffers)
        self._decoder = decoder

    def find_class(self, module: str, name: str) -> Any:
        if module == "__main__":
            return self._decoder.named(module, name)
        if module == __name__ and name == "find_class":
            return self._decoder.named
        return super().find_class(module, name)
