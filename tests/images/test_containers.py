"""Images for containers, with the engine of this machine and an index of the test's own."""

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flyte_jupyter.daemon import connect
from flyte_jupyter.errors import ImageBuildError
from flyte_jupyter.images.containers import DockerImages
from flyte_jupyter.images.packages import read_versions
from flyte_jupyter.images.uv import find_uv
from flyte_jupyter.spec import Image

VERSIONS = """
import importlib.metadata as m, json
print(json.dumps({one.metadata["Name"]: one.version for one in m.distributions()}))
"""


def prepared(images, image, say=lambda line: None):
    return asyncio.run(images.prepare(image, say))


def refused(images, image):
    with pytest.raises(ImageBuildError) as caught:
        prepared(images, image)
    return caught.value


def test_the_default_image_has_the_kernels_python(images, docker_engine, lines, told):
    made = prepared(images, None, told)
    assert made.version == sys.version_info[:2]
    name = "python:{}.{}-slim".format(*sys.version_info)
    assert made.image == docker_engine.api.inspect_image(name)["Id"]
    assert (made.packages, made.files) == (None, None)
    assert lines == [f"Looking for Python in {name}"]


def test_what_is_unchanged_costs_one_question_in_a_kernel_and_then_none(
    images, docker_engine, tmp_path, lines, told, monkeypatch
):
    image = Image.from_debian_base().with_pip_packages("apple")
    first = prepared(images, image)
    asked = []
    ask = docker_engine.ask
    monkeypatch.setattr(docker_engine, "ask", lambda path: asked.append(path) or ask(path))
    later = DockerImages(lambda: docker_engine, tmp_path / "cache")
    assert prepared(later, image, told) == first
    assert len(asked) == 1
    assert prepared(later, image, told) == first
    assert (len(asked), lines) == (1, [])


def test_packages_are_mounted_with_their_scripts(images, index, run_in):
    index.add("cherry", "3.1", script="say-cherry")
    made = prepared(images, Image.from_debian_base().with_pip_packages("cherry", "pie"))
    assert read_versions(Path(made.packages)) == {"apple": "1.0", "cherry": "3.1", "pie": "1.0"}
    assert run_in(made, "import apple, pie; print(apple.VERSION, pie.VERSION)") == "1.0 1.0\n"
    assert run_in(made, "", "say-cherry") == "3.1\n"


def test_a_layer_more_begins_with_the_layers_before(images, index, lines, told):
    one = Image.from_debian_base().with_pip_packages("apple", "pear")
    before = prepared(images, one)
    index.wheels.pop("pear-1.0-py3-none-any.whl")
    index.add("pear", "7.0")
    after = prepared(images, one.with_pip_packages("pie"), told)
    assert lines[0] == "Installing pip pie"
    assert read_versions(Path(after.packages)) == {"apple": "1.0", "pear": "1.0", "pie": "1.0"}
    assert read_versions(Path(before.packages)) == {"apple": "2.0", "pear": "1.0"}


@pytest.mark.parametrize("version", ["3.9", "3.13"])
def test_another_python_than_the_kernels(version, images, needs_image, run_in):
    needs_image(f"python:{version}-slim")
    made = prepared(images, Image.from_base(f"python:{version}-slim").with_pip_packages("apple"))
    assert made.version == tuple(map(int, version.split(".")))
    assert run_in(made, "import apple; print(apple.VERSION)") == "2.0\n"


def test_built_and_mounted_have_the_same_versions(
    images, docker_engine, tmp_path, unique, run_in, lines, told
):
    image = Image.from_debian_base().with_env_vars({unique: "1"})
    image = image.with_pip_packages("apple<2").with_pip_packages("pear", "pie")
    mounted = prepared(images, image)
    elsewhere = connect()
    elsewhere.folders_seen(False)
    built = prepared(DockerImages(lambda: elsewhere, tmp_path / "cache"), image, told)
    elsewhere.close()
    assert (bool(mounted.packages), built.packages) == (True, None)
    versions = json.loads(run_in(built, VERSIONS))
    assert versions == json.loads(run_in(mounted, VERSIONS))
    assert versions.items() >= {"apple": "1.0", "pear": "1.0", "pie": "1.0"}.items()
    assert built.environ == mounted.environ
    assert sum(line.startswith("Building") for line in lines) == 1


