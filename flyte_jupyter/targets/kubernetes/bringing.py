"""What pods fetch from the hub, brought there once: packages and files of their images."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from pathlib import Path

from flyte_jupyter.targets.kubernetes.images import packed
from flyte_jupyter.targets.kubernetes.link import Link

__all__ = ["Bringing"]


class Bringing:
    """Brings folders to the hub of one session.

    Args:
        link: leads there.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._brought: dict[str, asyncio.Task[None]] = {}

    async def bring(self, blobs: Iterable[tuple[str, Path, str]]) -> None:
        """Have the hub hold some folders, each of them once.

        Args:
            blobs: name, folder of this machine, and where its content belongs, of each.

        Raises:
            TargetError: the hub was lost meanwhile.
        """
        for name, folder, place in blobs:
            known = self._brought.get(name)
            if known is None or (known.done() and (known.cancelled() or known.exception())):
                work = self._bring(name, folder, place)
                known = self._brought[name] = asyncio.get_running_loop().create_task(work)
            await asyncio.shield(known)

    async def _bring(self, name: str, folder: Path, place: str) -> None:
        with contextlib.ExitStack() as stack:
            path = await asyncio.to_thread(stack.enter_context, packed(folder, place))
            await self._link.put(name, path)

    def forget(self) -> None:
        """Know that the hub is another one, and has nothing yet."""
        self._brought.clear()
