"""Pods of a Kubernetes cluster as workers."""

from flyte_jupyter.targets.kubernetes.target import KubernetesTarget

__all__ = ["KubernetesTarget"]
