"""The documents' own tasks run as they stand, each with what its environment says.

Most functions of the documents have the body ``...``. Executed, it returns None where the
annotation promises a value, and the run says that. Complete twins run beside them.
"""

from __future__ import annotations

from typing import Any

import pytest
from document_accounts import BY_NAME, only

hello = only("environments-and-overrides", "task-environments")


# The documents' own tasks, as they stand


@only("task-environment")
def test_the_minimal_example_runs(played: Any) -> None:
    assert played.kernel.value("flyte.run(hello).result()") == "Hello from Flyte!"


PLACEHOLDERS = (
    ("env1.say_hello", "say_hello, 'text', [1, 2]", "str"),
    ("env2.square", "square", "int"),
    ("env2.square", "square, i=4", "int"),
    ("env1.hello_wf", "hello_wf", "str"),
)
MORE_PLACEHOLDERS = (
    ("data_processing.load_data", "load_data, 'file'", "dict"),
    ("data_processing.transform_data", "transform_data, {'a': 1}", "dict"),
    ("light.preprocess", "preprocess, 'text'", "str"),
    ("heavy.train_model", "train_model, data='text'", "dict"),
)


def assert_placeholders(kernel: Any, rows: tuple[tuple[str, str, str], ...]) -> None:
    for task, call, promised in rows:
        error = kernel.cell(f"flyte.run({call}).outputs()").error
        assert error.endswith(
            f"RuntimeDataValidationError: The output of {task} must be {promised}, but it is None."
        )


@hello
def test_a_placeholder_runs_and_says_that_it_returns_nothing(played: Any) -> None:
    assert_placeholders(played.kernel, PLACEHOLDERS)


@only("task-environment")
def test_so_do_the_placeholders_of_several_environments(played: Any) -> None:
    rows = MORE_PLACEHOLDERS
    if played.target == "kubernetes":
        # a pod waits for a node that has so much free, however long that takes
        small = "{}.override(resources=flyte.Resources(cpu=1, memory='128Mi')), {}"
        calls = [call.split(", ", 1) for _, call, _ in rows]
        rows = tuple((row[0], small.format(*c), row[2]) for row, c in zip(rows, calls, strict=True))
    assert_placeholders(played.kernel, rows)


@only("depends-on")
def test_the_pipeline_fails_because_its_step_takes_no_inputs(
    played: Any, needs_python: Any
) -> None:
    if played.target == "local":
        needs_python("3.12")  # the image of its environment is python:3.12-slim
    kernel = played.kernel
    kernel.does("run = flyte.run(ml_pipeline).wait()")
    assert kernel.does("print(type(run.error).__name__, run.error, sep='\\n')").printed == (
        "InputError\n"
        "train_model() takes no inputs, but 1 was given: {'model_path': '/models/latest'}."
    )
    assert kernel.value("[(a.task, str(a.phase)) for a in run.actions]") == [
        ("base-utils.ml_pipeline", "failed"),
        ("base-utils.load_config", "succeeded"),
    ]


@only("depends-on")
def test_a_task_runs_though_no_task_of_what_it_depends_on_ever_ran(played: Any) -> None:
    kernel = played.kernel
    kernel.does("run = flyte.run(train_model)")
    assert kernel.value("run.result()") == "model_trained"
    assert kernel.value("[a.task for a in run.actions]") == ["ml-training.train_model"]


@pytest.mark.parametrize("target", ["local", "docker"], indirect=True, scope="module")
def test_a_request_above_the_machine_is_clamped_and_said(documents: Any, kernel: Any) -> None:
    account = BY_NAME["depends-on"]
    for source in (*account.preamble, documents[account.digest].python[0]):
        kernel.does(source)
    shown = kernel.does("%flyte_run train_model()").shown
    assert "✓ train_model succeeded [ml-training, cpu 8, memory 16Gi, gpu A100:2]\n" in shown
    assert "note: ml-training.train_model asks for cpu 8, memory 16Gi, 2 × A100 and runs" in shown


@only("depends-on")
def test_a_task_follows_the_new_declaration_of_its_environment(played: Any) -> None:
    # the second block declares ml-training again, without resources
    assert played.kernel.does("%flyte_run train_model()").shown.startswith(
        "Run(train_model: succeeded)\n✓ train_model succeeded [ml-training]\n"
    )


CORRECTED_STEP = """
@ml_env.task
async def train_model(config: dict) -> str:
    return "trained on " + config["model_path"]
"""


@only("depends-on")
def test_the_pipeline_runs_once_its_step_takes_the_config(played: Any, needs_python: Any) -> None:
    if played.target == "local":
        needs_python("3.12")
    kernel = played.kernel
    kernel.does("uncorrected = train_model")
    kernel.does(CORRECTED_STEP)
    assert kernel.value("flyte.run(ml_pipeline).result()") == "trained on /models/latest"
    kernel.does("train_model = uncorrected")


@only("alphafold")
def test_the_orchestrator_needs_its_tasks_to_be_declared(played: Any) -> None:
    error = played.kernel.cell("flyte.run(alphafold_workflow, 'MKV').result()").error
    assert error.endswith("NameError: name 'preprocess_data' is not defined")


STEPS = """
import importlib.util

@preprocessing_env.task
def preprocess_data(sequence_data: str) -> list:
    return sequence_data.split()

@alphafold_env.task
def run_alphafold(preprocessed: list) -> dict:
    return {"residues": len(preprocessed)}

@viz_env.task
def visualize_results(prediction: dict) -> str:
    return "#" * prediction["residues"]
"""


