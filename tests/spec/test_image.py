"""Images as values: framed content hashes, immutable layers, local files read when declared."""

from __future__ import annotations

import json
import sys
from itertools import combinations
from pathlib import Path

import pytest

from flyte_jupyter.errors import SpecError
from flyte_jupyter.spec import Image, Secret, TaskEnvironment

BASE = Image.from_debian_base((3, 12))

DIFFERENT = [
    BASE,
    Image.from_debian_base((3, 11)),
    Image.from_debian_base((3, 12), platform="linux/amd64"),
    Image.from_debian_base((3, 12), platform="linux/arm64"),
    Image.from_base("python:3.12-slim"),
    BASE.with_pip_packages("ab", "c"),
    BASE.with_pip_packages("a", "bc"),
    BASE.with_pip_packages("a").with_pip_packages("bc"),
    BASE.with_pip_packages("curl"),
    BASE.with_apt_packages("curl"),
    BASE.with_pip_packages("x", pre=True),
    BASE.with_pip_packages("x"),
    BASE.with_pip_packages("Truex"),
    BASE.with_pip_packages("x", index_url="https://a.example/simple"),
    BASE.with_pip_packages("x", extra_index_urls="https://a.example/simple"),
    BASE.with_pip_packages("x", extra_args="--no-deps"),
    BASE.with_pip_packages("x", secret_mounts=[Secret("token")]),
    BASE.with_workdir("/x"),
    BASE.with_commands(["/x"]),
    BASE.with_commands(["a", "b"]),
    BASE.with_commands(["a; b"]),
    BASE.with_env_vars({"A": "1", "B": "2"}),
    BASE.with_env_vars({"A": "1"}).with_env_vars({"B": "2"}),
    BASE.with_env_vars({"A": "1B"}),
]


def test_no_two_different_images_share_a_hash() -> None:
    hashes = [image.content_hash for image in DIFFERENT]
    assert len(set(hashes)) == len(hashes)
    assert all(one != other for one, other in combinations(DIFFERENT, 2))


def test_what_does_not_matter_does_not_change_the_hash(tmp_path: Path) -> None:
    image = BASE.with_pip_packages("pandas")
    named = image.clone(name="mine", registry="ghcr.io/me")
    assert named.content_hash == image.content_hash
    assert named != image
    one = BASE.with_env_vars({"A": "1", "B": "2"})
    assert one == BASE.with_env_vars({"B": "2", "A": "1"})
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "data.txt").write_text("same")
    hashes = {
        BASE.with_source_file(tmp_path / folder / "data.txt", "/app").content_hash
        for folder in ("a", "b")
    }
    assert len(hashes) == 1


def test_a_hash_is_the_same_in_every_process() -> None:
    image = Image.from_base("python:3.12-slim").with_pip_packages("pandas==2.2")
    assert image.content_hash == (
        "8813d1838a5cc4b6ef3db2e48079d522320f3c4bf1b355e8426eaeb64916642d"
    )


def test_with_leaves_the_original_alone() -> None:
    image = BASE.with_pip_packages("pandas")
    image.with_apt_packages("git")
    assert len(image.layers) == 1
    assert BASE.layers == ()


def test_equal_images_are_equal_and_hashable() -> None:
    one, other = (Image.from_debian_base().with_pip_packages("a") for _ in range(2))
    assert one == other
    assert {one: 1}[other] == 1


@pytest.mark.parametrize("given", [None, "auto"])
def test_the_default_is_the_slim_image_of_this_python(given: str | None) -> None:
    image = TaskEnvironment("defaulted", image=given).settings.image
    assert image == Image.from_debian_base()
    assert image is not None
    assert image.base.python == sys.version_info[:2]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "reference",
    [
        "python:3.12-slim",
        "pytorch:latest",
        "ghcr.io/me/image:v1.2",
        "localhost:5000/a/b_c/d__e",
        "registry.example:443/a@sha256:" + "0" * 64,
        "a.b-c/d.e:Tag_1",
        "[::1]:5000/image",
        "user/image",
    ],
)
def test_references_of_every_form_are_taken(reference: str) -> None:
    assert str(Image.from_base(reference).base) == reference


