"""Every error a user can meet, in one family.

An error is one sentence that says what is wrong, the evidence for it, and what to do next. In a
notebook it is shown without the frames of this package: IPython asks the exception itself through
``_render_traceback_``.

The names and their meaning follow the errors of Flyte 2 (``flyte.errors``) where Flyte has one.
"""

from __future__ import annotations

from typing import Any, ClassVar, Iterable

__all__ = [
    "ActionAbortedError",
    "AdmissionError",
    "BaseRuntimeError",
    "CapsuleError",
    "CustomError",
    "CycleError",
    "DeadlineExceededError",
    "DeploymentError",
    "DuplicateNameError",
    "EngineError",
    "FlyteError",
    "ImageBuildError",
    "InlineIOMaxBytesBreached",
    "InputError",
    "InputTypeError",
    "MaxQueuedTimeExceededError",
    "MaxRuntimeExceededError",
    "ModuleLoadError",
    "NonRecoverableError",
    "NotFoundError",
    "OOMError",
    "OpaqueValueError",
    "ProtocolError",
    "RetriesExhaustedError",
    "RuntimeDataValidationError",
    "RuntimeSystemError",
    "RuntimeUnknownError",
    "RuntimeUserError",
    "SecretError",
    "SerializationError",
    "SpecError",
    "SpecTypeError",
    "SyncTaskCallInAsyncContextError",
    "TargetError",
    "TaskInterruptedError",
    "TaskTimeoutError",
    "WorkerLostError",
]


class FlyteError(Exception):
    """Base of every error of this package.

    Args:
        sentence: what is wrong, in one sentence.
        evidence: lines that show it (a path of a cycle, the last lines of a build, a traceback).
        remedy: what to do next, in one sentence.
    """

    def __init__(self, sentence: str, *, evidence: Iterable[str] = (), remedy: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.evidence = tuple(evidence)
        self.remedy = remedy

    def __str__(self) -> str:
        lines = [self.sentence, *("  " + line for line in self.evidence)]
        if self.remedy:
            lines.append(self.remedy)
        return "\n".join(lines)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, dict(self.__dict__))

    remote_traceback: str = ""

    def _render_traceback_(self) -> list[str]:
        """Return the lines that a notebook shows instead of a traceback."""
        if not self.remote_traceback:
            return [f"{type(self).__name__}: {self}"]
        lines = self.remote_traceback.rstrip("\n").split("\n")
        said = not self.remedy or self.remedy in self.remote_traceback
        return lines if said else [*lines, self.remedy]


def _rebuild(cls: type[FlyteError], args: tuple[Any, ...], state: dict[str, Any]) -> FlyteError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


# What the user declared


class SpecError(FlyteError, ValueError):
    """A declaration has a value that its field does not take."""


class SpecTypeError(SpecError, TypeError):
    """A declaration has a value of a type that its field does not take."""


class CycleError(SpecError):
    """``depends_on`` would close a circle."""


class DuplicateNameError(SpecError):
    """Two different declarations of one name meet in one deployment."""


class NotFoundError(FlyteError, LookupError):
    """A name that is not declared, recorded or deployed."""


class InputError(FlyteError, TypeError):
    """A task was called with arguments that its signature does not take."""


class InputTypeError(InputError):
    """An input has another type than the task's signature says."""


class SecretError(FlyteError):
    """A secret that a task needs is not to be found."""


# What is shipped


class CapsuleError(FlyteError):
    """The code of a task cannot be made shippable."""


class SerializationError(FlyteError, TypeError):
    """A value cannot be encoded."""


class OpaqueValueError(FlyteError, TypeError):
    """A value was touched where it cannot be decoded, because a package is missing there."""


class ImageBuildError(FlyteError):
    """An image could not be made startable."""


# What is deployed


class DeploymentError(FlyteError):
    """Something could not be deployed, or has a name that belongs to somebody else.

    Attributes:
        deployment: the state of each environment, ``None`` where nothing was begun.
    """

    deployment: Any = None