@only("alphafold")
def test_the_orchestrator_runs_as_it_stands_over_tasks_of_three_environments(played: Any) -> None:
    kernel = played.kernel
    kernel.does(STEPS)
    kernel.does("run = flyte.run(alphafold_workflow, 'M K V')")
    assert kernel.value("run.result()") == "###"
    assert kernel.value("[a.environment for a in run.actions]") == [
        "orchestrator",
        "preprocessing",
        "alphafold",
        "visualization",
    ]
    kernel.does("del preprocess_data, run_alphafold, visualize_results")


# Containers and resources


@hello
def test_each_task_has_the_resources_of_its_own_environment(played: Any) -> None:
    rows = [
        ("say_hello, 'text', [1]", "env1", ""),
        ("hello_wf", "env1", ""),
        ("square", "env2", "cpu 1, memory 250Mi"),
    ]
    for call, environment, resources in rows:
        played.kernel.does(f"root = flyte.run({call}).wait().actions[0]")
        assert played.kernel.value("(root.environment, root.resources)") == (environment, resources)


MEMORY = """
@env1.task
def unbounded(mib: int) -> int:
    return len(bytearray(mib << 20))

@env2.task
def bounded(mib: int) -> int:
    return len(bytearray(mib << 20))
"""


@hello
def test_the_memory_of_env2_is_a_limit_and_env1_has_none(played: Any) -> None:
    kernel = played.kernel
    kernel.does(MEMORY)
    assert kernel.value("flyte.run(unbounded, 600).result()") == 600 << 20
    assert kernel.value("flyte.run(bounded, 50).result()") == 50 << 20
    error = kernel.cell("flyte.run(bounded, 600).result()").error
    assert error.startswith(
        "OOMError: env2.bounded used more memory than its limit of 250Mi and was ended.\n"
    )
    assert error.endswith('Give it more: .override(resources=flyte.Resources(memory="500Mi")).')


PROCESSES = """
import sys

@env1.task
async def leaf() -> int:
    sys.calls = getattr(sys, "calls", 0) + 1
    return sys.calls

@env1.task
async def tree() -> list:
    return [await leaf(), await leaf(), getattr(sys, "calls", 0)]
"""


@hello
def test_every_task_runs_in_a_process_of_its_own(played: Any) -> None:
    played.kernel.does(PROCESSES)
    for _ in range(2):
        assert played.kernel.value("flyte.run(tree).result()") == [1, 1, 0]
    assert played.kernel.value("hasattr(sys, 'calls')") is False


@only("task-environment")
def test_limits_are_requests_as_well_and_an_accelerator_is_one(played: Any) -> None:
    kernel = played.kernel
    assert kernel.value(
        "[(r.cpu_request, r.cpu_limit, r.memory_request >> 30, r.memory_limit >> 30)"
        " for r in (light_env.resources, heavy_env.resources)]"
    ) == [(1000, 1000, 2, 2), (8000, 8000, 32, 32)]
    kernel.does(
        "gpu = flyte.TaskEnvironment('gpu_training', limits=flyte.Resources(gpu='1'),"
        " accelerator=flyte.GPUAccelerator.NVIDIA_A10G).resources.device"
    )
    assert kernel.value("(gpu.device_class, gpu.device, gpu.quantity)") == ("GPU", "A10G", 1)


@only("task-environment")
def test_all_tasks_of_an_environment_share_its_configuration(played: Any) -> None:
    # a node need not have 2 free processors: there it waits, and is not waited for
    end = "abort" if played.target == "kubernetes" else "wait"
    for call in ("load_data, 'file'", "transform_data, {}"):
        played.kernel.does(f"run = flyte.run({call})\nrun.{end}()\nroot = run.actions[0]")
        assert played.kernel.value("root.resources") == "cpu 2, memory 8Gi"


# Images


BARE = """
bare = flyte.TaskEnvironment("bare")

@bare.task
def finds(names: list[str]) -> list[str]:
    from importlib.util import find_spec
    return [name for name in names if find_spec(name)]
"""


@only("task-environment")
def test_the_default_image_has_python_and_flyte_and_nothing_of_the_kernel(played: Any) -> None:
    played.kernel.does(BARE)
    modules = ["json", "flyte", "IPython", "nbclient", "ipykernel"]
    assert played.kernel.value(f"flyte.run(finds, {modules}).result()") == ["json", "flyte"]


PACKAGES = """
ml_env = flyte.TaskEnvironment("ml_env", image=image)

@ml_env.task
def mean_alcohol() -> float:
    import pandas
    from sklearn.datasets import load_wine
    return round(float(load_wine(as_frame=True).frame["alcohol"].mean()), 3)
"""


@only("task-environment")
def test_a_task_has_the_packages_of_its_image_and_the_kernel_has_not(played: Any) -> None:
    kernel = played.kernel
    kernel.does(PACKAGES)
    assert kernel.value("flyte.run(mean_alcohol).result()") == 13.001
    kernel.does("from importlib.util import find_spec")
    assert kernel.value("[n for n in ('pandas', 'sklearn') if find_spec(n)]") == []


@only("depends-on")
def test_an_image_of_another_python_runs_on_that_python(
    played: Any, request: pytest.FixtureRequest
) -> None:
    if played.target == "local":
        request.getfixturevalue("needs_python")("3.12")
        version = "3.12"
    else:
        # what has this name may stand in for it, with another Python
        version = request.getfixturevalue("inside")("python:3.12-slim")[1]
    kernel = played.kernel
    kernel.does(
        "slim = flyte.TaskEnvironment('slim', image='python:3.12-slim')\n"
        "@slim.task\n"
        "def version() -> str:\n"
        "    import sys\n"
        "    return '{}.{}'.format(*sys.version_info)\n"
    )
    assert kernel.value("flyte.run(version).result()") == ".".join(version.split(".")[:2])
