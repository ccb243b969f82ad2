"""Calls of a cluster's API from the engine's loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from flyte_jupyter.cluster.api import Api, ApiError, Body
from flyte_jupyter.errors import FlyteError
from flyte_jupyter.targets.kubernetes.creation import BUDGET, Say, created

__all__ = ["Calls"]

AT_ONCE = 8


class Calls:
    """Calls of the API, some at once, each on a thread.

    Args:
        api: the cluster's.

    Attributes:
        room: set when something has ended that a quota counts.
    """

    def __init__(self, api: Api) -> None:
        self.room = asyncio.Event()
        self._api = api
        self._loop = asyncio.get_running_loop()
        self._threads = ThreadPoolExecutor(AT_ONCE, "flyte-kubernetes")

    async def run(self, function: Callable[..., Any], *args: Any) -> Any:
        """Return what a function returns that blocks."""
        return await self._loop.run_in_executor(self._threads, function, *args)

    async def call(self, method: str, path: str, body: Body = None, **query: str) -> dict[str, Any]:
        """Return what the cluster answers; see :meth:`flyte_jupyter.cluster.api.Api.call`."""
        found: dict[str, Any] = await self.run(lambda: self._api.call(method, path, body, **query))
        return found

    async def make(
        self, what: str, path: str, body: Mapping[str, Any], say: Say, budget: float = BUDGET
    ) -> dict[str, Any]:
        """Have the cluster make something; see :func:`created`."""

        async def ask() -> dict[str, Any]:
            asked = self._loop.create_task(self.call("POST", path, body, fieldValidation="Strict"))
            try:
                return await asyncio.shield(asked)
            except asyncio.CancelledError:
                # what is about to be there could not be removed
                await asyncio.gather(asked, return_exceptions=True)
                raise

        return await created(what, ask, say, self.room, budget)

    async def remove(self, place: str, how: Mapping[str, Any]) -> bool:
        """Have something removed; say whether it is, or was not there."""
        try:
            await self.call("DELETE", place, how)
        except ApiError as error:
            return error.status == 404
        except FlyteError:
            return False
        return True

    async def close(self) -> None:
        """Wait for the calls that are under way; none is made any more."""
        await asyncio.to_thread(self._threads.shutdown)
