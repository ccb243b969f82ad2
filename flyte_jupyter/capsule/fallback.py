"""The named last resort: code without source, sent as bytecode by cloudpickle.

Such a capsule needs the same minor version of Python on both sides, and says so. The pickle is
read with cloudpickle, whose files travel along.
"""

from __future__ import annotations

import io
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flyte_jupyter.capsule.model import LocalFile, Place, Symbol
from flyte_jupyter.capsule.unsendable import refuse

if TYPE_CHECKING:
    from flyte_jupyter.capsule.collect import Collector

__all__ = ["by_value"]


def by_value(collector: Collector, value: Any, place: Place) -> int:
    """Add a function or class as bytecode.

    Args:
        collector: where to.
        value: the function, class or callable.
        place: where it is read.

    Raises:
        CapsuleError: cloudpickle cannot send it either.
    """
    import cloudpickle

    from flyte_jupyter.capsule.spec_values import is_spec

    index = collector.new("cloudpickle")
    collector.remember(value, index)
    refs: list[int] = []

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def persistent_id(self, obj: Any) -> int | None:
            if not is_spec(obj) and not isinstance(obj, types.ModuleType):
                return None
            refs.append(collector.ship(obj, place))
            return refs[-1]

    file = io.BytesIO()
    try:
        Pickler(file, protocol=5).dump(value)
    except Exception as error:
        raise refuse(value, place, error) from error
    data = file.getvalue()
    from flyte_jupyter.capsule.values import buffer_node

    collector.entries[index]["data"] = buffer_node(collector, data)
    _ship_reader(collector)
    name = getattr(value, "__qualname__", type(value).__name__)
    why = _why(value)
    collector.exact.append(f"{name} ({why})")
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    collector.warn(
        f"{name!r} travels as bytecode, because {why}: its container needs Python {version}."
    )
    collector.symbols.append(Symbol(place.name or name, "pickle", str(place), len(data), why))
    return collector.done(index, ["cloudpickle", data, list(sys.version_info[:2]), refs])


def _why(value: Any) -> str:
    if isinstance(value, types.FunctionType):
        filename = value.__code__.co_filename
        from flyte_jupyter.capsule.sources import short_label, source_file

        if source_file(filename) is None:
            return "it has no source"
        return f"{short_label(filename)} has another definition of it now"
    if isinstance(value, type):
        return "the source of the class is not to be found"
    return "it has no source"


def _ship_reader(collector: Collector) -> None:
    """Send cloudpickle itself: the image need not have it."""
    import cloudpickle

    folder = Path(cloudpickle.__file__).parent
    if "cloudpickle/__init__.py" in collector.imports.contents:
        return
    for file in sorted(folder.glob("*.py")):
        data = file.read_bytes()
        collector.imports.contents[f"cloudpickle/{file.name}"] = data
        collector.imports.files.append(LocalFile(f"cloudpickle/{file.name}", str(file), len(data)))
