"""Amounts as Kubernetes writes them: ``500m`` of CPU, ``250Mi`` of memory.

Amounts are kept as whole numbers: millicores and bytes.
"""

from __future__ import annotations

import re
from typing import Any

from flyte_jupyter.errors import SpecError, SpecTypeError
from flyte_jupyter.spec.naming import kind, shown

__all__ = ["format_bytes", "format_cpu", "parse_bytes", "parse_cpu"]

_NUMBER = r"([+-]?)([0-9]+)?(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]{1,3}))?([A-Za-z ]*)"

_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}

# A container below this size cannot start, so a smaller amount is a forgotten unit.
_LEAST_BYTES = 1024 * 1024

_MOST_MILLIS = 10_000 * 1000

_CPU_RULE = "write cores (2, 0.5, '2') or millicores ('500m')"
_BYTES_RULE = "write a number and a unit, such as '512Mi', '4Gi' or '1G'"


def parse_cpu(value: Any, field: str = "cpu") -> int:
    """Return an amount of CPU in millicores.

    Args:
        value: cores as a number (``1``, ``0.5``) or a Kubernetes quantity (``"500m"``, ``"2"``).
        field: what the amount is for, named in the error.

    Raises:
        SpecTypeError: neither number nor string.
        SpecError: no quantity, negative, or finer than a millicore.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise SpecTypeError(f"{field}={shown(value)} is {kind(value)}; {_CPU_RULE}.")
    scaled = _scaled(str(value), power=3)
    if scaled is None:
        raise SpecError(f"{field}={value!r} is not an amount of CPU; {_CPU_RULE}{_cpu_hint(value)}")
    millis, exact = scaled
    if millis < 0:
        raise SpecError(f"{field}={value!r} is negative; {_CPU_RULE}.")
    if not exact:
        raise SpecError(f"{field}={value!r} is finer than one millicore; {_CPU_RULE}.")
    if millis > _MOST_MILLIS:
        raise SpecError(
            f"{field}={value!r} is {millis // 1000} cores, more than any machine has; {_CPU_RULE}."
        )
    return millis


def parse_bytes(value: Any, field: str = "memory") -> int:
    """Return an amount of memory or storage in bytes.

    Args:
        value: a Kubernetes quantity with its unit (``"250Mi"``, ``"1G"``). A bare number would
            mean bytes, which nobody means, and is refused.
        field: what the amount is for, named in the error.

    Raises:
        SpecTypeError: no string.
        SpecError: no quantity, negative, or so small that the unit must be missing.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise SpecTypeError(f"{field}={shown(value)} is {kind(value)}; {_BYTES_RULE}.")
    if not isinstance(value, str):
        raise SpecTypeError(f"{field}={value!r} has no unit; did you mean {_with_unit(value)!r}?")
    scaled = _scaled(value, power=0)
    if scaled is None:
        raise SpecError(f"{field}={value!r} is not an amount; {_BYTES_RULE}{_bytes_hint(value)}")
    count, _ = scaled
    if count < 0:
        raise SpecError(f"{field}={value!r} is negative; {_BYTES_RULE}.")
    if 0 < count < _LEAST_BYTES:
        raise SpecError(
            f"{field}={value!r} is less than 1Mi, too little to be meant; "
            f"did you mean {_larger(value)!r}?"
        )
    return count


def format_cpu(millis: int) -> str:
    """Return millicores as a Kubernetes quantity: ``2000`` is ``"2"``, ``500`` is ``"500m"``."""
    return str(millis // 1000) if millis % 1000 == 0 else f"{millis}m"


def format_bytes(count: int) -> str:
    """Return bytes as the shortest exact Kubernetes quantity, binary units first: ``"4Gi"``."""
    if count:
        for unit, power in reversed(_BINARY.items()):
            if count % (1 << power) == 0:
                return f"{count >> power}{unit}"
        for unit in ("E", "P", "T", "G", "M", "k"):
            if count % 10 ** _DECIMAL[unit] == 0:
                return f"{count // 10 ** _DECIMAL[unit]}{unit}"
    return str(count)


def _scaled(text: str, power: int) -> tuple[int, bool] | None:
    """Return ``text`` times ten to the ``power``, rounded up, and whether that was exact."""
    match = re.fullmatch(_NUMBER, text)
    if match is None:
        return None
    sign, whole, fraction, exponent, unit = match.groups()
    if (not whole and not fraction) or (exponent and unit):
        return None
    number = int((whole or "") + (fraction or ""))
    power -= len(fraction or "")
    if unit in _BINARY:
        number <<= _BINARY[unit]
    elif unit in _DECIMAL:
        power += _DECIMAL[unit] + int(exponent or 0)
    else:
        return None
    number = -number if sign == "-" else number
    if power >= 0:
        return number * 10**power, True
    quotient, rest = divmod(number, 10**-power)
    return quotient + (1 if rest else 0), rest == 0


def _cpu_hint(value: Any) -> str:
    match = re.fullmatch(_NUMBER, str(value))
    unit = match.group(5).strip().lower() if match else ""
    number = str(value)[: match.start(5)] if match else ""
    if number and unit in ("c", "cpu", "cpus", "core", "cores", "vcpu", "vcpus"):
        return f"; did you mean {number!r}?"
    if number and unit in ("mcpu", "millicore", "millicores", "mi", "m"):
        return f"; did you mean '{number}m'?"
    return "."


def _bytes_hint(value: str) -> str:
    match = re.fullmatch(_NUMBER, value)
    if match is None or not (match.group(2) or match.group(3)):
        return "."
    number = value[: match.start(5)]
    letter = match.group(5).strip()[:1].upper()
    unit = next((name for name in _BINARY if name[0] == letter), None)
    return f"; did you mean '{number}{unit}'?" if unit else "."


def _with_unit(value: float) -> str:
    return f"{value}Gi" if value <= 64 else f"{value}Mi"


def _larger(value: str) -> str:
    match = re.fullmatch(_NUMBER, value)
    number = value[: match.start(5)] if match else value
    unit = match.group(5) if match else ""
    if unit in ("m", "k", "Ki"):
        return f"{number}Mi"
    digits = number.split(".")[0].lstrip("+")
    return f"{number}Gi" if digits.isdigit() and int(digits) <= 64 else f"{number}Mi"
