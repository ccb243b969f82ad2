"""What was built for the targets and takes room: listed, and removed where nothing needs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flyte_jupyter import catalog
from flyte_jupyter.errors import NotFoundError, TargetError
from flyte_jupyter.images.built import BuiltImage
from flyte_jupyter.session import session
from flyte_jupyter.session.asking import ask
from flyte_jupyter.spec import Image
from flyte_jupyter.spec.naming import did_you_mean

__all__ = ["Kept", "built", "remove_built"]


@dataclass(frozen=True, slots=True)
class Kept:
    """Something that was built.

    Args:
        target: name of the target that it is for.
        image: what it is.
    """

    target: str
    image: BuiltImage


def built() -> list[Kept]:
    """Return what was built for the targets, by this kernel and by earlier ones.

    Raises:
        TargetError: the session's own target does not answer; of others nothing is said.
    """
    wanted = _wanted()
    return [Kept(name, one) for name in session.target_names() for one in _images(name, wanted)]


def remove_built(names: Sequence[str] = (), *, dry_run: bool = False) -> list[Kept]:
    """Remove what was built and nothing needs, and return what was removed.

    Needed is what something that runs uses, and what an environment of this session asks for.

    Args:
        names: what to remove instead, by name or the beginning of one.
        dry_run: only return what would be removed.

    Raises:
        NotFoundError: there is nothing of a name.
        TargetError: a target does not answer, or something that is named is in use.
    """
    found = built()
    if names:
        chosen = [one for name in names for one in _of_name(found, name)]
    else:
        chosen = [one for one in found if not one.image.in_use]
    if dry_run:
        return chosen
    removed = []
    for target in session.target_names():
        those = [one.image.name for one in chosen if one.target == target]
        if those:
            removed += [Kept(target, one) for one in _images(target, (), those)]
    return removed


def _of_name(found: Sequence[Kept], name: str) -> list[Kept]:
    fitting = [one for one in found if one.image.name == name]
    fitting = fitting or [
        one
        for one in found
        if one.image.name.startswith(name) or one.image.name.rpartition(":")[2].startswith(name)
    ]
    if not fitting:
        hint = did_you_mean(name, [one.image.name for one in found])
        raise NotFoundError(
            f"nothing that was built is called {name!r}{hint}",
            remedy="%flyte_images lists what there is.",
        )
    return fitting


def _wanted() -> list[Image | None]:
    declared = catalog.current().environments.values()
    return [declaration.value.settings.image for declaration in declared]


def _images(
    name: str, wanted: Sequence[Image | None], remove: Sequence[str] = ()
) -> list[BuiltImage]:
    target = session.make_target(name)
    try:
        return ask(lambda: target.images(wanted, remove))
    except TargetError:
        # who never had a container engine wants to hear nothing of it
        if remove or name == session.default_target():
            raise
        return []
