"""The tasks that are measured, as a cell of a notebook would declare them; see `subjects`."""

from __future__ import annotations

import flyte_jupyter as flyte

fresh_env = flyte.TaskEnvironment(name="fresh")
warm_env = flyte.TaskEnvironment(name="warm", reusable=flyte.ReusePolicy(replicas=1))
pair_env = flyte.TaskEnvironment(name="pair", reusable=flyte.ReusePolicy(replicas=2))
numpy_image = flyte.Image.from_debian_base().with_pip_packages("numpy")
array_env = flyte.TaskEnvironment(
    name="array", image=numpy_image, reusable=flyte.ReusePolicy(replicas=1)
)


@fresh_env.task
def alone(x: int) -> int:
    return x


@warm_env.task
def warm(x: int) -> int:
    return x


@pair_env.task
def paired(x: int) -> int:
    return x


@array_env.task
def same(x):
    return x


@array_env.task
def more(x):
    return x + 1


@array_env.task
def made(count: int):
    import numpy

    return numpy.arange(count, dtype="f8")


@array_env.task
def last(x) -> float:
    return float(x[-1])
