"""The verbs of deployment: in a magic, in ``%flyte`` and in a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from flyte_jupyter.deployment.result import Deployment
from flyte_jupyter.notebook.arguments import Arguments
from flyte_jupyter.notebook.deploying import (
    LiveDeployment,
    deploy_names,
    deployed_table,
    told,
    undeployed_table,
    versions_table,
)
from flyte_jupyter.notebook.tables import Table, Tables
from flyte_jupyter.notebook.usage import MagicUsageError
from flyte_jupyter.session import session
from flyte_jupyter.session.deploy import deploy
from flyte_jupyter.session.deployments import deployments, rollback, undeploy, versions
from flyte_jupyter.session.drafts import source_of

__all__ = ["deploy_verb", "deployments_verb", "rollback_verb", "undeploy_verb"]


def deploy_verb(said: Arguments, variables: Mapping[str, Any], terminal: bool) -> Deployment:
    """Deploy environments of the notebook; in a terminal, those of a file that is named first.

    Raises:
        DeploymentError: something could not be deployed; what could is deployed.
    """
    words = list(said.positionals)
    values = said.values
    source = source_of(_read(words) if terminal else "")
    carry = partial(
        deploy,
        deploy_names(words, variables),
        target=values.get("on"),
        version=values.get("version"),
        dry_run=bool(values.get("dry_run")),
        take_over=bool(values.get("take_over")),
        source=source,
    )
    deployment = carry(watch=told() if terminal else _shown())
    error = None if deployment.dry_run else deployment.error()
    if error is not None:
        raise error
    return deployment


def _read(words: list[Any]) -> str:
    """Take the file off the words, and declare what it declares."""
    from flyte_jupyter import catalog
    from flyte_jupyter.notebook.programs import load_declarations

    if not words or not str(words[0]).endswith((".ipynb", ".py")):
        raise MagicUsageError(
            "deploy takes a notebook or a .py file",
            remedy="flyte-jupyter deploy NOTEBOOK [ENV ...]",
        )
    file = str(words.pop(0))
    load_declarations(file, catalog.current())
    path = Path(file).resolve()
    # names belong to the folder of the notebook, wherever the command is given
    session.configure(project=str(path.parent))
    return str(path)


def _shown() -> Any:
    """Return what shows a deployment in the cell that is being executed, while it goes on."""
    from IPython import get_ipython

    from flyte_jupyter.notebook.live import is_interactive

    return LiveDeployment(interactive=is_interactive(get_ipython())).watch


def deployments_verb(said: Arguments, variables: Mapping[str, Any], terminal: bool) -> Any:
    """List what is deployed, beside what the notebook declares."""
    del variables
    target, everywhere = said.values.get("on"), bool(said.values.get("all"))
    names = [str(word) for word in said.positionals]
    found = deployments(*names, target=target, everywhere=everywhere)
    table = deployed_table(found, everywhere=everywhere, terminal=terminal)
    if not said.values.get("versions"):
        return table
    those = [versions_table(versions(one.record.name, target=target)) for one in found]
    return Tables((table, *those))


def rollback_verb(said: Arguments, variables: Mapping[str, Any], terminal: bool) -> Table:
    """Make an earlier version of an environment the current one."""
    del variables, terminal
    if len(said.positionals) != 1:
        raise MagicUsageError("rollback takes the name of one environment")
    name = str(said.positionals[0])
    target = said.values.get("on")
    rollback(name, said.values.get("version"), target=target)
    return versions_table(versions(name, target=target))


def undeploy_verb(said: Arguments, variables: Mapping[str, Any], terminal: bool) -> Table:
    """Take environments away with all their versions."""
    del variables, terminal
    names = [str(word) for word in said.positionals]
    if not names:
        raise MagicUsageError("undeploy takes the names of the environments to take away")
    target = said.values.get("on")
    gone = undeploy(*names, target=target, take_over=bool(said.values.get("take_over")))
    after = [
        one.record.name
        for one in deployments(target=target)
        if not set(names).isdisjoint(one.record.depends_on)
    ]
    return undeployed_table(gone, after)
