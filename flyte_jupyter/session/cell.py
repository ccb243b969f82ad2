"""The body of a ``%%flyte_run`` cell as a run of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flyte_jupyter import catalog
from flyte_jupyter.capsule import build_cell
from flyte_jupyter.errors import SpecError
from flyte_jupyter.session import session
from flyte_jupyter.session.run import Run
from flyte_jupyter.session.submit import RunContext, open_for, request_of, unit_of
from flyte_jupyter.spec import Image, Settings, TaskEnvironment
from flyte_jupyter.spec.settings import apply_layer
from flyte_jupyter.wire.exchange import pack
from flyte_jupyter.wire.values import encode

__all__ = ["submit_cell"]


def submit_cell(
    source: str,
    namespace: dict[str, Any],
    environment: TaskEnvironment | None,
    filename: str,
    context: RunContext,
) -> Run:
    """Start a run of a cell's body.

    Args:
        source: the body.
        namespace: the notebook's names.
        environment: where it runs; the default image without an environment.
        filename: of the cell's code.
        context: what was said about the run.

    Returns:
        The run; its result is ``{"assigned": ..., "value": ..., "kept": ...}``.

    Raises:
        SyntaxError: the body is no Python.
        CapsuleError: something that it reads cannot be sent.
    """
    name = "cell" if environment is None else environment.name
    capsule = build_cell(source, namespace, f"{name}.cell", filename=filename)
    settings = _settings(environment)
    if settings.reusable is not None and settings.reusable.concurrency > 1:
        raise SpecError(
            f"{name} runs {settings.reusable.concurrency} calls at a time in one container, and "
            "the body of a cell is not one of them; use an environment with concurrency=1."
        )
    settings = apply_layer(settings, context.layer)
    unit = unit_of(f"{name}.cell", name, settings, capsule)
    request = request_of(unit, "cell", capsule, pack(encode({})), context)
    request = replace(request, said={"what": "cell"})
    engine = session.engine()
    return Run(engine, engine.submit(request, context.subscriber), open_for(capsule.interface))


def _settings(environment: TaskEnvironment | None) -> Settings:
    if environment is None:
        return Settings(image=Image.from_debian_base())
    known = catalog.current()
    declared = known.environments.get(environment.name)
    settings = (environment if declared is None else declared.value).settings
    return apply_layer(settings, known.overrides.get(environment.name, {}))
