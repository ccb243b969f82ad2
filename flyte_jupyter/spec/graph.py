"""The graph of ``depends_on``: what belongs to it, in which waves it is deployed, its circles.

Environments are told apart by name. Every walk is linear in environments and edges, and none of
them recurses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Iterable, Mapping, Protocol, Sequence, TypeVar

from flyte_jupyter.errors import CycleError, DuplicateNameError

if TYPE_CHECKING:
    from flyte_jupyter.spec.edges import Edge
    from flyte_jupyter.spec.origin import Origin

__all__ = ["Node", "circle", "circle_error", "closure", "path_to", "trail", "waves"]

# So many steps of a circle are named; of a longer one, those at both ends.
_SHOWN = 12


class Node(Protocol):
    """What the graph is made of."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def origin(self) -> Origin:
        """Where it was declared."""

    @property
    def depends_on(self) -> Sequence[Node]:
        """What it depends on."""

    @property
    def edges(self) -> Mapping[str, Edge]:
        """Name of what it depends on to why, as far as that is known."""


N = TypeVar("N", bound=Node)


def closure(roots: Iterable[N], current: Mapping[str, N] | None = None) -> list[N]:
    """Return the roots and everything they depend on, each once, in the order of first sight.

    Args:
        roots: where to begin.
        current: the declarations in force by name; each takes the place of older ones of its name.

    Raises:
        DuplicateNameError: two different environments of one name meet, and ``current`` does not
            say which counts.
    """
    return _walk(roots, current or {})[0]


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
    every, waiting, users = _walk(nodes, current or {})
    wave = [at for at, count in enumerate(waiting) if not count]
    plan: list[list[N]] = []
    done = 0
    while wave:
        plan.append([every[at] for at in wave])
        done += len(wave)
        ready: list[int] = []
        for at in wave:
            for user in users[at]:
                waiting[user] -= 1
                if not waiting[user]:
                    ready.append(user)
        ready.sort()
        wave = ready
    if done < len(every):
        raise circle_error(_circle([node for node, count in zip(every, waiting) if count]))
    return plan


def circle(nodes: Sequence[Node]) -> list[str]:
    """Return one circle among nodes each of which depends on another of them, as its names.

    The first name stands again at the end.
    """
    return [node.name for node in _circle(nodes)]


def path_to(name: str, start: Node) -> list[str] | None:
    """Return the names from ``start`` to what is named ``name`` along ``depends_on``, or None.

    No path with fewer steps leads there.
    """
    found = trail(name, start)
    return None if found is None else [node.name for node in found]


def trail(name: str, start: N, may_lead: Callable[[N], bool] = lambda _: True) -> list[N] | None:
    """Return the nodes of `path_to`.

    Args:
        name: where to go.
        start: where to begin.
        may_lead: whether a walk need look below a node.
    """
    if start.name == name:
        return [start]
    # by identity: an older declaration may stand on the way beside the later one of its name
    came: dict[int, N | None] = {id(start): None}
    queue: list[N] = [start]
    for node in queue:  # grows while it is walked
        if not may_lead(node):
            continue
        below: Sequence[N] = node.depends_on  # type: ignore[assignment]
        for dependency in below:
            if id(dependency) in came:
                continue
            came[id(dependency)] = node
            if dependency.name == name:
                path = [dependency]
                step: N | None = node
                while step is not None:
                    path.append(step)
                    step = came[id(step)]
                return path[::-1]
            queue.append(dependency)
    return None


def circle_error(path: Sequence[Node], why: Edge | None = None) -> CycleError:
    """Return the error for a circle.

    Args:
        path: the circle; what has the name of the first stands again at the end.
        why: the first depends on the second, where its `edges` do not tell.
    """
    names = [node.name for node in path]
    steps = list(zip(path, names[1:]))
    left_out = len(steps) - _SHOWN
    half = _SHOWN // 2
    if left_out > 0:
        names[half:-half] = ["…"]
        steps[half:-half] = []
    evidence: list[str] = []
    for node, name in steps:
        edge = node.edges.get(name, None if evidence else why)
        evidence.append(f"{node.name} depends on {name}" + (f": {edge}" if edge else ""))
    if len(path) == 2:
        return CycleError(
            f"environment {names[0]!r} cannot depend on itself; leave it out.",
            # where it is just being written there is no other place to look at
            evidence=() if why else evidence,
        )
    if left_out > 0:
        evidence.insert(half, f"… and {left_out:,} more")
    return CycleError(
        f"depends_on would close a circle: {' → '.join(names)}; remove one of these dependencies.",
        evidence=evidence,
    )


def _walk(
    roots: Iterable[N], current: Mapping[str, N]
) -> tuple[list[N], list[int], list[list[int]]]:
    """Return the closure, how many dependencies each has, and the places of those that need each.

    A dependency that is given twice counts twice, on both sides.
    """
    found: list[N] = []
    place: dict[str, int] = {}
    twins: list[N] = []
    waiting: list[int] = []
    users: list[list[int]] = []

    for root in roots:
        if root.name not in place:
            place[root.name] = len(found)
            found.append(current.get(root.name, root))
            users.append([])
        elif found[place[root.name]] is not root:
            twins.append(root)
    for at, node in enumerate(found):  # grows while it is walked
        needs: Sequence[N] = node.depends_on  # type: ignore[assignment]
        waiting.append(len(needs))
        for dependency in needs:
            name = dependency.name
            below = place.get(name)
            if below is None:
                place[name] = len(found)
                found.append(current.get(name, dependency))
                users.append([at])
                continue
            users[below].append(at)
            if found[below] is not dependency:
                twins.append(dependency)
    _compare(twins, found, place, current)
    return found, waiting, users


def _compare(
    twins: list[N], found: list[N], place: Mapping[str, int], current: Mapping[str, N]
) -> None:
    """Raise `DuplicateNameError` unless each twin, and all below it, equals what was found."""
    seen: set[int] = set()
    for twin in twins:  # grows while it is walked
        node = found[place[twin.name]]
        if twin is node or twin.name in current or id(twin) in seen:
            continue
        seen.add(id(twin))
        if twin != node:
            raise DuplicateNameError(
                f"two different environments are named {twin.name!r}; rename one of them.",
                evidence=[f"declared in {each.origin.label}" for each in (node, twin)],
            )
        twins.extend(twin.depends_on)  # type: ignore[arg-type]


def _circle(nodes: Sequence[Node]) -> list[Node]:
    left = {node.name: node for node in nodes}
    node = nodes[0]
    path: list[Node] = []
    place: dict[str, int] = {}
    while node.name not in place:
        place[node.name] = len(path)
        path.append(node)
        node = next(left[other.name] for other in node.depends_on if other.name in left)
    return [*path[place[node.name] :], node]
