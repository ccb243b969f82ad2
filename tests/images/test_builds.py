"""Layers that have to be built, by both builders of the engine."""

import asyncio
import io
import json
import os
import sys
import tarfile
import threading
import time
from pathlib import Path

import pytest

from flyte_jupyter.errors import ImageBuildError, SecretError
from flyte_jupyter.images import builds
from flyte_jupyter.images.containers import DockerImages
from flyte_jupyter.images.dockerfile import Dockerfile
from flyte_jupyter.images.layering import REPOSITORY
from flyte_jupyter.spec import Image, Secret, layers

BASE = "python:{}.{}-slim".format(*sys.version_info)
PASSWORD = "open-sesame-31415"


@pytest.fixture(params=["buildkit", "classic"])
def builder(request, docker_engine, tmp_path):
    if request.param == "buildkit" and not docker_engine.buildkit:
        pytest.skip("needs BuildKit: an engine of version 18.09 or later")
    return DockerImages(
        lambda: docker_engine, tmp_path / request.param, request.param == "buildkit"
    )


def prepared(images, image, say=lambda line: None):
    return asyncio.run(images.prepare(image, say))


def refused(images, image, say=lambda line: None):
    with pytest.raises(ImageBuildError) as caught:
        prepared(images, image, say)
    return caught.value


def files_of(daemon, made, folder):
    """Return names, contents and modes below a folder of an image."""
    api = daemon.api
    container = api.create_container(made.image, ["true"])["Id"]
    try:
        stream, _ = api.get_archive(container, folder)
        with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
            return {
                one.name: (one.mode, archive.extractfile(one).read() if one.isfile() else None)
                for one in archive
                if "__pycache__" not in one.name
            }
    finally:
        api.remove_container(container)


def layered(unique, folder):
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "data.txt").write_text("data")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    return (
        Image.from_debian_base()
        .with_env_vars({unique: 'it\'s "5\\6" $HOME', "B": "b"})
        .with_pip_packages("pie")
        .with_workdir("/work dir")
        .with_source_folder(folder)
        .with_source_file(folder / "inner" / "data.txt", "/elsewhere/renamed")
        .with_commands(
            [
                f'printf %s "${unique}" > /elsewhere/value',
                "python3 -c 'import pie; print(pie.VERSION)' > /elsewhere/version",
                "pwd > /elsewhere/place\ncat renamed 'inner/data.txt' >> /elsewhere/place || true",
            ]
        )
    )


def test_both_builders_make_the_same(docker_engine, unique, tmp_path):
    image = layered(unique, tmp_path / "folder")
    seen = []
    for buildkit in (True, False):
        images = DockerImages(lambda: docker_engine, tmp_path / str(buildkit), buildkit)
        made = prepared(images, image)
        config = docker_engine.api.inspect_image(made.image)["Config"]
        folders = ("/elsewhere", "/work dir", "/opt/flyte_jupyter/packages")
        facts = {name: config.get(name) or None for name in ("Env", "WorkingDir", "User", "Cmd")}
        seen.append([facts, *(files_of(docker_engine, made, one) for one in folders)])
        docker_engine.api.remove_image(made.image, force=True)
    facts, elsewhere, work, _ = seen[0]
    assert seen[0] == seen[1]
    assert elsewhere["elsewhere/value"][1] == b'it\'s "5\\6" $HOME'
    assert elsewhere["elsewhere/version"][1] == b"1.0\n"
    assert elsewhere["elsewhere/renamed"][1] == b"data"
    assert elsewhere["elsewhere/place"][1].startswith(b"/work dir\n")
    assert work["work dir/folder/run.sh"][0] & 0o777 == 0o755
    assert facts["WorkingDir"] == "/work dir"


def test_a_command_that_fails_is_shown_with_what_it_wrote(builder, unique, lines, told):
    image = Image.from_debian_base().with_commands([f"true {unique}", "echo one; echo two; exit 3"])
    error = refused(builder, image, told)
    assert error.sentence == (
        "Building the image failed: 'RUN echo one; echo two; exit 3' ended with exit status 3."
    )
    assert error.evidence == ("one", "two")
    assert [line for line in lines if not line.startswith(("Building", "Looking"))] == [
        f"RUN true {unique}",
        "RUN echo one; echo two; exit 3",
        "one",
        "two",
    ]


