"""What works on this machine, found out by trying, said in plain sentences."""

from flyte_jupyter.doctor.cluster import examine_cluster
from flyte_jupyter.doctor.finding import Finding
from flyte_jupyter.doctor.machine import examine, examine_target

__all__ = ["Finding", "examine", "examine_cluster", "examine_target"]
