import pytest

from flyte_jupyter.images.redaction import redact, secret_values


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://bob:pw@host/simple", "https://***@host/simple"),
        (
            "GET `https://token@host/a` and http://x:y@z/",
            "GET `https://***@host/a` and http://***@z/",
        ),
        ("https://host/simple?token=abc&page=2", "https://host/simple?token=***&page=2"),
        ("https://host/f?X-Amz-Signature=abc", "https://host/f?X-Amz-Signature=***"),
        ("bob@example.org wrote https://host/a@b", "bob@example.org wrote https://host/a@b"),
    ],
)
def test_addresses_lose_their_passwords(text, shown):
    assert redact(text) == shown


def test_values_of_secrets_are_blanked_wherever_they_stand():
    environ = {"UV_INDEX_OURS_PASSWORD": "hunter2", "MY_TOKEN": "t0ken-t0ken", "PASSWORD": "no"}
    values = secret_values(environ)
    assert values == ("t0ken-t0ken", "hunter2")
    assert redact("a hunter2 b t0ken-t0ken no", values) == "a *** b *** no"
