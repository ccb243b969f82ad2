"""Functions with a twin for asynchronous code: ``f(...)`` blocks, ``await f.aio(...)`` does not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

__all__ = ["Twin", "TwinMethod", "twin"]

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")


class Twin(Generic[P, R]):
    """A blocking function that carries its asynchronous twin as ``.aio``."""

    def __init__(self, blocking: Callable[P, R], aio: Callable[P, Awaitable[R]]) -> None:
        self.__doc__ = blocking.__doc__
        self.__name__ = blocking.__name__
        self.__wrapped__ = blocking
        self._blocking = blocking
        self.aio = aio

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the blocking twin."""
        return self._blocking(*args, **kwargs)


class TwinMethod(Generic[S, P, R]):
    """A method with an asynchronous twin."""

    def __init__(
        self,
        blocking: Callable[Concatenate[S, P], R],
        aio: Callable[Concatenate[S, P], Awaitable[R]],
    ) -> None:
        self.__doc__ = blocking.__doc__
        self._blocking = blocking
        self._aio = aio

    @overload
    def __get__(self, instance: None, owner: Any) -> TwinMethod[S, P, R]: ...

    @overload
    def __get__(self, instance: S, owner: Any) -> Twin[P, R]: ...

    def __get__(self, instance: S | None, owner: Any) -> Any:
        """Bind both twins to an instance."""
        if instance is None:
            return self
        return Twin(self._blocking.__get__(instance), self._aio.__get__(instance))


def twin(
    aio: Callable[Concatenate[S, P], Awaitable[R]],
) -> Callable[[Callable[Concatenate[S, P], R]], TwinMethod[S, P, R]]:
    """Give a blocking method its asynchronous twin."""
    return lambda blocking: TwinMethod(blocking, aio)
