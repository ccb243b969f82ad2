"""Facts of a failed attempt in, cause and remedy out: a table of causes, pure."""

from flyte_jupyter.diagnose.causes import ExitRecord, Facts, diagnose

__all__ = ["ExitRecord", "Facts", "diagnose"]
