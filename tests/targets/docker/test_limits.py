"""What a container may use and do: what the engine is told, and what holds inside."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flyte_jupyter.daemon import Daemon, connect
from flyte_jupyter.engine.plans import need_of
from flyte_jupyter.spec import GPU, Resources, Settings
from flyte_jupyter.targets.docker.devices import device_config, device_environ, handed_out
from flyte_jupyter.targets.docker.facts import EngineFacts, read_facts
from flyte_jupyter.targets.docker.limits import environ, host_config, limits_of
from flyte_jupyter.targets.nvidia import read_listing, type_of
from flyte_jupyter.targets.protocol import Inventory, Prepared, StartRequest

MIB = 1 << 20
GIB = 1 << 30
ALWAYS = {
    "CapDrop": ["ALL"],
    "SecurityOpt": ["no-new-privileges"],
    "Privileged": False,
    "IpcMode": "private",
    "Ulimits": [{"Name": "core", "Soft": 0, "Hard": 0}],
    "PidsLimit": 4096,
    "OomScoreAdj": 500,
}


def request(devices: tuple[str, ...] | None = None, **fields: Any) -> StartRequest:
    resources = Resources(**fields) if fields else None
    return StartRequest(
        Prepared("key"),
        memory=None if resources is None else resources.memory_limit,
        cpu=None if resources is None else resources.cpu_request,
        devices=devices,
        resources=resources,
    )


def told(**fields: Any) -> dict[str, Any]:
    """What the engine is told beside what it is always told."""
    facts = EngineFacts(processors=8, memory=32 * GIB, limits_disk=True)
    config = limits_of(request(**fields), facts)
    return {name: value for name, value in config.items() if name not in ALWAYS}


def test_a_container_never_has_rights_and_says_so() -> None:
    assert limits_of(request(), EngineFacts()) == ALWAYS


@pytest.mark.parametrize(
    ("fields", "config"),
    [
        ({"cpu": 2}, {"CpuShares": 2048}),
        ({"cpu": "500m"}, {"CpuShares": 512}),
        ({"cpu": "1m"}, {"CpuShares": 2}),
        ({"cpu": (1, 2)}, {"CpuShares": 1024, "NanoCpus": 2_000_000_000}),
        ({"cpu": (1, 64)}, {"CpuShares": 1024, "NanoCpus": 8_000_000_000}),
        ({"cpu": ("1m", "1m")}, {"CpuShares": 2, "NanoCpus": 10_000_000}),
        (
            {"memory": "1Gi"},
            {"Memory": GIB, "MemorySwap": GIB, "MemoryReservation": GIB},
        ),
        (
            {"memory": ("1Gi", "2Gi")},
            {"Memory": 2 * GIB, "MemorySwap": 2 * GIB, "MemoryReservation": GIB},
        ),
        (
            {"memory": "1Mi"},
            {"Memory": 6 * MIB, "MemorySwap": 6 * MIB, "MemoryReservation": 6 * MIB},
        ),
        ({"shm": "256Mi"}, {"ShmSize": 256 * MIB}),
        ({"shm": "auto"}, {"ShmSize": 32 * GIB}),
        ({"disk": "10Gi"}, {"StorageOpt": {"size": str(10 * GIB)}}),
    ],
    ids=str,
)
def test_resources_become_limits(fields: dict[str, Any], config: dict[str, Any]) -> None:
    assert told(**fields) == config


def test_automatic_shared_memory_is_as_large_as_the_memory() -> None:
    assert told(memory="2Gi", shm="auto")["ShmSize"] == 2 * GIB


def test_an_engine_is_asked_for_nothing_that_it_cannot_do() -> None:
    poor = EngineFacts(
        limits_memory=False, weighs_cpu=False, limits_cpu=False, limits_pids=False, rootless=True
    )
    config = limits_of(request(cpu=(1, 2), memory="1Gi", disk="1Gi"), poor)
    assert config == {k: v for k, v in ALWAYS.items() if k not in ("PidsLimit", "OomScoreAdj")}


def test_secrets_in_files_lie_in_memory_only() -> None:
    config = limits_of(StartRequest(Prepared("key"), secret_files=True), EngineFacts())
    assert config["Tmpfs"] == {"/etc/flyte/secrets": "rw,noexec,nosuid,nodev,size=8m,mode=1777"}


# what the engine says

MOUNTS = """\
25 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
31 25 8:2 / /var/lib/docker rw,relatime shared:2 - xfs /dev/sdb rw,attr2,prjquota
32 25 8:3 / /var/lib/dock rw - xfs /dev/sdc rw,noquota
"""


@pytest.mark.parametrize(
    ("driver", "system", "root", "divides"),
    [
        ("overlay2", "xfs", "/var/lib/docker", True),
        ("overlay2", "xfs", "/var/lib/dock", False),
        ("overlay2", "extfs", "/var/lib/docker", False),
        ("btrfs", "", "/var/lib/docker", True),
        ("overlayfs", "", "/var/lib/docker", False),
    ],
)
def test_the_disk_is_divided_where_the_storage_can(
    driver: str, system: str, root: str, divides: bool
) -> None:
    info = {
        "Driver": driver,
        "DriverStatus": [["Backing Filesystem", system]] if system else None,
        "DockerRootDir": root,
    }
    assert read_facts(info, local=True, mounts=MOUNTS).limits_disk is divides


def test_facts_are_read_from_the_answer_of_an_engine() -> None:
    info = {
        "NCPU": 4,
        "MemTotal": GIB,
        "SwapLimit": False,
        "Runtimes": {"runc": {}, "nvidia": {}},
        "DefaultRuntime": "nvidia",
        "CDISpecDirs": ["/etc/cdi"],
        "DiscoveredDevices": [{"Source": "cdi", "ID": "nvidia.com/gpu=0"}],
        "GenericResources": [
            {"NamedResourceSpec": {"Kind": "NVIDIA-GPU", "Value": "GPU-1"}},
            {"DiscreteResourceSpec": {"Kind": "SSD", "Value": 2}},
        ],
    }
    facts = read_facts(info, local=False)
    assert (facts.processors, facts.memory, facts.limits_swap) == (4, GIB, False)
    assert facts.nvidia
    assert facts.cdi
    assert facts.cdi_devices == ("nvidia.com/gpu=0",)
    assert facts.generic == (("NVIDIA-GPU", "GPU-1"), ("SSD", "0"), ("SSD", "1"))


# accelerators

LISTING = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5d5ba0d6)
  MIG 3g.20gb     Device  0: (UUID: MIG-c7384736)
  MIG 1g.5gb      Device  1: (UUID: MIG-a28ad590)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-69cfa3ab)
GPU 2: Tesla T4 (UUID: GPU-0f3a1c22)
"""
DEVICES = (
    ("MIG-c7384736", "A100/3g.20gb"),
    ("MIG-a28ad590", "A100/1g.5gb"),
    ("1", "A100"),
    ("2", "T4"),
)
NVIDIA = EngineFacts(nvidia=True, runtimes=frozenset({"runc", "nvidia"}))


