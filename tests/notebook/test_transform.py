from flyte_jupyter.notebook.transform import flyte_cells


def transformed(cell: str) -> str:
    return "".join(flyte_cells(cell.splitlines(keepends=True)))


def test_the_first_line_becomes_one_line_of_python_and_the_others_stay() -> None:
    assert transformed("%%flyte_env ml --cpu 2\ndef f():\n    return 1\n") == (
        "get_ipython().run_line_magic('flyte_env', 'ml --cpu 2')\ndef f():\n    return 1\n"
    )


def test_comments_and_empty_lines_may_stand_above() -> None:
    lines = transformed("# why\n\n%%flyte_env ml\ndef f(): ...\n").splitlines()
    assert lines[0] == "# why"
    assert lines[2].startswith("get_ipython()")
    assert lines[3] == "def f(): ..."


def test_a_continued_first_line_keeps_the_numbers_of_the_others() -> None:
    cell = "%%flyte_env ml \\\n  --cpu 2 \\\n  --pip a b\ndef f(): ...\n"
    lines = transformed(cell).splitlines()
    assert lines[0] == "get_ipython().run_line_magic('flyte_env', 'ml --cpu 2 --pip a b')"
    assert lines[3] == "def f(): ..."


def test_a_cell_of_one_line_declares_without_tasks() -> None:
    assert transformed("%%flyte_env gpu\n").startswith("get_ipython().run_line_magic('flyte_env'")


def test_the_body_of_a_run_keeps_its_line_numbers() -> None:
    text = transformed("# why\n%%flyte_run --env ml\nx = 1\ny = 2\n")
    assert text == (
        "get_ipython().run_cell_magic('_flyte_run_cell', '--env ml', '#\\n#\\nx = 1\\ny = 2\\n')\n"
    )


def test_any_other_cell_is_left_alone() -> None:
    for cell in (
        "x = 1\n",
        "%%time\n%%flyte_env a\n",
        "%%flyte_environment x\n",
        "x = 1\n%%flyte_env a\n",
        "%%flyte_env?\n",
        "",
    ):
        assert transformed(cell) == cell
