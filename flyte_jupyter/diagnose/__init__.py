"""Facts of a failed attempt in, cause and remedy out: tables of causes, pure."""

from flyte_jupyter.diagnose.advice import advise
from flyte_jupyter.diagnose.causes import diagnose
from flyte_jupyter.diagnose.evidence import evidence
from flyte_jupyter.diagnose.facts import ContainerEnd, ExitRecord, Facts, Raised

__all__ = ["ContainerEnd", "ExitRecord", "Facts", "Raised", "advise", "diagnose", "evidence"]
