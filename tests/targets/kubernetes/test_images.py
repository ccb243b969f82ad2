"""How an image comes to a cluster is decided by what the cluster is, and said before it is done."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import flyte_jupyter as flyte
from flyte_jupyter.spec import Image, Settings
from flyte_jupyter.targets.kubernetes import KubernetesTarget
from flyte_jupyter.targets.kubernetes.manifest import probe_pod, worker_pod
from flyte_jupyter.targets.protocol import Honour, Prepared, StartRequest

BUILT = Image.from_base("python:3.12-slim").with_apt_packages("tree")
MINIKUBE = {"name": "context_info", "extension": {"provider": "minikube.sigs.k8s.io"}}


@pytest.fixture
def target(tmp_path: Path) -> Callable[..., KubernetesTarget]:
    """A function that returns the target of a context that a kubeconfig has."""

    def make(context: str, extensions: Any = None, **options: str) -> KubernetesTarget:
        known = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "contexts": [
                {
                    "name": context,
                    "context": {"cluster": "c", "user": "u", "extensions": extensions},
                }
            ],
            "current-context": context,
        }
        file = tmp_path / "kubeconfig"
        file.write_text(json.dumps(known))
        return KubernetesTarget({"kubeconfig": str(file), **options})

    return make


def told(target: KubernetesTarget, image: Image) -> str:
    (line,) = target.describe(Settings(image=image))
    return line


@pytest.mark.parametrize(
    ("context", "words"),
    [
        ("kind-dev", "built here and loaded into kind-dev"),
        ("k3d-dev", "built here and loaded into k3d-dev"),
        ("minikube", "built here and loaded into minikube"),
        ("docker-desktop", "built here and seen by docker-desktop, which has the same engine"),
        ("colima-work", "built here and seen by colima-work, which has the same engine"),
        ("prod", "it has to be built, and the cluster cannot see your local image"),
        ("my-kind-dev", "it has to be built, and the cluster cannot see your local image"),
    ],
)
def test_the_context_says_how_a_built_image_comes_there(
    target: Callable[..., KubernetesTarget], context: str, words: str
) -> None:
    assert told(target(context), BUILT) == f"image: python:3.12-slim + apt tree; {words}"


def test_a_profile_of_minikube_is_known_by_whatever_name(
    target: Callable[..., KubernetesTarget],
) -> None:
    assert told(target("work", [MINIKUBE]), BUILT).endswith("built here and loaded into work")


def test_what_init_says_comes_before_the_context(target: Callable[..., KubernetesTarget]) -> None:
    node = target("kind-dev", containerd="/run/containerd/containerd.sock")
    assert told(node, BUILT).endswith("built here and loaded into this machine's node")
    both = target("kind-dev", containerd="/run/containerd/containerd.sock", registry="ghcr.io/me")
    assert told(both, BUILT).endswith("built here and pushed to ghcr.io/me")
    own = BUILT.clone(registry="quay.io/us", name="model")
    assert told(both, own).endswith("built here and pushed to quay.io/us")


def test_nothing_is_built_for_packages_files_and_variables(
    target: Callable[..., KubernetesTarget], tmp_path: Path
) -> None:
    (tmp_path / "lib.py").write_text("")
    image = (
        Image.from_base("python:3.12-slim")
        .with_pip_packages("six")
        .with_env_vars({"A": "1"})
        .with_workdir("/app")
        .with_source_file(tmp_path / "lib.py")
    )
    assert ";" not in told(target("prod"), image)


def test_a_registry_that_is_no_name_is_told(target: Callable[..., KubernetesTarget]) -> None:
    address = "https://registry.example.com/Me"
    line = told(target("prod", registry=address), BUILT)
    assert "registry='https://registry.example.com/Me' is no image reference" in line


def test_an_option_of_init_that_is_misspelt_is_told() -> None:
    with pytest.raises(flyte.errors.TargetError, match="did you mean 'containerd'"):
        flyte.init(target="kubernetes", containered="/run/containerd/containerd.sock")


def test_without_an_engine_nothing_can_be_built_and_it_is_told(
    target: Callable[..., KubernetesTarget], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    place = target("kind-dev")
    with pytest.raises(flyte.errors.ImageBuildError) as caught:
        asyncio.run(place._images.prepare(BUILT, lambda _: None))
    assert caught.value.sentence == (
        "The image 'python:3.12-slim + apt tree' has to be built, and there is no Docker engine to "
        "build it."
    )
    assert "/nowhere/docker.sock" in caught.value.evidence[0]


@pytest.mark.parametrize("name", ["python", "ghcr.io:443/me/model", "model:latest"])
def test_a_tag_that_moves_is_said(target: Callable[..., KubernetesTarget], name: str) -> None:
    found = target("prod").capabilities(Settings(image=Image.from_base(name)))["image"]
    assert found.honour is Honour.APPROXIMATED
    assert found.note.startswith(f"{name} names no version")


@pytest.mark.parametrize("name", ["python:3.12-slim", f"model@sha256:{'0' * 64}"])
def test_a_tag_that_stays_is_not(target: Callable[..., KubernetesTarget], name: str) -> None:
    found = target("prod").capabilities(Settings(image=Image.from_base(name)))["image"]
    assert found.honour is Honour.HONOURED


def test_secrets_of_registries_are_the_images_and_the_templates() -> None:
    template = flyte.PodTemplate(pod_spec={"imagePullSecrets": [{"name": "theirs"}]})
    request = StartRequest(Prepared("key"), pod_template=template)
    session = {"name": "s", "uid": "u"}
    pod = worker_pod("p", session, "i", "10.0.0.1", "k", "pem", request, pull_secrets=("ours",))
    assert pod["spec"]["imagePullSecrets"] == [{"name": "ours"}, {"name": "theirs"}]
    asks = probe_pod("p", session, "i", "print(1)", pull_secrets=("ours",))
    assert asks["spec"]["imagePullSecrets"] == [{"name": "ours"}]
    assert "imagePullSecrets" not in probe_pod("p", session, "i", "print(1)")["spec"]
