"""The kernel's side of a run: what the user holds, encodes and decodes; the engine only sees bytes."""
