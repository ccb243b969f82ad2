"""Every piece of code in the documents is executed, or it is said what becomes of it."""

from __future__ import annotations

import ast
from typing import Any

import pytest
from document_accounts import ACCOUNTS, MEANINGS, NO_CODE, TWINS, only
from document_parts import Document

each = pytest.mark.parametrize("played", ACCOUNTS, indirect=True, ids=lambda a: a.name)

TASKS_OF_TWINS = """
twins = flyte.TaskEnvironment("twins")

@twins.task
def greet() -> str:
    return "hello"

@twins.task
async def hello(name: str) -> str:
    return "hello " + name
"""


def test_every_document_of_the_folder_is_known(documents: dict[str, Document]) -> None:
    known = {account.digest for account in ACCOUNTS}
    assert [d.file for d in documents.values() if d.digest not in known] == []


def test_every_fenced_block_is_python(documents: dict[str, Document]) -> None:
    languages = {language for d in documents.values() for language, _ in d.blocks}
    assert languages == {"python"}


@each
def test_every_block_runs_as_it_stands(played: Any) -> None:
    assert len(played.answers) == played.account.blocks
    assert [(a.printed, a.shown, a.error) for a in played.answers] == [
        ("", "", "") for _ in played.answers
    ]


@each
def test_a_document_declares_its_environments_and_tasks(played: Any) -> None:
    assert played.declared == played.account.environments


@each
def test_every_fragment_is_accounted_for(played: Any) -> None:
    accounted = {*MEANINGS, *TWINS, *NO_CODE}
    assert [f for f in played.document.fragments if f not in accounted] == []


@each
def test_every_name_in_a_sentence_means_something(played: Any) -> None:
    names = [fragment for fragment in played.document.fragments if fragment in MEANINGS]
    meant = {name: played.kernel.cell(MEANINGS[name]).shown for name in names}
    assert meant == dict.fromkeys(names, "True")


@pytest.mark.parametrize("fragment", TWINS)
def test_a_fragment_with_a_twin_is_no_python(fragment: str) -> None:
    with pytest.raises(SyntaxError):
        compile(fragment, "fragment", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@only("environments-and-overrides")
def test_every_fragment_that_is_no_python_has_a_twin_that_runs(played: Any) -> None:
    played.kernel.does(TASKS_OF_TWINS)
    fragments = [fragment for fragment in played.document.fragments if fragment in TWINS]
    assert fragments == list(TWINS)
    for fragment in fragments:
        answer = played.kernel.does(TWINS[fragment].cell)
        assert answer.printed == TWINS[fragment].gives
