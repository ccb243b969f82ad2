"""What uv says when it fails, as one sentence with what to do next. A table of causes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flyte_jupyter.errors import ImageBuildError

__all__ = ["failure", "is_network_failure"]

LONGEST_EVIDENCE = 40


@dataclass(frozen=True, slots=True)
class Cause:
    """A way to fail.

    Args:
        pattern: tells it by uv's words.
        remedy: what to do; ``{1}`` is the first group of the pattern.
    """

    pattern: str
    remedy: str


NETWORK = (
    r"dns error|tcp connect error|client error \(Connect\)|operation timed out|Connection refused"
    r"|error sending request|Network is unreachable|Connection reset|network was disabled"
)

# The first that fits holds: the particular before the general.
CAUSES = (
    Cause(
        r"No space left on device|os error 28",
        "Free some disk space, or set FLYTE_JUPYTER_HOME and UV_CACHE_DIR to a disk that has some.",
    ),
    Cause(
        r"401 Unauthorized|403 Forbidden|407 Proxy|[Mm]issing credentials|Could not authenticate",
        "Give the index its user and password in the kernel's environment, for example in "
        "UV_INDEX, never in the notebook.",
    ),
    Cause(
        r"invalid peer certificate|UnknownIssuer|certificate verify failed",
        "Set SSL_CERT_FILE to the certificates of your network in the kernel's environment.",
    ),
    Cause(
        NETWORK,
        "Check the connection, the proxy and the address of the index; packages that were "
        "installed before are taken from uv's cache.",
    ),
    Cause(
        r"`?([\w.-]+)`? was not found in the (?:package registry|provided package locations)",
        "Check the spelling of {1!r}, or name the index that has it: "
        "with_pip_packages(..., extra_index_urls=...).",
    ),
    Cause(
        r"no version of ([\w.\[\]-]+)==([^\s,]+)",
        "Ask for a version of {1!r} that exists: leave '=={2}' out to take the newest one.",
    ),
    Cause(
        r"no wheels with a matching Python|depends on Python|requires Python|requires-python"
        r"|does not satisfy Python|current Python version",
        "Take another Python for this image, for example "
        "Image.from_debian_base(python_version=(3, 12)), or another version of the package.",
    ),
    Cause(
        r"(?:Failed to build|Failed to download and build) `?([^`\s]+)`?",
        "{1} has no wheel for this Python and could not be built: take a version that has one, or "
        "an image with another Python.",
    ),
    Cause(
        r"(?:are incompatible|requirements are unsatisfiable|conflict)",
        "Loosen one of these requirements, or give each its own environment: tasks of different "
        "environments can call each other.",
    ),
    Cause(
        r"Failed to parse|Expected one of|unexpected argument|invalid value",
        "Write each requirement as pip does, such as 'pandas==2.2' or 'pandas>=2,<3'.",
    ),
)
DEFAULT_REMEDY = "The lines above are what uv said; the same words given to uv show it again."


def failure(what: str, lines: Sequence[str]) -> ImageBuildError:
    """Return the error for a run of uv that failed.

    Args:
        what: what was to be done, such as ``pip pandas==99``.
        lines: what uv wrote, with nothing secret in it.
    """
    told = _told(lines)
    index, sentence = _sentence(told)
    rest = [line for line in told[index + 1 :] if line.strip()]
    if len(rest) > LONGEST_EVIDENCE:
        rest = ["…", *rest[-LONGEST_EVIDENCE:]]
    return ImageBuildError(
        f"{what} could not be installed: {sentence}",
        evidence=rest,
        remedy=_remedy("\n".join(told)),
    )


def is_network_failure(lines: Iterable[str]) -> bool:
    """Return whether uv failed because it could not reach an index."""
    return re.search(NETWORK, "\n".join(lines)) is not None


def _told(lines: Sequence[str]) -> list[str]:
    """Return the lines from the first error on."""
    for index, line in enumerate(lines):
        if re.match(r"\s*(?:error\b|\u00d7)", line):
            return list(lines[index:])
    return list(lines)


def _sentence(lines: Sequence[str]) -> tuple[int, str]:
    """Return uv's own words, and the index of the line they end on.

    That is its error, or, where the error only says that the search failed, its first cause.
    """
    first = re.sub(r"^\s*(?:error:|\u00d7)\s*", "", lines[0]) if lines else "uv said nothing"
    if first.startswith("No solution found"):
        for index, line in enumerate(lines):
            cause = re.match(r"\s*(?:cause:|Caused by:|╰─▶|├─▶)\s*(.+)", line)
            if cause:
                # a chain of reasons is one sentence for uv
                reasons = [cause[1]]
                for follows in lines[index + 1 :]:
                    if not re.match(r"\s+[Aa]nd ", follows):
                        break
                    reasons.append(follows.strip())
                return index + len(reasons) - 1, _ended(" ".join(reasons))
    return 0, _ended(first)


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?")) else sentence + "."


def _remedy(text: str) -> str:
    for cause in CAUSES:
        match = re.search(cause.pattern, text)
        if match:
            return cause.remedy.format(*match.group(0, *range(1, (match.re.groups or 0) + 1)))
    return DEFAULT_REMEDY