def test_a_tag_that_moved_is_noticed_by_the_next_session(
    images, docker_engine, needs_image, tmp_path, unique
):
    needs_image("python:3.13-slim")
    name = unique.lower()
    api = docker_engine.api
    image = Image.from_base(f"{name}:1")
    try:
        api.tag("python:{}.{}-slim".format(*sys.version_info), name, "1")
        first = prepared(images, image)
        api.tag("python:3.13-slim", name, "1")
        assert prepared(images, image) == first
        later = DockerImages(lambda: docker_engine, tmp_path / "cache")
        assert later.version(image) == sys.version_info[:2]
        moved = prepared(later, image)
        assert (moved.version, moved.image == first.image) == ((3, 13), False)
    finally:
        api.remove_image(f"{name}:1", noprune=True)


def test_what_is_found_is_said_without_the_engine(images, docker_engine, tmp_path):
    image = Image.from_debian_base().with_pip_packages("apple==2.0")
    words = "python:{}.{}-slim + apple 2.0".format(*sys.version_info)
    assert images.found(image) == (False, words)
    prepared(images, image)
    never = DockerImages(lambda: pytest.fail("the engine was asked"), tmp_path / "cache")
    assert never.found(image) == (True, words)
    assert never.version(Image.from_base("anything")) is None
    assert never.version(None) == sys.version_info[:2]


def test_several_that_ask_for_the_same_share_one_installation(images, lines, told):
    image = Image.from_debian_base().with_pip_packages("apple")

    async def both():
        return await asyncio.gather(images.prepare(image, told), images.prepare(image, told))

    one, other = asyncio.run(both())
    assert one == other
    # both are told of the one installation
    assert lines.count("Installing pip apple") == 2
    assert len(list(Path(one.packages).parent.parent.iterdir())) == 1


def test_a_requirements_file(images, tmp_path):
    (tmp_path / "more.txt").write_text("pear\n")
    (tmp_path / "requirements.txt").write_text("apple<2\n-r more.txt\n")
    made = prepared(
        images, Image.from_debian_base().with_requirements(tmp_path / "requirements.txt")
    )
    assert read_versions(Path(made.packages)) == {"apple": "1.0", "pear": "1.0"}


def test_a_script_that_says_what_it_needs(images, needs_image, tmp_path):
    needs_image("python:3.13-slim")
    script = tmp_path / "script.py"
    script.write_text(
        "# /// script\n# requires-python = '>=3.13'\n# dependencies = ['pie']\n# ///\n"
    )
    made = prepared(images, Image.from_uv_script(script))
    assert made.version == (3, 13)
    assert read_versions(Path(made.packages)) == {"apple": "1.0", "pie": "1.0"}


def test_a_locked_project_is_installed_as_locked_and_not_touched(images, tmp_path):
    project = tmp_path / "project"
    project.mkdir()
    file = project / "pyproject.toml"
    file.write_text(
        "[project]\nname = 'basket'\nversion = '1'\nrequires-python = '>=3.9'\n"
        "dependencies = ['apple<2']\n"
    )
    subprocess.run([find_uv(), "lock", "-q", "--project", str(project)], check=True)
    file.write_text(file.read_text().replace("apple<2", "apple"))
    made = prepared(images, Image.from_debian_base().with_uv_project(file))
    assert read_versions(Path(made.packages)) == {"apple": "1.0"}
    assert sorted(path.name for path in project.iterdir()) == ["pyproject.toml", "uv.lock"]


def test_files_belong_in_the_working_directory(images, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "table.csv").write_text("x")
    image = Image.from_debian_base().with_workdir("/app")
    made = prepared(images, image.with_source_folder(tmp_path / "data", "/app/in"))
    assert made.workdir == "/app"
    assert (Path(made.files) / "in" / "data" / "table.csv").read_text() == "x"


def test_what_has_no_wheel_is_built_here_if_it_is_pure_python(images, index, run_in):
    index.add_source("plum", "1.0", "py3-none-any")
    made = prepared(images, Image.from_debian_base().with_pip_packages("plum", "apple"))
    assert run_in(made, "import apple, plum; print(plum.INSIDE)") == "False\n"


def test_what_has_no_wheel_is_built_in_a_container_if_it_is_not(images, index, run_in):
    index.add_source("plum", "1.0", f"py3-none-linux_{os.uname().machine}")
    made = prepared(images, Image.from_debian_base().with_pip_packages("plum", "apple"))
    assert run_in(made, "import apple, plum; print(plum.INSIDE)") == "True\n"
    assert {path.owner() for path in Path(made.packages).iterdir()} == {Path(made.packages).owner()}


