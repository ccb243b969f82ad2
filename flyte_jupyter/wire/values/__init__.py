"""Values across a container boundary: a tree of JSON and buffers beside it, by one codec per type.

:func:`encode` and :func:`decode` are all that a caller needs; what lies behind them is a table of
codecs (:mod:`~flyte_jupyter.wire.values.registry`), one file per family of types.
"""

from __future__ import annotations

from flyte_jupyter.wire.values import (  # noqa: F401, these fill the tables
    classes,
    containers,
    exceptions,
    scalars,
    tasks,
    times,
)
from flyte_jupyter.wire.values.decoding import decode
from flyte_jupyter.wire.values.encoding import encode
from flyte_jupyter.wire.values.exceptions import (
    RemoteTraceback,
    decode_exception,
    encode_exception,
)
from flyte_jupyter.wire.values.model import Encoded, Ref, size_of
from flyte_jupyter.wire.values.naming import type_of_node
from flyte_jupyter.wire.values.opaque import Opaque
from flyte_jupyter.wire.values.previews import inline_size, preview, preview_tree

__all__ = [
    "Encoded",
    "Opaque",
    "Ref",
    "RemoteTraceback",
    "decode",
    "decode_exception",
    "encode",
    "encode_exception",
    "inline_size",
    "preview",
    "preview_tree",
    "size_of",
    "type_of_node",
]