def test_the_devices_of_a_machine_are_listed_with_their_partitions() -> None:
    assert tuple(read_listing(LISTING)) == DEVICES


@pytest.mark.parametrize(
    ("product", "kind"),
    [
        ("NVIDIA A100-SXM4-80GB", "A100 80G"),
        ("NVIDIA A100-PCIE-40GB", "A100"),
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA L40S", "L40s"),
        ("Tesla V100-SXM2-16GB", "V100"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "RTX PRO 6000"),
        ("NVIDIA GeForce RTX 4090", "GeForce RTX 4090"),
    ],
)
def test_products_have_the_names_of_the_catalogue(product: str, kind: str) -> None:
    assert type_of(product) == kind


def test_the_devices_of_this_machine_are_handed_out_by_an_engine_that_can() -> None:
    assert handed_out(NVIDIA, DEVICES) == DEVICES
    assert handed_out(EngineFacts(cdi=True), DEVICES) == DEVICES
    assert handed_out(EngineFacts(), DEVICES) == ()


def test_an_engine_elsewhere_says_what_it_has() -> None:
    names = ("nvidia.com/gpu=0", "nvidia.com/gpu=1:0", "nvidia.com/gpu=all", "nvidia.com/gpu=GPU-1")
    by_name = EngineFacts(local=False, cdi=True, cdi_devices=(*names, "amd.com/gpu=0", "x.y/z=1"))
    assert handed_out(by_name, ()) == (
        ("nvidia.com/gpu=0", ""),
        ("nvidia.com/gpu=1:0", ""),
        ("amd.com/gpu=0", "AMD_GPU"),
    )
    named = EngineFacts(local=False, nvidia=True, generic=(("NVIDIA-GPU", "GPU-1"), ("SSD", "0")))
    assert handed_out(named, ()) == (("GPU-1", ""),)


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """The device nodes of a machine with two AMD GPUs, another graphics card and a Neuron."""
    dri = tmp_path / "dev/dri"
    dri.mkdir(parents=True)
    (tmp_path / "dev/kfd").touch()
    (tmp_path / "dev/neuron0").touch()
    for node, vendor, product in (
        ("renderD128", "0x1002", "AMD Instinct MI300X OAM"),
        ("renderD129", "0x1002", ""),
        ("renderD130", "0x10de", ""),
    ):
        (dri / node).touch()
        about = tmp_path / "sys/class/drm" / node / "device"
        about.mkdir(parents=True)
        (about / "vendor").write_text(vendor + "\n")
        (about / "product_name").write_text(product + "\n")
    for number, vendor in enumerate(("0x1da3", "0x1da3", "0x8086")):
        about = tmp_path / f"sys/class/accel/accel{number}/device"
        about.mkdir(parents=True)
        (about / "vendor").write_text(vendor + "\n")
    return tmp_path