def test_secrets_are_in_no_layer_and_in_no_history(
    builder, docker_engine, unique, monkeypatch, lines, told
):
    monkeypatch.setenv(unique, PASSWORD)
    image = Image.from_debian_base().with_commands(
        [f'printf %s "${unique}" | wc -c > /length', f'echo "${unique}"'],
        secret_mounts=[Secret(unique, as_env_var=unique)],
    )
    made = prepared(builder, image, told)
    assert int(files_of(docker_engine, made, "/length")["length"][1]) == len(PASSWORD)
    api = docker_engine.api
    kept = json.dumps([api.inspect_image(made.image), api.history(made.image)]) + "".join(lines)
    assert PASSWORD not in kept
    assert "***" in lines


def test_a_secret_that_is_not_set_is_asked_for(builder, unique):
    image = Image.from_debian_base().with_commands(["true"], secret_mounts=[Secret(unique)])
    with pytest.raises(SecretError, match="is not set"):
        prepared(builder, image)


@pytest.mark.parametrize("secret", [False, True])
def test_a_build_that_nobody_waits_for_ends(
    secret, builder, docker_engine, unique, monkeypatch, leftovers
):
    since = time.time()
    monkeypatch.setenv(unique, PASSWORD)
    mounts = [Secret(unique, as_env_var=unique)] if secret else None
    image = Image.from_debian_base().with_commands([f"sleep 1000 # {unique}"], mounts)

    async def given_up():
        started = asyncio.Event()

        def say(line):
            if line.startswith("RUN"):
                started.set()

        building = asyncio.ensure_future(builder.prepare(image, say))
        await started.wait()
        building.cancel()
        with pytest.raises(asyncio.CancelledError):
            await building

    asyncio.run(given_up())
    for thread in threading.enumerate():
        if thread.name == "flyte_jupyter-images":
            thread.join(30)
            assert not thread.is_alive()
    assert not [line for line in leftovers(since) if "container" in line]
    tags = [tag for one in docker_engine.api.images() for tag in one["RepoTags"] or ()]
    assert not [tag for tag in tags if ":from-" in tag]


def test_what_follows_commands_is_mounted_and_what_precedes_them_is_built(
    builder, docker_engine, unique, run_in, lines, told
):
    image = Image.from_debian_base().with_pip_packages("apple<2")
    image = image.with_commands([f"python3 -c 'import apple' # {unique}"])
    image = image.with_pip_packages("pear")
    made = prepared(builder, image, told)
    assert run_in(made, "import apple, pear; print(apple.VERSION, pear.VERSION)") == "1.0 1.0\n"
    again = prepared(builder, image.with_pip_packages("pie"), lines.append)
    assert again.image == made.image
    assert sum(line.startswith("Building") for line in lines) == 1


def test_images_that_share_a_prefix_share_its_layers(builder, docker_engine, unique):
    start = Image.from_debian_base().with_commands([f"echo {unique} > /first"])
    one = prepared(builder, start.with_commands(["echo one > /second"]))
    other = prepared(builder, start.with_commands(["echo other > /second"]))
    layers = [
        docker_engine.api.inspect_image(made.image)["RootFS"]["Layers"] for made in (one, other)
    ]
    assert layers[0][:-1] == layers[1][:-1]
    assert layers[0][-1] != layers[1][-1]


def test_an_image_is_built_once_for_all_who_ask(docker_engine, tmp_path, unique, lines):
    image = Image.from_debian_base().with_commands([f"echo {unique}"])
    kernels = [DockerImages(lambda: docker_engine, tmp_path / "cache") for _ in range(2)]
    other = Image.from_debian_base().with_commands([f"echo {unique} beside"])

    async def all_at_once():
        asked = [one.prepare(image, lines.append) for one in kernels for _ in range(2)]
        return await asyncio.gather(*asked, kernels[0].prepare(other, lambda line: None))

    *made, beside = asyncio.run(all_at_once())
    assert len({one.image for one in made}) == 1
    assert beside.image != made[0].image
    # one kernel waits for the other, and both that ask in it are told
    assert lines.count(f"RUN echo {unique}") in (0, 1, 2)
    tags = [
        tag
        for one in docker_engine.api.images(REPOSITORY)
        for tag in one["RepoTags"] or ()
        if ":from-" in tag and unique in str(one["Labels"])
    ]
    assert tags == []


