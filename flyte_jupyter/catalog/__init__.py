"""The one model of a session: names → declarations with their origins, overrides, changes."""

from flyte_jupyter.catalog.model import Catalog, current
from flyte_jupyter.catalog.names import Change, Declaration, Visit
from flyte_jupyter.catalog.resolve import EVERY_ACTION, Resolved

__all__ = ["EVERY_ACTION", "Catalog", "Change", "Declaration", "Resolved", "Visit", "current"]