def test_devices_of_other_makers_are_found_by_their_nodes(machine: Path) -> None:
    facts = EngineFacts(runtimes=frozenset({"runc", "habana"}))
    assert handed_out(facts, (), machine) == (
        ("/dev/dri/renderD128", "MI300X"),
        ("/dev/dri/renderD129", "AMD_GPU"),
        ("/dev/neuron0", "NEURON"),
        ("gaudi:0", "HABANA_GAUDI"),
        ("gaudi:1", "HABANA_GAUDI"),
    )
    assert handed_out(EngineFacts(local=False), (), machine) == ()


def nodes(*paths: str) -> list[dict[str, str]]:
    return [
        {"PathOnHost": path, "PathInContainer": path, "CgroupPermissions": "rwm"} for path in paths
    ]


def nvidia(*ids: str) -> dict[str, Any]:
    return {
        "DeviceRequests": [
            {"Driver": "nvidia", "DeviceIDs": list(ids), "Capabilities": [["gpu"]]},
        ]
    }


def cdi(*names: str) -> dict[str, Any]:
    return {"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": list(names)}]}


@pytest.mark.parametrize(
    ("names", "facts", "config"),
    [
        (["0", "1"], NVIDIA, nvidia("0", "1")),
        (["MIG-a28ad590"], NVIDIA, nvidia("MIG-a28ad590")),
        (["0"], EngineFacts(cdi=True), cdi("nvidia.com/gpu=0")),
        (
            ["0"],
            EngineFacts(nvidia=True, cdi=True, cdi_devices=("nvidia.com/gpu=0",)),
            cdi("nvidia.com/gpu=0"),
        ),
        (
            ["MIG-1"],
            EngineFacts(nvidia=True, cdi=True, cdi_devices=("nvidia.com/gpu=0",)),
            nvidia("MIG-1"),
        ),
        (["amd.com/gpu=1"], EngineFacts(), cdi("amd.com/gpu=1")),
        (["/dev/neuron2"], EngineFacts(), {"Devices": nodes("/dev/neuron2")}),
        (
            ["/dev/dri/renderD129"],
            EngineFacts(),
            {"Devices": nodes("/dev/kfd", "/dev/dri/renderD129")},
        ),
        (["gaudi:1"], EngineFacts(), {"Runtime": "habana"}),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, list) else "",
)
def test_devices_are_asked_for_by_name(
    names: list[str], facts: EngineFacts, config: dict[str, Any], tmp_path: Path
) -> None:
    assert device_config(names, facts, tmp_path) == config


def test_the_groups_of_device_nodes_are_the_containers(machine: Path) -> None:
    group = (machine / "dev/kfd").stat().st_gid
    expected = [str(group)] if group else None
    found = device_config(["/dev/dri/renderD128"], EngineFacts(), machine).get("GroupAdd")
    assert found == expected


def test_a_partition_is_asked_for_where_there_is_one_and_a_whole_device_elsewhere() -> None:
    part = Settings(resources=Resources(gpu=GPU("A100", 1, "1g.5gb")))
    cut = Inventory(1000, GIB, {"A100/1g.5gb": 2, "A100": 1})
    assert need_of(part, cut).accelerator == "A100/1g.5gb"
    assert need_of(part, Inventory(1000, GIB, {"A100": 1})).accelerator == "A100"


def test_variables_give_and_withhold_devices() -> None:
    greedy = EngineFacts(default_runtime="nvidia")
    assert device_environ(None, greedy) == {"NVIDIA_VISIBLE_DEVICES": "void"}
    assert device_environ(("0",), greedy) == {}
    assert device_environ(None, EngineFacts()) == {}
    assert device_environ(("gaudi:0", "gaudi:2"), EngineFacts()) == {
        "HABANA_VISIBLE_DEVICES": "0,2"
    }


# inside

