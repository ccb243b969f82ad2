"""A call that nobody made, done by a worker while it waits.

A process that was just forked shares its memory with the one it came from until it writes to it,
and some code fills its caches when it first runs. Both cost a first call more than the call itself,
so an idle worker takes the whole way once, with a task of one line.
"""

from __future__ import annotations

from typing import Any, Dict

from flyte_jupyter.wire.exchange import Outbox, Packed, lay_out, pack
from flyte_jupyter.wire.frames import Kind, encode_frame
from flyte_jupyter.wire.values import Encoded, encode
from flyte_jupyter.worker.load import FORMAT

__all__ = ["CAPSULE", "rehearsal_bytes"]

CAPSULE = "rehearsal"

SOURCE = "def echo(value: int) -> int:\n    return value\n"


def rehearsal_bytes() -> bytes:
    """Return the capsule and the call, as they would arrive on the stream."""
    capsule = pack(Encoded(_payload(), []))
    header = {
        "capsule": CAPSULE,
        "task": "rehearsal.echo",
        "environment": "rehearsal",
        "run": "",
        "action": "",
        "attempt": 1,
    }
    load = _sent(Kind.LOAD, {"capsule": CAPSULE}, capsule)
    return load + _sent(Kind.CALL, header, pack(encode({"value": 1})))


def _sent(kind: int, header: Dict[str, Any], value: Packed) -> bytes:
    header, laid = lay_out(header, value, Outbox("r"))
    parts = encode_frame(kind, 0, header, laid.inline)
    return b"".join(bytes(part) for part in parts)


def _payload() -> Dict[str, Any]:
    schema = {"type": "int"}
    parameter = {"schema": schema, "has_default": False, "kind": "POSITIONAL_OR_KEYWORD"}
    return {
        "format": FORMAT,
        "name": "rehearsal.echo",
        "is_async": False,
        "interface": {"inputs": {"value": parameter}, "output": schema},
        "python": None,
        "why_python": "",
        "sources": [{"file": "<rehearsal>", "origin": "<rehearsal>", "text": SOURCE}],
        "spaces": [{"name": "__main__"}],
        "entries": [
            {
                "k": "function",
                "space": 0,
                "piece": {
                    "file": 0,
                    "at": [1, 2],
                    "name": "echo",
                    "indent": False,
                    "keep": 0,
                    "future": [],
                },
                "defaults": [],
                "kwdefaults": {},
                "cells": [],
                "state": {},
            }
        ],
        "order": [0],
        "binds": [],
        "classes": [],
        "files": {},
        "root": 0,
        "cell": None,
    }
