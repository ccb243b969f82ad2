"""A kubeconfig is read by several threads at once: the engine's, a panel's, a side bar's."""

from __future__ import annotations

import base64
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
import yaml
from kubernetes.config import kube_config

from flyte_jupyter.cluster.kubeconfig import read

THREADS, ROUNDS = 4, 400


def test_every_thread_gets_the_whole_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # those that are removed below are not those of other clients of this process
    monkeypatch.setattr(kube_config, "_temp_files", {})
    file, interval, together = tmp_path / "config", sys.getswitchinterval(), Barrier(THREADS)

    def certificate(number: int) -> tuple[int, int]:
        together.wait()
        return number, len(Path(read(str(file), "one").ssl_ca_cert).read_bytes())

    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(THREADS) as threads:
            for number in range(ROUNDS):
                content = f"{number}\n".encode() * 20
                file.write_text(yaml.safe_dump(described(content)))
                for found in threads.map(certificate, [number] * THREADS):
                    assert found == (number, len(content))
    finally:
        sys.setswitchinterval(interval)
        kube_config._cleanup_temp_files()


def test_a_certificate_is_there_again_after_the_system_has_swept_its_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kube_config, "_temp_files", {})
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    file = tmp_path / "config"
    file.write_text(yaml.safe_dump(described(b"whole")))
    place = Path(read(str(file), "one").ssl_ca_cert)
    place.unlink()
    assert Path(read(str(file), "one").ssl_ca_cert).read_bytes() == b"whole"


def described(certificate: bytes) -> dict[str, object]:
    data = base64.b64encode(certificate).decode()
    cluster = {"server": "https://nowhere", "certificate-authority-data": data}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "one",
        "clusters": [{"name": "there", "cluster": cluster}],
        "users": [{"name": "me", "user": {"token": "secret"}}],
        "contexts": [{"name": "one", "context": {"cluster": "there", "user": "me"}}],
    }
