"""A run before it is started: what its task takes, what was said, and the call that comes of it."""
