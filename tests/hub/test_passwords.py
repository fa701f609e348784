"""Login by generated passwords: only who stands in the file, only with that password, only from a private file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from shopfloor_hub import passwords
from shopfloor_hub.passwords import PasswordsAuthenticator, PasswordsError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "passwords.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps({"alice": "alices-password", "bob": "bobs-password"}))
    return path


@pytest.mark.parametrize(
    ("name", "password", "who"),
    [
        ("alice", "alices-password", "alice"),
        ("Alice", "alices-password", "alice"),
        ("alice", "bobs-password", None),
        ("alice", "", None),
        ("alice", "alices-password ", None),
        ("mallory", "alices-password", None),
        ("", "", None),
        ("alice", "pässwörd-nicht-ascii", None),
    ],
)
async def test_only_the_right_password_opens(file, name, password, who):
    authenticator = PasswordsAuthenticator(passwords_file=str(file), allow_all=True)
    answer = await authenticator.get_authenticated_user(
        None, {"username": name, "password": password}
    )
    assert (answer and answer["name"]) == who


async def test_a_form_without_fields_opens_nothing(file):
    assert await PasswordsAuthenticator(passwords_file=str(file)).authenticate(None, {}) is None


async def test_who_is_taken_out_of_the_file_is_logged_out(file):
    class User:
        name = "bob"

    authenticator = PasswordsAuthenticator(passwords_file=str(file))
    assert await authenticator.refresh_user(User())
    file.write_text(json.dumps({"alice": "alices-password"}))
    assert not await authenticator.refresh_user(User())


async def test_a_file_that_others_can_read_opens_to_nobody(file):
    file.chmod(0o640)
    authenticator = PasswordsAuthenticator(passwords_file=str(file))
    given = {"username": "alice", "password": "alices-password"}
    assert await authenticator.authenticate(None, given) is None


def test_generated_passwords_are_private_different_and_made_once(tmp_path):
    path = tmp_path / "passwords.json"
    made = passwords.generate(path, ["alice", "bob"])
    assert path.stat().st_mode & 0o777 == 0o600
    assert passwords.read(path) == made
    assert len(set(made.values())) == 2 and min(map(len, made.values())) >= passwords.SHORTEST
    assert passwords.generate(path, ["alice", "bob"]) is None
    assert passwords.read(path) == made
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "this is not JSON"),
        ("[]", "an object of names and passwords"),
        ("{}", "an object of names and passwords"),
        ('{"alice": ""}', "the password of alice is shorter than"),
        ('{"alice": 1234567890}', "the password of alice is shorter than"),
        ('{"Alice": "long-enough-password"}', "'Alice' is not a lower-case name"),
        ('{"../alice": "long-enough-password"}', "is not a lower-case name"),
    ],
)
def test_a_file_that_cannot_be_right_is_refused(file, text, complaint):
    file.write_text(text)
    with pytest.raises(PasswordsError, match=complaint):
        passwords.read(file)
