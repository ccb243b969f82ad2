"""What an engine says when it refuses, as one sentence with what to do next. A table of causes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from flyte_jupyter.errors import FlyteError, ImageBuildError, TargetError

__all__ = ["explained", "said"]


@dataclass(frozen=True, slots=True)
class Cause:
    """A way to fail.

    Args:
        pattern: tells it by the engine's words.
        kind: the error that it is.
        sentence: what is wrong; ``{image}`` is the image, ``{1}`` the first group of the pattern.
        remedy: what to do.
    """

    pattern: str
    kind: type[FlyteError]
    sentence: str
    remedy: str


# The first that fits holds: the particular before the general.
CAUSES = (
    Cause(
        r"no space left on device|disk quota exceeded",
        ImageBuildError,
        "The disk of the Docker engine is full.",
        "Free space there: %flyte_images --remove-unused removes what nothing needs, "
        "'docker system df' shows the rest.",
    ),
    Cause(
        r"no matching manifest for (\S+)|does not match the (?:specified|detected host) platform"
        r"|exec format error",
        ImageBuildError,
        "The image {image} is not made for the architecture of this engine's machine.",
        "Take an image that has it, or build one for this platform.",
    ),
    Cause(
        r"toomanyrequests|rate limit",
        ImageBuildError,
        "The registry of {image} has answered too many requests of yours and refuses more for now.",
        "Log in with 'docker login', use a mirror, or wait.",
    ),
    Cause(
        r"pull access denied|repository (?:does not exist|\S+ not found)|name unknown"
        r"|requested access to the resource is denied",
        ImageBuildError,
        "The image {image} does not exist, or you may not pull it.",
        "Check the name; if the repository is private, log in first: docker login REGISTRY.",
    ),
    Cause(
        r"unauthorized|authentication required|no basic auth credentials|denied|forbidden"
        r"|\b40[13]\b",
        ImageBuildError,
        "You may not pull the image {image}: the registry refuses it.",
        "Log in to the registry in a terminal: docker login REGISTRY.",
    ),
    Cause(
        r"manifest (?:for \S+ )?(?:unknown|not found)|manifest unknown|not found: manifest"
        r"|failed to resolve reference .*not found",
        ImageBuildError,
        "The registry has no image {image}.",
        "Check the tag.",
    ),
    Cause(
        r"invalid reference format|invalid repository name",
        ImageBuildError,
        "{image} is no reference to an image.",
        "Write [registry/]path[:tag], the path in lower case.",
    ),
    Cause(
        r"x509|certificate signed by unknown|tls: ",
        ImageBuildError,
        "The Docker engine does not trust the certificate of the registry of {image}.",
        "Install your network's certificate on the engine's machine and restart the engine.",
    ),
    Cause(
        r"dial tcp|no such host|i/o timeout|TLS handshake timeout|connection refused"
        r"|network is unreachable|context deadline exceeded|Client\.Timeout|proxyconnect|EOF$"
        r"|server gave HTTP response|temporary failure in name resolution|500 Internal|\b50[23]\b",
        ImageBuildError,
        "The image {image} is not on this engine, and its registry cannot be reached.",
        "Check the engine's connection and proxy, or load the image: docker load, docker build -t.",
    ),
    Cause(
        r"No such image|image not known|reference does not exist",
        ImageBuildError,
        "The Docker engine has no image {image}.",
        "Check the name, or pull it.",
    ),
)
GONE = re.compile(r"Error while fetching server API|Max retries exceeded|Read timed out")


def said(error: BaseException) -> str:
    """Return the words of the engine in an error of the docker package."""
    explanation = getattr(error, "explanation", None)
    if isinstance(explanation, bytes):
        explanation = explanation.decode("utf-8", "replace")
    return str(explanation or error).strip()


def explained(
    error: BaseException | str, *, image: str = "", evidence: Iterable[str] = ()
) -> FlyteError:
    """Return an engine's refusal as one of our errors.

    Args:
        error: what the docker package raised, or the engine's own words.
        image: what was asked for, as the user named it.
        evidence: lines that show it; the engine's words if there are none.
    """
    words = error if isinstance(error, str) else said(error)
    shown = tuple(evidence) or tuple(words.splitlines()[:10])
    if not isinstance(error, str) and _gone(error, words):
        return TargetError(
            "The Docker engine does not answer.",
            evidence=shown,
            remedy="Check that it runs: docker version. What ran in it has to be run again.",
        )
    for cause in CAUSES:
        match = re.search(cause.pattern, words, re.IGNORECASE)
        if match and (image or "{image}" not in cause.sentence):
            sentence = cause.sentence.format(image=repr(image))
            return cause.kind(sentence, evidence=shown, remedy=cause.remedy)
    kind = ImageBuildError if image else TargetError
    what = f"The Docker engine could not use the image {image!r}" if image else (
        "The Docker engine refused a request"
    )  # fmt: skip
    return kind(f"{what}: {_first(words)}", evidence=shown[1:])


def _gone(error: BaseException, words: str) -> bool:
    from http.client import HTTPException

    # an answer with a status is an answer; the errors of requests are errors of the system, too
    if getattr(error, "response", None) is not None:
        return False
    return isinstance(error, (OSError, HTTPException)) or GONE.search(words) is not None


def _first(words: str) -> str:
    line = words.splitlines()[0].strip() if words.strip() else "it said nothing"
    return line if line.endswith((".", "!", "?")) else line + "."
