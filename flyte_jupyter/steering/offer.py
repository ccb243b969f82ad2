"""What a target offers: accelerators to choose from, ends of sliders, what it does not honour.

`look` asks the target, which may take long and belongs on a thread; all else is a function of what
it found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from flyte_jupyter.errors import FlyteError
from flyte_jupyter.session import session
from flyte_jupyter.spec.accelerators import RESOURCES, device_types, family_of
from flyte_jupyter.spec.devices import Device
from flyte_jupyter.spec.naming import listing
from flyte_jupyter.spec.quantity import format_bytes, format_cpu
from flyte_jupyter.spec.resources import Resources
from flyte_jupyter.spec.settings import Settings
from flyte_jupyter.targets.protocol import Capability, Honour, Inventory

__all__ = ["Choice", "Offer", "look", "noted", "steps", "target_of"]

GI, MI = 1 << 30, 1 << 20
# where it is not known what a target has
MOST_CPU, MOST_BYTES, MOST_COUNT = 64_000, 512 * GI, 8
CPU_STEPS = (100, 250, 500, 1000, 1500, 2000, 3000, 4000, 6000)
BYTE_STEPS = (64 * MI, 128 * MI, 256 * MI, 512 * MI, 768 * MI, GI, 3 * GI // 2, 2 * GI, 3 * GI)
# of what a target says of parts of the resources, the rows that it is about
ABOUT = {"cpu limit": "cpu_limit"}


@dataclass(frozen=True, slots=True)
class Choice:
    """A type of accelerator.

    Args:
        name: the type.
        text: how it stands in a list, with how many there are.
        offered: whether the target has it.
        reason: why not, if it has not.
    """

    name: str
    text: str
    offered: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a target was found to have.

    Args:
        target: its name.
        inventory: what it has, ``None`` where that is not known.
        trouble: why it is not known, in a sentence.
        capabilities: what it makes of the fields that are set, by name.
        families: for families of accelerators, why the target has none of them.
    """

    target: str
    inventory: Inventory | None = None
    trouble: str = ""
    capabilities: Mapping[str, Capability] = field(default_factory=dict)
    families: Mapping[str, str] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """What there is, in a line."""
        has = self.inventory
        if has is None:
            return self.trouble or f"{self.target} is asked for what it has …"
        free = has.free
        parts = [
            _of(format_cpu(has.cpu), format_cpu(free.cpu) if free else None, "cores"),
            _of(_about(has.memory), _about(free.memory) if free else None, "memory"),
        ]
        for kind, count in has.accelerators.items():
            left = None if free is None else str(free.accelerators.get(kind, 0))
            parts.append(_of(str(count), left, f"× {kind or 'accelerator'}"))
        return f"{self.target} has {listing(parts, 'and')}"

    def accelerators(self, current: str = "") -> list[Choice]:
        """Return every type: those that the target has first, then the others with the reason.

        Args:
            current: the type that is asked for now, which is listed even if it is in no catalogue.
        """
        has = self._counts()
        offered = [
            Choice(kind, f"{kind} ({self._count(kind)})", True) for kind in has if kind not in ("",)
        ]
        known = [row.name for row in device_types() if row.name not in has]
        if current and current not in has and current not in known and current not in RESOURCES:
            known.insert(0, current)
        return offered + [
            Choice(name, name, False, self._reason(name)) for name in known if name not in RESOURCES
        ]

    def note(self, row: str) -> str:
        """Return what the target does not honour of a row of the table, in a sentence."""
        for name, capability in self.capabilities.items():
            about = ABOUT.get(name, name.partition(",")[0])
            if about == row and capability.honour is not Honour.HONOURED and capability.note:
                word = "ignored" if capability.honour is Honour.IGNORED else "in part"
                return f"{self.target}, {word}: {capability.note}"
        return ""

    def _counts(self) -> dict[str, int]:
        """Return type to count, the parts of cut devices counted as their type."""
        counts: dict[str, int] = {}
        for kind, count in (self.inventory.accelerators if self.inventory else {}).items():
            whole = kind.partition("/")[0]
            counts[whole] = counts.get(whole, 0) + count
        return counts

    def _count(self, kind: str) -> str:
        total = self._counts()[kind]
        free = self.inventory.free if self.inventory else None
        if free is None:
            return f"{total} there"
        left = sum(n for name, n in free.accelerators.items() if name.partition("/")[0] == kind)
        return f"{left} of {total} free"

    def _reason(self, name: str) -> str:
        if self.inventory is None:
            return self.trouble or f"{self.target} has not said yet what it has"
        family = family_of(name)
        if "" in self.inventory.accelerators and family == "GPU":
            return f"{self.target} does not say which type its devices have; take any type"
        if family in self.families:
            return self.families[family]
        others = [kind for kind in self._counts() if family_of(kind) == family]
        return f"{self.target} has {listing(others, 'and')}" if others else f"not on {self.target}"


