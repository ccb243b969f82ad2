"""The same verbs for a terminal: ``flyte-jupyter run``, ``logs``, ``ps``, ``doctor`` and so on."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from flyte_jupyter.engine.events import Event
from flyte_jupyter.errors import FlyteError
from flyte_jupyter.notebook.options import (
    COMMAND_OPTIONS,
    DOCTOR_OPTIONS,
    RBAC_OPTIONS,
    Option,
    help_text,
)
from flyte_jupyter.notebook.splitting import Word
from flyte_jupyter.notebook.usage import MagicUsageError
from flyte_jupyter.notebook.verbs import VERBS, Verb

__all__ = ["main"]

USAGE = """\
Run the tasks of a notebook or a Python file, each in a container of its own.

  flyte-jupyter run [options] FILE TASK [--input value ...]
  flyte-jupyter logs [RUN] [ACTION or TASK] [--attempt N] [--tail LINES] [--stderr]
  flyte-jupyter ps
  flyte-jupyter clean [NAME ...] [--dry-run] [--all]
  flyte-jupyter images [--remove-unused | --remove NAME ...] [--dry-run]
  flyte-jupyter deploy NOTEBOOK [ENV ...] [--on TARGET] [--dry-run] [--version V]
  flyte-jupyter deployments [ENV ...] [--versions] [--all]
  flyte-jupyter rollback ENV [--version V]
  flyte-jupyter undeploy ENV ...
  flyte-jupyter graph NOTEBOOK [ENV ...] [--tasks] [--run RUN] [--save FILE]
  flyte-jupyter panel NOTEBOOK [ENV or TASK]
  flyte-jupyter doctor [--on TARGET] [--context C] [--namespace N] [--kubeconfig FILE]
  flyte-jupyter rbac [--namespace N] [--account NAME | --user NAME | --group NAME] [--nodes]
  flyte-jupyter demo [--lab]

run     runs a task of a .py file or a notebook and prints its result; inputs are typed by its
        signature, everything with parts is written as JSON.
logs    shows what a run wrote, the last one if none is named, and what it used.
ps      lists what kernels have on the targets: containers, networks, volumes, folders.
clean   removes what kernels that have ended left behind, or what is named.
images  lists what was built for the targets, and removes it.
deploy  deploys the environments of a .py file or a notebook in the order of depends_on;
        deployments lists what is deployed from this folder, rollback makes an earlier version the
        current one, undeploy takes all versions away.
graph   draws the environments of a .py file or a notebook in the order of depends_on.
panel   says what the tasks of a .py file or a notebook run under, and who said so.
doctor  says which targets are usable here, and how to get the others; --on kubernetes looks at
        one cluster closely, and makes and removes what a session has there.
rbac    prints the least role that running tasks in a namespace of a cluster takes, for kubectl.
demo    runs the quickstart notebook and prints what it did; --lab opens it in JupyterLab.