LOOK = """
import json, os, resource
def read(*paths):
    for path in paths:
        try:
            with open("/sys/fs/cgroup/" + path) as file:
                return file.read().strip()
        except OSError:
            pass
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines()
              if ":\\t" in line)
size = os.statvfs("/dev/shm")
with open("/etc/flyte/secrets/k", "w") as file:
    file.write("s")
print(json.dumps({
    "memory": read("memory.max", "memory/memory.limit_in_bytes"),
    "reserved": read("memory.low", "memory/memory.soft_limit_in_bytes"),
    "swap": read("memory.swap.max", "memory/memory.memsw.limit_in_bytes"),
    "shares": read("cpu.weight", "cpu/cpu.shares"),
    "quota": read("cpu.max", "cpu/cpu.cfs_quota_us"),
    "pids": read("pids.max", "pids/pids.max"),
    "shm": size.f_blocks * size.f_frsize,
    "capabilities": [int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapInh")],
    "no_new_privileges": status["NoNewPrivs"].strip(),
    "seccomp": status["Seccomp"].strip(),
    "user": [os.getuid(), os.getgid()],
    "core": resource.getrlimit(resource.RLIMIT_CORE)[1],
    "oom": open("/proc/self/oom_score_adj").read().strip(),
    "secrets": [l.split()[2] for l in open("/proc/mounts") if l.split()[1] == "/etc/flyte/secrets"],
    "socket": os.path.exists("/var/run/docker.sock"),
}))
"""


@pytest.fixture
def seen_inside(docker_engine: Any) -> Iterator[Callable[[StartRequest], dict[str, Any]]]:
    """A function that returns what a program finds in a container of a request."""
    del docker_engine
    daemon = connect()
    made: list[str] = []

    def look(one: StartRequest) -> dict[str, Any]:
        api = daemon.api
        created = api._result(
            api._post_json(api._url("/containers/create"), data=body(one, daemon)), True
        )
        made.append(created["Id"])
        assert created["Warnings"] in ([], None)
        api.start(created["Id"])
        code = api.wait(created["Id"])["StatusCode"]
        output = api.logs(created["Id"]).decode()
        assert code == 0, output
        found: dict[str, Any] = json.loads(output)
        return found

    yield look
    for name in made:
        daemon.api.remove_container(name, force=True)
    daemon.close()


def body(one: StartRequest, daemon: Daemon) -> dict[str, Any]:
    return {
        "Image": "python:3.11-slim",
        "Entrypoint": ["python3", "-c", LOOK],
        "User": daemon.user(),
        "Env": [f"{name}={value}" for name, value in environ(one, daemon).items()],
        "Labels": {"flyte_jupyter.kind": "test"},
        "HostConfig": {"NetworkMode": "none", **host_config(one, daemon)},
    }


def test_the_limits_hold_inside(seen_inside: Callable[[StartRequest], dict[str, Any]]) -> None:
    resources = Resources(cpu=("500m", "1500m"), memory=("128Mi", "256Mi"), shm="32Mi")
    found = seen_inside(
        StartRequest(
            Prepared("key"),
            memory=resources.memory_limit,
            cpu=resources.cpu_request,
            resources=resources,
            secret_files=True,
        )
    )
    assert int(found["memory"]) == 256 * MIB
    assert int(found["reserved"]) == 128 * MIB
    # the older hierarchy counts memory and swap together
    assert found["swap"] in ("0", str(256 * MIB))
    assert found["shares"] in ("512", "20")
    assert found["quota"].split()[0] == "150000"
    assert found["pids"] == "4096"
    assert found["shm"] == 32 * MIB
    assert found["capabilities"] == [0, 0, 0, 0]
    assert (found["no_new_privileges"], found["seccomp"]) == ("1", "2")
    assert found["user"] == [os.getuid(), os.getgid()]
    assert (found["core"], found["oom"]) == (0, "500")
    assert found["secrets"] == ["tmpfs"]
    assert not found["socket"]


def test_a_single_cpu_weighs_and_is_no_quota(
    seen_inside: Callable[[StartRequest], dict[str, Any]],
) -> None:
    resources = Resources(cpu=2)
    found = seen_inside(
        StartRequest(
            Prepared("key"), cpu=resources.cpu_request, resources=resources, secret_files=True
        )
    )
    assert found["shares"] in ("2048", "79")
    assert found["quota"].split()[0] in ("-1", "max")
    assert int(found["memory"].replace("max", "0")) in (0, 0x7FFFFFFFFFFFF000)


def test_requests_above_the_machine_are_cut_to_it(
    seen_inside: Callable[[StartRequest], dict[str, Any]],
) -> None:
    resources = Resources(cpu=(1, 4000), memory="512Ti")
    found = seen_inside(
        StartRequest(
            Prepared("key"),
            memory=resources.memory_limit,
            cpu=resources.cpu_request,
            resources=resources,
            secret_files=True,
        )
    )
    assert int(found["memory"]) == 512 << 40
