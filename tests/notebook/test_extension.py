import subprocess
import sys
from importlib.util import find_spec

import pytest

from flyte_jupyter.notebook.alias import official_is_installed


def state(shell) -> dict[str, object]:
    """Everything that loading might change."""
    return {
        "magics": {kind: set(names) for kind, names in shell.magics_manager.magics.items()},
        "registry": set(shell.magics_manager.registry),
        "transformers": list(shell.input_transformers_cleanup),
        "callbacks": {name: list(each) for name, each in shell.events.callbacks.items()},
        "matchers": list(shell.Completer.custom_matchers),
        "configurables": list(shell.configurables),
        "finders": list(sys.meta_path),
        "html": dict(shell.display_formatter.formatters["text/html"].deferred_printers),
        "bundles": dict(shell.display_formatter.mimebundle_formatter.deferred_printers),
        "attributes": set(vars(shell)),
    }


def test_unloading_leaves_the_shell_as_it_was(bare_shell, session_catalog) -> None:
    bare_shell.run_cell("%lsmagic")  # IPython loads a part of its own magics when first used
    bare_shell.run_cell("%load_ext IPython.extensions.storemagic")
    before = state(bare_shell)
    bare_shell.run_cell("%load_ext flyte_jupyter")
    assert state(bare_shell) != before
    bare_shell.run_cell("import flyte\nfrom flyte.errors import SpecError")
    bare_shell.run_cell("%unload_ext flyte_jupyter")
    assert state(bare_shell) == before
    assert not [name for name in sys.modules if name.split(".")[0] == "flyte"]


def test_loading_twice_adds_nothing(shell) -> None:
    before = state(shell)
    shell.run_cell("%reload_ext flyte_jupyter")
    from flyte_jupyter import load_ipython_extension

    load_ipython_extension(shell)
    after = state(shell)
    for part in ("magics", "transformers", "matchers", "configurables", "callbacks"):
        assert len(after[part]) == len(before[part]), part


def test_flyte_is_this_package_and_every_class_is_the_same(cell, shell) -> None:
    ran = cell(
        "import flyte, flyte_jupyter, flyte.errors\n"
        "from flyte.spec.image import Image\n"
        "from flyte import TaskEnvironment\n"
        "same = (flyte is flyte_jupyter and Image is flyte_jupyter.Image\n"
        "        and flyte.errors is flyte_jupyter.errors\n"
        "        and flyte_jupyter.__spec__.name == 'flyte_jupyter')\n"
    )
    assert ran.success, ran.error
    assert shell.user_ns["same"]


def test_a_module_that_there_is_not_is_not_found(cell) -> None:
    error = cell("import flyte.nothing").error
    assert isinstance(error, ModuleNotFoundError)
    assert "flyte.nothing" in str(error)


def test_an_official_package_is_left_alone(
    bare_shell, session_catalog, tmp_path, monkeypatch, capsys
) -> None:
    (tmp_path / "flyte.py").write_text("official = True\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert official_is_installed()
    bare_shell.run_cell("%load_ext flyte_jupyter")
    assert "The official flyte package is installed" in capsys.readouterr().out
    bare_shell.run_cell("import flyte\nassert flyte.official")
    bare_shell.run_cell("%unload_ext flyte_jupyter")
    assert sys.modules.pop("flyte").official


def test_a_folder_of_that_name_is_no_package(tmp_path, monkeypatch) -> None:
    (tmp_path / "flyte").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_spec("flyte") is not None
    assert not official_is_installed()


def test_loading_is_cheap_and_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\n"
        "before = set(sys.modules)\n"
        "shell.extension_manager.load_extension('flyte_jupyter')\n"
        "new = set(sys.modules) - before\n"
        "heavy = {'docker', 'kubernetes', 'ipywidgets', 'pandas', 'asyncio', 'sqlite3'}\n"
        "assert not new & {*heavy, 'flyte_jupyter.spec.settings', 'flyte_jupyter.engine'}, new\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_help_is_shown_for_both_kinds_of_magic(shell) -> None:
    for name in ("%flyte_run", "%%flyte_env", "%flyte_explain"):
        found = shell.object_inspect(name)
        assert found["found"], name
        assert "--" in found["docstring"]


@pytest.mark.parametrize("line", ["%flyte_run --onn x f()", "%flyte run", "%%flyte_env"])
def test_a_usage_error_is_an_error_and_shows_no_frames(shell, line: str, capsys) -> None:
    result = shell.run_cell(line)
    assert not result.success
    shown = capsys.readouterr()
    text = shown.out + shown.err
    assert "MagicUsageError: " in text
    assert "Traceback" not in text


def test_a_declaration_knows_the_number_of_its_cell(shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYTE_JUPYTER_INTERACTIVE", "1")
    shell.run_cell("import flyte_jupyter as flyte", store_history=True)
    number = shell.execution_count
    shell.run_cell("# it\nenv = flyte.TaskEnvironment('numbered')", store_history=True)
    shell.run_cell("%%flyte_env opened\n\ndef work(): ...", store_history=True)
    labels = [shell.user_ns[name].origin.label for name in ("env", "opened", "work")]
    assert labels == [
        f"cell {number}, line 2",
        f"cell {number + 1}, line 1",
        f"cell {number + 1}, line 3",
    ]


def test_a_cell_has_no_number_where_nobody_sees_numbers(shell) -> None:
    shell.run_cell("import flyte_jupyter as flyte", store_history=True)
    shell.run_cell("env = flyte.TaskEnvironment('unseen')", store_history=True)
    assert shell.user_ns["env"].origin.label == "a cell, line 1"


def test_without_the_extension_cells_have_no_number(shell) -> None:
    shell.run_cell("import flyte_jupyter as flyte\n%unload_ext flyte_jupyter")
    shell.run_cell("env = flyte.TaskEnvironment('unnumbered')", store_history=True)
    shell.run_cell("%load_ext flyte_jupyter")
    assert shell.user_ns["env"].origin.label == "a cell, line 1"
