import pytest

from flyte_jupyter.notebook.complete import candidates


@pytest.fixture
def complete(cell, shell, session_catalog):
    cell("%%flyte_env ml-training --queue gpus\ndef train(rows=1, rate=0.1): ...\n")
    cell("%%flyte_env data\ndef clean(rows): ...\n")

    def texts(line: str) -> list[str] | None:
        completion = candidates(line, session_catalog, shell.user_ns)
        return None if completion is None else [each.text for each in completion.candidates]

    return texts


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("%%flyte_env ml --cp", ["--cpu"]),
        ("%%flyte_env ml --no-", ["--no-interruptible", "--no-network"]),
        ("%%flyte_env m", ["ml-training"]),
        ("%%flyte_env x --depends-on ", None),
        ("%%flyte_env x --depends-on d", ["data"]),
        ("%%flyte_env x --accelerator nvidia_k", ["NVIDIA_K80", "NVIDIA_K80_SHARED"]),
        ("%%flyte_env x --cache ", ["auto", "override", "disable"]),
        ("%flyte_run --on l", ["local"]),
        ("%flyte_run --task_q", ["--task-queue"]),
        ("%flyte_run --task-queue g", ["gpus"]),
        ("%flyte_run tr", ["train"]),
        ("result = %flyte_run tr", ["train"]),
        ("%flyte_run --cpu 2 cl", ["clean"]),
        ("%flyte_run train(", ["rows=", "rate="]),
        ("%flyte_run train(rows=3, ra", ["rate="]),
        ("%flyte_explain cl", ["clean"]),
        ("%%flyte_run --env d", ["data"]),
        ("%flyte_envs d", ["data"]),
    ],
)
def test_what_can_stand_next_is_offered(complete, line: str, expected: list[str] | None) -> None:
    found = complete(line)
    if expected is None:
        assert "data" in found
        assert "--cpu" in found
    else:
        assert found == expected


@pytest.mark.parametrize(
    "line", ["x = 1", "%time f", "%flyte_run train(rows=", "%flyte_run train(len(", "flyte_run tr"]
)
def test_what_python_knows_better_is_left_to_it(complete, line: str) -> None:
    assert complete(line) is None


def test_the_shell_offers_it_and_nothing_else(cell, shell) -> None:
    cell("%%flyte_env ml\ndef train(rows): ...\n")
    from IPython.core.completer import provisionalcompleter

    with provisionalcompleter():
        for line, expected in (
            ("%flyte_run --cp", {"--cpu"}),
            ("%flyte_run train(ro", {"rows="}),
            ("%%flyte_env other --depends-on m", {"ml"}),
        ):
            found = {each.text: each.type for each in shell.Completer.completions(line, len(line))}
            assert set(found) == expected, line