def target_of(settings: Settings) -> str:
    """Return the target that calls go to where the run names none.

    Raises:
        TargetError: ``FLYTE_JUPYTER_TARGET`` names none that there is.
    """
    return settings.target or session.default_target()


def look(target: str, settings: Settings) -> Offer:
    """Ask a target what it has and what it makes of settings; blocks, and never raises.

    Args:
        target: its name.
        settings: what is in force.
    """
    try:
        place = session.make_target(target)
        has = place.inventory()
        capabilities = place.capabilities(settings)
    except FlyteError as error:
        return Offer(target, trouble=error.sentence)
    if not has.cpu and not has.memory:
        return Offer(target, None, f"{target} does not tell what it has", capabilities)
    if (free := session.free_of(target)) is not None:
        has = replace(has, free=free)
    met = {family_of(kind) for kind in has.accelerators}
    families = {}
    for family in RESOURCES:
        if family in met:
            continue
        asked = place.capabilities(Settings(resources=Resources(gpu=Device(family)))).get("gpu")
        said = asked is not None and asked.honour is Honour.IGNORED and asked.note
        maker = "accelerator of this family" if family != "GPU" else "GPU"
        families[family] = said or f"{target} has no {maker}"
    return Offer(target, has, "", capabilities, families)


def noted(offer: Offer, settings: Settings) -> Offer:
    """Return an offer with what the target makes of other settings, and what is free now.

    Nobody is asked: what this kernel's engine does not count stays as it was found.
    """
    if offer.inventory is None:
        return offer
    free = session.free_of(offer.target)
    if free is not None and free != offer.inventory.free:
        offer = replace(offer, inventory=replace(offer.inventory, free=free))
    try:
        capabilities = session.make_target(offer.target).capabilities(settings)
    except FlyteError:  # it was there a moment ago: what it said then stands
        return offer
    return replace(offer, capabilities=capabilities)


def steps(row: str, offer: Offer, current: Sequence[str] = ()) -> list[str]:
    """Return the texts that a slider of a row goes through, up to what the target has.

    Args:
        row: name of the row: ``cpu``, ``memory_limit``, ``gpu`` …
        offer: what the target has.
        current: texts that have to be among them: what holds, and what is declared.
    """
    has = offer.inventory
    if row in ("gpu", "retries"):
        most = 10 if row == "retries" else (sum(has.accelerators.values()) if has else MOST_COUNT)
        counts = {str(n) for n in range(most + 1)} | {text for text in current if text.isdigit()}
        return sorted(counts, key=int)
    if row.startswith("cpu"):
        most = has.cpu if has else MOST_CPU
        return _between(CPU_STEPS, 2000, most, current, "cpu")
    most = has.memory if has and row != "disk" else MOST_BYTES
    return _between(BYTE_STEPS, GI, most, current, "memory")


def _between(
    small: Sequence[int], unit: int, most: int, current: Sequence[str], part: str
) -> list[str]:
    """Return the steps up to the most, in ever larger strides, as texts; the first says nothing."""
    write = format_cpu if part == "cpu" else format_bytes
    amounts = {amount for amount in small if amount <= most}
    amount = max(small)
    while amount < most:
        stride = max(unit, (1 << (amount.bit_length() - 3)) // unit * unit)
        amount = (amount // stride + 1) * stride
        if amount <= most:
            amounts.add(amount)
    # the very end of it, rounded down to what can be typed
    end = 100 if part == "cpu" else GI if most >= 8 * GI else 128 * MI
    amounts.add(most // end * end)
    for text in current:
        amounts.add(_amount(part, text))
    return ["", *(write(amount) for amount in sorted(amounts) if amount > 0)]


def _amount(part: str, text: str) -> int:
    from flyte_jupyter.spec.quantity import parse_bytes, parse_cpu

    try:
        return parse_cpu(text) if part == "cpu" else parse_bytes(text)
    except FlyteError:  # auto, or nothing
        return 0


def _of(total: str, free: str | None, what: str) -> str:
    return f"{total} {what}" if free is None else f"{total} {what} ({free} free)"


def _about(size: int) -> str:
    exact = format_bytes(size)
    return exact if len(exact) < 7 else f"{size / GI:.1f}Gi"
