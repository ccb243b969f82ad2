"""Which proxy leads to a cluster."""

from __future__ import annotations

import pytest

from flyte_jupyter.cluster.proxy import find_proxy
from flyte_jupyter.errors import TargetError


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_there_is_none_where_nothing_names_one() -> None:
    assert find_proxy("https://cluster.example", None) is None


def test_the_environment_s_is_for_what_is_spoken(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTPS_PROXY", "proxy.example:3128")
    assert str(find_proxy("https://cluster.example", None)) == "http://proxy.example:3128"
    assert find_proxy("http://cluster.example", None) is None
    assert find_proxy("https://127.0.0.1:6443", None) is None


@pytest.mark.parametrize(
    ("url", "left_out"),
    [
        ("https://cluster.example", "other.example, cluster.example"),
        ("https://a.cluster.example", ".cluster.example"),
        ("https://a.cluster.example", "*.cluster.example"),
        ("https://10.1.2.3:6443", "10.0.0.0/8"),
        ("https://cluster.example", "*"),
    ],
)
def test_hosts_that_are_left_out_need_none(
    url: str, left_out: str, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("HTTPS_PROXY", "http://proxy.example")
    assert find_proxy(url, None) is not None
    environment.setenv("NO_PROXY", left_out)
    assert find_proxy(url, None) is None


def test_the_kubeconfig_s_holds_whatever_the_environment_says(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("HTTPS_PROXY", "http://proxy.example")
    environment.setenv("NO_PROXY", "*")
    found = find_proxy("https://cluster.example", "https://own.example:8443")
    assert str(found) == "https://own.example:8443"


def test_what_one_logs_in_with_is_not_shown() -> None:
    found = find_proxy("https://cluster.example", "http://me:s3cret@own.example")
    assert found is not None
    assert found.headers
    assert "s3cret" not in f"{found} {found!r}"
    assert "bTpz" not in f"{found!r}"


@pytest.mark.parametrize("url", ["socks5://me:s3cret@own.example:1080", "http://", "http://a:b:c"])
def test_one_that_speaks_something_else_is_told(url: str) -> None:
    with pytest.raises(TargetError, match="cannot be used") as caught:
        find_proxy("https://cluster.example", url)
    assert "s3cret" not in str(caught.value)
