"""What explain shows of a pod is what the cluster gets; a dry run has the cluster judge it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import flyte_jupyter as flyte
from flyte_jupyter import catalog
from flyte_jupyter.deployment.result import State
from flyte_jupyter.session import session
from flyte_jupyter.spec.pod import PodTemplate

Book = Callable[[str], Any]

SETTINGS = """
    settled = flyte.TaskEnvironment(
        "settled-env",
        image="python:3.11-slim",
        resources=flyte.Resources(
            cpu=("100m", 1), memory=("64Mi", "256Mi"), disk="100Mi", shm="32Mi"
        ),
        env_vars={"A": "1"},
        pod_template=flyte.PodTemplate(
            pod_spec={"nodeSelector": {"kubernetes.io/os": "linux"}}, labels={"team": "a"}
        ),
    )

    @settled.task
    def where() -> str:
        import socket

        return socket.gethostname()
"""


@pytest.fixture(autouse=True)
def _own_names() -> None:
    """Keep the declarations of other tests out of what is deployed here."""
    known = catalog.current()
    for name in [*known.tasks, *known.environments]:
        known.forget(name)


@pytest.fixture
def as_sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Every pod that this process asks the cluster for, as it is sent."""
    from flyte_jupyter.cluster.api import Api

    sent: list[dict[str, Any]] = []
    call = Api.call

    def noted(self: Api, method: str, path: str, body: Any = None, **query: str) -> Any:
        if method == "POST" and path.endswith("/pods"):
            sent.append(body)
        return call(self, method, path, body, **query)

    monkeypatch.setattr(Api, "call", noted)
    return sent


def test_the_pod_that_is_explained_is_the_pod_that_is_sent(
    book: Book, as_sent: list[dict[str, Any]]
) -> None:
    flyte.init(target="kubernetes", lease=1234, **session.config().options["kubernetes"])
    there = book(SETTINGS)
    page = flyte.explain(there.where, target="kubernetes")
    assert "1234" in page.manifest["spec"]["containers"][0]["command"]
    name = flyte.run(there.where).result()
    (sent,) = [one for one in as_sent if one["metadata"]["name"] == name]
    holes = list(fits(page.manifest, sent))
    kinds = {re.sub(r"<[^>]*>", "<>", one) for one in holes}
    assert kinds == {
        "metadata.name",
        "metadata.labels.flyte-jupyter/session",
        "metadata.ownerReferences.0.name",
        "metadata.ownerReferences.0.uid",
        *(one for one in kinds if re.match(r"spec\.containers\.0\.(command|env)\.", one)),
    }
    assert len(holes) <= 8


def fits(shown: Any, sent: Any, place: str = "") -> Any:
    """Yield where a word stands for something; anything else has to be the same."""
    if isinstance(shown, str) and re.search("<[^>]+>", shown) and "\n" not in shown:
        parts = re.split("<[^>]+>", shown)
        assert re.fullmatch(".+".join(map(re.escape, parts)), sent, re.DOTALL), (place, sent)
        yield place
    elif isinstance(shown, dict):
        assert shown.keys() == sent.keys(), place
        for key in shown:
            yield from fits(shown[key], sent[key], f"{place}.{key}".lstrip("."))
    elif isinstance(shown, list):
        assert len(shown) == len(sent), place
        for number, (one, other) in enumerate(zip(shown, sent, strict=True)):
            yield from fits(one, other, f"{place}.{number}")
    else:
        assert shown == sent, place


