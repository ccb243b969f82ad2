"""What a task asks of the machine: CPU, memory, accelerators, disk, shared memory.

Three states of a field are told apart, because requests merge: not given (``None``), cleared
(``0``) and an amount. Equal amounts are equal, however they were written.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Iterable, Optional

from flyte_jupyter.errors import SpecError, SpecTypeError
from flyte_jupyter.spec.devices import Device, accelerator_of, parse_gpu
from flyte_jupyter.spec.naming import did_you_mean, kind, listing, shown
from flyte_jupyter.spec.quantity import format_bytes, format_cpu, parse_bytes, parse_cpu

__all__ = ["AUTO", "Resources", "combine"]

AUTO = "auto"
"""The size of shared memory that says: as much as the machine gives."""

FIELDS = ("cpu", "memory", "gpu", "disk", "shm")

_Pair = Optional["tuple[Optional[int], Optional[int]]"]


@dataclass(frozen=True, init=False, repr=False)
class Resources:
    """A request for resources.

    Args:
        cpu: cores as a number, or a quantity (``"500m"``), or a pair (request, limit). A single
            value is a request: a weight, no ceiling.
        memory: a quantity (``"4Gi"``) or a pair (request, limit). A single value sets both.
        gpu: a count (``1``, ``"1"``), a type with its count (``"A100:2"``) or a `Device`.
        disk: size of the scratch space, a quantity.
        shm: size of ``/dev/shm``, a quantity or ``"auto"``.
        mem: another spelling of ``memory``.

    ``0`` says that the field is to be cleared when this is merged over other resources.

    Attributes:
        cpu_request, cpu_limit: millicores or None.
        memory_request, memory_limit: bytes or None.
        disk_bytes: bytes or None.
        shm_bytes: bytes, ``"auto"`` or None.
        device: the accelerators or None.
        cleared: names of the fields that are to be cleared.

    Raises:
        SpecTypeError: a value of a type that the field does not take.
        SpecError: no quantity, a limit below its request, an unknown accelerator.
    """

    cpu: Any = field(compare=False)
    memory: Any = field(compare=False)
    gpu: Any = field(compare=False)
    disk: Any = field(compare=False)
    shm: Any = field(compare=False)
    cpu_request: int | None
    cpu_limit: int | None
    memory_request: int | None
    memory_limit: int | None
    device: Device | None
    disk_bytes: int | None
    shm_bytes: int | str | None
    cleared: frozenset[str]

    def __init__(
        self,
        cpu: Any = None,
        memory: Any = None,
        gpu: Any = None,
        disk: Any = None,
        shm: Any = None,
        mem: Any = None,
        **unknown: Any,
    ) -> None:
        if unknown:
            raise _unknown(next(iter(unknown)))
        if mem is not None:
            if memory is not None:
                raise SpecError(
                    f"memory={shown(memory)} and mem={shown(mem)} are two spellings of one field; "
                    "give one."
                )
            memory = mem
        cpu_pair = _pair("cpu", cpu, parse_cpu)
        memory_pair = _pair("memory" if mem is None else "mem", memory, _amount)
        device = None if gpu is None else parse_gpu(gpu)
        disk_bytes = None if disk is None else _amount(disk, "disk")
        shm_bytes: Any = shm if shm == AUTO or shm is None else _amount(shm, "shm")
        cleared = [
            name
            for name, empty in (
                ("cpu", cpu_pair is not None and not cpu_pair[-1]),
                ("memory", memory_pair is not None and not memory_pair[-1]),
                ("gpu", gpu is not None and device is None),
                ("disk", disk_bytes == 0),
                ("shm", shm_bytes == 0),
            )
            if empty
        ]
        request, limit = _ends(cpu_pair)
        # a container that asks for less memory than it may use is killed by its neighbours' needs
        # first, so one amount is both; a single amount of cpu only weighs
        least, most = _ends(memory_pair, single_is_both=True)
        values = (
            _frozen(cpu), _frozen(memory), gpu, disk, shm,
            request, limit, least, most, device,
            disk_bytes or None, shm_bytes or None, frozenset(cleared),
        )  # fmt: skip
        for name, value in zip(self.__dataclass_fields__, values):
            object.__setattr__(self, name, value)

    def __bool__(self) -> bool:
        return any(getattr(self, name) is not None for name in FIELDS)

    def __repr__(self) -> str:
        given = [(name, getattr(self, name)) for name in FIELDS]
        inner = ", ".join(f"{name}={value!r}" for name, value in given if value is not None)
        return f"Resources({inner})"

    def __str__(self) -> str:
        return ", ".join(f"{name} {text}" for name, text in self.rows()) or "nothing in particular"

    def _repr_html_(self) -> str:
        from flyte_jupyter.spec.html import table

        return table("Resources", self.rows())

    def rows(self) -> list[tuple[str, str]]:
        """Return what is asked for as pairs of name and text, for displays."""
        rows = [
            ("cpu", _span(self.cpu_request, self.cpu_limit, format_cpu)),
            ("memory", _span(self.memory_request, self.memory_limit, format_bytes)),
            ("gpu", str(self.device) if self.device else ""),
            ("disk", format_bytes(self.disk_bytes) if self.disk_bytes else ""),
            ("shm", _size(self.shm_bytes)),
        ]
        return [(name, text) for name, text in rows if text]

    def merge(self, other: Resources | None) -> Resources:
        """Return these resources with the fields that ``other`` gives, field by field.

        Args:
            other: the later ones; a field of theirs that is ``0`` clears, and stays told as
                cleared, so that merging is associative. None changes nothing.
        """
        if other is None:
            return self
        values = {
            name: getattr(self if getattr(other, name) is None else other, name) for name in FIELDS
        }
        if self.gpu is not None and other.device is not None:
            values["gpu"] = _merged_gpu(self, other.gpu, other.device)
        return Resources(**values)

    def settled(self) -> Resources | None:
        """Return what is left when nothing more is merged: no cleared fields; None if empty."""
        kept = {
            name: getattr(self, name)
            for name in FIELDS
            if getattr(self, name) is not None and name not in self.cleared
        }
        return Resources(**kept) if kept else None

    def to_plain(self) -> dict[str, Any]:
        """Return JSON values that `from_plain` turns back into equal resources."""
        plain: dict[str, Any] = {}
        for name in FIELDS:
            value = getattr(self, name)
            if value is None:
                continue
            if isinstance(value, Device):
                value = [value.device_class, value.device, value.quantity, value.partition]
            plain[name] = list(value) if isinstance(value, tuple) else value
        return plain

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Resources:
        """Return the resources that `to_plain` described."""
        values = dict(plain)
        if isinstance(values.get("gpu"), list):
            values["gpu"] = Device(*values["gpu"])
        return cls(**values)


def combine(resources: Any = None, limits: Any = None, accelerator: Any = None) -> Resources | None:
    """Return one `Resources` for the three parameters that Flyte has had for them.

    ``limits`` alone sets request and limit. A field that both give becomes the pair. An
    accelerator without a count means 1.

    Args:
        resources: `Resources` or None.
        limits: `Resources` or None.
        accelerator: a type, as `GPUAccelerator` has them, or None.

    Raises:
        SpecTypeError: no `Resources`.
        SpecError: the parameters contradict each other.
    """
    asked = check_resources("resources", resources)
    ceiling = check_resources("limits", limits)
    if ceiling is not None:
        asked = _with_limits(asked, ceiling)
    if accelerator is not None:
        asked = _with_accelerator(asked, accelerator_of(accelerator))
    return asked


def check_resources(name: str, value: Any) -> Resources | None:
    """Return ``value`` if it is `Resources` or None.

    Raises:
        SpecTypeError: it is something else.
    """
    if value is None or isinstance(value, Resources):
        return value
    if isinstance(value, dict):
        inner = ", ".join(f"{key}={item!r}" for key, item in value.items())
        raise SpecTypeError(f"{name}={shown(value)} is a dict; did you mean Resources({inner})?")
    raise SpecTypeError(
        f"{name}={shown(value)} is {kind(value)}; give Resources(cpu=..., memory=..., gpu=...)."
    )


def _with_limits(asked: Resources | None, ceiling: Resources) -> Resources:
    for name in ("cpu", "memory"):
        if isinstance(getattr(ceiling, name), tuple):
            raise SpecError(
                f"limits: {name}={getattr(ceiling, name)!r} is a pair; give one value, "
                f"or write resources=Resources({name}={getattr(ceiling, name)!r})."
            )
    base = asked or Resources()
    for name in ("cpu", "memory"):
        low, high = (getattr(part, f"{name}_request") for part in (base, ceiling))
        if low and high and low > high:
            raise SpecError(
                f"resources ask for {name}={getattr(base, name)!r} and limits allow "
                f"{name}={getattr(ceiling, name)!r}; a limit is not below its request."
            )
    device = _one_device(base, ceiling)
    both = {name: _span_of(base, ceiling, name) for name in ("cpu", "memory")}
    rest = base.merge(Resources(disk=ceiling.disk, shm=ceiling.shm))
    return Resources(gpu=device, disk=rest.disk, shm=rest.shm, **both)


def _span_of(base: Resources, ceiling: Resources, name: str) -> Any:
    low, high = getattr(base, name), getattr(ceiling, name)
    if high is None or name in ceiling.cleared:
        return low if high is None else high
    if isinstance(low, tuple):
        low = low[0]
    return (high if low is None else low, high)


def _one_device(base: Resources, ceiling: Resources) -> Any:
    """Return the accelerators that both ask for: a range of them there is not."""
    one, other = base.device, ceiling.device
    if one is None or other is None:
        return base.gpu if ceiling.gpu is None else ceiling.gpu
    if not _agree(one, other):
        raise SpecError(
            f"resources ask for gpu={base.gpu!r} and limits for gpu={ceiling.gpu!r}: "
            "accelerators have no range; give one."
        )
    return base.gpu if other.device is None else ceiling.gpu


def _agree(one: Device, other: Device) -> bool:
    types = {one.device, other.device} - {None}
    return one.quantity == other.quantity and len(types) < 2


def _with_accelerator(asked: Resources | None, wanted: Device) -> Resources:
    base = asked or Resources()
    if base.device is None:
        alone = wanted.quantity == 1 and wanted.partition is None
        return base.merge(Resources(gpu=wanted.device if alone else wanted))
    have = base.device
    if have.device is not None and (have.device_class, have.device) != (
        wanted.device_class,
        wanted.device,
    ):
        raise SpecError(
            f"gpu={base.gpu!r} and accelerator {wanted.device} name two types of accelerator; "
            "give one."
        )
    if wanted.quantity != 1 and wanted.quantity != have.quantity:
        raise SpecError(
            f"gpu={base.gpu!r} and accelerator {str(wanted)!r} ask for two counts; give one."
        )
    if have.partition and wanted.partition and have.partition != wanted.partition:
        raise SpecError(
            f"gpu={base.gpu!r} and accelerator {str(wanted)!r} ask for two partitions; give one."
        )
    share = have.partition or wanted.partition
    return base.merge(
        Resources(gpu=Device(wanted.device_class, wanted.device, have.quantity, share))
    )


def _merged_gpu(earlier: Resources, gpu: Any, device: Device) -> Any:
    """Return what later accelerators make of earlier ones.

    A bare count changes the count and a bare type the type; both together replace. Over cleared
    ones both stand for themselves, written out, so that they replace what was before that.
    """
    if earlier.device is None or not _is_bare(gpu):
        return device
    counts = device.device is None
    if _is_bare(earlier.gpu) and counts == (earlier.device.device is None):
        return gpu
    if counts:
        return earlier.device.with_quantity(device.quantity)
    return device.with_quantity(earlier.device.quantity)


def _is_bare(gpu: Any) -> bool:
    """Return whether ``gpu=`` says only how many, or only which."""
    return not isinstance(gpu, Device) and not (isinstance(gpu, str) and ":" in gpu)


def _amount(value: Any, name: str) -> int:
    # a bare 0 has no unit to forget: it clears
    if value == 0 and isinstance(value, (int, float)) and not isinstance(value, bool):
        return 0
    return parse_bytes(value, name)


def _pair(name: str, value: Any, parse: Callable[[Any, str], int]) -> tuple[int, ...] | None:
    if value is None:
        return None
    if not isinstance(value, (tuple, list)):
        return (parse(value, name),)
    if len(value) != 2:
        raise SpecError(
            f"{name}={shown(value)} has {len(value)} values; give one, or a pair (request, limit)."
        )
    if None in value:
        raise SpecError(
            f"{name}={shown(value)} has an open end; give both ends of (request, limit), "
            "or one value."
        )
    low, high = (parse(end, name) for end in value)
    if low > high:
        raise SpecError(
            f"{name}={shown(value)} has a limit below its request; "
            f"did you mean {name}={(value[1], value[0])!r}?"
        )
    return low, high


def _ends(
    pair: tuple[int, ...] | None, single_is_both: bool = False
) -> tuple[int | None, int | None]:
    if pair is None or not pair[-1]:
        return None, None
    if len(pair) == 1:
        return pair[0], pair[0] if single_is_both else None
    return pair[0] or None, pair[1]


def _span(low: int | None, high: int | None, write: Callable[[int], str]) -> str:
    if low is None and high is None:
        return ""
    if high is None or low == high:
        return write(low or 0)
    return f"{write(low)} to {write(high)}" if low else f"up to {write(high)}"


def _size(value: int | str | None) -> str:
    return value if isinstance(value, str) else format_bytes(value) if value else ""


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


_FOREIGN = {
    "memory_limit": "memory=(request, limit)",
    "cpu_limit": "cpu=(request, limit)",
    "storage": "disk=...",
    "ephemeral_storage": "disk=...",
    "cpus": "cpu=...",
    "gpus": "gpu=...",
    "ram": "memory=...",
    "accelerator": "gpu='A100:1', or accelerator= on the environment",
    "partition": "gpu=GPU('A100', 1, partition='1g.5gb')",
}


def _unknown(name: str, known: Iterable[str] = (*FIELDS, "mem")) -> SpecTypeError:
    if name in _FOREIGN:
        return SpecTypeError(f"Resources has no {name}; did you mean {_FOREIGN[name]}?")
    hint = did_you_mean(name, known) or f"; it takes {listing(known, 'and')}."
    return SpecTypeError(f"Resources has no {name}{hint}")
