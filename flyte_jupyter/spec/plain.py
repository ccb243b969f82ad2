"""The fields of the settings as JSON values, and back: what the worker and the journal read."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flyte_jupyter.spec.pod import PodTemplate
from flyte_jupyter.spec.policies import Backoff, Cache, RetryStrategy, ReusePolicy, Timeout
from flyte_jupyter.spec.secret import Secret

__all__ = [
    "cache_plain",
    "cache_value",
    "pod_plain",
    "pod_value",
    "retries_plain",
    "retries_value",
    "reuse_plain",
    "reuse_value",
    "secrets_plain",
    "secrets_value",
    "timeout_plain",
    "timeout_value",
]


def cache_plain(value: Cache) -> list[Any]:
    """Return a cache policy as JSON values."""
    names = list(value.ignored_inputs)
    age = _seconds(value.max_age)
    return [value.behavior, value.version_override, value.serialize, names, value.salt, age]


def cache_value(plain: list[Any]) -> Cache:
    """Return the cache policy that `cache_plain` described."""
    behavior, version, serialize, names, salt, age = plain
    return Cache(behavior, version, serialize, tuple(names), salt, None, _span(age))


def retries_plain(value: RetryStrategy) -> list[Any]:
    """Return a retry strategy as JSON values."""
    wait = value.backoff
    if wait is None:
        return [value.count, None]
    return [value.count, [_seconds(wait.base), wait.factor, _seconds(wait.cap)]]


def retries_value(plain: list[Any]) -> RetryStrategy:
    """Return the retry strategy that `retries_plain` described."""
    count, wait = plain
    if wait is None:
        return RetryStrategy(count)
    return RetryStrategy(count, Backoff(timedelta(seconds=wait[0]), wait[1], _span(wait[2])))


def timeout_plain(value: Timeout) -> list[Any]:
    """Return a timeout as JSON values."""
    return [_seconds(value.max_runtime), _seconds(value.max_queued_time), _seconds(value.deadline)]


def timeout_value(plain: list[Any]) -> Timeout:
    """Return the timeout that `timeout_plain` described."""
    return Timeout(*map(_span, plain))


def reuse_plain(value: ReusePolicy) -> list[Any]:
    """Return a reuse policy as JSON values."""
    times = [_seconds(value.idle_ttl), _seconds(value.scaledown_ttl)]
    return [list(value.replicas), times[0], value.concurrency, times[1], value.scope]


def reuse_value(plain: list[Any]) -> ReusePolicy:
    """Return the reuse policy that `reuse_plain` described."""
    replicas, idle, concurrency, scaledown, scope = plain
    return ReusePolicy(tuple(replicas), idle, concurrency, scaledown, scope)


def secrets_plain(value: tuple[Secret, ...]) -> list[Any]:
    """Return secrets, which are names, as JSON values."""
    return [[secret.key, secret.group, secret.mount, secret.as_env_var] for secret in value]


def secrets_value(plain: list[Any]) -> tuple[Secret, ...]:
    """Return the secrets that `secrets_plain` described."""
    return tuple(Secret(*secret) for secret in plain)


def pod_plain(value: PodTemplate | str) -> Any:
    """Return a pod template, or the name of one, as JSON values."""
    return value if isinstance(value, str) else value.to_plain()


def pod_value(plain: Any) -> PodTemplate | str:
    """Return the pod template that `pod_plain` described."""
    return plain if isinstance(plain, str) else PodTemplate.from_plain(plain)


def _seconds(value: timedelta | None) -> float | None:
    return None if value is None else value.total_seconds()


def _span(plain: float | None) -> timedelta | None:
    return None if plain is None else timedelta(seconds=plain)
