"""P13: from packages to a first result, beside a Dockerfile that installs them with pip."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from timing import quiet, ratio, shown, times

PACKAGES = ("pandas", "scikit-learn")
ONE_MORE = "tabulate"
PROGRAM = """
import sys, time
import flyte_jupyter as flyte

flyte.init(target="docker")
before = flyte.TaskEnvironment("before")

@before.task
def ready() -> None:
    pass

flyte.run(ready).result()
for packages in sys.argv[1:]:
    print("next", flush=True)
    input()
    image = flyte.Image.from_debian_base().with_pip_packages(*packages.split())
    env = flyte.TaskEnvironment("science", image=image)

    @env.task
    def mean() -> float:
        import pandas, sklearn
        return float(pandas.Series([1, 2, 3]).mean())

    start = time.perf_counter()
    flyte.run(mean).result()
    print("took", time.perf_counter() - start, flush=True)
flyte.shut_down()
"""
CHECK = "import pandas, sklearn; print(pandas.Series([1, 2, 3]).mean())"
LABEL = "flyte_jupyter.benchmark"
PIP = f"""
FROM {{base}}
LABEL {LABEL}=1
RUN command -v pip || (apt-get update && apt-get install -y --no-install-recommends python3-pip)
ENV PIP_BREAK_SYSTEM_PACKAGES=1
"""
INSTALL = """
FROM {base}
LABEL {label}=1
RUN pip install --no-cache-dir {packages}
"""


def ours(home: str, wheels: str, *steps: str) -> list[float]:
    """Return the seconds of each step, in a kernel with a home and a cache of wheels."""
    program = Path(home) / "program.py"
    program.write_text(PROGRAM)
    kernel = subprocess.Popen(
        [sys.executable, str(program), *steps],
        env={**os.environ, "FLYTE_JUPYTER_HOME": home, "UV_CACHE_DIR": wheels},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert kernel.stdin is not None
    assert kernel.stdout is not None
    row = []
    for line in kernel.stdout:
        if line == "next\n":
            # somebody who adds a package has had the others for a while: what follows their first
            # use, their compilation, is done
            time.sleep(1)
            quiet()
            kernel.stdin.write("\n")
            kernel.stdin.flush()
        elif line.startswith("took"):
            row.append(float(line.split()[1]))
    if kernel.wait():
        raise RuntimeError(f"the kernel ended with {kernel.returncode}")
    return row


@contextmanager
def scratch() -> Iterator[str]:
    """Give an empty folder, removed in the end, once nobody compiles packages in it any more."""
    folder = tempfile.mkdtemp()
    yield folder
    limit = time.monotonic() + 60
    while os.path.exists(folder) and time.monotonic() < limit:
        shutil.rmtree(folder, ignore_errors=True)


def build(dockerfile: str, tag: str, *, cached: bool = True) -> None:
    """Build an image by the engine's own command, on the host's network."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "Dockerfile").write_text(dockerfile)
        flags = [] if cached else ["--no-cache"]
        subprocess.run(
            ["docker", "build", "-q", "--rm", "--network", "host", *flags, "-t", tag, folder],
            # the command's newer versions need a plugin otherwise
            env={**os.environ, "DOCKER_BUILDKIT": "0"},
            stdout=subprocess.DEVNULL,
            check=True,
        )


def with_pip(base: str, packages: str) -> float:
    """Return the seconds from a Dockerfile to a first result."""

    def work() -> None:
        text = INSTALL.format(base=base, label=LABEL, packages=packages)
        build(text, "flyte-jupyter-benchmark", cached=False)
        run = ["docker", "run", "--rm", "flyte-jupyter-benchmark", "python3", "-c", CHECK]
        subprocess.run(run, stdout=subprocess.DEVNULL, check=True)

    quiet()
    return times(work, 1)[0]


def rows(base: str) -> list[tuple[str, ...]]:
    """Return the rows of the table."""
    packages, more = " ".join(PACKAGES), " ".join((*PACKAGES, ONE_MORE))
    build(PIP.format(base=base), "flyte-jupyter-benchmark-pip")
    cold, added, pip_cold, pip_added = [], [], [], []
    try:
        for _ in range(3):
            with scratch() as wheels, scratch() as first, scratch() as second:
                quiet()
                cold.append(ours(first, wheels, packages, more)[0])
                quiet()
                added.append(ours(second, wheels, packages, more)[1])
            pip_cold.append(with_pip("flyte-jupyter-benchmark-pip", packages))
            pip_added.append(with_pip("flyte-jupyter-benchmark-pip", more))
    finally:
        subprocess.run(["docker", "rmi", "-f", "flyte-jupyter-benchmark",
                        "flyte-jupyter-benchmark-pip"], stdout=subprocess.DEVNULL)  # fmt: skip
        subprocess.run(["docker", "image", "prune", "-f", "--filter", f"label={LABEL}"],
                       stdout=subprocess.DEVNULL)  # fmt: skip
    beside = "a Dockerfile with `pip install`"
    return [
        ("P13 pandas and scikit-learn, nothing cached", shown(cold), "≤ 8,000",
         f"{beside} {shown(pip_cold)}", ratio(cold, pip_cold), "≤ 0.4"),
        ("P13 one more package, wheels cached", shown(added), "≤ 2,000",
         f"{beside} {shown(pip_added)}", ratio(added, pip_added), "≤ 0.4"),
    ]  # fmt: skip
