"""What can be said of a run beside its inputs: the options of ``%flyte_run`` as fields of a form.

Where a rerun opens the form, what was said of the recorded run stands in the fields.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from flyte_jupyter.catalog import Resolved
from flyte_jupyter.errors import FlyteError, InputError
from flyte_jupyter.launching.said import run_fields
from flyte_jupyter.launching.values import Problem
from flyte_jupyter.session import session
from flyte_jupyter.session.rerun import Recorded
from flyte_jupyter.session.submit import RunContext
from flyte_jupyter.spec import Device
from flyte_jupyter.spec.naming import did_you_mean
from flyte_jupyter.spec.settings import from_plain, layer, merge_layers, to_plain

__all__ = ["SETTINGS", "Setting", "Settings", "inherited_text"]

PARTS = ("cpu", "memory", "gpu", "disk", "shm")


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that can be said of a run.

    Args:
        name: of the option of ``%flyte_run``, whose first spelling is ``flag``.
        label: what the form calls it.
        flag: how it is spelled on a magic's line.
        unit: what a bare number means, or the empty string.
        hint: examples of what it takes.
        field: which field of the settings it is, empty for what belongs to the run alone.
        many: whether several words may follow, each an option of its own.
        switch: whether it is yes or no.
        every: whether it reaches every action of the run, not only the task itself.
    """

    name: str
    label: str
    flag: str
    unit: str = ""
    hint: str = ""
    field: str = ""
    many: bool = False
    switch: bool = False
    every: bool = False

    @property
    def key(self) -> str:
        """Its name among the fields of a form, apart from every input's."""
        return self.flag

    @property
    def choices(self) -> tuple[str, ...]:
        """What it can be, where that is known."""
        if self.name == "on":
            return session.target_names()
        if self.name == "cache":
            return ("auto", "override", "disable")
        return ("yes", "no") if self.switch else ()


SETTINGS: tuple[Setting, ...] = (
    Setting("on", "target", "--on", hint="where it runs", field="target", every=True),
    Setting(
        "task_queue", "task queue", "--task-queue", hint="queue that admits the tasks",
        field="queue", every=True,
    ),
    Setting("name", "name of the run", "--name", hint="unique name of the run"),
    Setting("cpu", "cpu", "--cpu", "cores", "2, 500m, or request,limit: 1,4", "cpu"),
    Setting("memory", "memory", "--memory", "bytes", "4Gi, or request,limit: 1Gi,4Gi", "memory"),
    Setting("gpu", "gpu", "--gpu", "count or type", "1, A100:2, T4", "gpu"),
    Setting("accelerator", "accelerator", "--accelerator", "type", "NVIDIA_A10G", "accelerator"),
    Setting("disk", "disk", "--disk", "bytes", "scratch disk: 10Gi", "disk"),
    Setting("shm", "shm", "--shm", "bytes", "shared memory: 1Gi or auto", "shm"),
    Setting("cache", "cache", "--cache", hint="auto, override or disable", field="cache"),
    Setting("retries", "retries", "--retries", "times", "further attempts", "retries"),
    Setting("timeout", "timeout", "--timeout", "seconds", "longest attempt: 90, 10m", "timeout"),
    Setting(
        "env_vars", "env vars", "--env-vars", hint="KEY=VALUE KEY=VALUE", field="env_vars",
        many=True, every=True,
    ),
    Setting("label", "labels", "--label", hint="KEY=VALUE, recorded with the run", many=True),
    Setting(
        "interruptible", "interruptible", "--interruptible",
        hint="may run on machines that can be lost", field="interruptible", switch=True, every=True,
    ),
    Setting(
        "service_account", "service account", "--service-account",
        hint="identity of the tasks on a cluster", field="service_account", every=True,
    ),
    Setting(
        "max_inline_io_bytes", "inline limit", "--max-inline-io-bytes", "bytes",
        "what may travel inline: 10Mi", "max_inline_io_bytes",
    ),
)  # fmt: skip
SPELLINGS = {"target": "on", "queue": "task_queue", "mem": "memory", "labels": "label"}
SETTINGS_OF = {one.name: one for one in SETTINGS}


