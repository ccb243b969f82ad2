from flyte_jupyter.spec.amounts import readable_bytes, readable_seconds


def test_durations_read_as_a_reader_says_them() -> None:
    said = [readable_seconds(seconds) for seconds in (0.04, 3.14, 9.96, 59.6, 200, 3700)]
    assert said == ["40 ms", "3.1 s", "10 s", "1 min 0 s", "3 min 20 s", "1 h 1 min"]


def test_sizes_read_as_a_reader_says_them() -> None:
    said = [readable_bytes(count) for count in (0, 812, 1_300_000, 1 << 30, 5 << 40)]
    assert said == ["0 B", "812 B", "1.2 MiB", "1.0 GiB", "5120.0 GiB"]
