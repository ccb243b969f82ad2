"""Where packages come from: uv takes over what the user has set for pip.

uv reads its own variables and files, and none of pip's. Somebody whose index, proxy or certificate
is set up for pip should not have to say it twice.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping

__all__ = ["add_indexes", "uv_environment"]

# option of pip (variable PIP_..., key of pip.conf): variable of uv, how to rewrite the value
LISTS = {
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "constraint": "UV_CONSTRAINT",
}
VALUES = {
    "index-url": "UV_DEFAULT_INDEX",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
    "timeout": "UV_HTTP_TIMEOUT",
}
FLAGS = {"no-index": "UV_NO_INDEX", "pre": "UV_PRERELEASE"}
SEPARATORS = {"UV_FIND_LINKS": ","}
# older names that uv still reads: if one is set, the user has spoken to uv
ALIASES = {"UV_DEFAULT_INDEX": "UV_INDEX_URL", "UV_INDEX": "UV_EXTRA_INDEX_URL"}
# these would send the packages elsewhere, or describe the kernel's environment and not the task's
UNWANTED = frozenset(
    {
        # what uv says is read, not looked at: lines end where sentences do
        "COLUMNS",
        "VIRTUAL_ENV",
        "CONDA_PREFIX",
        "PYTHONPATH",
        "PYTHONHOME",
        "UV_BREAK_SYSTEM_PACKAGES",
        "UV_COMPILE_BYTECODE",
        "UV_NO_PROGRESS",
        "UV_PROJECT",
        "UV_PROJECT_ENVIRONMENT",
        "UV_PYTHON",
        "UV_SYSTEM_PYTHON",
        "UV_VENV_CLEAR",
        "UV_VENV_SEED",
    }
)


def uv_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables that uv is run with; nothing of them is ever recorded."""
    result = {name: value for name, value in environ.items() if name not in UNWANTED}
    for option, value in {**dict(_configured(environ)), **dict(_variables(environ))}.items():
        name, text = _translated(option, value)
        if name and text and not (result.get(name) or result.get(ALIASES.get(name, ""))):
            result[name] = text
    # package files are shared with uv's cache, so that a second environment costs no disk
    result.setdefault("UV_LINK_MODE", "hardlink")
    result["NO_COLOR"] = "1"
    return result


def add_indexes(
    environ: Mapping[str, str], index_url: str | None, extra_index_urls: tuple[str, ...]
) -> dict[str, str]:
    """Return the variables with the indexes of a layer, as variables: a command line is public."""
    result = dict(environ)
    if index_url:
        result.pop("UV_INDEX_URL", None)
        result["UV_DEFAULT_INDEX"] = index_url
    if extra_index_urls:
        earlier = [result.pop(name, "") for name in ("UV_INDEX", "UV_EXTRA_INDEX_URL")]
        result["UV_INDEX"] = " ".join([*extra_index_urls, *filter(None, earlier)])
    return result


def _translated(option: str, value: str) -> tuple[str, str]:
    if option in VALUES:
        return VALUES[option], value.strip()
    if option in FLAGS:
        on = value.strip().lower() in ("1", "true", "yes", "on")
        word = "allow" if option == "pre" else "1"
        return FLAGS[option], word if on else ""
    words = value.split()
    if option in ("find-links", "constraint"):
        # pip passes over a folder that is not there, uv refuses it
        words = [word for word in words if "://" in word or os.path.exists(word)]
    name = LISTS[option]
    return name, SEPARATORS.get(name, " ").join(words)


def _variables(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for option in (*LISTS, *VALUES, *FLAGS):
        value = environ.get("PIP_" + option.replace("-", "_").upper())
        if value:
            yield option, value


def _configured(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the options of pip's files, the more particular file last."""
    if environ.get("PIP_CONFIG_FILE") == os.devnull:
        return  # pip's own way to say that no file counts
    home = os.path.expanduser("~")
    files = [
        "/etc/pip.conf",
        os.path.join(home, ".pip", "pip.conf"),
        os.path.join(
            environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config"), "pip/pip.conf"
        ),
        os.path.join(sys.prefix, "pip.conf"),
        environ.get("PIP_CONFIG_FILE", ""),
    ]
    if sys.platform == "darwin":
        files.insert(1, os.path.join(home, "Library/Application Support/pip/pip.conf"))
    present = [file for file in files if os.path.isfile(file)]
    if not present:
        return
    from configparser import Error, RawConfigParser

    for file in present:
        parser = RawConfigParser()
        try:
            parser.read(file, encoding="utf-8")
        except (Error, OSError, UnicodeDecodeError):
            continue  # pip itself will complain; a broken file is no reason to fail here
        for section in ("global", "install"):
            if parser.has_section(section):
                for key, value in parser.items(section):
                    option = re.sub("_", "-", key)
                    if option in LISTS or option in VALUES or option in FLAGS:
                        yield option, value
