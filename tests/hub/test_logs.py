"""The hub's log: our lines name the job, as text and as JSON, and no line of it holds a secret."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import pytest
from shopfloor_hub.logs import JsonFormatter, TextFormatter
from shopfloor_spawners.logged import about

from tests.cases import local_case
from tests.harness import wait_until

TAG = "shopfloor-server-0123456789abcdef"
TOKEN = "0123456789abcdef0123456789abcdef"


def record(words: str, *arguments: object, **more: object) -> logging.LogRecord:
    made = logging.LogRecord("JupyterHub", logging.WARNING, "x.py", 1, words, arguments, None)
    vars(made).update(more)
    return made


def test_json_is_one_object_a_line_with_the_jobs_fields():
    line = JsonFormatter().format(record("Job %s\nsubmitted", 17, **about(TAG, "alice", "17")))
    assert "\n" not in line
    told = json.loads(line)
    assert told["message"] == "Job 17\nsubmitted"
    assert told["level"] == "warning" and told["logger"] == "JupyterHub"
    fields = about(TAG, "alice", "", cause="stopped")
    told = json.loads(JsonFormatter().format(record("x", **fields)))
    assert (told["tag"], told["owner"], told["cause"]) == (TAG, "alice", "stopped")
    assert "job" not in told


def test_text_names_them_at_the_end_of_the_line():
    line = TextFormatter(fmt="%(message)s").format(record("Ended", **about(TAG, "alice", "17")))
    assert line == f"Ended tag={TAG} owner=alice job=17"


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_what_looks_secret_is_masked_also_in_a_traceback(formatter):
    try:
        raise ValueError(f"token {TOKEN}")
    except ValueError:
        shown = formatter.format(record("with %s", TOKEN, exc_info=sys.exc_info()))
    assert "ValueError" in shown and TOKEN not in shown


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_real_hub_tells_of_a_job_from_start_to_end_without_its_secrets(tmp_path: Path, form):
    case = local_case(tmp_path, keys=f'log_format = "{form}"\n')
    try:
        token = case.hub.add_user("alice")
        case.hub.start_server("alice")
        case.hub.wait_server("alice")
        kept = case.hub.server("alice")["state"]["shopfloor"]
        case.hub.stop_server("alice")
        case.wait_no_jobs()
        wait_until(lambda: "Server ended" in case.hub.log.read_text(), 20, "its end is logged")
    finally:
        case.hub.stop()
        case.cancel_all()
    text = case.hub.log.read_text()
    for secret in (token, kept["api_token"], kept["nonce"], case.hub.admin_token, "pass-of-alice"):
        assert secret not in text
    lines = [line for line in text.splitlines() if kept["tag"] in line]
    if form == "json":
        told = [json.loads(line) for line in text.splitlines()]
        ours = [one for one in told if one.get("tag") == kept["tag"]]
        assert [one["message"] for one in ours][:2] == ["Job submitted", "Server reported"]
        assert all(one["owner"] == "alice" and one["job"] == kept["job_id"] for one in ours)
        assert ours[-1]["cause"] == "stopped"
    else:
        assert f"Job submitted tag={kept['tag']} owner=alice job={kept['job_id']}" in lines[0]
        assert lines[-1].endswith("cause=stopped")
