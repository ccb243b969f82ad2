"""The options of every magic and of the terminal command, as one table.

A row tells the spellings, what kind of value follows, which help is shown and where candidates for
its completion come from. Parsing, help and completion read this table and nothing else. Hyphens
and underscores in an option mean the same: ``--task_queue`` is ``--task-queue``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "CELL_RUN_OPTIONS",
    "CLEAN_OPTIONS",
    "COMMAND_OPTIONS",
    "DEPLOYMENTS_OPTIONS",
    "DEPLOY_OPTIONS",
    "DOCTOR_OPTIONS",
    "ENV_OPTIONS",
    "EXPLAIN_OPTIONS",
    "GRAPH_OPTIONS",
    "IMAGES_OPTIONS",
    "LAUNCH_OPTIONS",
    "LOGS_OPTIONS",
    "PANEL_OPTIONS",
    "PS_OPTIONS",
    "RBAC_OPTIONS",
    "RERUN_OPTIONS",
    "ROLLBACK_OPTIONS",
    "RUN_OPTIONS",
    "UNDEPLOY_OPTIONS",
    "Kind",
    "Option",
    "help_text",
]


class Kind(StrEnum):
    """What follows an option."""

    FLAG = "flag"
    """Nothing: its presence means yes."""
    SWITCH = "switch"
    """Nothing; ``--no-...`` means no."""
    ONE = "one"
    """One value; given twice, the later one holds."""
    MANY = "many"
    """One or more values up to the next option; given twice, they add up."""
    EACH = "each"
    """One value; given twice, they add up."""
    MAYBE = "maybe"
    """One value or none; none means the default of what it switches on."""


@dataclass(frozen=True, slots=True)
class Option:
    """One row of the table.

    Args:
        dest: under which name the parsed value is found.
        flags: its spellings, the one to show first.
        kind: what follows.
        metavar: what to call the value in the help.
        help: what it does, in a few words.
        source: where candidates for completion come from, ``""`` for nowhere.
    """

    dest: str
    flags: tuple[str, ...]
    kind: Kind
    metavar: str = ""
    help: str = ""
    source: str = ""


def _option(flags: str, kind: Kind, metavar: str, text: str, source: str = "") -> Option:
    names = tuple(flags.split())
    return Option(names[0].lstrip("-").replace("-", "_"), names, kind, metavar, text, source)


RESOURCES = (
    _option("--cpu", Kind.ONE, "CORES", "cores: 2, 500m, or request,limit: 1,4"),
    _option("--memory --mem", Kind.ONE, "BYTES", "memory: 250Mi, 4Gi, or request,limit: 1Gi,4Gi"),
    _option("--gpu", Kind.ONE, "GPU", "accelerators: 1, A100:2, T4", "devices"),
    _option("--disk", Kind.ONE, "BYTES", "scratch disk: 10Gi"),
    _option("--shm", Kind.ONE, "BYTES", "shared memory: 1Gi or auto", "shm"),
)
ACCELERATOR = _option(
    "--accelerator", Kind.ONE, "NAME", "type of accelerator: NVIDIA_A10G", "accelerators"
)
POLICIES = (
    _option("--cache", Kind.ONE, "BEHAVIOR", "auto, override or disable", "cache"),
    _option("--retries", Kind.ONE, "N", "how often a failed task is tried again"),
    _option("--timeout", Kind.ONE, "TIME", "longest time of one attempt: 90, 90s, 10m, 1h30m"),
)
ON = _option("--on --target", Kind.ONE, "TARGET", "where to run it: local or docker", "targets")
DEPLOYED_ON = _option(
    "--on --target", Kind.ONE, "TARGET", "where it is deployed: local or docker", "targets"
)
QUEUE = _option("--task-queue --queue", Kind.ONE, "QUEUE", "queue that admits the tasks", "queues")
INTERRUPTIBLE = _option("--interruptible", Kind.SWITCH, "", "may run on machines that can be lost")
ACCOUNT = _option("--service-account", Kind.ONE, "NAME", "identity of the tasks on a cluster")
INLINE = _option("--max-inline-io-bytes", Kind.ONE, "BYTES", "what may travel inline: 10Mi")
REUSABLE = _option(
    "--reusable", Kind.MAYBE, "N", "keep N workers for many calls: 2 or replicas=2,idle_ttl=60"
)

ENV_OPTIONS: tuple[Option, ...] = (
    _option("--image", Kind.ONE, "IMAGE", "container image, or {variable} with a flyte.Image"),
    _option("--python", Kind.ONE, "X.Y", "Python of the image: 3.12", "pythons"),
    _option("--pip", Kind.MANY, "PACKAGE ...", "packages to install: --pip pandas==2.2 numpy"),
    _option("--apt", Kind.MANY, "PACKAGE ...", "Debian packages to install"),
    _option("--requirements", Kind.EACH, "FILE", "requirements file to install", "files"),
    *RESOURCES,
    ACCELERATOR,
    _option("--env-vars --env-var", Kind.MANY, "KEY=VALUE ...", "environment variables"),
    _option("--secret --secrets", Kind.MANY, "KEY ...", "secrets, as environment variables"),
    _option("--depends-on", Kind.MANY, "ENV ...", "environments to deploy before", "environments"),
    _option("--description", Kind.ONE, "TEXT", "what it is for"),
    *POLICIES,
    REUSABLE,
    ON,
    QUEUE,
    INTERRUPTIBLE,
    _option("--include", Kind.MANY, "PATH ...", "files that travel with the code", "files"),
    _option("--network", Kind.SWITCH, "", "whether tasks may use the network"),
    ACCOUNT,
    _option("--pod-template", Kind.ONE, "NAME", "pod template of the cluster"),
    INLINE,
)

_CONTEXT = (
    ON,
    _option("--name", Kind.ONE, "NAME", "name of the run"),
    QUEUE,
    *RESOURCES,
    ACCELERATOR,
    *POLICIES,
    _option("--env-vars --env-var", Kind.EACH, "KEY=VALUE", "environment variable of every task"),
    _option("--label --labels", Kind.EACH, "KEY=VALUE", "label of the run"),
    INTERRUPTIBLE,
    ACCOUNT,
    INLINE,
)

RUN_OPTIONS: tuple[Option, ...] = (
    *_CONTEXT,
    _option("--wait", Kind.SWITCH, "", "--no-wait gives the Run at once"),
)
RERUN_OPTIONS: tuple[Option, ...] = (
    *RUN_OPTIONS,
    _option("--keep", Kind.SWITCH, "", "--no-keep leaves out what was said of the recorded run"),
)
CELL_RUN_OPTIONS: tuple[Option, ...] = (
    _option("--env --environment", Kind.ONE, "ENV", "environment of the cell", "environments"),
    *_CONTEXT,
)
LAUNCH_OPTIONS: tuple[Option, ...] = (
    _option("--run", Kind.ONE, "RUN|last", "run this one again, with its inputs open", "runs"),
)
EXPLAIN_OPTIONS: tuple[Option, ...] = (ON,)
LOGS_OPTIONS: tuple[Option, ...] = (
    _option("--attempt", Kind.ONE, "N", "only this attempt of each action"),
    _option("--tail", Kind.ONE, "LINES", "how many lines of each attempt"),
    _option("--stderr", Kind.FLAG, "", "only what was written to standard error"),
)
PANEL_OPTIONS: tuple[Option, ...] = ()
ATTACH_OPTIONS: tuple[Option, ...] = (
    _option("--wait", Kind.SWITCH, "", "--no-wait gives the Run at once"),
)
PS_OPTIONS: tuple[Option, ...] = (_option("--all", Kind.FLAG, "", "also what other kernels have"),)
_DRY_RUN = _option("--dry-run", Kind.FLAG, "", "only say what would be removed")
CLEAN_OPTIONS: tuple[Option, ...] = (
    _DRY_RUN,
    _option("--all", Kind.FLAG, "", "also what was built and nothing needs"),
)
IMAGES_OPTIONS: tuple[Option, ...] = (
    _option("--remove-unused", Kind.FLAG, "", "remove what nothing needs"),
    _option("--remove", Kind.MANY, "NAME ...", "remove these"),
    _DRY_RUN,
)
_TAKE_OVER = _option("--take-over", Kind.FLAG, "", "take what was deployed from elsewhere")
DEPLOY_OPTIONS: tuple[Option, ...] = (
    ON,
    _option("--dry-run", Kind.FLAG, "", "only say what would come of it"),
    _option("--version", Kind.ONE, "NAME", "name of the version; a hash of the content without"),
    _TAKE_OVER,
)
DEPLOYMENTS_OPTIONS: tuple[Option, ...] = (
    DEPLOYED_ON,
    _option("--versions", Kind.FLAG, "", "every version, not only the current one"),
    _option("--all", Kind.FLAG, "", "of all projects"),
)
ROLLBACK_OPTIONS: tuple[Option, ...] = (
    DEPLOYED_ON,
    _option("--version", Kind.ONE, "NAME", "the version; the one before if not given"),
)
UNDEPLOY_OPTIONS: tuple[Option, ...] = (DEPLOYED_ON, _TAKE_OVER)
GRAPH_OPTIONS: tuple[Option, ...] = (
    _option("--tasks", Kind.FLAG, "", "the tasks of each environment, too"),
    _option("--run", Kind.ONE, "RUN|last", "the calls of a run over it: a name, or last", "runs"),
    _option("--expand", Kind.FLAG, "", "every environment, however many there are"),
    _option("--save", Kind.ONE, "FILE", "write it as .svg, .dot, .png or .pdf", "files"),
    DEPLOYED_ON,
)
_NAMESPACE = _option("--namespace -n", Kind.ONE, "NAME", "the context's if not given")
DOCTOR_OPTIONS: tuple[Option, ...] = (
    _option("--on --target", Kind.ONE, "TARGET", "only this target, and closely", "targets"),
    _option("--context", Kind.ONE, "NAME", "context of kubectl, the current one if not given"),
    _NAMESPACE,
    _option("--kubeconfig", Kind.ONE, "FILE", "that of kubectl if not given", "files"),
)
RBAC_OPTIONS: tuple[Option, ...] = (
    _NAMESPACE,
    _option("--account", Kind.EACH, "NAME", "give it to this service account, or NAMESPACE:NAME"),
    _option("--user", Kind.EACH, "NAME", "give it to this user"),
    _option("--group", Kind.EACH, "NAME", "give it to this group of users"),
    _option("--nodes", Kind.FLAG, "", "and a role of the cluster that sees its nodes"),
)
COMMAND_OPTIONS: tuple[Option, ...] = (
    *RUN_OPTIONS,
    # two spellings of Flyte's own command line
    _option("--env", Kind.EACH, "KEY=VALUE", "the same as --env-vars"),
    _option("--local", Kind.FLAG, "", "the same as --on local"),
)


def help_text(options: tuple[Option, ...]) -> str:
    """Return the options as lines of help, aligned."""
    heads = [_head(option) for option in options]
    width = max(map(len, heads), default=0)
    lines = (f"  {head:<{width}}  {o.help}" for head, o in zip(heads, options, strict=True))
    return "\n".join(line.rstrip() for line in lines)


def _head(option: Option) -> str:
    flags = option.flags
    if option.kind is Kind.SWITCH:
        flags = (*flags, "--no-" + flags[0].lstrip("-"))
    metavar = option.metavar
    if option.kind is Kind.MAYBE:
        metavar = f"[{metavar}]"
    return f"{', '.join(flags)} {metavar}".rstrip()
