"""Questions to a target that are not the engine's: asked on a thread and a loop of their own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

__all__ = ["ask"]

Answer = TypeVar("Answer")


def ask(question: Callable[[], Awaitable[Answer]]) -> Answer:
    """Return the answer to a question, from any thread, one whose loop runs included.

    Args:
        question: makes the coroutine, on the thread that waits for it.
    """
    import asyncio
    import threading

    answers: list[Answer] = []
    errors: list[BaseException] = []

    async def wait() -> Answer:
        return await question()

    def run() -> None:
        try:
            answers.append(asyncio.run(wait()))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="flyte-asks", daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return answers[0]