def test_the_page_has_the_manifest_and_needs_no_cluster(
    cell: Book, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    flyte.init(target="kubernetes", state=tmp_path)
    there = cell(SETTINGS)
    page = flyte.explain(there.where)
    assert page.ok
    text = str(page).partition("\n  pod\n")[2]
    shown = yaml.safe_load(text)
    (container,) = shown["spec"]["containers"]
    assert shown["metadata"]["name"] == "<session>-settled-env-<number>"
    assert shown["metadata"]["labels"]["team"] == "a"
    assert shown["spec"]["nodeSelector"] == {"kubernetes.io/os": "linux"}
    assert container["resources"]["limits"]["memory"] == str(256 << 20)
    assert container["command"][2].startswith("<a program of ")
    html = page._repr_html_()
    assert html is not None
    assert "<summary>pod</summary>" in html
    assert "&lt;session&gt;" in html
    assert flyte.explain(there.where, target="local")._repr_html_() is None


REFUSED = {
    "unknown": (
        {"pod_template": PodTemplate({"nodeSelectr": {"a": "b"}})},
        'unknown field "spec.nodeSelectr"',
        "did you mean 'nodeSelector'?",
    ),
    "account": ({"service_account": "nobody-here"}, "nobody-here", "service_account="),
    "priority": (
        {"pod_template": PodTemplate({"priorityClassName": "no-such"})},
        "no PriorityClass with name no-such",
        "kubectl get priorityclasses",
    ),
    "swapped": (
        {
            "pod_template": PodTemplate(
                {
                    "containers": [
                        {
                            "name": "primary",
                            "resources": {
                                "requests": {"memory": "1Gi"},
                                "limits": {"memory": "64Mi"},
                            },
                        }
                    ]
                }
            ),
        },
        "must be less than or equal to memory limit",
        "resources=",
    ),
    "named": ({"pod_template": "no-template"}, "no pod template 'no-template'", "PodTemplate("),
}


def test_a_dry_run_has_the_cluster_judge_each_environment_and_leaves_nothing(
    cell: Book, core: Any, fresh_namespace: Callable[..., str], tmp_path: Path
) -> None:
    namespace = fresh_namespace()
    flyte.init(target="kubernetes", namespace=namespace, state=tmp_path, project=str(tmp_path))
    book = cell("""
        good = flyte.TaskEnvironment("good")
        after = flyte.TaskEnvironment("after", depends_on=[good])

        @good.task
        def one() -> int:
            return 1
    """)
    made = [book.after]
    for name, (fields, _, _) in REFUSED.items():
        made.append(flyte.TaskEnvironment(name, depends_on=[book.good], **fields))
    made.append(flyte.TaskEnvironment("last", depends_on=[made[-1]]))
    dry = flyte.deploy(*made, dryrun=True)
    assert dry["good"].state is State.BUILT
    assert dry["after"].state is State.BUILT
    for name, (_, words, remedy) in REFUSED.items():
        assert dry[name].state is State.FAILED
        assert words in dry[name].why
        assert remedy in dry[name].why
    assert dry["last"].state is State.SKIPPED
    assert core.list_namespaced_pod(namespace).items == []
    there = {one.metadata.name for one in core.list_namespaced_config_map(namespace).items}
    assert there <= {"kube-root-ca.crt"}  # the cluster's own, which comes a moment later
    # what the cluster would refuse is not deployed either, and everything else is
    with pytest.raises(flyte.errors.DeploymentError, match="unknown could not be deployed") as told:
        flyte.deploy("unknown", "after")
    assert "did you mean 'nodeSelector'?" in str(told.value)
    flyte.shut_down()


def test_a_quota_that_is_used_up_now_is_a_note(
    cell: Book, core: Any, fresh_namespace: Callable[..., str], tmp_path: Path
) -> None:
    namespace = fresh_namespace()
    core.create_namespaced_resource_quota(
        namespace, {"metadata": {"name": "small"}, "spec": {"hard": {"requests.cpu": "1"}}}
    )
    flyte.init(target="kubernetes", namespace=namespace, state=tmp_path)
    env = flyte.TaskEnvironment("large", resources=flyte.Resources(cpu=8))
    dry = flyte.deploy(env, dryrun=True)
    assert dry.ok
    assert "exceeded quota: small" in dry["large"].notes[-1]
