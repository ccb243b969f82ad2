# ruff: noqa: ARG001 (codecs have one signature)
"""Codecs of dates, times and time zones: exact to the fold of an hour that comes twice."""

from __future__ import annotations

import datetime
from typing import Any, Dict

from flyte_jupyter.wire.values.decoding import Decoder, Missing
from flyte_jupyter.wire.values.encoding import Encoder
from flyte_jupyter.wire.values.registry import reads, writes, writes_kind

__all__ = ["zone_named"]

Node = Dict[str, Any]


@writes(datetime.date)
def encode_date(value: datetime.date, encoder: Encoder) -> Node:
    """A date goes as its ISO text."""
    return {"~": "date", "v": value.isoformat()}


@reads("date")
def decode_date(node: Node, decoder: Decoder) -> datetime.date:
    """Return a date."""
    return datetime.date.fromisoformat(node["v"])


@writes(datetime.datetime)
def encode_datetime(value: datetime.datetime, encoder: Encoder) -> Node:
    """A time stamp goes as its ISO text without zone, its zone, and its fold."""
    return _with_zone(
        {"~": "datetime", "v": value.replace(tzinfo=None).isoformat()}, value, encoder
    )


@reads("datetime")
def decode_datetime(node: Node, decoder: Decoder) -> datetime.datetime:
    """Return a time stamp."""
    moment = datetime.datetime.fromisoformat(node["v"])
    return moment.replace(tzinfo=decoder.value(node.get("z")), fold=node.get("f", 0))


@writes(datetime.time)
def encode_time(value: datetime.time, encoder: Encoder) -> Node:
    """A time of day goes as its ISO text without zone, its zone, and its fold."""
    return _with_zone({"~": "time", "v": value.replace(tzinfo=None).isoformat()}, value, encoder)


@reads("time")
def decode_time(node: Node, decoder: Decoder) -> datetime.time:
    """Return a time of day."""
    moment = datetime.time.fromisoformat(node["v"])
    return moment.replace(tzinfo=decoder.value(node.get("z")), fold=node.get("f", 0))


def _with_zone(node: Node, value: Any, encoder: Encoder) -> Node:
    if value.tzinfo is not None:
        node["z"] = encoder.node(value.tzinfo)
    if value.fold:
        node["f"] = 1
    return node


@writes(datetime.timedelta)
def encode_timedelta(value: datetime.timedelta, encoder: Encoder) -> Node:
    """A duration goes as days, seconds and microseconds."""
    return {"~": "timedelta", "v": [value.days, value.seconds, value.microseconds]}


@reads("timedelta")
def decode_timedelta(node: Node, decoder: Decoder) -> datetime.timedelta:
    """Return a duration."""
    return datetime.timedelta(*decoder.values(node["v"]))


@writes(datetime.timezone)
def encode_timezone(value: datetime.timezone, encoder: Encoder) -> Node:
    """A fixed zone goes as its offset and its name, if it was given one."""
    return {"~": "timezone", "v": [encoder.node(item) for item in value.__getinitargs__()]}  # type: ignore[attr-defined]


@reads("timezone")
def decode_timezone(node: Node, decoder: Decoder) -> datetime.timezone:
    """Return a fixed zone."""
    # It gives back timezone.utc itself for no offset and no name.
    return datetime.timezone(*decoder.values(node["v"]))


# Zones that have a name; the other side has its own table of them


@writes_kind(20, lambda kind: kind.__name__ == "ZoneInfo" and kind.__module__ == "zoneinfo")
def encode_zone(value: Any, encoder: Encoder) -> Any:
    """A named zone goes by its name."""
    return _pickled(value, encoder) if value.key is None else {"~": "zone", "v": value.key}


@reads("zone")
def decode_zone(node: Node, decoder: Decoder) -> datetime.tzinfo:
    """Return a named zone."""
    return zone_named(node["v"])


def zone_named(name: str) -> datetime.tzinfo:
    """Return the zone of a name.

    Raises:
        Missing: it is unknown here.
    """
    import zoneinfo

    try:
        return zoneinfo.ZoneInfo(name)
    except zoneinfo.ZoneInfoNotFoundError:
        raise Missing("tzdata", f"the time zone {name!r} is unknown here") from None


@writes_kind(20, lambda kind: str(kind.__module__).partition(".")[0] == "pytz")
def encode_pytz(value: Any, encoder: Encoder) -> Any:
    """A zone of pytz goes by its name, and the offset that it was bound to."""
    make, arguments = value.__reduce__()[:2]
    if getattr(make, "__name__", "") not in ("_p", "_UTC"):
        return _pickled(value, encoder)
    return {"~": "pytz.zone", "v": list(arguments)}


@reads("pytz.zone")
def decode_pytz(node: Node, decoder: Decoder) -> datetime.tzinfo:
    """Return a zone of pytz, where that is missing the standard library's."""
    arguments = decoder.values(node["v"])
    try:
        pytz = decoder.package("pytz")
    except Missing:
        return zone_named(arguments[0]) if arguments else datetime.UTC
    zone: datetime.tzinfo = pytz._p(*arguments) if arguments else pytz.utc
    return zone


def _pickled(value: Any, encoder: Encoder) -> Any:
    from flyte_jupyter.wire.values.pickled import encode_pickle

    return encode_pickle(value, encoder)
