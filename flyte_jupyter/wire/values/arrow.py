"""Codecs of Arrow: tables, batches, arrays and schemas in Arrow's own stream format."""

from __future__ import annotations

import sys
from typing import Any, Callable, Dict

from flyte_jupyter.errors import ProtocolError
from flyte_jupyter.wire.values.decoding import Decoder
from flyte_jupyter.wire.values.encoding import Encoder
from flyte_jupyter.wire.values.model import TAG
from flyte_jupyter.wire.values.registry import reads

__all__ = ["encoders", "preview"]

Node = Dict[str, Any]


def encoders() -> Dict[type, Callable[[Any, Encoder], Any]]:
    """Return the codecs of the exact types of Arrow."""
    arrow = sys.modules["pyarrow"]
    return {
        arrow.Table: _write_table,
        arrow.RecordBatch: _write_batch,
        arrow.ChunkedArray: _write_chunks,
        arrow.Schema: _write_schema,
    }


def preview(value: Any) -> str:
    """Return a table in a few words, "" for what ``repr`` tells well enough."""
    arrow = sys.modules["pyarrow"]
    if isinstance(value, (arrow.Table, arrow.RecordBatch)):
        fields = [f"{field.name}: {field.type}" for field in list(value.schema)[:6]]
        more = ["…"] if value.num_columns > 6 else []
        columns = f"{value.num_columns} columns ({', '.join(fields + more)})"
        return f"{value.num_rows:,} rows, {columns}"
    if isinstance(value, (arrow.Array, arrow.ChunkedArray)):
        return f"{len(value):,} items of {value.type}"
    return ""


def _stream(batches: Any, schema: Any) -> memoryview:
    arrow = sys.modules["pyarrow"]
    sink = arrow.BufferOutputStream()
    with _ipc().new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return memoryview(sink.getvalue())


def _ipc() -> Any:
    import pyarrow.ipc as ipc

    return ipc


def _write_table(table: Any, encoder: Encoder) -> Node:
    return {
        TAG: "pyarrow.table",
        "rows": table.num_rows,
        "p": encoder.node(preview(table)),
        "r": [encoder.raw(_stream(table.to_batches(), table.schema))],
    }


def _read(node: Node, decoder: Decoder) -> Any:
    arrow = decoder.package("pyarrow")
    decoder.package("pyarrow.ipc")
    return _ipc().open_stream(arrow.py_buffer(decoder.one(node)))


@reads("pyarrow.table")
def decode_table(node: Node, decoder: Decoder) -> Any:
    """Return a table on the memory of its buffer."""
    table = _read(node, decoder).read_all()
    if table.num_rows != node["rows"]:
        raise ProtocolError(f"A table of {node['rows']} rows came with {table.num_rows}.")
    return table


def _write_batch(batch: Any, encoder: Encoder) -> Node:
    return {
        TAG: "pyarrow.batch",
        "p": encoder.node(preview(batch)),
        "r": [encoder.raw(_stream([batch], batch.schema))],
    }


@reads("pyarrow.batch")
def decode_batch(node: Node, decoder: Decoder) -> Any:
    """Return a batch of records on the memory of its buffer."""
    return _read(node, decoder).read_next_batch()


def _write_chunks(column: Any, encoder: Encoder) -> Node:
    arrow = sys.modules["pyarrow"]
    schema = arrow.schema([arrow.field("", column.type)])
    batches = [arrow.record_batch([chunk], schema=schema) for chunk in column.chunks]
    return {
        TAG: "pyarrow.chunks",
        "p": encoder.node(preview(column)),
        "r": [encoder.raw(_stream(batches, schema))],
    }


@reads("pyarrow.chunks")
def decode_chunks(node: Node, decoder: Decoder) -> Any:
    """Return an array in chunks on the memory of its buffer."""
    return _read(node, decoder).read_all().column(0)


def _write_schema(schema: Any, encoder: Encoder) -> Node:
    return {
        TAG: "pyarrow.schema",
        "p": encoder.node(f"{len(schema)} fields"),
        "r": [encoder.raw(memoryview(schema.serialize()))],
    }


@reads("pyarrow.schema")
def decode_schema(node: Node, decoder: Decoder) -> Any:
    """Return the schema of a table."""
    arrow = decoder.package("pyarrow")
    decoder.package("pyarrow.ipc")
    return _ipc().read_schema(arrow.py_buffer(decoder.one(node)))
