"""Planted secrets do not come through, and what is none stays readable."""

from __future__ import annotations

import json

import pytest
from shopfloor_jobs.bundle import mask_json
from shopfloor_jobs.masking import mask

HEX = "9f86d081884c7d659a2feaa0c55ad015"


SECRETS = [
    (f"Authorization: token {HEX}", HEX),
    (f"authorization: Bearer {HEX}", HEX),
    (f"using token {HEX} of alice", HEX),
    (f"JUPYTERHUB_API_TOKEN={HEX}", HEX),
    (f"JPY_API_TOKEN={HEX} started", HEX),
    (f'{{"api_token": "{HEX}", "port": 1}}', HEX),
    (f"http://gpu01:8888/lab?token={HEX}", HEX),
    (f"--IdentityProvider.token {HEX}", HEX),
    ("password=hunter2", "hunter2"),
    ("Password: hunter two", "hunter"),
    ("'passwd': 'hunter2'", "hunter2"),
    ('db_password = "two words"', "words"),
    ("MYSQL_PWD=x9", "x9"),
    (f"SHOPFLOOR_NONCE={HEX}", HEX),
    ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI"),
    ("found AKIAIOSFODNN7EXAMPLE in the environment", "AKIAIOSFODNN7EXAMPLE"),
    ("git clone https://alice:s3cret@example.org/x.git", "s3cret"),
    (f"Cookie: _xsrf={HEX}; session={HEX}", HEX),
    ("Set-Cookie: jupyterhub-session-id=abc; Path=/", "abc"),
    ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "ghp_abc"),
    ("hf_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefgh", "hf_ABC"),
    ("sk-proj-abcdefghijklmnopqrstu", "sk-proj"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmN", "eyJzdWIi"),
    (f"what is {HEX} for", HEX),
    (json.dumps(f"it printed\n{HEX}\nand ended"), HEX),
    (
        json.dumps("it printed\n\ts_9jQwCadZ1pYpIbi9SC456w6QLbnAda"),
        "s_9jQwCadZ1pYpIbi9SC456w6QLbnAda",
    ),
    ("the nonce is s_9jQwCadZ1pYpIbi9SC456w6QLbnAda", "s_9jQwCadZ1pYpIbi9SC456w6QLbnAda"),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIEabc\nxyz\n-----END RSA PRIVATE KEY-----", "MIIEabc"),
    ("-----BEGIN PRIVATE KEY-----\nMIIEabc cut off", "MIIEabc"),
]


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_what_looks_like_a_secret_is_masked(text: str, secret: str):
    assert secret in text
    assert secret not in mask(text)


@pytest.mark.parametrize(("text", "secret"), SECRETS)
@pytest.mark.parametrize("before", ["", "first\n", "\x1b[32m"])
def test_a_bundle_masks_it_in_the_records_too(text: str, secret: str, before: str):
    record = json.dumps({"tail": f"{before}{text}", "code": 1})
    masked = mask_json(record)
    assert secret not in masked
    assert json.loads(masked)["code"] == 1
    assert secret not in mask(f"{before}{text}")


def test_what_is_secret_by_its_name_is_masked_in_a_record():
    record = {"env": {"DB_PASSWORD": "hunter2", "HOME": "/home/alice"}, "passwords": ["x9"]}
    masked = json.loads(mask_json(json.dumps(record)))
    assert masked == {"env": {"DB_PASSWORD": "…", "HOME": "/home/alice"}, "passwords": ["…"]}


def test_what_is_no_json_is_masked_as_a_text():
    assert mask_json(f'{{"tail": "token {HEX}') == '{"tail": "token …'


def test_a_known_secret_is_masked_wherever_it_stands():
    assert mask("a plain word", known=["plain", ""]) == "a … word"


@pytest.mark.parametrize(
    "text",
    [
        "ModuleNotFoundError: No module named 'jupyterlab'",
        "trained on 8192 tokens: loss 0.31, tokens: 123456789",
        "tokenizer: bert-base-uncased",
        "the author: somebody",
        "KeyError: 'key'",
        "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
        "in /home/alice/.local/share/shopfloor/jobs/shopfloor-server-0123456789abcdef/output-0.log",
        "UserWarning: Conv2DTransposeBackpropInputGradient is slow",
        "Basic functionality is there",
        "[I 2026-11-23 12:00:00.000 ServerApp] Serving at http://gpu01:40123/user/alice/",
        "slurmstepd: error: Detected 1 oom_kill event in StepId=17.batch.",
    ],
)
def test_what_is_no_secret_stays(text: str):
    assert mask(text) == text


def test_in_json_a_secret_ends_with_its_line():
    text = json.dumps({"tail": "password=hunter2\nTraceback follows"})
    assert json.loads(mask(text)) == {"tail": "password=…\nTraceback follows"}


def test_the_words_around_a_secret_stay():
    assert mask("login failed: password=hunter2 for alice") == "login failed: password=… for alice"


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "line",
    [
        *("a" * 1_000_000, "a://" * 200_000, "token" * 200_000, "=" * 500_000, "aB1" * 300_000),
        *(" " * 1_000_000, "token=" * 100_000, "auth.token " * 50_000, "-----BEGIN " * 50_000),
        # What stands before a gap that leads nowhere: measured to take hours before the gap was bounded.
        *(
            f"{name}{' ' * 200_000}x"
            for name in ("auth", ".auth" * 16, "password", "cookie", "bearer")
        ),
        *(f"{name}{chr(10) * 200_000}x" for name in ("api_key", "secret", "set-cookie")),
        *("password " * 50_000, "pwd='" * 50_000, 'token="' * 50_000, "cookie " * 50_000),
    ],
    ids=lambda line: line.strip()[:12],
)
def test_a_long_line_takes_no_longer_than_its_length(line: str):
    assert len(mask(line)) <= len(line)
