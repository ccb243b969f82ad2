"""Images leave the engine whole, and what a registry refuses is told."""

from __future__ import annotations

import io
import json
import secrets
import tarfile
from collections.abc import Iterator

import pytest

from flyte_jupyter.daemon import Daemon
from flyte_jupyter.errors import ImageBuildError
from flyte_jupyter.images.references import inspect
from flyte_jupyter.images.sharing import silent
from flyte_jupyter.images.shipping import named, published, push, save
from flyte_jupyter.images.threads import Ends


@pytest.fixture
def small(any_engine: Daemon) -> Iterator[str]:
    """The name of an image of one small file."""
    name = f"flyte-jupyter-test-{secrets.token_hex(4)}:1"
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as file:
        member = tarfile.TarInfo("data")
        member.size = 16
        file.addfile(member, io.BytesIO(secrets.token_bytes(16)))
    api = any_engine.fresh()
    api.import_image_from_data(layer.getvalue(), *name.split(":"))
    yield name
    api.remove_image(name, force=True)
    api.close()


def test_an_archive_has_the_name_that_was_given_for_it(any_engine: Daemon, small: str) -> None:
    image = inspect(any_engine, small)
    assert image is not None
    file = io.BytesIO()
    other = small.replace(":1", ":2")
    with named(any_engine, image.id, other):
        save(any_engine, other, file, silent, Ends())
    file.seek(0)
    with tarfile.open(fileobj=file) as archive:
        listed = archive.extractfile("manifest.json")
        assert listed
        assert [one["RepoTags"] for one in json.load(listed)] == [[other]]
    assert inspect(any_engine, other) is None
    assert inspect(any_engine, small) == image


def test_an_image_that_is_not_there_is_told(any_engine: Daemon) -> None:
    with pytest.raises(ImageBuildError, match="has no image 'flyte-jupyter-none:1'"):
        save(any_engine, "flyte-jupyter-none:1", io.BytesIO(), silent, Ends())


def test_a_registry_that_nobody_reaches_is_told(any_engine: Daemon, small: str) -> None:
    image = inspect(any_engine, small)
    assert image is not None
    name = f"127.0.0.1:1/{small}"
    assert published(any_engine, name) == ""
    with named(any_engine, image.id, name), pytest.raises(ImageBuildError) as caught:
        push(any_engine, name, silent, Ends())
    assert caught.value.sentence == "The Docker engine cannot reach the registry 127.0.0.1:1."
    assert inspect(any_engine, name) is None
