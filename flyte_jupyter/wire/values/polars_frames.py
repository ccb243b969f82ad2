"""Codecs of polars: frames and series in the stream format of Arrow, as polars writes it."""

from __future__ import annotations

import io
import sys
from typing import Any, Callable, Dict

from flyte_jupyter.wire.values.decoding import Decoder
from flyte_jupyter.wire.values.encoding import Encoder
from flyte_jupyter.wire.values.model import TAG
from flyte_jupyter.wire.values.registry import reads

__all__ = ["encoders", "preview"]

Node = Dict[str, Any]


def encoders() -> Dict[type, Callable[[Any, Encoder], Any]]:
    """Return the codecs of the exact types of polars."""
    polars = sys.modules["polars"]
    return {polars.DataFrame: _write_frame, polars.Series: _write_series}


def preview(value: Any) -> str:
    """Return a frame or series in a few words, "" for what ``repr`` tells well enough."""
    polars = sys.modules["polars"]
    if isinstance(value, polars.DataFrame):
        fields = [f"{name}: {kind}" for name, kind in list(value.schema.items())[:6]]
        more = ["…"] if value.width > 6 else []
        return f"{value.height:,} rows, {value.width} columns ({', '.join(fields + more)})"
    if isinstance(value, polars.Series):
        return f"Series {value.name!r}, {len(value):,} items of {value.dtype}"
    return ""


def _write_frame(frame: Any, encoder: Encoder) -> Any:
    polars = sys.modules["polars"]
    if not frame.width or any(kind == polars.Object for kind in frame.dtypes):
        from flyte_jupyter.wire.values.pickled import encode_pickle

        return encode_pickle(frame, encoder)
    stream = io.BytesIO()
    frame.write_ipc_stream(stream)
    return {
        TAG: "polars.frame",
        "p": encoder.node(preview(frame)),
        "r": [encoder.raw(stream.getbuffer())],
    }


@reads("polars.frame")
def decode_frame(node: Node, decoder: Decoder) -> Any:
    """Return a frame."""
    polars = decoder.package("polars")
    return polars.read_ipc_stream(io.BytesIO(decoder.one(node)))


def _write_series(series: Any, encoder: Encoder) -> Any:
    node = _write_frame(series.to_frame(), encoder)
    if node[TAG] == "polars.frame":
        node[TAG] = "polars.series"
        node["p"] = encoder.node(preview(series))
    return node


@reads("polars.series")
def decode_series(node: Node, decoder: Decoder) -> Any:
    """Return a series."""
    return decode_frame(node, decoder).to_series()
