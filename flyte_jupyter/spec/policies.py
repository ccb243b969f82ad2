"""How attempts are made: cache, retries, timeouts, reuse. Values with Flyte's names and fields."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Iterable

from flyte_jupyter.errors import SpecError, SpecTypeError
from flyte_jupyter.spec.naming import check_text, did_you_mean, kind, listing, shown

__all__ = ["Backoff", "Cache", "RetryStrategy", "ReusePolicy", "Timeout", "span"]

_BEHAVIORS = ("auto", "override", "disable")
_SWITCHES = {
    "on": "auto",
    "true": "auto",
    "enable": "auto",
    "enabled": "auto",
    "off": "disable",
    "false": "disable",
    "none": "disable",
    "disabled": "disable",
}


class _Shown:
    """Gives a policy its table in a notebook."""

    def _repr_html_(self) -> str:
        from flyte_jupyter.spec.html import table

        return table(
            type(self).__name__,
            [(name, str(value)) for name, value in vars(self).items() if value not in (None, ())],
        )


@dataclass(frozen=True)
class Cache(_Shown):
    """Whether a result may be taken from an earlier, equal call.

    Args:
        behavior: ``"auto"`` (the version follows the code that is shipped), ``"override"`` (the
            version is ``version_override``, or the result is always made anew and kept), or
            ``"disable"``.
        version_override: a version of your own.
        serialize: let only one of several equal calls run while the others wait for it.
        ignored_inputs: names of inputs that do not make a call different.
        salt: text that goes into the version.
        policies: not taken; see the error.
        max_age: results older than this are made anew; a timedelta or seconds.

    Raises:
        SpecTypeError: a value of a type that the field does not take.
        SpecError: an unknown behaviour, or a negative age.
    """

    behavior: str = "auto"
    version_override: str | None = None
    serialize: bool = False
    ignored_inputs: tuple[str, ...] = ()
    salt: str = ""
    policies: None = None
    max_age: timedelta | None = None

    def __post_init__(self) -> None:
        _set(self, "behavior", _behavior("behavior", self.behavior))
        if self.version_override is not None:
            check_text("version_override", self.version_override)
        _flag("serialize", self.serialize)
        if not isinstance(self.salt, str):
            raise SpecTypeError(f"salt={shown(self.salt)} is {kind(self.salt)}; give a string.")
        _set(self, "ignored_inputs", _names("ignored_inputs", self.ignored_inputs))
        if self.policies:
            raise SpecError(
                f"policies={shown(self.policies)} is not taken: the version already follows all "
                "code that a task uses; put what else must count into salt=."
            )
        _set(self, "policies", None)
        _set(self, "max_age", span("max_age", self.max_age))

    @classmethod
    def of(cls, value: Any) -> Cache | None:
        """Return the policy for what ``cache=`` takes: a behaviour, a bool, a `Cache` or None."""
        if value is None or isinstance(value, Cache):
            return value
        return cls(_behavior("cache", value))

    @property
    def enabled(self) -> bool:
        """Whether an earlier result is looked for or kept."""
        return self.behavior != "disable"


@dataclass(frozen=True)
class Backoff(_Shown):
    """How long to wait before another attempt: ``min(base * factor ** n, cap)``.

    Args:
        base: wait before the first repetition; a timedelta or seconds.
        factor: by how much every further wait is longer.
        cap: the longest wait; needed when ``factor`` is above 1.

    Raises:
        SpecTypeError: a value of a type that the field does not take.
        SpecError: a negative wait, a factor below 1, or no cap.
    """

    base: timedelta
    factor: float = 1.0
    cap: timedelta | None = None

    def __post_init__(self) -> None:
        base = span("base", self.base)
        if base is None:
            raise SpecError("base=0 is no wait; leave the backoff out to repeat at once.")
        _set(self, "base", base)
        _set(self, "cap", span("cap", self.cap))
        if isinstance(self.factor, bool) or not isinstance(self.factor, (int, float)):
            raise SpecTypeError(
                f"factor={shown(self.factor)} is {kind(self.factor)}; give a number."
            )
        if not 1 <= self.factor < float("inf"):
            raise SpecError(f"factor={self.factor!r} is below 1 or has no end; give 1 or more.")
        if self.factor > 1 and self.cap is None:
            raise SpecError(
                f"factor={self.factor!r} makes every wait longer than the last; "
                "give the longest one, such as cap=timedelta(minutes=1)."
            )
        _set(self, "factor", float(self.factor))

    def delay(self, repetition: int) -> float:
        """Return the seconds to wait before a repetition, counted from 0."""
        # a float overflows long before an int does, and a cap is there whenever factor > 1
        try:
            seconds = self.base.total_seconds() * self.factor**repetition
        except OverflowError:
            seconds = float("inf")
        return min(seconds, self.cap.total_seconds()) if self.cap else seconds


@dataclass(frozen=True)
class RetryStrategy(_Shown):
    """How often a failed attempt is made again.

    Args:
        count: repetitions after the first attempt, 0 or more.
        backoff: the waits between; None leaves them to the target.

    Raises:
        SpecTypeError: a value of a type that the field does not take.
        SpecError: a negative count.
    """

    count: int
    backoff: Backoff | None = None

    def __post_init__(self) -> None:
        _whole("count", self.count, 0)
        if self.backoff is not None and not isinstance(self.backoff, Backoff):
            raise SpecTypeError(
                f"backoff={shown(self.backoff)} is {kind(self.backoff)}; "
                "give Backoff(base=timedelta(seconds=1))."
            )

    @classmethod
    def of(cls, value: Any) -> RetryStrategy | None:
        """Return the policy for what ``retries=`` takes: a count, a `RetryStrategy` or None."""
        if value is None or isinstance(value, RetryStrategy):
            return value if value is None or value.count else None
        _whole("retries", value, 0)
        return cls(value) if value else None


@dataclass(frozen=True)
class Timeout(_Shown):
    """How long a task may take; every field is a timedelta, seconds, or None for no limit.

    Args:
        max_runtime: one attempt.
        max_queued_time: the wait before an attempt starts.
        deadline: all attempts together, waits included.

    Raises:
        SpecTypeError: a value of a type that the field does not take.
        SpecError: a negative time.
    """

    max_runtime: timedelta | None = None
    max_queued_time: timedelta | None = None
    deadline: timedelta | None = None

    def __post_init__(self) -> None:
        for name in ("max_runtime", "max_queued_time", "deadline"):
            _set(self, name, span(name, getattr(self, name)))

    def __bool__(self) -> bool:
        return any(vars(self).values())

    @classmethod
    def of(cls, value: Any) -> Timeout | None:
        """Return the policy for what ``timeout=`` takes: seconds, a timedelta, a `Timeout`, None.

        ``0`` means no limit, as in Flyte.
        """
        if value is None or isinstance(value, Timeout):
            return value or None
        most = span("timeout", value)
        return cls(most) if most else None


@dataclass(frozen=True, init=False)
class ReusePolicy(_Shown):
    """Keep the containers of an environment for many calls.

    Args:
        replicas: how many containers, or a pair (fewest, most).
        idle_ttl: after how long without a call all of them end; a timedelta or seconds, at least
            30 s.
        concurrency: calls at a time in one container; above 1 only for async tasks.
        scaledown_ttl: after how long without a call one of them ends; at least 30 s.
        scope: ``"global"`` or ``"run"``: whom the containers are kept for.

    Raises:
        SpecTypeError: a value of a type that the field does not take.
        SpecError: a count or time out of range.
    """

    replicas: tuple[int, int]
    idle_ttl: timedelta
    concurrency: int
    scaledown_ttl: timedelta
    scope: str

    def __init__(
        self,
        replicas: int | tuple[int, int] = 2,
        idle_ttl: int | float | timedelta | None = 30,
        concurrency: int = 1,
        scaledown_ttl: int | float | timedelta | None = 30,
        scope: str = "global",
    ) -> None:
        _set(self, "replicas", _replicas(replicas))
        _whole("concurrency", concurrency, 1)
        _set(self, "concurrency", concurrency)
        for name, value in (("idle_ttl", idle_ttl), ("scaledown_ttl", scaledown_ttl)):
            given = span(name, value)
            if given is not None and given < timedelta(seconds=30):
                raise SpecError(
                    f"{name}={_brief(given)} is shorter than 30 s; give at least 30, "
                    "or None for the default."
                )
            _set(self, name, given or timedelta(seconds=30))
        if scope not in ("global", "run"):
            raise SpecError(
                f"scope={shown(scope)} is no scope"
                + (did_you_mean(str(scope), ("global", "run")) or "; take 'global' or 'run'.")
            )
        _set(self, "scope", scope)

    @property
    def min_replicas(self) -> int:
        """How many containers are kept at least."""
        return self.replicas[0]

    @property
    def max_replicas(self) -> int:
        """How many containers there are at most."""
        return self.replicas[1]

    @classmethod
    def of(cls, value: Any) -> ReusePolicy | None:
        """Return the policy for what ``reusable=`` takes: a policy, a bool, ``"off"`` or None."""
        if value is None or isinstance(value, ReusePolicy):
            return value
        if value is True:
            return cls()
        if value is False or value == "off":
            return None
        if isinstance(value, int):
            raise SpecTypeError(
                f"reusable={value!r} is a number; did you mean ReusePolicy(replicas={value})?"
            )
        raise SpecTypeError(
            f"reusable={shown(value)} is {kind(value)}; "
            "give ReusePolicy(replicas=2, idle_ttl=60), or 'off'."
        )


def _set(policy: Any, name: str, value: Any) -> None:
    object.__setattr__(policy, name, value)


def _behavior(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "auto" if value else "disable"
    if not isinstance(value, str):
        raise SpecTypeError(
            f"{name}={shown(value)} is {kind(value)}; give 'auto', 'override', "
            "'disable' or Cache(...)."
        )
    word = value.strip().lower()
    word = _SWITCHES.get(word, word)
    if word not in _BEHAVIORS:
        hint = did_you_mean(word, (*_BEHAVIORS, *_SWITCHES))
        raise SpecError(
            f"{name}={value!r} is no behaviour"
            + (hint or f"; take {listing([repr(known) for known in _BEHAVIORS])}.")
        )
    return word


def _replicas(value: Any) -> tuple[int, int]:
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise SpecError(
                f"replicas={shown(value)} has {len(value)} values; "
                "give a count, or a pair (fewest, most)."
            )
        low, high = value
        _whole("replicas", low, 0)
        _whole("replicas", high, 1)
        if low > high:
            raise SpecError(
                f"replicas={shown(value)} has the larger count first; did you mean ({high}, {low})?"
            )
        return low, high
    _whole("replicas", value, 1)
    return value, value


def _whole(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise SpecTypeError(f"{name}={shown(value)} is {kind(value)}; give a whole number.")
    if value < least:
        raise SpecError(f"{name}={value!r} is below {least}; give {least} or more.")


def _flag(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise SpecTypeError(f"{name}={shown(value)} is {kind(value)}; give True or False.")


def _names(name: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    items = tuple(value) if isinstance(value, Iterable) else (value,)
    if not all(isinstance(item, str) for item in items):
        raise SpecTypeError(f"{name}={shown(value)} is no list of names; give strings.")
    return items


def span(name: str, value: Any) -> timedelta | None:
    """Return a time as a timedelta; None and 0 are no time at all.

    Args:
        name: of the field.
        value: seconds or a timedelta.

    Raises:
        SpecTypeError: it is neither.
        SpecError: it is negative, or longer than can be told.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, timedelta)):
        raise SpecTypeError(
            f"{name}={shown(value)} is {kind(value)}; "
            "give seconds, or a timedelta such as timedelta(minutes=5)."
        )
    try:
        span = value if isinstance(value, timedelta) else timedelta(seconds=value)
    except (OverflowError, ValueError):
        raise SpecError(f"{name}={value!r} is no length of time; give seconds.") from None
    if span < timedelta(0):
        raise SpecError(f"{name}={_brief(value)} is negative; give 0 for no limit, or seconds.")
    return span or None


def _brief(value: Any) -> str:
    if not isinstance(value, timedelta):
        return repr(value)
    return f"{value.total_seconds():g} s"
