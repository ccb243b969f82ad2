import pytest

from flyte_jupyter.images.failures import CAUSES, DEFAULT_REMEDY, failure, is_network_failure

# what uv says, one for each row of the table of causes
SAYINGS = [
    "error: failed to write to file: No space left on device (os error 28)",
    "error: HTTP status client error (401 Unauthorized) for url (https://***@host/simple/x/)",
    "error: invalid peer certificate: UnknownIssuer",
    "error: Failed to fetch: x\n  cause: tcp connect error\n  cause: Connection refused",
    "error: No solution found when resolving dependencies\n"
    "  cause: Because appel was not found in the package registry, it is unsatisfiable.",
    "  \u00d7 No solution found when resolving dependencies:\n"
    "  ╰─▶ Because there is no version of six==99 and you require six==99, it is unsatisfiable.",
    "error: No solution found when resolving dependencies\n"
    "  cause: Because the current Python version (3.9.2) does not satisfy Python>=3.11, no.",
    "error: Failed to build `numpy==1.21.0`\n  cause: The build backend returned an error",
    "error: No solution found when resolving dependencies\n"
    "  cause: Because you require a<2 and a>2, your requirements are unsatisfiable.",
    "error: Failed to parse: `foo bar`",
]


@pytest.mark.parametrize(("cause", "saying"), list(zip(CAUSES, SAYINGS, strict=True)))
def test_each_cause_is_told_by_uvs_words_and_has_its_remedy(cause, saying):
    error = failure("pip x", saying.splitlines())
    assert error.remedy.split("{")[0].startswith(cause.remedy.split("{")[0])
    assert "{" not in error.remedy


def test_the_sentence_is_uvs_own():
    assert failure("pip six==99", SAYINGS[5].splitlines()).sentence == (
        "pip six==99 could not be installed: Because there is no version of six==99 and you "
        "require six==99, it is unsatisfiable."
    )


def test_what_uv_says_beside_its_sentence_is_the_evidence():
    error = failure("pip numpy", SAYINGS[7].splitlines())
    assert error.sentence == "pip numpy could not be installed: Failed to build `numpy==1.21.0`."
    assert error.evidence == ("  cause: The build backend returned an error",)


def test_long_evidence_keeps_its_end():
    error = failure("pip x", ["error: it broke", *map(str, range(100))])
    assert error.evidence[0] == "…"
    assert error.evidence[-1] == "99"
    assert len(error.evidence) == 41


def test_an_unknown_failure_still_says_what_uv_said():
    error = failure("pip x", ["Resolved 1 package", "error: something new"])
    assert error.sentence == "pip x could not be installed: something new."
    assert error.remedy == DEFAULT_REMEDY
    assert failure("pip x", []).sentence == "pip x could not be installed: uv said nothing."


def test_only_a_network_that_fails_is_a_network_failure():
    assert is_network_failure([SAYINGS[3]])
    assert not is_network_failure([SAYINGS[4]])