# Where it runs


class TargetError(FlyteError):
    """A target cannot be used, or cannot honour a request."""


class WorkerLostError(TargetError):
    """What a worker was to run on was taken away before it began; the system tries again."""


class AdmissionError(TargetError):
    """A request that the target can never satisfy, or a wait that could never end."""


class EngineError(FlyteError):
    """The engine was used in a way that it refuses."""


class ProtocolError(FlyteError):
    """Bytes that are no frame, or a frame that does not belong there."""


class SyncTaskCallInAsyncContextError(FlyteError, RuntimeError):
    """A synchronous task was called from an asynchronous body without ``.aio``."""


# What happened in a container


class BaseRuntimeError(FlyteError, RuntimeError):
    """A task failed. ``kind`` says whose fault it is, ``code`` which failure.

    Args:
        code: name of the failure, for user code the class name of the exception.
        message: what happened, in one sentence.
        worker: label of the worker that ran the attempt, if known.
        evidence: lines that show it.
        remedy: what to do next.
    """

    kind: ClassVar[str] = "unknown"
    default_code: ClassVar[str] = ""

    def __init__(
        self,
        code: str = "",
        message: str = "",
        worker: str | None = None,
        *,
        evidence: Iterable[str] = (),
        remedy: str = "",
    ) -> None:
        super().__init__(message, evidence=evidence, remedy=remedy)
        self.code = code or self.default_code or type(self).__name__
        self.worker = worker


class RuntimeSystemError(BaseRuntimeError):
    """The attempt failed for a reason outside the user's code."""

    kind = "system"


class RuntimeUnknownError(BaseRuntimeError):
    """The attempt failed and nothing says why."""

    kind = "unknown"


class RuntimeUserError(BaseRuntimeError):
    """The user's code raised; ``code`` is the class name of what it raised."""

    kind = "user"


class CustomError(RuntimeUserError):
    """An exception of a type that is unknown on this side."""


class NonRecoverableError(RuntimeUserError):
    """Raised by user code to end the task without further retries."""

    def __init__(self, message: str = "", *args: Any, **kwargs: Any) -> None:
        super().__init__("NonRecoverableError", message, *args, **kwargs)


class OOMError(RuntimeUserError):
    """The attempt was killed because it used more memory than its limit."""

    default_code = "OOMError"


class InlineIOMaxBytesBreached(RuntimeUserError):
    """Inputs or outputs that travel inline are larger than ``max_inline_io_bytes``."""

    default_code = "InlineIOMaxBytesBreached"


class RuntimeDataValidationError(RuntimeUserError):
    """A value does not have the type that the task's signature says."""

    default_code = "RuntimeDataValidationError"


class ModuleLoadError(RuntimeUserError):
    """A module that the task imports is missing in its image."""

    default_code = "ModuleLoadError"


class TaskInterruptedError(RuntimeUserError):
    """The attempt was interrupted from outside."""

    default_code = "TaskInterruptedError"


class TaskTimeoutError(RuntimeUserError):
    """The task took longer than its ``timeout``."""

    default_code = "TaskTimeoutError"


class MaxRuntimeExceededError(TaskTimeoutError):
    """One attempt ran longer than ``Timeout(max_runtime=...)``."""

    default_code = "MaxRuntimeExceededError"


class MaxQueuedTimeExceededError(TaskTimeoutError):
    """An action waited longer than ``Timeout(max_queued_time=...)``."""

    default_code = "MaxQueuedTimeExceededError"


class DeadlineExceededError(TaskTimeoutError):
    """An action, all attempts together, took longer than ``Timeout(deadline=...)``."""

    default_code = "DeadlineExceededError"


class RetriesExhaustedError(RuntimeUserError):
    """The last of several attempts failed."""

    default_code = "RetriesExhaustedError"


class ActionAbortedError(RuntimeUserError):
    """The action was aborted: by an interrupt, by ``abort()``, or with its run."""

    default_code = "ActionAbortedError"