Options of run:
"""
DONE, FAILED, MISUSED, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Do what a command line says.

    Args:
        argv: the arguments without the program's name; those of the process if not given.

    Returns:
        The exit status: 0 done, 1 the task failed, 2 wrong usage, 130 interrupted.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        print(USAGE + help_text(COMMAND_OPTIONS))
        return DONE if words else MISUSED
    if words[0] == "--version":
        from flyte_jupyter import __version__

        print(f"flyte-jupyter {__version__}")
        return DONE
    try:
        return _verb(words[0])(words[1:])
    except KeyboardInterrupt:
        print("interrupted: the run was aborted", file=sys.stderr)
        return INTERRUPTED
    except MagicUsageError as error:
        print(f"flyte-jupyter: {error}", file=sys.stderr)
        return MISUSED
    except Exception as error:
        for line in _rendered(error):
            print(line, file=sys.stderr)
        return FAILED


def _verb(word: str) -> Callable[[list[str]], int]:
    from flyte_jupyter.spec.naming import did_you_mean, listing

    verbs = {"run": _run, "doctor": _doctor, "rbac": _rbac, "demo": _demo}
    if word in verbs:
        return verbs[word]
    if word in VERBS:
        return lambda arguments: _show(VERBS[word], word, arguments)
    known = ("run", *VERBS, "doctor", "rbac", "demo")
    raise MagicUsageError(
        f"there is no command {word!r}{did_you_mean(word, known)}",
        remedy=f"The commands are {listing(known, 'and')}.",
    )


def _show(verb: Verb, name: str, arguments: list[str]) -> int:
    """Do what one of the verbs does that a notebook has, too, and print what it shows."""
    from flyte_jupyter.notebook.arguments import parse_words

    if any(word in ("-h", "--help") for word in arguments):
        usage = " ".join(filter(None, ("flyte-jupyter", name, verb.file, verb.takes, "[options]")))
        options = f"\n\nOptions:\n{help_text(verb.options)}" if verb.options else ""
        print(f"{usage}\n\n{name} {verb.does}.{options}")
        return DONE
    words = [Word(text, 0, len(text), literal=True) for text in arguments]
    with _alias():
        print(verb.do(parse_words(words, verb.options, None), {}, True))
    return DONE


def _rendered(error: Exception) -> list[str]:
    """Return what is shown of an error: of the user's code its frames, of ours a sentence."""
    render = getattr(error, "_render_traceback_", None)
    if render is not None:
        return list(render())
    import traceback

    return [line.rstrip("\n") for line in traceback.format_exception(error)]


# run


def _run(arguments: list[str]) -> int:
    from flyte_jupyter import api, catalog
    from flyte_jupyter.notebook.command import read_command
    from flyte_jupyter.notebook.declare import run_fields

    if any(word in ("-h", "--help") for word in arguments):
        print(USAGE + help_text(COMMAND_OPTIONS))
        return DONE
    # the terminal's shell has split the line and expanded its variables
    words = [Word(text, 0, len(text), literal=True) for text in arguments]
    with _alias():
        command = read_command(words, None, catalog.current(), needs_file=True)
        if command.values.get("wait") is False:
            raise MagicUsageError("--no-wait is not for a terminal: a run ends with its process")
        context = api.with_runcontext(**run_fields(command.values))
        run = context.run(command.call.task, **command.call.keywords)
        try:
            _follow(run)
            result = run.result()
        except KeyboardInterrupt:
            run.abort()
            raise
    if result is not None:
        print(result)
    return DONE


@contextmanager
def _alias() -> Iterator[None]:
    """Let the file say ``import flyte``, as it may in a notebook."""
    from flyte_jupyter.notebook.alias import FlyteAlias, official_is_installed

    alias = None if official_is_installed() else FlyteAlias()
    if alias is not None:
        alias.install()
    try:
        yield
    finally:
        if alias is not None:
            alias.remove()


def _follow(run: Any) -> None:
    """Print the log of a run as it comes, and its phases on standard error, until it has ended."""
    news = threading.Event()
    run.subscribe(lambda _event: news.set())
    tasks: dict[str, str] = {}
    seen, ended = 0, False
    while not ended:
        news.wait(0.5)
        news.clear()
        for event in run.events(seen):
            seen = event.seq + 1
            ended = ended or event.kind == "end"  # a late word may follow
            _tell(event, tasks)


def _tell(event: Event, tasks: dict[str, str]) -> None:
    data = event.data
    if event.kind == "action":
        tasks[event.action or ""] = data.get("task", "")
    elif event.kind == "log":
        stream = sys.stderr if data.get("stream") == "stderr" else sys.stdout
        stream.write(data.get("text", ""))
        stream.flush()
    elif event.kind == "phase" and event.action is not None:
        why = f": {data['why']}" if data.get("why") else ""
        print(f"{tasks.get(event.action, event.action)}: {data['phase']}{why}", file=sys.stderr)
    elif event.kind == "prepare":
        print(f"{data.get('environment', '')}: {data.get('text', '')}".rstrip(), file=sys.stderr)
    elif event.kind == "note":
        print(f"note: {data.get('text', '')}", file=sys.stderr)