@dataclass
class Settings:
    """What is said of one run, as texts.

    Args:
        recorded: the run that is to be run again, if there is one.
        said: option to text, what was filled in; an empty text takes back what was recorded.
    """

    recorded: Recorded | None = None
    said: dict[str, str] = field(default_factory=dict)

    def text(self, setting: Setting) -> str:
        """Return what stands in a field."""
        return self.said.get(setting.name, self.recorded_text(setting))

    def recorded_text(self, setting: Setting) -> str:
        """Return what was said of the recorded run, as text; empty where nothing was."""
        run = self.recorded
        if run is None or setting.name == "name":
            return ""
        if setting.name == "on":
            return run.said_target or str(run.override.get("target") or run.target)
        if setting.name == "label":
            return _words(run.labels)
        return _text_of(setting, merge_layers(run.override, run.layer))

    def say(self, name: str, text: str) -> None:
        """Fill a field in; what stands there anyway is not said again.

        Raises:
            InputError: there is no such option.
        """
        name = SPELLINGS.get(name, name)
        if name not in SETTINGS_OF:
            hint = did_you_mean(name, [*SETTINGS_OF, *SPELLINGS]) or "."
            raise InputError(f"A run has no option {name!r}{hint}")
        text = text.strip()
        if text == self.recorded_text(SETTINGS_OF[name]):
            self.said.pop(name, None)
        else:
            self.said[name] = text

    def values(self, *, everything: bool = False) -> dict[str, Any]:
        """Return option to what was said, in the form of a magic's options.

        Args:
            everything: with what was said of the recorded run.
        """
        texts = {
            one: self.text(one) if everything else self.said.get(one.name, "") for one in SETTINGS
        }
        return {one.name: _value(one, text) for one, text in texts.items() if text}

    @property
    def taken_back(self) -> tuple[Setting, ...]:
        """What was said of the recorded run and does not hold beside what is said now.

        That is what was emptied, and what would merge with the new text where it has to replace.
        """
        return tuple(
            one
            for one in SETTINGS
            if one.name in self.said
            and self.recorded_text(one)
            and (not self.said[one.name] or one.many or one.name == "gpu")
        )

    def problems(self) -> list[Problem]:
        """Return what is wrong, each in its own field."""
        found = []
        values = self.values()
        for one in SETTINGS:
            if one.name in values and (why := _wrong(one, {one.name: values[one.name]})):
                found.append(why)
        if not found and values and (why := _wrong(None, values)):
            found.append(why)
        return found

    def context(self) -> RunContext:
        """Return what was said, as the run takes it.

        Raises:
            SpecError: a value that its field does not take.
        """
        return _context(self.values())

    def remaining(self) -> Recorded | None:
        """Return the recorded run without what was taken back."""
        run = self.recorded
        for one in self.taken_back:
            run = None if run is None else _without(run, one)
        return run


def _context(values: Mapping[str, Any]) -> RunContext:
    fields = run_fields(values)
    given = dict(fields.get("overrides", {}))
    given |= {name: fields[name] for name in ("queue", "env_vars") if name in fields}
    target = fields.get("target")
    return RunContext(
        name=fields.get("name"),
        target=None if target is None else session.check_target(target),
        layer=layer(given, "run"),
        labels=fields.get("labels", {}),
    )


def _value(setting: Setting, text: str) -> Any:
    if setting.switch:
        return {"yes": True, "no": False}.get(text.lower(), text)
    if setting.many:
        try:
            return shlex.split(text)
        except ValueError:  # an open quote: it is said of the word
            return text.split()
    return text


def _wrong(setting: Setting | None, values: Mapping[str, Any]) -> Problem | None:
    try:
        _context(values)
    except FlyteError as error:
        key = setting.key if setting is not None else SETTINGS_OF[next(iter(values))].key
        return Problem(key, error.sentence, error.remedy)
    return None


def _text_of(setting: Setting, said: Mapping[str, Any]) -> str:
    if setting.name in PARTS:
        resources = said.get("resources")
        value = getattr(resources, setting.name) if resources is not None else None
    else:
        value = said.get(setting.field)
    if value is None:
        return ""
    if isinstance(value, tuple) and setting.name in PARTS:
        return ",".join(map(str, value))
    if isinstance(value, (str, int, float, Device)) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, Mapping):
        return _words(value)
    return _policy(value)


def _policy(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    for name in ("behavior", "count"):
        if hasattr(value, name):
            return str(getattr(value, name))
    span = getattr(value, "max_runtime", None)
    return f"{int(span.total_seconds())}" if span is not None else ""


def _words(pairs: Mapping[str, Any]) -> str:
    return " ".join(
        shlex.quote(f"{name}={text}") for name, text in pairs.items() if text is not None
    )


def inherited_text(setting: Setting, resolved: Resolved) -> str:
    """Return what holds for a setting where a run says nothing, and who said so.

    Args:
        setting: the setting.
        resolved: the settings of the task.
    """
    if setting.name == "on":
        named = resolved.settings.target
        return f"{named} ({resolved.origin('target')})" if named else session.default_target()
    text = _text_of(setting, dict(resolved.settings.given()))
    about = "resources" if setting.name in PARTS else setting.field
    return f"{text} ({resolved.origin(about)})" if text else ""


def _without(run: Recorded, setting: Setting) -> Recorded:
    """Return a recorded run of which something was not said."""
    if setting.name == "label":
        return replace(run, labels={})
    if setting.name == "on":
        override = {name: value for name, value in run.override.items() if name != "target"}
        return replace(run, said_target=None, override=override, target=session.default_target())
    return replace(run, layer=_less(run.layer, setting), override=_less(run.override, setting))


def _less(said: Mapping[str, Any], setting: Setting) -> dict[str, Any]:
    plain = to_plain(said)
    if setting.name not in PARTS:
        plain.pop(setting.field, None)
    elif plain.get("resources"):
        plain["resources"] = {k: v for k, v in plain["resources"].items() if k != setting.name}
        if not plain["resources"]:
            del plain["resources"]
    return from_plain(plain)
