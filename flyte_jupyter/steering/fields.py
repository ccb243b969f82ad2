"""The table of fields that can be steered: how each is called, taken as text and shown as text.

Every value is a text here, in the form in which it is typed. What a text means is said by the spec:
it refuses a wrong one with the sentence that code gets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from flyte_jupyter.spec.fields import FIELD_TABLE
from flyte_jupyter.spec.resources import Resources
from flyte_jupyter.spec.settings import Settings
from flyte_jupyter.steering import texts

__all__ = ["FIELDS", "GROUPS", "Field", "Kind", "asked_for", "field_named"]


class Kind(StrEnum):
    """What a field is edited with."""

    AMOUNT = "amount"
    """A text with a unit, and a slider beside it."""
    COUNT = "count"
    """A whole number, and a slider beside it."""
    CHOICE = "choice"
    """One of a few texts; the empty one says nothing."""
    TEXT = "text"
    """A text on one line."""
    LINES = "lines"
    """Several texts, one a line."""


@dataclass(frozen=True, slots=True)
class Field:
    """One row of the table.

    Args:
        name: names the row.
        label: what people read beside it.
        group: heading that it stands under.
        kind: what it is edited with.
        setting: field of the settings that it is, or is a part of.
        show: gives its text for settings, ``""`` where nothing is said.
        take: gives the fields to override for a text, over settings that hold now.
        part: part of the resources that it is, ``""`` for none.
        help: what it means and how it is written, in a sentence.
        choices: the texts of a choice that do not depend on the target.
        empty: what holds where nothing is said.
    """

    name: str
    label: str
    group: str
    kind: Kind
    setting: str
    show: Callable[[Settings], str]
    take: Callable[[str, Settings], Mapping[str, Any]]
    part: str = ""
    help: str = ""
    choices: tuple[str, ...] = ()
    empty: str = "nothing"

    @property
    def about(self) -> str:
        """The name under which its override is set and cleared."""
        return self.part or self.setting

    @property
    def of_a_task(self) -> bool:
        """Whether code may say it for one task, and not only for the environment."""
        return "override" in FIELD_TABLE[self.setting].levels

    @property
    def elsewhere(self) -> str:
        """Where it is said instead, if not for one task."""
        return FIELD_TABLE[self.setting].elsewhere


def asked_for(settings: Settings) -> Resources:
    """Return the resources of settings, empty ones where they ask for nothing."""
    return settings.resources or Resources()


RESOURCES, ACCELERATOR, IMAGE, PLACE, ATTEMPTS = (
    "Resources",
    "Accelerator",
    "Image and variables",
    "Where it runs",
    "How attempts are made",
)
GROUPS = (RESOURCES, ACCELERATOR, IMAGE, PLACE, ATTEMPTS)
YES_NO = ("", "yes", "no")

FIELDS: tuple[Field, ...] = (
    Field(
        "cpu", "CPU request (cores)", RESOURCES, Kind.AMOUNT, "resources",
        texts.low_end("cpu"), texts.take_low_end("cpu"), "cpu",
        "Cores that are kept for each call: 2, 0.5 or 500m.",
    ),
    Field(
        "cpu_limit", "CPU limit (cores)", RESOURCES, Kind.AMOUNT, "resources",
        texts.high_end("cpu"), texts.take_high_end("cpu"), "cpu",
        "Cores that a call has at most; empty for no ceiling.", empty="no limit",
    ),
    Field(
        "memory", "Memory request", RESOURCES, Kind.AMOUNT, "resources",
        texts.low_end("memory"), texts.take_low_end("memory"), "memory",
        "Memory that is kept for each call, with its unit: 512Mi, 4Gi.",
    ),
    Field(
        "memory_limit", "Memory limit", RESOURCES, Kind.AMOUNT, "resources",
        texts.high_end("memory"), texts.take_high_end("memory"), "memory",
        "Memory that a call has at most; empty for as much as the request.",
        empty="as the request",
    ),
    Field(
        "shm", "Shared memory", RESOURCES, Kind.AMOUNT, "resources",
        texts.shm, texts.take_part("shm"), "shm",
        "Size of /dev/shm, with its unit, or auto.",
    ),
    Field(
        "disk", "Scratch disk", RESOURCES, Kind.AMOUNT, "resources",
        texts.disk, texts.take_part("disk"), "disk",
        "Size of the scratch disk, with its unit: 10Gi.",
    ),
    Field(
        "gpu", "GPU count", ACCELERATOR, Kind.COUNT, "resources",
        texts.gpu_count, texts.take_gpu_count, "gpu",
        "How many accelerators each call gets; a type may stand before it: A100:2.", empty="none",
    ),
    Field(
        "accelerator", "Accelerator type", ACCELERATOR, Kind.CHOICE, "resources",
        texts.accelerator, texts.take_accelerator, "gpu",
        "Type of the accelerators; only what the target has can be chosen.", empty="any type",
    ),
    Field(
        "partition", "Partition", ACCELERATOR, Kind.CHOICE, "resources",
        texts.partition, texts.take_partition, "gpu",
        "A share of a GPU (MIG), or a slice of a TPU.", empty="whole devices",
    ),
    Field(
        "image", "Image", IMAGE, Kind.TEXT, "image", texts.base, texts.take_base,
        help="A reference such as ghcr.io/you/ml:2, or a version of Python for the slim Debian "
        "image: 3.12.",
    ),
    Field(
        "packages", "Python packages", IMAGE, Kind.LINES, "image",
        texts.packages, texts.take_packages, help="Requirements, one a line: pandas==2.2.",
    ),
    Field(
        "apt", "Debian packages", IMAGE, Kind.LINES, "image",
        texts.apt, texts.take_apt, help="Names of Debian packages, one a line.",
    ),
    Field(
        "env_vars", "Environment variables", IMAGE, Kind.LINES, "env_vars",
        texts.variables, texts.take_variables, help="One a line: NAME=value.",
    ),
    Field(
        "secrets", "Secrets", IMAGE, Kind.LINES, "secrets",
        texts.secrets, texts.take_secrets,
        help="Names of secrets, one a line; their values are never shown.",
    ),
    Field(
        "target", "Target", PLACE, Kind.CHOICE, "target",
        texts.word("target"), texts.take_word("target"),
        help="Where its calls run, where the run itself names no target.", empty="the session's",
    ),
    Field(
        "queue", "Task queue", PLACE, Kind.TEXT, "queue",
        texts.word("queue"), texts.take_word("queue"),
        help="Name of the queue that admits its calls.", empty="no queue",
    ),
    Field(
        "interruptible", "Interruptible", PLACE, Kind.CHOICE, "interruptible",
        texts.flag("interruptible"), texts.take_flag("interruptible"),
        help="Whether it may run on machines that can be taken away.", choices=YES_NO, empty="no",
    ),
    Field(
        "network", "Network", PLACE, Kind.CHOICE, "network",
        texts.flag("network"), texts.take_flag("network"),
        help="Whether its calls reach the network.", choices=YES_NO, empty="yes",
    ),
    Field(
        "service_account", "Service account", PLACE, Kind.TEXT, "service_account",
        texts.word("service_account"), texts.take_word("service_account"),
        help="Account that its pods run under on a cluster.", empty="the default",
    ),
    Field(
        "pod_template", "Pod template", PLACE, Kind.TEXT, "pod_template",
        texts.pod_template, texts.take_pod_template,
        help="Name of a pod template of the cluster; one of your own is written in code.",
        empty="none",
    ),
    Field(
        "reusable", "Kept workers", ATTEMPTS, Kind.TEXT, "reusable",
        texts.replicas, texts.take_replicas,
        help="How many containers are kept for many calls: 2, or fewest and most: 1, 4; "
        "empty for a new one for each call.", empty="none",
    ),
    Field(
        "idle_ttl", "Idle time of workers", ATTEMPTS, Kind.TEXT, "reusable",
        texts.idle_time, texts.take_idle_time,
        help="After how long without a call kept workers end: 90s, 10m; at least 30 s.",
    ),
    Field(
        "concurrency", "Calls at a time in one", ATTEMPTS, Kind.TEXT, "reusable",
        texts.concurrency, texts.take_concurrency,
        help="How many calls share a kept worker; more than 1 only for async tasks.",
    ),
    Field(
        "retries", "Retries", ATTEMPTS, Kind.COUNT, "retries",
        texts.retries, texts.take_retries,
        help="How often a failed attempt is made again.", empty="none",
    ),
    Field(
        "timeout", "Timeout of an attempt", ATTEMPTS, Kind.TEXT, "timeout",
        texts.timeout, texts.take_timeout,
        help="Longest time of one attempt: 90, 90s, 10m or 1h30m.", empty="no limit",
    ),
    Field(
        "cache", "Cache", ATTEMPTS, Kind.CHOICE, "cache",
        texts.cache, texts.take_cache,
        help="Whether a result may be taken from an earlier, equal call.",
        choices=("", "auto", "override", "disable"), empty="disable",
    ),
    Field(
        "max_inline_io_bytes", "Inline at most", ATTEMPTS, Kind.TEXT, "max_inline_io_bytes",
        texts.inline_size, texts.take_inline_size,
        help="How much all inputs, or all outputs, may hold beside files and arrays: 10Mi.",
        empty="10Mi",
    ),
)  # fmt: skip

_BY_NAME = {field.name: field for field in FIELDS}


def field_named(name: str) -> Field:
    """Return the row of a name.

    Raises:
        KeyError: there is none.
    """
    return _BY_NAME[name]
