"""The target ``docker``: a container of a Docker engine for each worker."""

from flyte_jupyter.targets.docker.target import DockerTarget

__all__ = ["DockerTarget"]
