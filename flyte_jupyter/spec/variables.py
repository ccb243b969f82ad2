"""Environment variables as a value: a mapping that is hashable and knows how to merge."""

from __future__ import annotations

from typing import Any, Iterator, Mapping, Optional

__all__ = ["Variables"]


class Variables(Mapping[str, Optional[str]]):
    """Variables sorted by name; equal to a dict with the same content.

    In a layer a value of None removes the variable, and the empty name, which no variable can
    have, removes all earlier ones.

    Args:
        items: name to text.
    """

    __slots__ = ("_items",)
    _items: dict[str, str | None]

    def __init__(self, items: Mapping[str, str | None]) -> None:
        object.__setattr__(self, "_items", dict(sorted(items.items())))

    def merge(self, later: Variables) -> Variables:
        """Return these variables with later ones laid over them."""
        return later if "" in later else Variables({**self._items, **later._items})

    def settled(self) -> Variables | None:
        """Return what is left when nothing more is merged; None if that is nothing."""
        kept = {name: text for name, text in self._items.items() if text is not None}
        return Variables(kept) if kept else None

    def __getitem__(self, name: str) -> str | None:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("environment variables of a declaration do not change")

    def __reduce__(self) -> tuple[Any, ...]:
        return Variables, (self._items,)

    def __hash__(self) -> int:
        return hash(tuple(self._items.items()))

    def __repr__(self) -> str:
        return repr(self._items)


CLEARED = Variables({"": None})
"""Variables that clear every one they are merged over."""