@pytest.mark.parametrize(
    "requirement",
    [
        "pandas",
        "pandas==2.2",
        "pandas >=2, <3",
        "numpy<2",
        "scikit-learn~=1.4.0",
        "requests[socks,security]>=2.31; python_version < '3.13'",
        "torch===2.3.0+cpu",
        "pkg @ https://example.org/pkg.whl",
        "git+https://example.org/pkg.git@main",
        "./wheels/pkg-1.0-py3-none-any.whl",
        "/abs/pkg.tar.gz",
        "pandas (>=2,<3)",
        "django>=4.*",
    ],
)
def test_requirements_of_every_form_are_taken(requirement: str) -> None:
    assert BASE.with_pip_packages(requirement).layers[0].packages == (requirement,)  # type: ignore[union-attr]


def test_an_image_comes_back_from_json(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("pandas\n")
    image = (
        Image.from_debian_base((3, 12), name="all", platform=("linux/arm64", "linux/amd64"))
        .with_pip_packages("a", extra_index_urls=["https://e.example"], secret_mounts="token")
        .with_requirements(tmp_path / "requirements.txt")
        .with_apt_packages("curl")
        .with_commands("echo hi")
        .with_env_vars({"A": "1"})
        .with_workdir("/app")
        .with_source_folder(tmp_path, "/data", copy_contents_only=True)
    )
    again = Image.from_plain(json.loads(json.dumps(image.to_plain())))
    assert again == image
    assert again.content_hash == image.content_hash


def test_a_changed_file_is_seen_when_the_image_is_refreshed(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text("pandas\n")
    image = BASE.with_requirements(path)
    assert image.refreshed() == image
    path.write_text("numpy\n")
    assert image.refreshed().content_hash != image.content_hash
    assert image.refreshed().layers[0].lines == ("numpy",)  # type: ignore[union-attr]


def test_a_folder_is_hashed_by_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    before = BASE.with_source_folder(tmp_path).content_hash
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "x.pyc").write_text("x")
    assert BASE.with_source_folder(tmp_path).content_hash == before
    (tmp_path / "a").rename(tmp_path / "b")
    assert BASE.with_source_folder(tmp_path).content_hash != before


def test_a_script_says_what_it_needs(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        "# /// script\n# requires-python = '>=3.12'\n# dependencies = ['pandas', 'numpy<2']\n"
        "# ///\nprint('hi')\n"
    )
    base = Image.from_uv_script(script).base
    assert base.dependencies == ("pandas", "numpy<2")  # type: ignore[union-attr]
    assert base.python >= (3, 12)  # type: ignore[union-attr]
    body_changed = Image.from_uv_script(script).content_hash
    script.write_text(script.read_text() + "print('more')\n")
    assert Image.from_uv_script(script).content_hash == body_changed


def test_a_missing_file_is_refused_where_it_is_given(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("pandas\n")
    with pytest.raises(SpecError) as caught:
        BASE.with_requirements(tmp_path / "requirement.txt")
    folder = str(tmp_path)
    assert str(caught.value) == (
        f"file={folder + '/requirement.txt'!r}: there is no such file in {folder!r}; "
        f"did you mean {folder + '/requirements.txt'!r}?"
    )


def test_a_script_without_metadata_and_a_dockerfile_without_base_are_refused(
    tmp_path: Path,
) -> None:
    path = tmp_path / "x"
    path.write_text("print(1)\n")
    with pytest.raises(SpecError, match="has no blocks of inline metadata"):
        Image.from_uv_script(path)
    with pytest.raises(SpecError, match="has no FROM line"):
        Image.from_dockerfile(path)


def test_a_dockerfile_is_hashed_by_its_text(tmp_path: Path) -> None:
    path = tmp_path / "Dockerfile"
    path.write_text("FROM python:3.12\n")
    before = Image.from_dockerfile(path)
    path.write_text("FROM python:3.13\n")
    assert Image.from_dockerfile(path).content_hash != before.content_hash
    assert Image.from_plain(before.to_plain()) == before


def test_a_uv_project_is_hashed_by_its_lock_file(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\nname='x'\n")
    before = BASE.with_uv_project(tmp_path / "pyproject.toml")
    (tmp_path / "uv.lock").write_text("version = 1\n")
    assert BASE.with_uv_project(tmp_path / "pyproject.toml").content_hash != before.content_hash


def test_an_image_shows_its_base_and_layers() -> None:
    image = BASE.with_pip_packages("pandas", "scikit-learn")
    assert image.short == "Python 3.12 on slim Debian + pip pandas scikit-learn"
    assert "scikit-learn" in image._repr_html_()