def test_certificates_are_there_while_building_and_not_after(
    docker_engine, unique, tmp_path, monkeypatch, run_in
):
    certificates = tmp_path / "mine.pem"
    certificates.write_text("-----BEGIN CERTIFICATE-----")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates))
    monkeypatch.setenv("HTTPS_PROXY", f"http://bob:{PASSWORD}@proxy.example:1")
    commands = [
        f'cp "$SSL_CERT_FILE" /seen # {unique}',
        # the command itself would show the password, so it compares lengths
        f"test ${{#HTTPS_PROXY}} = {len(os.environ['HTTPS_PROXY'])}",
    ]
    images = DockerImages(lambda: docker_engine, tmp_path / "cache")
    made = prepared(images, Image.from_debian_base().with_commands(commands))
    api = docker_engine.api
    assert PASSWORD not in json.dumps([api.inspect_image(made.image), api.history(made.image)])
    program = "import os; print(open('/seen').read(), os.path.exists('/dev/flyte_jupyter'))"
    assert run_in(made, program) == "-----BEGIN CERTIFICATE----- False\n"
    assert "SSL_CERT_FILE" not in dict(made.environ)


def test_a_dockerfile_of_the_users(builder, docker_engine, unique, tmp_path, run_in, lines, told):
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "Dockerfile").write_text(
        f"FROM {BASE}\nENV {unique}=1\nCOPY . /app\nRUN ls /app > /listed\n"
        f'LABEL flyte_jupyter.image="{unique}"\n'
    )
    (folder / "kept.txt").write_text("1")
    (folder / "left.log").write_text("2")
    (folder / ".dockerignore").write_text("*.log\n")
    image = Image.from_dockerfile(folder / "Dockerfile").with_pip_packages("apple")
    made = prepared(builder, image, told)
    tags = [docker_engine.api.inspect_image(made.image)["RepoTags"][0]]
    try:
        program = "import apple; print(open('/listed').read().split(), apple.VERSION)"
        assert run_in(made, program) == "['Dockerfile', 'kept.txt'] 2.0\n"
        assert prepared(builder, image) == made
        (folder / "kept.txt").write_text("changed")
        later = prepared(builder, image)
        tags.append(docker_engine.api.inspect_image(later.image)["RepoTags"][0])
        assert run_in(later, "print(open('/app/kept.txt').read())") == "changed\n"
    finally:
        for tag in tags:
            docker_engine.api.remove_image(tag, force=True)


def test_a_base_that_is_nowhere_in_a_dockerfile(builder, tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM localhost:1/nothing:x\n")
    error = refused(builder, Image.from_dockerfile(tmp_path / "Dockerfile"))
    assert "localhost:1/nothing:x" in error.sentence


def test_a_file_that_changed_since_it_was_declared(builder, unique, tmp_path):
    path = tmp_path / "data.txt"
    path.write_text("one")
    image = Image.from_debian_base().with_source_file(path, "/data/").with_commands([unique])
    path.write_text("two")
    assert "has changed since the image was declared" in refused(builder, image).sentence


@pytest.mark.parametrize(
    ("environ", "network"),
    [
        ({}, ""),
        ({"HTTPS_PROXY": "http://proxy.example:3128"}, ""),
        ({"https_proxy": "http://user:word@localhost:3128"}, "host"),
        ({"HTTP_PROXY": "http://127.0.0.1:3128"}, "host"),
        ({"NO_PROXY": "localhost,127.0.0.1"}, ""),
        ({"HTTP_PROXY": "http://localhost.example:3128"}, ""),
    ],
)
def test_a_proxy_of_this_machine_is_reached_by_its_network(environ, network):
    assert builds.network_of(True, environ) == network
    assert builds.network_of(False, environ) == ""


def test_a_removed_image_is_built_again(builder, docker_engine, unique):
    image = Image.from_debian_base().with_commands([f"echo {unique}"])
    made = prepared(builder, image)
    (row,) = [one for one in builder.listed() if unique in one.description]
    assert (row.kind, row.in_use) == ("image", False)
    assert builder.remove([row.name]) == [row]
    assert docker_engine.ask(f"/images/{made.image}/json")[0] == 404
    assert Path(builder._home).is_dir()
    prepared(builder, image)
    assert [one.name for one in builder.listed() if unique in one.description] == [row.name]


def test_a_variable_of_several_lines_is_refused_by_name() -> None:
    dockerfile = Dockerfile("python:3.11-slim", "", {}, buildkit=True)
    with pytest.raises(ImageBuildError) as caught:
        dockerfile.add(layers.EnvVars((("ONE", "1"), ("MOTTO", "a\nb"))))
    assert "MOTTO of the image has more than one line" in str(caught.value)
