import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from flyte_jupyter.errors import ImageBuildError, SecretError
from flyte_jupyter.images import Prepared, VirtualEnvironments
from flyte_jupyter.spec import Secret
from flyte_jupyter.spec.image import Image

DEFAULT = Image.from_debian_base()


def prepare(environments, image, progress=None) -> Prepared:
    return asyncio.run(environments.prepare(image, progress))


def output(prepared: Prepared, code: str) -> str:
    command = [prepared.python, *prepared.args, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def has(prepared: Prepared, module: str) -> bool:
    code = f"import importlib.util as u; print(u.find_spec({module!r}) is not None)"
    return output(prepared, code) == "True"


def test_the_default_image_is_this_python_without_the_packages_of_the_kernel(environments):
    prepared = prepare(environments, None)
    assert output(prepared, "import sys; print(sys.version)") == sys.version
    assert not has(prepared, "pytest")
    assert prepared == prepare(environments, DEFAULT)


def test_an_environment_holds_its_packages_and_no_others(environments):
    prepared = prepare(environments, DEFAULT.with_pip_packages("apple"))
    assert output(prepared, "import apple; print(apple.VERSION)") == "2.0"
    assert not has(prepared, "pear")
    assert not has(prepared, "pytest")


def test_what_a_package_needs_comes_with_it(environments):
    prepared = prepare(environments, DEFAULT.with_pip_packages("pie"))
    assert output(prepared, "import apple; print(apple.VERSION)") == "1.0"


def test_conflicting_versions_live_side_by_side(environments):
    code = "import apple; print(apple.VERSION)"
    old = prepare(environments, DEFAULT.with_pip_packages("apple<2"))
    new = prepare(environments, DEFAULT.with_pip_packages("apple>=2"))
    assert (output(old, code), output(new, code)) == ("1.0", "2.0")


def test_a_later_layer_changes_what_an_earlier_one_installed(environments):
    image = DEFAULT.with_pip_packages("apple==2.0").with_pip_packages("apple==1.0")
    assert output(prepare(environments, image), "import apple; print(apple.VERSION)") == "1.0"


def test_images_that_differ_in_variables_share_an_environment(environments):
    plain = prepare(environments, DEFAULT.with_pip_packages("apple"))
    image = DEFAULT.with_pip_packages("apple").with_env_vars({"MODE": "fast"})
    other = prepare(environments, image)
    assert plain.python == other.python
    assert plain.hash != other.hash
    assert dict(other.env_vars) == {"MODE": "fast"}


def test_progress_tells_each_step(environments, lines, told):
    prepare(environments, DEFAULT.with_pip_packages("apple"), told)
    version = ".".join(map(str, sys.version_info[:3]))
    assert lines[:2] == [
        f"Making a virtual environment of Python {version}",
        "Installing pip apple",
    ]
    assert lines[-1] == "+ apple==2.0"


def test_an_environment_that_exists_is_found_without_a_word(environments, tmp_path, lines, told):
    image = DEFAULT.with_pip_packages("apple")
    first = prepare(environments, image)
    assert prepare(VirtualEnvironments(tmp_path / "cache"), image, told) == first
    assert lines == []


def test_a_python_image_selects_an_installed_interpreter(environments, needs_python):
    needs_python("3.9")
    for image in (Image.from_base("python:3.9-slim"), Image.from_debian_base("3.9")):
        bare = prepare(environments, image)
        assert output(bare, "import sys; print(*sys.version_info[:2])") == "3 9"
        assert bare.ignored == ()
        filled = prepare(environments, image.with_pip_packages("apple"))
        assert output(filled, "import sys, apple; print(*sys.version_info[:2])") == "3 9"


def test_a_python_that_is_not_here_is_refused_with_those_that_are(environments):
    with pytest.raises(ImageBuildError) as caught:
        prepare(environments, Image.from_debian_base((3, 99)))
    assert caught.value.sentence == (
        "Python 3.99 is not installed on this machine, and uv could not fetch it."
    )
    assert ".".join(map(str, sys.version_info[:3])) in caught.value.remedy


def test_what_a_virtual_environment_cannot_give_is_said(environments):
    image = Image.from_base("ghcr.io/team/base:1").with_apt_packages("curl").with_commands(["ls"])
    prepared = prepare(environments, image)
    assert [layer for layer, _ in prepared.ignored] == ["ghcr.io/team/base:1", "apt curl", "run ls"]
    assert prepared.ignored[1][1] == (
        "Debian packages are installed in containers only; what this machine has installed is there"
    )


def test_a_package_that_does_not_exist_is_named_with_what_to_do(environments, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")  # of a terminal that nobody looks at
    with pytest.raises(ImageBuildError) as caught:
        prepare(environments, DEFAULT.with_pip_packages("appel"))
    assert str(caught.value) == (
        "pip appel could not be installed: Because appel was not found in the package registry "
        "and you require appel, we can conclude that your requirements are unsatisfiable.\n"
        "Check the spelling of 'appel', or name the index that has it: "
        "with_pip_packages(..., extra_index_urls=...)."
    )


def test_a_version_that_does_not_exist_is_named_with_what_to_do(environments):
    with pytest.raises(ImageBuildError, match=r"there is no version of apple==3") as caught:
        prepare(environments, DEFAULT.with_pip_packages("apple==3"))
    assert caught.value.remedy == (
        "Ask for a version of 'apple' that exists: leave '==3' out to take the newest one."
    )


def test_packages_that_exclude_each_other_are_named_with_what_to_do(environments):
    with pytest.raises(ImageBuildError) as caught:
        prepare(environments, DEFAULT.with_pip_packages("pie==1.0", "apple==2.0"))
    assert str(caught.value) == (
        "pip pie==1.0 apple==2.0 could not be installed: Because all versions of pie depend on "
        "apple<2 and you require pie==1.0, we can conclude that you require apple<2. And because "
        "you require apple==2.0, we can conclude that your requirements are unsatisfiable.\n"
        "Loosen one of these requirements, or give each its own environment: tasks of different "
        "environments can call each other."
    )


def test_a_failed_build_leaves_nothing_behind_and_can_be_tried_again(environments, index, tmp_path):
    image = DEFAULT.with_pip_packages("plum")
    with pytest.raises(ImageBuildError):
        prepare(environments, image)
    assert list((tmp_path / "cache" / "building").iterdir()) == []
    index.add("plum", "1.0")
    assert has(prepare(environments, image), "plum")


def test_an_index_out_of_reach_is_replaced_by_what_the_cache_has(
    environments, index, tmp_path, lines, told
):
    image = DEFAULT.with_pip_packages("apple")
    prepare(environments, image)
    index.stop()
    prepared = prepare(VirtualEnvironments(tmp_path / "other"), image, told)
    assert output(prepared, "import apple; print(apple.VERSION)") == "2.0"
    assert "The package index cannot be reached; trying what uv's cache has" in lines


def test_an_index_out_of_reach_is_said_where_the_cache_has_nothing(environments, index):
    index.stop()
    with pytest.raises(ImageBuildError, match="Failed to fetch") as caught:
        prepare(environments, DEFAULT.with_pip_packages("apple"))
    assert caught.value.remedy.startswith("Check the connection, the proxy and the address")


def test_passwords_of_an_index_are_never_shown(environments, index, tmp_path, lines, told):
    index.password = "hunter2-hunter2"
    closed = DEFAULT.with_pip_packages("apple", index_url=index.url_for("bob", "wrong-guess"))
    with pytest.raises(ImageBuildError) as caught:
        prepare(environments, closed, told)
    assert caught.value.remedy.startswith("Give the index its user and password")
    opened = DEFAULT.with_pip_packages("apple", index_url=index.url_for("bob", index.password))
    prepared = prepare(environments, opened, told)
    assert has(prepared, "apple")
    written = [
        path.read_bytes() for path in (tmp_path / "cache").rglob("*") if path.is_file()
    ]  # fmt: skip
    shown = "\n".join([*lines, str(caught.value), repr(prepared)]).encode()
    assert not any(b"hunter2" in text or b"wrong-guess" in text for text in (shown, *written))


def test_further_indexes_are_asked_too(environments, index, monkeypatch):
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    image = DEFAULT.with_pip_packages("apple", extra_index_urls=[index.url])
    assert has(prepare(environments, image), "apple")


def test_a_secret_that_an_installation_needs_is_asked_for(environments, monkeypatch):
    secret = Secret("index-password", as_env_var="UV_INDEX_OURS_PASSWORD")
    image = DEFAULT.with_pip_packages("apple", secret_mounts=[secret])
    with pytest.raises(SecretError) as caught:
        prepare(environments, image)
    assert caught.value.remedy == "Set UV_INDEX_OURS_PASSWORD in the environment of the kernel."
    monkeypatch.setenv("UV_INDEX_OURS_PASSWORD", "hunter2")
    assert has(prepare(environments, image), "apple")


def test_a_requirements_file_is_installed_as_it_was_when_declared(environments, tmp_path):
    file = tmp_path / "requirements.txt"
    file.write_text("# fruit\napple<2\n")
    image = DEFAULT.with_requirements(str(file))
    file.write_text("pear\n")
    prepared = prepare(environments, image)
    assert output(prepared, "import apple; print(apple.VERSION)") == "1.0"
    assert not has(prepared, "pear")


def test_a_requirements_file_includes_what_lies_beside_it(environments, tmp_path):
    (tmp_path / "more.txt").write_text("pear\n")
    (tmp_path / "requirements.txt").write_text("-r more.txt\n")
    prepared = prepare(environments, DEFAULT.with_requirements(str(tmp_path / "requirements.txt")))
    assert has(prepared, "pear")


def test_a_script_says_what_it_needs(environments, index, tmp_path, monkeypatch):
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    script = tmp_path / "script.py"
    script.write_text(
        "# /// script\n# dependencies = ['apple<2']\n# [[tool.uv.index]]\n"
        f"# url = '{index.url}'\n# ///\n"
    )
    prepared = prepare(environments, Image.from_uv_script(str(script)))
    assert output(prepared, "import apple; print(apple.VERSION)") == "1.0"


def test_a_project_is_installed_without_touching_it(environments, tmp_path):
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(
        "[project]\nname = 'basket'\nversion = '1'\ndependencies = ['apple']\n"
    )
    image = DEFAULT.with_uv_project(str(project / "pyproject.toml"))
    assert has(prepare(environments, image), "apple")
    assert [path.name for path in project.iterdir()] == ["pyproject.toml"]


def test_a_locked_project_is_installed_as_locked(environments, index, tmp_path):
    from flyte_jupyter.images.uv import find_uv

    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(
        "[project]\nname = 'basket'\nversion = '1'\nrequires-python = '>=3.9'\n"
        "dependencies = ['apple<2']\n"
    )
    subprocess.run([find_uv(), "lock", "-q", "--project", str(project)], check=True)
    (project / "pyproject.toml").write_text(
        (project / "pyproject.toml").read_text().replace("apple<2", "apple")
    )
    image = DEFAULT.with_uv_project(str(project / "pyproject.toml"))
    prepared = prepare(environments, image)
    assert output(prepared, "import apple; print(apple.VERSION)") == "1.0"


def test_files_of_an_image_can_be_imported_and_are_kept_for_the_task(environments, tmp_path):
    (tmp_path / "src" / "tool").mkdir(parents=True)
    (tmp_path / "src" / "tool" / "__init__.py").write_text("ANSWER = 42\n")
    (tmp_path / "table.csv").write_text("x\n1\n")
    image = DEFAULT.with_source_folder(str(tmp_path / "src" / "tool")).with_source_file(
        str(tmp_path / "table.csv"), "data/"
    )
    prepared = prepare(environments, image)
    assert output(prepared, "import tool; print(tool.ANSWER)") == "42"
    assert (Path(prepared.files) / "data" / "table.csv").read_text() == "x\n1\n"


def test_a_file_that_changed_since_it_was_declared_is_refused(environments, tmp_path):
    file = tmp_path / "tool.py"
    file.write_text("old\n")
    image = DEFAULT.with_source_file(str(file))
    file.write_text("new\n")
    with pytest.raises(ImageBuildError, match="has changed since the image was declared"):
        prepare(environments, image)


def test_a_file_for_another_place_than_the_working_directory_is_said(environments, tmp_path):
    file = tmp_path / "tool.py"
    file.write_text("")
    prepared = prepare(environments, DEFAULT.with_source_file(str(file), "/opt/tool.py"))
    assert prepared.ignored == (
        (f"file {file}", "'/opt/tool.py' is outside of the working directory of a task"),
    )


def test_an_emptied_cache_is_filled_again(environments, tmp_path):
    import shutil

    image = DEFAULT.with_pip_packages("apple")
    prepare(environments, image)
    shutil.rmtree(tmp_path / "cache")
    assert has(prepare(environments, image), "apple")


def test_a_cache_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    environments = VirtualEnvironments(tmp_path / "file")
    with pytest.raises(ImageBuildError) as caught:
        prepare(environments, DEFAULT.with_pip_packages("apple"))
    assert str(caught.value) == (
        f"The cache folder {str(tmp_path / 'file')!r} cannot be used: Not a directory.\n"
        "Set FLYTE_JUPYTER_HOME to a folder that can be written."
    )
