"""What user code raised keeps its type; what to do about it is found by its words."""

from __future__ import annotations

from typing import Any

import pytest

from flyte_jupyter.diagnose import Raised, advise

MIB = 1 << 20
POOL = (
    "A process in the process pool was terminated abruptly while the future was running or pending."
)
LOADER = (
    "DataLoader worker (pid 31) is killed by signal: Bus error. It is possible that dataloader's "
    "workers are out of shared memory. Please try to raise your shared memory limit."
)
CUDA = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 14.75 GiB"
STARTED = '  File "subprocess.py", line 1901, in _execute_child\n'
REFUSED = "[Errno 111] Connection refused"


def raised(kind: str, sentence: str, **known: Any) -> Raised:
    return Raised(kind, sentence, **{"task": "env.task", "target": "docker", **known})


CASES: tuple[tuple[Raised, str], ...] = (
    (raised("ModuleNotFoundError", "No module named 'sklearn.svm'"), '"scikit-learn"'),
    (raised("ModuleNotFoundError", "No module named 'pandas'"), '.with_pip_packages("pandas")'),
    (
        raised("ImportError", "libGL.so.1: cannot open shared object file: No such file"),
        '.with_apt_packages("libgl1")',
    ),
    (raised("ImportError", "libours.so.1: cannot open shared object file: No such file"), ""),
    (
        raised(
            "FileNotFoundError", "[Errno 2] No such file or directory: 'dot'", traceback=STARTED
        ),
        '.with_apt_packages("graphviz")',
    ),
    (raised("FileNotFoundError", "[Errno 2] No such file or directory: 'dot'"), ""),
    (
        raised("CalledProcessError", "Command 'cc -c x.c' returned non-zero exit status 127."),
        '.with_apt_packages("gcc")',
    ),
    (
        raised(
            "CalledProcessError",
            "Command './build.sh' returned non-zero exit status 127.",
            output="./build.sh: 3: cmake: not found\n",
        ),
        '.with_apt_packages("cmake")',
    ),
    (raised("OSError", "[Errno 8] Exec format error: './tool'"), "another kind of processor"),
    # memory
    (raised("MemoryError", "", memory_limit=64 * MIB), 'memory="128Mi"'),
    (raised("_ArrayMemoryError", "Unable to allocate 8.00 GiB"), "take less at a time"),
    (raised("BrokenProcessPool", POOL, memory_limit=64 * MIB, oom_kills=1), "limit of 64Mi"),
    (raised("BrokenProcessPool", POOL, oom_kills=2), "2 of its processes were ended because the"),
    (raised("BrokenProcessPool", POOL), "most often for lack of memory"),
    (
        raised("CalledProcessError", "Command 'x' died with <Signals.SIGKILL: 9>.", oom_kills=1),
        "A process that it started was ended",
    ),
    (
        raised("RuntimeError", "DataLoader worker (pid 7) is killed by signal: Killed.", shm=MIB),
        "most often for lack of memory",
    ),
    (raised("RuntimeError", LOADER, shm=64 * MIB), "/dev/shm has 64Mi): give it more, .override("),
    (
        raised("OSError", "[Errno 28] No space left on device: '/dev/shm/x'", shm=64 * MIB),
        'flyte.Resources(shm="1Gi")',
    ),
    (
        raised("OSError", "[Errno 28] No space left on device", full=("/dev/shm",)),
        "Shared memory ran out",
    ),
    # disks and files
    (raised("OSError", "[Errno 28] No space left on device"), "The disk that it wrote to is full"),
    (
        raised("OSError", "[Errno 122] Disk quota exceeded: 'x'"),
        "The disk that it wrote to is full",
    ),
    (raised("RuntimeError", "write failed: No space left on device"), "The disk"),
    (raised("PermissionError", "[Errno 13] Permission denied: '/data/x'"), "without rights"),
    (raised("PermissionError", "[Errno 13] Permission denied: '/x'", target="local"), ""),
    (raised("OSError", "[Errno 30] Read-only file system: '/opt/x'"), "mounted read-only"),
    # network
    (raised("OSError", "[Errno 101] Network is unreachable", network=False), "network=False"),
    (
        raised("URLError", "<urlopen error [Errno -3] Temporary failure in name resolution>"),
        "could not be resolved from the container",
    ),
    (
        raised("gaierror", "[Errno -2] Name or service not known", network=False),
        "network=False",
    ),
    (raised("ConnectTimeout", "HTTPSConnectionPool(...)", network=False), "network=False"),
    (raised("ConnectionRefusedError", REFUSED, traceback='("localhost", 80)'), "localhost is"),
    (raised("ConnectionRefusedError", REFUSED), ""),
    (raised("ConnectionRefusedError", REFUSED, traceback="localhost", target="local"), ""),
    # accelerators
    (raised("OutOfMemoryError", CUDA), "take smaller batches"),
    (raised("RuntimeError", "No CUDA GPUs are available"), "asks for no accelerator"),
    (
        raised("RuntimeError", "Found no NVIDIA driver on your system", accelerator="A100:1"),
        "It asked for A100:1 and its code sees none",
    ),
    (raised("AssertionError", "Torch not compiled with CUDA enabled"), "asks for no accelerator"),
    # what nothing is known of
    (raised("ValueError", "bad"), ""),
    (raised("KeyError", "'Killed'"), ""),
    (raised("KeyError", "'Killed'", oom_kills=1, memory_limit=MIB), "memory limit of 1Mi"),
)


@pytest.mark.parametrize(
    ("known", "words"), CASES, ids=[f"{k.type}: {k.sentence[:40]}" for k, _ in CASES]
)
def test_advice_fits_what_was_raised(known: Raised, words: str) -> None:
    said = advise(known)
    if words:
        assert words in said
        assert said.endswith(".")
    else:
        assert said == ""
