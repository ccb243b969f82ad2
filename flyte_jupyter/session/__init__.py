"""The kernel's side of a run: what the user holds; the engine only sees bytes."""
