"""The graph of ``depends_on``: what belongs to it, in which waves it is deployed, its circles.

Environments are told apart by name. Every walk is linear in environments and edges, and none of
them recurses.
"""

from __future__ import annotations

from typing import Iterable, Mapping, Protocol, Sequence, TypeVar

from flyte_jupyter.errors import CycleError, DuplicateNameError

__all__ = ["Node", "circle", "closure", "note_dependencies", "path_to", "waves"]


class Node(Protocol):
    """What the graph is made of."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def depends_on(self) -> Sequence[Node]:
        """What it depends on."""


N = TypeVar("N", bound=Node)

# Names that some environment has ever depended on: only these can be met on a walk, so a
# declaration with a new name needs no walk to be known free of circles.
_needed: set[str] = set()


def note_dependencies(names: Iterable[str]) -> None:
    """Remember that something depends on these names."""
    _needed.update(names)


def closure(roots: Iterable[N], current: Mapping[str, N] | None = None) -> list[N]:
    """Return the roots and everything they depend on, each once, in the order of first sight.

    Args:
        roots: where to begin.
        current: the declarations in force by name; each takes the place of older ones of its name.

    Raises:
        DuplicateNameError: two different environments of one name meet, and ``current`` does not
            say which counts.
    """
    found: dict[str, N] = {}
    known = current or {}
    queue: list[N] = list(roots)
    for node in queue:  # grows while it is walked
        name = node.name
        node = known.get(name, node)
        met = found.get(name)
        if met is None:
            found[name] = node
            queue.extend(node.depends_on)  # type: ignore[arg-type]
        elif met is not node and met != node:
            raise DuplicateNameError(
                f"two different environments are named {name!r}; rename one of them."
            )
    return list(found.values())


def waves(nodes: Iterable[N], current: Mapping[str, N] | None = None) -> list[list[N]]:
    """Return the closure in waves: each wave depends on earlier waves only.

    The order inside a wave is that of first sight, so that equal graphs give equal plans.

    Args:
        nodes: where to begin.
        current: see `closure`.

    Raises:
        CycleError: there is a circle; it is named as its path.
        DuplicateNameError: see `closure`.
    """
    every = closure(nodes, current)
    needs: dict[str, int] = {}
    users: dict[str, list[N]] = {node.name: [] for node in every}
    for node in every:
        wanted = {dependency.name for dependency in node.depends_on}
        needs[node.name] = len(wanted)
        for name in wanted:
            users[name].append(node)
    wave = [node for node in every if not needs[node.name]]
    plan: list[list[N]] = []
    done = 0
    place = {node.name: index for index, node in enumerate(every)}
    while wave:
        plan.append(wave)
        done += len(wave)
        ready: list[N] = []
        for node in wave:
            for user in users[node.name]:
                needs[user.name] -= 1
                if not needs[user.name]:
                    ready.append(user)
        ready.sort(key=lambda node: place[node.name])
        wave = ready
    if done < len(every):
        raise circle_error(circle([node for node in every if needs[node.name]]))
    return plan


def circle(nodes: Sequence[Node]) -> list[str]:
    """Return one circle among nodes each of which depends on another of them, as its names.

    The first name stands again at the end.
    """
    left = {node.name: node for node in nodes}
    name = nodes[0].name
    seen: dict[str, int] = {}
    while name not in seen:
        seen[name] = len(seen)
        name = next(other.name for other in left[name].depends_on if other.name in left)
    path = [other for other, place in seen.items() if place >= seen[name]]
    return [*path, name]


def path_to(name: str, start: Node) -> list[str] | None:
    """Return the names from ``start`` to what is named ``name`` along ``depends_on``, or None."""
    if start.name == name:
        return [name]
    if name not in _needed:
        return None
    came: dict[str, str | None] = {start.name: None}
    queue: list[Node] = [start]
    for node in queue:
        for dependency in node.depends_on:
            if dependency.name in came:
                continue
            came[dependency.name] = node.name
            if dependency.name == name:
                path: list[str] = []
                step: str | None = name
                while step is not None:
                    path.append(step)
                    step = came[step]
                return path[::-1]
            queue.append(dependency)
    return None


def circle_error(path: Sequence[str]) -> CycleError:
    """Return the error for a circle that is given as its names, the first again at the end."""
    if len(path) == 2:
        return CycleError(f"environment {path[0]!r} cannot depend on itself; leave it out.")
    return CycleError(
        f"depends_on would close a circle: {' → '.join(path)}; remove one of these dependencies."
    )
