"""A look at what one may do while the first thing is made: where all is well, nobody waits."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from flyte_jupyter.cluster.api import Api, ApiError
from flyte_jupyter.cluster.connect import Cluster, NotLetInError
from flyte_jupyter.errors import FlyteError
from flyte_jupyter.targets.kubernetes.rights import Right, demand, in_namespace, lacking

__all__ = ["Preflight"]


class Preflight:
    """The look before a session; it begins at once.

    Args:
        api: the cluster's.
        cluster: where the session is.
        news: set when the look is over.
    """

    def __init__(self, api: Api, cluster: Cluster, news: asyncio.Event) -> None:
        self._namespace = cluster.namespace
        self._told = False
        self._look: asyncio.Task[dict[Right, tuple[str, ...]]] = asyncio.create_task(
            asyncio.to_thread(lacking, api, cluster.namespace, in_namespace(cluster.inside))
        )
        self._look.add_done_callback(lambda _: news.set())

    @contextlib.asynccontextmanager
    async def names_what_is_missing(self) -> AsyncIterator[None]:
        """Raise an error that names all that is missing, where making the first thing fails."""
        try:
            yield
        except FlyteError:
            await asyncio.wait([self._look])
            self.check(lambda _: None)
            raise

    def check(self, say: Callable[[str], None]) -> None:
        """Tell once what does not work for want of rights, as soon as that is known.

        Args:
            say: called with each thing that does not.

        Raises:
            TargetError: nothing works.
        """
        if self._told or not self._look.done():
            return
        self._told = True
        try:
            missing = self._look.result()
        except ApiError as error:
            raise NotLetInError(error.sentence) from None
        except FlyteError:
            return  # whatever is made next meets the same
        for sentence in demand(missing, self._namespace):
            say(sentence)