def test_what_the_image_has_counts_as_installed(images, unique, run_in, tmp_path):
    image = Image.from_debian_base().with_commands(
        [
            "cd $(python3 -c 'import sysconfig; print(sysconfig.get_path(\"purelib\"))') && "
            "mkdir -p . apple-1.0.dist-info && echo VERSION = 5 > apple.py && "
            "printf 'Metadata-Version: 2.1\\nName: apple\\nVersion: 1.0\\n' "
            f"> apple-1.0.dist-info/METADATA # {unique}"
        ]
    )
    made = prepared(images, image.with_pip_packages("pie"))
    assert read_versions(Path(made.packages)) == {"pie": "1.0"}
    assert run_in(made, "import apple, pie; print(apple.VERSION, pie.VERSION)") == "5 1.0\n"
    newer = prepared(images, image.with_pip_packages("apple>1"))
    assert read_versions(Path(newer.packages)) == {"apple": "2.0"}
    assert run_in(newer, "import apple; print(apple.VERSION)") == "2.0\n"


def compiled(made, module):
    """Return the bytecode of a module, once all is compiled."""
    library = Path(made.packages)
    limit = time.monotonic() + 60
    while not (library.parent / "compiled").exists():
        assert time.monotonic() < limit
        time.sleep(0.05)
    (bytecode,) = library.glob(f"__pycache__/{module}.*.pyc")
    return bytecode


def test_bytecode_is_compiled_behind_and_taken_along(images, index, tmp_path):
    one = prepared(images, Image.from_debian_base().with_pip_packages("apple"))
    bytecode = compiled(one, "apple")
    other = prepared(images, Image.from_debian_base().with_pip_packages("apple", "pear"))
    (taken,) = Path(other.packages).glob("__pycache__/apple.*.pyc")
    assert taken.samefile(bytecode)


def test_bytecode_for_another_python_is_compiled_by_it(images, needs_image, run_in):
    needs_image("python:3.13-slim")
    made = prepared(images, Image.from_base("python:3.13-slim").with_pip_packages("apple"))
    bytecode = compiled(made, "apple")
    assert bytecode.name == "apple.cpython-313.pyc"
    assert bytecode.owner() == Path(made.packages).owner()
    program = "import apple; print(apple.__cached__, apple.main.__code__.co_filename)"
    assert run_in(made, program).split() == [
        "/opt/flyte_jupyter/packages/__pycache__/apple.cpython-313.pyc",
        "/opt/flyte_jupyter/packages/apple.py",
    ]


# what cannot be started


def test_an_image_without_python(images, needs_image):
    error = refused(images, Image.from_base(needs_image("nopython:latest")))
    assert error.sentence == "The image 'nopython:latest' has no Python, which a task needs."
    assert "with_apt_packages('python3')" in error.remedy


def test_an_image_of_another_architecture(images, needs_image):
    error = refused(images, Image.from_base(needs_image("otherarch:latest")))
    assert error.sentence.startswith("The image 'otherarch:latest' is made for another arch")


def test_an_image_that_is_nowhere(images, docker_engine):
    name = "python:{}.{}-slim".format(*sys.version_info)
    # nothing listens there, so nothing is asked of anybody's registry
    error = refused(images, Image.from_base(f"localhost:1/{name}"))
    assert "registry cannot be reached" in error.sentence
    assert f"Did you mean {name!r}" in error.remedy


def test_a_package_that_is_nowhere(images):
    error = refused(images, Image.from_debian_base().with_pip_packages("aple"))
    assert error.sentence.startswith("pip aple could not be installed")


# what is kept


def test_what_is_kept_is_listed_and_removed(images, docker_engine, run_in):
    image = Image.from_debian_base().with_pip_packages("apple")
    prepared(images, image)
    (row,) = [one for one in images.listed() if one.kind == "packages"]
    version = "{}.{}".format(*sys.version_info)
    assert (row.description, row.in_use) == (f"pip apple for Python {version}", False)
    (needed,) = [one for one in images.listed([image]) if one.kind == "packages"]
    assert needed.in_use
    # its size may have changed: bytecode is written behind
    assert [one.name for one in images.remove([row.name])] == [row.name]
    assert [one for one in images.listed() if one.kind == "packages"] == []
    # it is simply made again
    assert run_in(prepared(images, image), "import apple; print(apple.VERSION)") == "2.0\n"
