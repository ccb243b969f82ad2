"""The Docker engine's API: which engine, what it is, and its words in ours."""

from flyte_jupyter.daemon.connect import Daemon, connect
from flyte_jupyter.daemon.failures import explained

__all__ = ["Daemon", "connect", "explained"]
