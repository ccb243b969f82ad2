"""Tasks that a task calls: stubs in its container, capsules of their own."""

from __future__ import annotations

from flyte_jupyter.capsule import collect_units


def test_a_child_is_a_stub_without_its_packages(notebook, elsewhere, version):
    notebook.cell(
        "import numpy\n@env.task\ndef child(x: int, y: int = 2) -> int:\n    return numpy.zeros(x)"
    )
    notebook.cell("@env.task\ndef f(x):\n    return child(x)")
    capsule = notebook.capsule()
    assert capsule.children == ("env.child",)
    assert capsule.modules == ()
    outcome = elsewhere(capsule, 4, version=version)
    assert outcome.value == ["called", "env.child", 4]
    assert outcome.calls == (["env.child", ["x"], False],)


def test_arguments_are_checked_against_the_childs_signature(notebook):
    notebook.cell("@env.task\ndef child(x): return x\n@env.task\ndef f():\n    return child(y=1)")
    assert notebook.fail().error.startswith("InputError: child() ")


def test_an_async_child_is_awaited(notebook):
    notebook.cell(
        "@env.task\nasync def child(x): return x\n@env.task\nasync def f():\n"
        "    return await child.aio(1)"
    )
    assert notebook.run() == ["called", "env.child", 1]


def test_a_task_that_calls_itself_calls_a_child(notebook):
    notebook.cell("@env.task\ndef f(n: int):\n    return n * f(n - 1)[2] if n else 1")
    capsule = notebook.capsule()
    assert capsule.children == ("env.f",)
    assert notebook.run(3) == 6
    assert list(collect_units(notebook.names["f"])) == ["env.f"]


def test_an_overridden_task_carries_its_overrides(notebook, elsewhere):
    notebook.cell(
        "@env.task\ndef child(x): return x\nfast = child.override(retries=3)\n"
        "@env.task\ndef f():\n    return fast(1), child(2)"
    )
    outcome = elsewhere(notebook.capsule())
    assert outcome.calls == (["env.child", ["x"], True], ["env.child", ["x"], False])


def test_tasks_in_a_table_are_stubs(notebook):
    notebook.cell(
        "@env.task\ndef a(x): return x\n@env.task\ndef b(x): return x\n"
        "steps = {'a': a, 'more': [b]}\n@env.task\ndef f():\n"
        "    return steps['a'](1), steps['more'][0](2)"
    )
    assert notebook.run() == (["called", "env.a", 1], ["called", "env.b", 2])
    assert notebook.capsule().children == ("env.a", "env.b")


def test_units_are_the_capsules_of_all_tasks_that_may_be_called(notebook):
    notebook.cell(
        "@env.task\ndef c(): return 1\n@env.task\ndef b(): return [c() for _ in 'ab']\n"
        "def helper(): return b()\n@env.task\ndef a(): return helper()"
    )
    units = collect_units(notebook.names["a"])
    assert sorted(units) == ["env.a", "env.b", "env.c"]
    assert units["env.a"].children == ("env.b",)
    assert units["env.b"].task is notebook.names["b"]


def test_an_environment_is_known_by_name(notebook):
    notebook.cell("@env.task\ndef f():\n    return env.name")
    assert notebook.run(version="3.9") == "env"


def test_decorators_below_the_tasks_are_part_of_the_task(notebook):
    notebook.cell(
        "import functools\ndef twice(f):\n    @functools.wraps(f)\n    def inner(*a):\n"
        "        return 2 * f(*a)\n    return inner\n@env.task\n@twice\ndef f(x): return x"
    )
    assert notebook.run(4) == 8


def test_the_interface_travels(notebook):
    notebook.cell("@env.task\ndef f(x: int, y: str = 'a') -> list[int]: return [x]")
    capsule = notebook.capsule()
    assert list(capsule.interface["inputs"]) == ["x", "y"]
    assert capsule.payload["interface"] == capsule.interface


def test_a_child_that_is_called_with_overrides_is_declared_without_them(notebook):
    notebook.cell(
        "@env.task(retries=1)\ndef child(x): return x\nfast = child.override(retries=3)\n"
        "@env.task\ndef f():\n    return fast(1), child(2)"
    )
    (child,) = notebook.capsule().child_tasks.values()
    assert not child.overrides
    assert child.settings == notebook.names["child"].settings
