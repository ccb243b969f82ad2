"""Network namespaces that the containers of one environment share, as those of a pod do.

Most of the start of a container is the making of its network. A small container that only waits
holds one for each environment, and the others join it. The first containers, which come before it
is there, have a network of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flyte_jupyter.images.containers import ContainerImage

__all__ = ["Holder", "Namespaces"]

# A holder that nobody has joined for so many seconds is ended.
IDLE = 120.0


@dataclass(eq=False, slots=True)
class Holder:
    """A container that holds a network namespace.

    Args:
        name: the container's.
        end: ends it.
    """

    name: str
    end: Callable[[], None]


@dataclass(eq=False, slots=True)
class _Group:
    task: asyncio.Task[None] | None = None
    holder: Holder | None = None
    users: int = 0
    idle: asyncio.TimerHandle | None = None


class Namespaces:
    """The shared namespaces of one kernel.

    Args:
        hold: starts a holder for a group, with or without a network, from an image.
        bridge: the network that containers have of their own.
    """

    def __init__(
        self, hold: Callable[[str, bool, ContainerImage], Awaitable[Holder]], bridge: str = "bridge"
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._hold = hold
        self._bridge = bridge
        self._groups: dict[tuple[str, bool], _Group] = {}

    def join(self, group: str, network: bool, image: ContainerImage) -> str:
        """Return the network mode for one more container; :meth:`leave` when it has ended.

        Args:
            group: name of the environment.
            network: whether it may reach the network.
            image: what a holder can be started from.
        """
        one = self._groups.setdefault((group, network), _Group())
        one.users += 1
        if one.idle is not None:
            one.idle.cancel()
            one.idle = None
        if one.holder is not None:
            return f"container:{one.holder.name}"
        if one.task is None:
            one.task = self._loop.create_task(self._make(one, group, network, image))
        return self._bridge if network else "none"

    async def _make(self, one: _Group, group: str, network: bool, image: ContainerImage) -> None:
        try:
            one.holder = await self._hold(group, network, image)
        except Exception as error:
            del error  # whatever it is, the containers themselves meet it and say it
        finally:
            one.task = None

    def leave(self, group: str, network: bool) -> None:
        """Note that a container which had joined has ended."""
        one = self._groups.get((group, network))
        if one is None:
            return  # all were ended
        one.users -= 1
        if not one.users and one.idle is None:
            one.idle = self._loop.call_later(IDLE, self._idle, one)

    def _idle(self, one: _Group) -> None:
        one.idle = None
        if one.holder is not None:
            one.holder.end()
            one.holder = None

    def held_by(self, name: str) -> bool:
        """Say whether a container is a holder."""
        return any(one.holder and one.holder.name == name for one in self._groups.values())

    def lost(self, name: str) -> None:
        """Forget a holder that has ended; the next containers make another."""
        for one in self._groups.values():
            if one.holder is not None and one.holder.name == name:
                one.holder = None

    def end_holders(self) -> None:
        """End every holder; the next containers make others."""
        for one in self._groups.values():
            holder, one.holder = one.holder, None
            if holder is not None:
                holder.end()

    def close(self) -> None:
        """End every holder, and make no more."""
        for one in self._groups.values():
            if one.task is not None:
                one.task.cancel()
            if one.idle is not None:
                one.idle.cancel()
            if one.holder is not None:
                one.holder.end()
        self._groups.clear()
