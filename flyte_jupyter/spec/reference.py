"""`ReferenceTask`: a deployed task called by its name; its code and packages are not needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generator, Mapping, NoReturn, Sequence

from flyte_jupyter.errors import EngineError
from flyte_jupyter.spec.settings import layer, merge_layers
from flyte_jupyter.spec.task import Task

if TYPE_CHECKING:
    import inspect

__all__ = ["Deployed", "ReferenceTask"]


@dataclass(frozen=True)
class Deployed:
    """Where a deployed task is found, and what was found there.

    Args:
        project: the folder that its name belongs to.
        target: name of the target that it was deployed to.
        version: the version that every call means, None for the one that is current then.
        found: the version that was found when the reference was made.
        when: when that was deployed, in words.
        source: from where, in words.
    """

    project: str
    target: str
    version: str | None = None
    found: str = ""
    when: str = ""
    source: str = ""

    @property
    def address(self) -> str:
        """The place and the version, in words; equal for all that mean the same."""
        return f"@{self.version or 'current'} of {self.project} on {self.target}"


class ReferenceTask(Task):
    """A deployed task; made by ``flyte.reference_task``.

    It is run and called as a task that is declared here: ``flyte.run(ref, ...)``, ``flyte.map``,
    and calls in the body of another task, which are awaited in an asynchronous one whatever the
    deployed function is. Without a version, each run takes the deployment that
    is current then.

    Attributes:
        interface: what it takes and gives, as schemas; None where nothing is known.
        place: where it is found.
    """

    is_deployed = True

    def __init__(
        self,
        *,
        env_name: str,
        func_name: str,
        signature: inspect.Signature,
        is_async: bool,
        place: Deployed,
        interface: Mapping[str, Any] | None = None,
        overrides: Mapping[str, Any] | None = None,
        doc: str | None = None,
    ) -> None:
        super().__init__(
            None,
            env_name=env_name,
            func_name=func_name,
            signature=signature,
            is_async=is_async,
            overrides=overrides or {},
            doc=doc,
        )
        self.interface = interface
        self.place = place

    @property
    def project(self) -> str:
        """The folder that its name belongs to."""
        return self.place.project

    @property
    def target(self) -> str:
        """Name of the target that it was deployed to."""
        return self.place.target

    @property
    def version(self) -> str | None:
        """The version that every call means, None for the one that is current then."""
        return self.place.version

    @property
    def address(self) -> str:
        """What a call of it names: its name, and where it is found."""
        return self.name + self.place.address

    def override(self, **fields: Any) -> ReferenceTask:
        """Return the same reference under other settings for the calls made through it.

        Args:
            **fields: see `Task.override`.

        Returns:
            A reference to the same task. Awaiting it calls it without arguments.

        Raises:
            SpecTypeError: a parameter that does not exist, or a value of the wrong type.
            SpecError: a value that its field does not take.
        """
        return self._under(OverriddenReference, merge_layers(self.overrides, layer(fields)))

    with_overrides = override

    def without_overrides(self) -> ReferenceTask:
        """Return the reference as it was before any override."""
        return self._under(ReferenceTask, {}) if self.overrides else self

    def fetch(self) -> ReferenceTask:
        """Return the reference itself: what Flyte's lazy references have to fetch is known here."""
        return self

    def __repr__(self) -> str:
        made = ", ".join(f"{key}={value!r}" for key, value in self.overrides.items())
        facts = "; ".join(f"{name} {text}" for name, text in self._facts())
        return (
            f"<ReferenceTask {self.name}{self.signature}{f' with {made}' if made else ''}: {facts}>"
        )

    def _facts(self) -> list[tuple[str, str]]:
        place = self.place
        version = place.version or "the current one"
        if not place.version and place.found:
            version += f" ({place.found} when this was made)"
        rows = [
            ("version", version),
            ("project", place.project),
            ("target", place.target),
            ("deployed", place.when),
            ("from", place.source),
        ]
        return [(name, text) for name, text in rows if text]

    def _repr_html_(self) -> str:
        from flyte_jupyter.spec.html import table

        rows = [("signature", f"{self.func_name}{self.signature}"), *self._facts()]
        rows += [(f"{key} (override)", str(value)) for key, value in self.overrides.items()]
        if self.doc:
            rows.append(("does", self.doc.split("\n")[0]))
        return table(f"Deployed task {self.name}", rows)

    def _explain(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> NoReturn:
        """Raise what is to be said of a call outside a run."""
        del args, kwargs
        raise EngineError(
            f"{self.name} is a deployed task, whose code is not here.",
            remedy="Run it, flyte.run(reference, ...), or call it in the body of a task.",
        ) from None


class OverriddenReference(ReferenceTask):
    """A reference under other settings; ``await`` on it is a call without arguments."""

    def __await__(self) -> Generator[Any, Any, Any]:
        """Call without arguments, as ``await reference.override(queue="q")`` means to."""
        result: Generator[Any, Any, Any] = self.aio().__await__()
        return result
