"""What a call takes and gives, held against the signature and the limits of its task."""

from __future__ import annotations

from typing import Any, Iterator, Mapping, Optional, Tuple

from flyte_jupyter.errors import InlineIOMaxBytesBreached, InputTypeError
from flyte_jupyter.spec.limits import DEFAULT_MAX_INLINE_IO_BYTES
from flyte_jupyter.wire.schema import check

__all__ = ["check_inputs", "check_size"]


def check_inputs(task: str, interface: Optional[Mapping[str, Any]], tree: Any) -> None:
    """Check what a call gives, as it is encoded.

    Args:
        task: name of the task for the message.
        interface: what :func:`~flyte_jupyter.wire.schema.interface_of` says, ``None`` if nothing
            is known.
        tree: the encoded dictionary from parameter to value.

    Raises:
        InputTypeError: a value has another type than its annotation says.
    """
    known = (interface or {}).get("inputs", {})
    for name, parameter in known.items():
        if name not in tree or "any" in parameter["schema"]:
            continue
        for label, node in _values(name, parameter["kind"], tree[name]):
            mismatch = check(parameter["schema"], node)
            if mismatch is not None:
                sentence = mismatch.sentence(f"Input {label!r} of {task}()")
                raise InputTypeError(sentence + ".", remedy=mismatch.remedy)


def _values(name: str, kind: str, node: Any) -> Iterator[Tuple[str, Any]]:
    if kind == "VAR_POSITIONAL":
        items = node["v"] if isinstance(node, dict) else node
        for index, item in enumerate(items):
            yield f"{name}[{index}]", item
    elif kind == "VAR_KEYWORD":
        for key, item in node.items():
            yield key, item
    else:
        yield name, node


def check_size(size: int, limit: Optional[int], what: str, hint: str = "") -> None:
    """Check how much travels inline.

    Args:
        size: bytes of all inputs, or all outputs, without arrays, frames and files.
        limit: ``max_inline_io_bytes``, ``None`` for the default.
        what: what it is, as the subject of a sentence.
        hint: words after the sentence, such as the largest input.

    Raises:
        InlineIOMaxBytesBreached: it is more than the limit.
    """
    allowed = DEFAULT_MAX_INLINE_IO_BYTES if limit is None else limit
    if size > allowed:
        verb = "are" if what.startswith("The inputs") else "is"
        raise InlineIOMaxBytesBreached(
            "",
            f"{what} {verb} {size:,} bytes inline, more than "
            f"max_inline_io_bytes={allowed:,}{hint}.",
            remedy="Raise max_inline_io_bytes on the task or with .override(), or pass it as an "
            "array, a data frame or a file, which do not travel inline.",
        )
