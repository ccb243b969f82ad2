"""What removes the session of a killed kernel sooner than the cluster would."""

from __future__ import annotations

__all__ = ["TIDY"]

TIDY = """\
from flyte_jupyter.cluster.api import Api
from flyte_jupyter.cluster.connect import connect

until = time.monotonic() + 60
while time.monotonic() < until:
    try:
        Api(connect(told["options"])).call("DELETE", told["job"], told["how"])
    except ApiError as error:
        if error.status < 500:
            break
    except Exception:
        pass  # the cluster may be away for a moment, and nobody is there to be told
    time.sleep(1)
"""
