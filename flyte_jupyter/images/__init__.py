"""An image made startable: a cached virtual environment of this machine, or an engine's image.

What is for containers is imported from its module: who works on this machine needs none of it.
"""

from flyte_jupyter.images.environments import Prepared, VirtualEnvironments
from flyte_jupyter.images.interpreters import Interpreter, Interpreters
from flyte_jupyter.images.recipe import layers_not_built

__all__ = ["Interpreter", "Interpreters", "Prepared", "VirtualEnvironments", "layers_not_built"]
