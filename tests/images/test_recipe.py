import pytest

from flyte_jupyter.images import layers_not_built
from flyte_jupyter.images.recipe import destination, read_recipe
from flyte_jupyter.spec.image import Image

DEFAULT = Image.from_debian_base()


@pytest.mark.parametrize(
    ("reference", "python"),
    [
        ("python:3.12-slim", (3, 12)),
        ("python:3.12", (3, 12)),
        ("python:3.12.1-bookworm", (3, 12)),
        ("docker.io/library/python:3.9-alpine", (3, 9)),
        ("python:3", None),
        ("python:latest", None),
        ("ghcr.io/team/python:3.12", None),
    ],
)
def test_the_tag_of_a_python_image_is_its_version(reference, python):
    recipe = read_recipe(Image.from_base(reference))
    assert recipe.python == python
    assert (recipe.ignored == ()) == (python is not None)


def test_layers_keep_their_order():
    image = DEFAULT.with_pip_packages("a").with_env_vars({"X": "1"}).with_pip_packages("b")
    recipe = read_recipe(image.with_env_vars({"X": "2"}))
    assert [layer.packages for layer in recipe.installations] == [("a",), ("b",)]
    assert recipe.env_vars == {"X": "2"}


def test_an_image_without_packages_needs_no_building():
    assert read_recipe(DEFAULT.with_env_vars({"X": "1"})).bare
    assert read_recipe(None).bare
    assert not read_recipe(DEFAULT.with_pip_packages("a")).bare


def test_what_is_not_built_is_told_with_its_reason():
    image = DEFAULT.with_apt_packages("curl").with_workdir("/app")
    assert layers_not_built(image) == (
        (
            "apt curl",
            "Debian packages are installed in containers only; what this machine has installed "
            "is there",
        ),
        ("workdir /app", "a task works in a scratch folder of its own on this machine"),
    )


def test_files_go_where_they_lie_in_the_working_directory(tmp_path):
    file = tmp_path / "tool.py"
    file.write_text("")
    image = DEFAULT.with_workdir("/app").with_source_file(str(file), "/app/lib/tool.py")
    recipe = read_recipe(image)
    assert destination(recipe.sources[0], recipe.workdir) == "lib/tool.py"
