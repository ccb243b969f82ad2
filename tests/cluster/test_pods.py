"""What is said of an environment is so in its pods: in the cluster's words, and inside them."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import flyte_jupyter as flyte
from flyte_jupyter.cluster.api import Api, ApiError
from flyte_jupyter.cluster.connect import connect
from flyte_jupyter.errors import NotFoundError, TargetError

from .conftest import IMAGE, manifest, until

Book = Callable[[str], Any]
Seen = Callable[[str], dict[str, Any]]

INSIDE = """
    def inside():
        import os, socket

        status = dict(
            line.rstrip("\\n").split(":\\t", 1)
            for line in open("/proc/self/status")
            if ":\\t" in line
        )
        shm = os.statvfs("/dev/shm")
        return {
            "name": socket.gethostname(),
            "uid": os.getuid(),
            "rights": (int(status["CapEff"], 16), status["NoNewPrivs"], status["Seccomp"]),
            "token": os.path.exists("/var/run/secrets/kubernetes.io"),
            "shm": shm.f_blocks * shm.f_frsize,
            "environ": dict(os.environ),
            "hosts": open("/etc/hosts").read(),
        }
"""


@pytest.fixture
def seen(namespace: str) -> Iterator[Seen]:
    """A function that returns a pod as the cluster told of it last, though it is gone."""
    api = Api(connect({"namespace": namespace}))
    path = f"/api/v1/namespaces/{namespace}/pods"
    told: dict[str, dict[str, Any]] = {}
    news = threading.Condition()
    version = api.call("GET", path)["metadata"]["resourceVersion"]
    watch = api.watch(path, resourceVersion=version)

    def listen() -> None:
        for event in watch:
            with news:
                told[event["object"]["metadata"]["name"]] = event["object"]
                news.notify_all()

    thread = threading.Thread(target=listen)
    thread.start()

    def last(name: str) -> dict[str, Any]:
        with news:
            assert news.wait_for(lambda: name in told, 30)
            return told[name]

    yield last
    watch.close()
    thread.join()
    api.close()


def test_what_an_environment_says_is_on_its_pod_and_in_force(
    book: Book, core: Any, namespace: str, seen: Seen
) -> None:
    core.create_namespaced_service_account(namespace, {"metadata": {"name": "worker"}})
    there = book(INSIDE)
    there = book("""
        said = flyte.TaskEnvironment(
            "all-that-can-be-said",
            resources=flyte.Resources(
                cpu=("100m", 1), memory=("64Mi", "256Mi"), disk="100Mi", shm="32Mi"
            ),
            env_vars={"A": "1", "LOGNAME": "else"},
            service_account="worker",
            pod_template=flyte.PodTemplate(
                pod_spec={
                    "nodeSelector": {"kubernetes.io/os": "linux"},
                    "tolerations": [{"key": "mine", "operator": "Exists"}],
                    "hostAliases": [{"ip": "192.0.2.1", "hostnames": ["far.example"]}],
                    "containers": [
                        {
                            "name": "main",
                            "env": [{"name": "A", "value": "0"}, {"name": "USER", "value": "me"}],
                            "resources": {"requests": {"cpu": "1"}},
                        }
                    ],
                },
                primary_container_name="main",
                labels={"team": "a"},
                annotations={"note": "b"},
            ),
        )

        @said.task
        def facts():
            return inside()
    """)
    facts = flyte.run(there.facts).result()
    pod = seen(facts["name"])
    spec, metadata = pod["spec"], pod["metadata"]
    (container,) = spec["containers"]
    assert container["name"] == "main"
    assert container["resources"] == {
        "requests": {"cpu": "100m", "memory": "67108864", "ephemeral-storage": "104857600"},
        "limits": {"cpu": "1", "memory": "268435456", "ephemeral-storage": "104857600"},
    }
    assert facts["shm"] == 32 << 20
    environ = facts["environ"]
    assert (environ["A"], environ["LOGNAME"], environ["USER"]) == ("1", "else", "me")
    names = [one["name"] for one in container["env"]]
    assert len(names) == len(set(names))
    assert spec["serviceAccountName"] == "worker"
    assert not facts["token"]
    assert spec["nodeSelector"] == {"kubernetes.io/os": "linux"}
    assert "far.example" in facts["hosts"]
    assert {"mine", "node.kubernetes.io/unreachable"} <= {one["key"] for one in spec["tolerations"]}
    assert metadata["labels"]["team"] == "a"
    assert metadata["labels"]["flyte-jupyter/environment"] == "all-that-can-be-said"
    assert metadata["annotations"]["note"] == "b"
    assert metadata["annotations"]["flyte-jupyter/owner"]
    assert "all-that-can-be-said" in metadata["name"]
    assert facts["uid"] == 65532
    assert facts["rights"] == (0, "1", "2")


def test_a_pod_has_the_priority_that_its_template_names(book: Book, core: Any, seen: Seen) -> None:
    from kubernetes import client

    classes = client.SchedulingV1Api(core.api_client)
    name = f"flyte-jupyter-test-{uuid.uuid4().hex[:8]}"
    classes.create_priority_class({"metadata": {"name": name}, "value": 7})
    try:
        there = book(f"""
            env = flyte.TaskEnvironment(
                "ranked", pod_template=flyte.PodTemplate({{"priorityClassName": {name!r}}})
            )

            @env.task
            def where() -> str:
                import socket

                return socket.gethostname()
        """)
        assert seen(flyte.run(there.where).result())["spec"]["priority"] == 7
    finally:
        classes.delete_priority_class(name)


def test_what_runs_beside_a_task_neither_ends_it_nor_outlives_it(
    book: Book, core: Any, namespace: str, seen: Seen
) -> None:
    there = book(f"""
        def beside(name, code, **more):
            return {{"name": name, "image": {IMAGE!r}, "command": ["python3", "-c", code], **more}}

        shared = {{"volumeMounts": [{{"name": "shared", "mountPath": "/shared"}}]}}
        env = flyte.TaskEnvironment(
            "accompanied",
            pod_template=flyte.PodTemplate({{
                "volumes": [{{"name": "shared", "emptyDir": {{}}}}],
                "initContainers": [
                    beside("first", "open('/shared/first', 'w').write('1')", **shared),
                    beside("native", "import time; time.sleep(600)", restartPolicy="Always"),
                ],
                "containers": [
                    {{"name": "primary", **shared}},
                    beside("a-short-one", "open('/shared/short', 'w').write('2')", **shared),
                    beside("long", "import time; time.sleep(600)"),
                ],
            }}),
        )

        @env.task
        def where() -> tuple[str, str]:
            import os, socket, time

            while not os.path.exists("/shared/short"):
                time.sleep(0.05)
            time.sleep(2)  # for the cluster to tell that its neighbour has ended
            return socket.gethostname(), open("/shared/first").read()
    """)
    name, first = flyte.run(there.where).result()
    assert first == "1"
    told = seen(name)
    ended = {
        one["name"] for one in told["status"]["containerStatuses"] if "terminated" in one["state"]
    }
    assert "a-short-one" in ended
    until(lambda: name not in [p.metadata.name for p in core.list_namespaced_pod(namespace).items])


def test_a_template_may_leave_the_user_to_the_image_or_be_stricter(book: Book) -> None:
    there = book(INSIDE)
    there = book("""
        def template(**context):
            inner = {"containers": [{"name": "primary", "securityContext": context.pop("inner")}]}
            return flyte.PodTemplate({"securityContext": context, **inner})

        image = flyte.TaskEnvironment(
            "image", pod_template=template(runAsNonRoot=False, inner={})
        )
        root = flyte.TaskEnvironment("root", pod_template=flyte.PodTemplate(
            {"containers": [{"name": "primary", "securityContext": {"runAsUser": 0}}]}
        ))
        sealed = flyte.TaskEnvironment("sealed", pod_template=template(
            runAsUser=4242, inner={"readOnlyRootFilesystem": True}
        ))

        @image.task
        def of_image():
            return inside()

        @root.task
        def of_root():
            return inside()

        @sealed.task
        def of_sealed():
            try:
                open("/here", "w")
            except OSError as error:
                return {**inside(), "refused": error.errno}
    """)
    for task in (there.of_image, there.of_root):
        facts = flyte.run(task).result()
        assert facts["uid"] == 0
        assert facts["rights"][0] != 0
    facts = flyte.run(there.of_sealed).result()
    assert facts["uid"] == 4242
    assert facts["rights"][0] == 0
    assert facts["refused"] == 30


def test_an_image_that_lets_nobody_write_to_tmp_is_told_with_what_helps(book: Book) -> None:
    there = book("""
        sealed = {"name": "primary", "volumeMounts": [
            {"name": "none", "mountPath": "/tmp", "readOnly": True}
        ]}
        env = flyte.TaskEnvironment("sealed", pod_template=flyte.PodTemplate(
            {"containers": [sealed], "volumes": [{"name": "none", "emptyDir": {}}]}
        ))

        @env.task
        def nothing(): ...
    """)
    with pytest.raises(TargetError) as raised:
        flyte.run(there.nothing).result()
    assert "Nothing can be written to /tmp in this image" in str(raised.value)
    assert "'emptyDir': {}" in str(raised.value)


def test_a_restricted_namespace_takes_what_is_the_default_and_refuses_the_rest(
    cell: Book, core: Any, fresh_namespace: Callable[..., str], tmp_path: Path
) -> None:
    place = fresh_namespace({"pod-security.kubernetes.io/enforce": "restricted"})
    flyte.init(target="kubernetes", namespace=place, state=tmp_path / "state")
    there = cell(f"""
        beside = {{"name": "beside", "image": {IMAGE!r}, "command": ["sleep", "600"]}}
        env = flyte.TaskEnvironment("plain", pod_template=flyte.PodTemplate(
            {{"containers": [beside]}}
        ))
        root = flyte.TaskEnvironment("root", pod_template=flyte.PodTemplate(
            {{"securityContext": {{"runAsUser": 0}}}}
        ))

        @env.task
        def uid() -> int:
            import os

            return os.getuid()

        @root.task
        def never() -> int:
            return 1
    """)
    assert flyte.run(there.uid).result() == 65532
    with pytest.raises(TargetError, match="violates PodSecurity") as told:
        flyte.run(there.never).outputs()
    assert "pod template ask for less" in str(told.value)
    flyte.shut_down()


def test_a_template_is_taken_from_the_namespace_by_its_name(
    book: Book, core: Any, namespace: str, seen: Seen
) -> None:
    core.create_namespaced_pod_template(
        namespace,
        {
            "metadata": {"name": "by-the-admins"},
            "template": {
                "metadata": {"labels": {"cost-centre": "7"}},
                "spec": {
                    "nodeSelector": {"kubernetes.io/os": "linux"},
                    "containers": [
                        {
                            "name": "default",
                            "image": "nobody/has-this:latest",
                            "env": [{"name": "FROM", "value": "them"}],
                        }
                    ],
                },
            },
        },
    )
    there = book("""
        env = flyte.TaskEnvironment("named", pod_template="by-the-admins")
        other = flyte.TaskEnvironment("misnamed", pod_template="by-the-admin")

        @env.task
        def where() -> tuple[str, str]:
            import os, socket

            return socket.gethostname(), os.environ["FROM"]

        @other.task
        def never() -> int:
            return 1
    """)
    name, said = flyte.run(there.where).result()
    assert said == "them"
    pod = seen(name)
    assert pod["metadata"]["labels"]["cost-centre"] == "7"
    assert pod["spec"]["nodeSelector"] == {"kubernetes.io/os": "linux"}
    with pytest.raises(NotFoundError, match="did you mean 'by-the-admins'"):
        flyte.run(there.never).outputs()


@pytest.fixture
def assigning(fresh_namespace: Callable[..., str]) -> Iterator[str]:
    """A namespace that gives its pods a user of its own and takes no other, as OpenShift's do."""
    place = fresh_namespace()
    api = Api(connect({"namespace": place}))
    annotation = {"openshift.io/sa.scc.uid-range": "1000650000/10000"}
    api.call("PATCH", f"/api/v1/namespaces/{place}", {"metadata": {"annotations": annotation}})
    base = "/apis/admissionregistration.k8s.io/v1"
    pods = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"]}
    constraints = {"resourceRules": [{**pods, "resources": ["pods"]}]}
    user = "object.spec.securityContext.runAsUser"
    context = "Object.spec.securityContext{runAsUser: 1000650000}"
    change = f"Object{{spec: Object.spec{{securityContext: {context}}}}}"
    rules: dict[str, dict[str, Any]] = {
        "mutating": {
            "reinvocationPolicy": "Never",
            "matchConditions": [{"name": "none", "expression": f"!has({user})"}],
            "mutations": [
                {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": change}}
            ],
        },
        "validating": {
            "validations": [
                {
                    "expression": f"{user} == 1000650000",
                    "message": "unable to validate against any security context constraint",
                }
            ],
        },
    }
    made = []
    try:
        for kind, rule in rules.items():
            policy = {
                "metadata": {"name": place},
                "spec": {"matchConstraints": constraints, **rule},
            }
            only = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": place}}}
            spec: dict[str, Any] = {"policyName": place, "matchResources": only}
            if kind == "validating":
                spec["validationActions"] = ["Deny"]
            for path, body in (
                (f"{base}/{kind}admissionpolicies", policy),
                (
                    f"{base}/{kind}admissionpolicybindings",
                    {"metadata": {"name": place}, "spec": spec},
                ),
            ):
                try:
                    api.call("POST", path, body)
                except ApiError as error:
                    if error.status != 404:
                        raise
                    pytest.skip(f"needs a cluster with {kind} admission policies")
                made.append(f"{path}/{place}")

        def in_force() -> bool:
            pod = manifest("probe", "true")
            path = f"/api/v1/namespaces/{place}/pods"
            found = api.call("POST", path, pod, dryRun="All")["spec"]["securityContext"]
            pod["spec"]["securityContext"] = {"runAsUser": 65532}
            try:
                api.call("POST", path, pod, dryRun="All")
            except ApiError:
                return found.get("runAsUser") == 1000650000
            return False

        until(in_force)
        yield place
    finally:
        for path in made:
            api.call("DELETE", path)
        api.close()


def test_a_namespace_that_assigns_users_is_left_to_it(
    cell: Book, assigning: str, tmp_path: Path
) -> None:
    flyte.init(target="kubernetes", namespace=assigning, state=tmp_path / "state")
    there = cell("""
        env = flyte.TaskEnvironment("assigned")
        own = flyte.TaskEnvironment("own", pod_template=flyte.PodTemplate(
            {"securityContext": {"runAsUser": 4242}}
        ))

        @env.task
        def uid() -> int:
            import os

            return os.getuid()

        @own.task
        def never() -> int:
            return 1
    """)
    assert flyte.deploy("assigned", dryrun=True).ok
    assert flyte.run(there.uid).result() == 1000650000
    with pytest.raises(TargetError, match="security context constraint") as told:
        flyte.run(there.never).outputs()
    assert "choose the user themselves" in str(told.value)
    flyte.shut_down()


def test_a_secret_of_the_cluster_comes_by_the_template_and_a_missing_one_is_told(
    book: Book, core: Any, namespace: str
) -> None:
    core.create_namespaced_secret(
        namespace, {"metadata": {"name": "database"}, "stringData": {"password": "opens"}}
    )
    there = book("""
        def taking(key):
            source = {"valueFrom": {"secretKeyRef": {"name": "database", "key": key}}}
            return flyte.PodTemplate(
                {"containers": [{"name": "primary", "env": [{"name": "PASSWORD", **source}]}]}
            )

        env = flyte.TaskEnvironment("has-it", pod_template=taking("password"))
        other = flyte.TaskEnvironment("lacks-it", pod_template=taking("pasword"))

        @env.task
        def length() -> int:
            import os

            return len(os.environ["PASSWORD"])

        @other.task
        def never() -> int:
            return 1
    """)
    assert flyte.run(there.length).result() == 5
    with pytest.raises(TargetError, match="couldn't find key pasword in Secret"):
        flyte.run(there.never).outputs()
