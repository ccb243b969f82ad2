"""What a builder of an engine says, as lines: BuildKit's messages, or the older builder's.

BuildKit's progress comes as protocol buffers; the few fields that matter are read here.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from flyte_jupyter.images.sharing import Progress

__all__ = ["Log"]

BUILDKIT = "moby.buildkit.trace"
# lines of an instruction that are kept for the case that it fails
KEPT = 40
# instructions that take their time
SHOWN = re.compile(r"(?:RUN|COPY|ADD|FROM) ")
_STEP = re.compile(r"^Step (\d+)/(\d+) : (.*)", re.DOTALL)
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass
class _Instruction:
    name: str = ""
    error: str = ""
    lines: list[str] = field(default_factory=list)
    rest: str = ""
    told: bool = False


class Log:
    """Reads what a builder says.

    Args:
        say: called with each instruction that is run and each line that it writes.

    Attributes:
        image: id of the image in the end, empty before.
        error: the builder's words if it failed, else empty.
    """

    def __init__(self, say: Progress) -> None:
        self._say = say
        self._instructions: dict[str, _Instruction] = {}
        self._current = _Instruction()
        self.image = ""
        self.error = ""

    def take(self, message: Mapping[str, Any]) -> None:
        """Take one message of the engine's answer."""
        if "error" in message or "errorDetail" in message:
            detail = message.get("errorDetail") or {}
            self.error = str(detail.get("message") or message.get("error"))
        elif message.get("id") == BUILDKIT:
            try:
                self._trace(base64.b64decode(message["aux"]))
            except (binascii.Error, IndexError, ValueError):
                return  # a form of progress that is not known here is only not shown
        elif isinstance(message.get("aux"), Mapping) and "ID" in message["aux"]:
            self.image = str(message["aux"]["ID"])
        elif "stream" in message:
            self._stream(str(message["stream"]))

    @property
    def failed(self) -> tuple[str, list[str]]:
        """The instruction that failed and the last lines that it wrote."""
        for one in self._instructions.values():
            if one.error and "canceled" not in one.error:
                return one.name, _ended(one)
        return self._current.name, _ended(self._current)

    # the older builder

    def _stream(self, text: str) -> None:
        step = _STEP.match(text)
        if step:
            self._current = _Instruction(step[3].strip())
            if SHOWN.match(self._current.name):
                self._say(self._current.name)
        elif not re.match(r"\s*---> |Removing intermediate container|Success", text):
            self._write(self._current, text)

    # BuildKit

    def _trace(self, data: bytes) -> None:
        for number, value in _fields(data):
            if number == 1:
                self._vertex(dict(_fields(value)))
            elif number == 3:
                log = dict(_fields(value))
                one = self._instructions.setdefault(_text(log.get(1)), _Instruction())
                self._write(one, log.get(4, b"").decode("utf-8", "replace"))

    def _vertex(self, vertex: Mapping[int, bytes]) -> None:
        one = self._instructions.setdefault(_text(vertex.get(1)), _Instruction())
        # "[2/5] RUN ..." as the user knows it
        one.name = re.sub(r"^\[[^\]]*\d+/\d+\] ", "", _text(vertex.get(3)))
        one.error = _text(vertex.get(7)) or one.error
        cached = bool(vertex.get(4)) and vertex.get(4) != b"\x00"
        if vertex.get(5) and SHOWN.match(one.name) and not cached and not one.told:
            one.told = True
            self._say(one.name)

    def _write(self, one: _Instruction, text: str) -> None:
        *lines, one.rest = _ANSI.sub("", one.rest + text).replace("\r\n", "\n").split("\n")
        for line in lines:
            line = line.rsplit("\r", 1)[-1].rstrip()
            if line:
                one.lines = [*one.lines[-KEPT + 1 :], line]
                self._say(line)


def _ended(one: _Instruction) -> list[str]:
    return [*one.lines, *([one.rest.strip()] if one.rest.strip() else [])]


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (number, value) of the fields of a message; a number's value is its lowest byte.

    Raises:
        IndexError: the message ends too early.
        ValueError: it is none.
    """
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        kind = key & 7
        if kind == 2:
            length, position = _varint(data, position)
            if position + length > len(data):
                raise IndexError("a field ends too early")
            yield key >> 3, data[position : position + length]
            position += length
        elif kind == 0:
            number, position = _varint(data, position)
            yield key >> 3, bytes([number & 255])
        elif kind in (1, 5):
            position += 8 if kind == 1 else 4
        else:
            raise ValueError("no field of a message")


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
        shift += 7