# doctor


def _doctor(arguments: list[str]) -> int:
    """Say what works here; the exit status is 0 if anything can run."""
    from flyte_jupyter.doctor import examine, examine_cluster, examine_target
    from flyte_jupyter.session.session import check_target

    values = _values("doctor", arguments, DOCTOR_OPTIONS)
    if values is None:
        return DONE
    on = values.pop("on", None)
    if on is not None:
        check_target(on)
    if values and on != "kubernetes":
        (first, *_) = values
        raise MagicUsageError(f"--{first} is of a cluster: say --on kubernetes, too")
    if on == "kubernetes":
        findings = examine_cluster(values, lambda text: print(text, file=sys.stderr))
    else:
        findings = examine() if on is None else examine_target(on)
    usable = False
    for finding in findings:
        mark = "✓" if finding.usable else "✗"
        print(f"{mark} {finding.subject}: {finding.sentence}", flush=True)
        for line in finding.details:
            print(f"    {line}")
        usable = usable or (finding.usable and finding.is_target)
    return DONE if usable else FAILED


def _values(name: str, arguments: list[str], options: tuple[Option, ...]) -> dict[str, Any] | None:
    """Return what the options of a command say, ``None`` where only its help was asked for."""
    from flyte_jupyter.notebook.arguments import parse_words

    if any(word in ("-h", "--help") for word in arguments):
        print(f"usage: flyte-jupyter {name} [options]\n\nOptions:\n{help_text(options)}")
        return None
    said = parse_words(
        [Word(text, 0, len(text), literal=True) for text in arguments], options, None
    )
    if said.positionals:
        raise MagicUsageError(f"{name} takes no {said.positionals[0]!r}")
    return said.values


# rbac


def _rbac(arguments: list[str]) -> int:
    """Print the least role that running tasks takes."""
    from flyte_jupyter.cluster.connect import namespace_of
    from flyte_jupyter.targets.kubernetes import rbac

    values = _values("rbac", arguments, RBAC_OPTIONS)
    if values is None:
        return DONE
    try:
        namespace = values.get("namespace") or namespace_of()
    except FlyteError:
        raise MagicUsageError(
            "no cluster is configured here that has a namespace",
            remedy="Name it: flyte-jupyter rbac --namespace NAME.",
        ) from None
    subjects = [rbac.account(name, namespace) for name in values.get("account", ())]
    subjects += map(rbac.user, values.get("user", ()))
    subjects += map(rbac.group, values.get("group", ()))
    text = rbac.role(namespace, subjects)
    print(text + (rbac.node_reader(subjects) if values.get("nodes") else ""), end="")
    if not subjects:
        print(
            "note: this is the role only; --account, --user or --group gives it to somebody",
            file=sys.stderr,
        )
    return DONE


# demo


def _demo(arguments: list[str]) -> int:
    unknown = [word for word in arguments if word != "--lab"]
    if unknown:
        raise MagicUsageError(f"demo takes --lab, not {unknown[0]!r}")
    notebook = _quickstart()
    if arguments:
        return _open_lab(notebook)
    from flyte_jupyter.notebook.playing import play_notebook

    return DONE if play_notebook(notebook) else FAILED


def _quickstart() -> Path:
    """Return where the quickstart notebook is: in the package, or beside it in a checkout."""
    package = Path(str(files("flyte_jupyter")))
    for folder in (package / "notebooks", package.parent / "notebooks"):
        if (folder / "quickstart.ipynb").is_file():
            return folder / "quickstart.ipynb"
    raise FlyteError(
        "the quickstart notebook is not installed", remedy="Install the package again."
    )


def _open_lab(notebook: Path) -> int:
    if importlib.util.find_spec("jupyterlab") is None:
        raise FlyteError("JupyterLab is not installed here", remedy="pip install jupyterlab")
    copy = Path.cwd() / "quickstart.ipynb"
    if not copy.exists():
        shutil.copyfile(notebook, copy)
    print(f"opening {copy.name} in JupyterLab")
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", str(copy)])
