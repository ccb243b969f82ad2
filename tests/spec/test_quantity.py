"""Kubernetes quantities."""

from __future__ import annotations

import pytest

from flyte_jupyter.errors import SpecError
from flyte_jupyter.spec.quantity import format_bytes, format_cpu, parse_bytes, parse_cpu


@pytest.mark.parametrize(
    ("given", "millis"),
    [(1, 1000), (0.5, 500), ("500m", 500), ("2", 2000), ("0.1", 100), (".5", 500), ("1e0", 1000),
     (0, 0), ("100000000n", 100), (1e-3, 1)],
)  # fmt: skip
def test_cpu_is_read_in_millicores(given: object, millis: int) -> None:
    assert parse_cpu(given) == millis


@pytest.mark.parametrize(
    ("given", "count"),
    [("250Mi", 250 * 2**20), ("1G", 10**9), ("1.5Gi", 3 * 2**29), ("128e6", 128_000_000),
     ("1Ti", 2**40), ("2000000k", 2 * 10**9), ("0", 0), ("1.5G", 1_500_000_000)],
)  # fmt: skip
def test_memory_is_read_in_bytes(given: str, count: int) -> None:
    assert parse_bytes(given) == count


@pytest.mark.parametrize("count", [2**20, 10**9, 3 * 2**29, 1_234_567, 5 * 10**12, 2**60])
def test_bytes_are_written_as_they_are_read(count: int) -> None:
    assert parse_bytes(format_bytes(count)) == count


@pytest.mark.parametrize("millis", [1, 500, 1000, 1500, 64_000])
def test_cpu_is_written_as_it_is_read(millis: int) -> None:
    assert parse_cpu(format_cpu(millis)) == millis


def test_amounts_are_written_in_the_unit_that_divides_them() -> None:
    assert format_bytes(4 * 2**30) == "4Gi"
    assert format_bytes(10**9) == "1G"
    assert format_bytes(0) == "0"
    assert (format_cpu(2000), format_cpu(500)) == ("2", "500m")


@pytest.mark.parametrize("text", ["", " ", ".", "Gi", "1Gi2", "1e", "--1", "1,5Gi", "∞", "\uff11G"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(SpecError):
        parse_bytes(text)
