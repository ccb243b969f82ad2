"""Arguments and signatures: bind a call to names, and spread names into a call again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping, Sequence

from flyte_jupyter.errors import InputError
from flyte_jupyter.spec.naming import did_you_mean, listing, shown

if TYPE_CHECKING:
    import inspect

__all__ = ["bind", "spread"]

# inspect's kinds are numbers: POSITIONAL_ONLY and POSITIONAL_OR_KEYWORD
_BY_PLACE = {0, 1}


def bind(
    name: str, signature: inspect.Signature, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """Return parameter to value for what a call gives; defaults stay with the function.

    Args:
        name: of the function, for the error.
        signature: its parameters.
        args: positional arguments.
        kwargs: arguments by name.

    Returns:
        A dict in the order of the parameters; ``*args`` is a tuple and ``**kwargs`` a dict in it.

    Raises:
        InputError: an argument too many, an unknown or a missing one.
    """
    parameters = signature.parameters
    if not kwargs and len(args) == len(parameters):
        kinds = {parameter.kind for parameter in parameters.values()}
        if kinds <= _BY_PLACE:
            return dict(zip(parameters, args))
    try:
        return dict(signature.bind(*args, **kwargs).arguments)
    except TypeError:
        # the interpreter's own sentence names neither what there is nor what is close
        raise _error(name, signature, args, kwargs) from None


def spread(
    signature: inspect.Signature, values: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments of a call that gives ``values``, as `bind` returned them."""
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    positional = True
    for name, parameter in signature.parameters.items():
        if name not in values:
            # what follows a parameter that is left to its default can only go by name
            positional = positional and parameter.kind is parameter.VAR_POSITIONAL
        elif parameter.kind is parameter.VAR_POSITIONAL:
            args.extend(values[name])
        elif parameter.kind is parameter.VAR_KEYWORD:
            kwargs.update(values[name])
        elif parameter.kind is parameter.KEYWORD_ONLY or not positional:
            kwargs[name] = values[name]
        else:
            args.append(values[name])
    return args, kwargs


def _named(kwargs: Mapping[str, Any]) -> list[str]:
    return [f"{key}={shown(value, 40)}" for key, value in kwargs.items()]


def _error(
    name: str, signature: inspect.Signature, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> InputError:
    parameters = signature.parameters
    kinds = {parameter.kind for parameter in parameters.values()}
    by_place = [
        key
        for key, parameter in parameters.items()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    by_name = [
        key
        for key, parameter in parameters.items()
        if parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    given = listing([shown(value, 40) for value in args] + _named(kwargs), "and")
    count = len(args) + len(kwargs)
    were = "was" if count == 1 else "were"
    if not parameters:
        return InputError(f"{name}() takes no inputs, but {count} {were} given: {given}.")
    takes = f"it takes {listing(parameters, 'and')}"
    variadic = {parameter.VAR_KEYWORD for parameter in parameters.values()} & kinds
    for key in kwargs:
        if key not in by_name and not variadic:
            hint = did_you_mean(key, by_name) or f"; {takes}."
            return InputError(f"{name}() has no input {key!r}{hint}")
    twice = [key for key in by_place[: len(args)] if key in kwargs]
    if twice:
        return InputError(
            f"{name}() was given {twice[0]!r} twice, by position and by name; give it once."
        )
    if len(args) > len(by_place) and not any(
        parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters.values()
    ):
        most = len(by_place)
        plural = "" if most == 1 else "s"
        return InputError(
            f"{name}() takes {most} input{plural} by position, but {len(args)} were given; {takes}."
        )
    missing = [
        key
        for index, (key, parameter) in enumerate(parameters.items())
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        and key not in kwargs
        and (parameter.kind is parameter.KEYWORD_ONLY or index >= len(args))
    ]
    plural = "s" if len(missing) > 1 else ""
    return InputError(f"{name}() is missing the input{plural} {listing(missing, 'and')}.")
