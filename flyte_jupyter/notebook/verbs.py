"""The verbs that look after runs and what they leave: in a magic, in ``%flyte`` and in a terminal.

``%flyte_logs``, ``%flyte logs`` and ``flyte-jupyter logs`` are one function of one table row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flyte_jupyter.notebook.arguments import Arguments
from flyte_jupyter.notebook.options import (
    ATTACH_OPTIONS,
    CLEAN_OPTIONS,
    DEPLOY_OPTIONS,
    DEPLOYMENTS_OPTIONS,
    GRAPH_OPTIONS,
    IMAGES_OPTIONS,
    LOGS_OPTIONS,
    PANEL_OPTIONS,
    PS_OPTIONS,
    ROLLBACK_OPTIONS,
    UNDEPLOY_OPTIONS,
    Option,
)
from flyte_jupyter.notebook.usage import MagicUsageError

__all__ = ["VERBS", "Verb"]


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb.

    Args:
        does: what it does, in a few words.
        takes: what it takes besides options, in words.
        options: the options that it takes.
        do: does it: takes what was said, the names of the notebook, and whether a terminal asks;
            returns what is to be shown.
        file: what a terminal takes first, in words; empty where it takes the same.
    """

    does: str
    takes: str
    options: tuple[Option, ...]
    do: Callable[[Arguments, Mapping[str, Any], bool], Any]
    file: str = ""


def _logs(said: Arguments, variables: Mapping[str, Any], terminal: bool) -> Any:
    from flyte_jupyter.notebook.logs import TAIL, logs_of

    # a terminal has room for all, and other programs read what it is given
    return logs_of(said.positionals, said.values, variables, None if terminal else TAIL)


def _attach(said: Arguments, variables: Mapping[str, Any], terminal: bool) -> Any:
    from flyte_jupyter.notebook.attaching import attach_line

    del variables
    return attach_line(said, terminal)


def _ps(said: Arguments, variables: Mapping[str, Any], terminal: bool) -> Any:
    from flyte_jupyter.notebook.leftovers import presence
    from flyte_jupyter.session.leftovers import present

    del variables
    _none("ps", said)
    return presence(present(), everything=bool(said.values.get("all")), terminal=terminal)


def _clean(said: Arguments, variables: Mapping[str, Any], terminal: bool) -> Any:
    from flyte_jupyter.notebook.leftovers import cleaned
    from flyte_jupyter.notebook.tables import Tables
    from flyte_jupyter.session.leftovers import clean

    del variables
    dry_run = bool(said.values.get("dry_run"))
    result = clean([str(name) for name in said.positionals], dry_run=dry_run)
    table = cleaned(result, terminal=terminal)
    if not said.values.get("all"):
        return table
    return Tables((table, _removed((), dry_run)))


def _images(said: Arguments, variables: Mapping[str, Any], terminal: bool) -> Any:
    from flyte_jupyter.notebook.built import built_table
    from flyte_jupyter.session.images import built

    del variables
    _none("images", said)
    names = tuple(map(str, said.values.get("remove", ())))
    dry_run = bool(said.values.get("dry_run"))
    if names and said.values.get("remove_unused"):
        raise MagicUsageError("--remove and --remove-unused were both given; give one of them")
    if names or said.values.get("remove_unused"):
        return _removed(names, dry_run)
    return built_table(built(), terminal=terminal)


def _removed(names: tuple[str, ...], dry_run: bool) -> Any:
    from flyte_jupyter.notebook.built import removed_table
    from flyte_jupyter.session.images import remove_built

    return removed_table(remove_built(names, dry_run=dry_run), dry_run=dry_run)


def _deploy(said: Arguments, variables: Mapping[str, Any], terminal: bool) -> Any:
    from flyte_jupyter.notebook.deploy_verbs import deploy_verb

    return deploy_verb(said, variables, terminal)


def _deployments(said: Arguments, variables: Mapping[str, Any], terminal: bool) -> Any:
    from flyte_jupyter.notebook.deploy_verbs import deployments_verb

    return deployments_verb(said, variables, terminal)


def _rollback(said: Arguments, variables: Mapping[str, Any], terminal: bool) -> Any:
    from flyte_jupyter.notebook.deploy_verbs import rollback_verb

    return rollback_verb(said, variables, terminal)


def _undeploy(said: Arguments, variables: Mapping[str, Any], terminal: bool) -> Any:
    from flyte_jupyter.notebook.deploy_verbs import undeploy_verb

    return undeploy_verb(said, variables, terminal)


def _graph(said: Arguments, variables: Mapping[str, Any], terminal: bool) -> Any:
    from flyte_jupyter.notebook.graph import graph_verb

    return graph_verb(said, variables, terminal)


def _panel(said: Arguments, variables: Mapping[str, Any], terminal: bool) -> Any:
    from flyte_jupyter.notebook.panel.verb import panel_verb

    return panel_verb(said, variables, terminal)


def _none(verb: str, said: Arguments) -> None:
    if said.positionals:
        raise MagicUsageError(f"{verb} takes no {str(said.positionals[0])!r}")


VERBS: dict[str, Verb] = {
    "logs": Verb(
        "shows what a run wrote, the last one if none is named, and what it used",
        "[RUN] [ACTION or TASK]",
        LOGS_OPTIONS,
        _logs,
    ),
    "ps": Verb("lists what kernels have on the targets", "", PS_OPTIONS, _ps),
    "clean": Verb(
        "removes what kernels that have ended left behind, or what is named",
        "[NAME ...]",
        CLEAN_OPTIONS,
        _clean,
    ),
    "attach": Verb(
        "takes up a run of another kernel, or of an earlier one", "[RUN]", ATTACH_OPTIONS, _attach
    ),
    "images": Verb(
        "lists what was built for the targets, and removes it", "", IMAGES_OPTIONS, _images
    ),
    "deploy": Verb(
        "deploys environments in the order of depends_on; in a terminal, those of a file",
        "[ENV ...]",
        DEPLOY_OPTIONS,
        _deploy,
        "NOTEBOOK",
    ),
    "deployments": Verb(
        "lists what is deployed, and what has changed since",
        "[ENV ...]",
        DEPLOYMENTS_OPTIONS,
        _deployments,
    ),
    "rollback": Verb(
        "makes an earlier version of an environment the current one",
        "ENV",
        ROLLBACK_OPTIONS,
        _rollback,
    ),
    "undeploy": Verb(
        "takes environments away with all their versions",
        "ENV ...",
        UNDEPLOY_OPTIONS,
        _undeploy,
    ),
    "graph": Verb(
        "draws environments with all that they depend on; in a terminal, those of a file",
        "[ENV ...]",
        GRAPH_OPTIONS,
        _graph,
        "NOTEBOOK",
    ),
    "panel": Verb(
        "shows what tasks run under and who said so, to be changed; in a terminal, of a file",
        "[ENV or TASK]",
        PANEL_OPTIONS,
        _panel,
        "NOTEBOOK",
    ),
}
