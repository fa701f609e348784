"""From a kernel's messages to what a notebook would hold: whose output it is, what goes first, what is passed over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
import zmq
from jupyter_client.session import Session
from nbformat.v4 import output_from_msg
from shopfloor_lab.kernels import runs_file
from shopfloor_lab.kernels.outputs import EACH
from shopfloor_lab.kernels.runs import (
    LIMIT,
    LOOSE,
    MOST,
    Message,
    Run,
    Runs,
)
from shopfloor_lab.kernels.runs_file import FILE, forget_runs, read_runs

RED = "\x1b[31m"
PLOT = {"data": {"image/png": "aGVsbG8=", "text/plain": "<Figure>"}, "metadata": {"a": 1}}


class Kernel:
    """What passes between somebody and a kernel, told to :attr:`runs`."""

    def __init__(self, limit: int = LIMIT):
        self.runs, self.session, self.now = Runs(limit), Session(key=b"a key"), 100.0

    def pass_on(self, message: dict[str, Any], keep: bool = True) -> None:
        self.now += 1
        self.frames([b"who", *self.session.serialize(message)], keep)

    def frames(self, frames: list[bytes], keep: bool = True) -> None:
        message = Message.from_frames([zmq.Frame(one) for one in frames], self.now)
        if message:
            self.runs.note(message, keep)

    def ask(self, cell: str | None = "a", **content: Any) -> dict[str, Any]:
        """Somebody runs a cell; returns the request."""
        content = {"code": "", "silent": False, "store_history": True, **content}
        metadata = {"cellId": cell} if cell else {}
        request = self.session.msg("execute_request", content, metadata=metadata)
        self.pass_on(request)
        return request

    def say(
        self, asked: dict[str, Any], kind: str, keep: bool = True, **content: Any
    ) -> dict[str, Any]:
        message = self.session.msg(kind, content, parent=asked["header"])
        self.pass_on(message, keep)
        return message

    def print(self, asked: dict[str, Any], text: str, name: str = "stdout") -> None:
        self.say(asked, "stream", name=name, text=text)

    def idle(self, asked: dict[str, Any]) -> None:
        self.say(asked, "status", execution_state="idle")

    def run(self, cell: str | None, text: str = "") -> dict[str, Any]:
        asked = self.ask(cell)
        self.print(asked, text)
        self.idle(asked)
        return asked

    def shown(self) -> list[Run]:
        return json.loads("".join(self.runs.json()))

    def cell(self, cell: str = "a") -> Run:
        [run] = [one for one in self.shown() if one["cell"] == cell]
        return run

    def texts(self, cell: str = "a") -> list[str]:
        return [output["text"] for output in self.cell(cell)["outputs"]]


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


def test_outputs_are_those_of_a_notebook(kernel: Kernel):
    asked = kernel.ask()
    error = {"ename": "ValueError", "evalue": "no", "traceback": [f"{RED}ValueError", "no"]}
    said = [
        kernel.say(asked, "stream", name="stdout", text="wörds 🙂\n"),
        kernel.say(asked, "stream", name="stderr", text=f"{RED}oh\r\x08"),
        kernel.say(asked, "display_data", **PLOT, transient={"display_id": "p"}),
        kernel.say(asked, "execute_result", **PLOT, execution_count=7),
        kernel.say(asked, "error", **error),
    ]
    for message in said:
        message["content"].pop("transient", None)
    outputs = kernel.cell()["outputs"]
    assert outputs == [output_from_msg(message) for message in said]
    cell = nbformat.v4.new_code_cell(outputs=[nbformat.from_dict(one) for one in outputs])
    nbformat.validate(nbformat.v4.new_notebook(cells=[cell]))


def test_while_a_widget_takes_what_is_printed_nothing_of_it_is_the_cells(kernel: Kernel):
    asked = kernel.ask()

    def takes(msg_id: str, comm: str = "c") -> None:
        data = {"method": "update", "state": {"msg_id": msg_id}}
        kernel.say(asked, "comm_msg", comm_id=comm, data=data)

    mine = asked["header"]["msg_id"]
    kernel.say(asked, "comm_open", comm_id="c", data={"state": {"msg_id": "", "outputs": []}})
    kernel.print(asked, "before\n")
    takes(mine)
    kernel.say(asked, "clear_output", wait=False)
    kernel.print(asked, "within\n")
    kernel.say(asked, "display_data", **PLOT)
    kernel.say(asked, "stream", keep=False, name="stdout", text="left out")
    takes("")
    kernel.print(asked, "after\n")
    assert kernel.texts() == ["before\nafter\n"]
    assert kernel.cell()["dropped"] == 0
    takes(mine)
    takes("somebody-elses", "d")
    kernel.say(asked, "comm_msg", comm_id="c", data={"method": "custom", "content": {}})
    kernel.print(asked, "within\n")
    kernel.say(asked, "comm_close", comm_id="c", data={})
    kernel.print(asked, "and again\n")
    takes(mine)
    kernel.runs.kernel_begins()
    kernel.print(asked, "by another one\n")
    assert kernel.texts() == ["before\nafter\nand again\nby another one\n"]


def test_help_is_shown_below_the_cell(kernel: Kernel):
    asked = kernel.ask()
    page = {"source": "page", "data": {"text/plain": "Signature: len(obj)"}, "start": 0}
    other = {"source": "set_next_input", "text": "len"}
    kernel.say(asked, "execute_reply", status="ok", execution_count=1, payload=[other, page, page])
    assert kernel.cell()["outputs"] == [
        {"output_type": "display_data", "data": page["data"], "metadata": {}}
    ]


def test_text_of_one_name_that_comes_in_pieces_is_one_output(kernel: Kernel):
    asked = kernel.ask()
    for text, name in (
        ("a", "stdout"),
        ("b\n", "stdout"),
        ("c", "stderr"),
        ("", "stdout"),
        ("d", "stderr"),
        ("e", "stdout"),
    ):
        kernel.print(asked, text, name)
    assert kernel.texts() == ["ab\n", "cd", "e"]


def test_a_run_runs_from_the_request_until_it_is_idle(kernel: Kernel):
    assert (kernel.runs.busy, kernel.runs.execution) == (False, "starting")
    first, second = kernel.ask("a"), kernel.ask("b")
    assert kernel.runs.busy and kernel.runs.execution == "starting"
    kernel.say(first, "status", execution_state="busy")
    kernel.say(first, "execute_input", code="", execution_count=3)
    began = kernel.now
    assert kernel.runs.execution == "busy"
    kernel.say(first, "execute_reply", status="ok", execution_count=3)
    kernel.idle(first)
    run = kernel.cell("a")
    assert (run["state"], run["execution_count"]) == ("done", 3)
    assert (run["began"], run["ended"]) == (began, kernel.now)
    assert (run["session"], run["msg_id"]) == (kernel.session.session, first["header"]["msg_id"])
    waits = kernel.cell("b")
    assert (waits["state"], waits["execution_count"], waits["ended"]) == ("running", None, None)
    assert kernel.runs.busy and kernel.runs.execution == "busy", "the other waits for its turn"
    kernel.idle(second)
    assert not kernel.runs.busy and kernel.runs.execution == "idle"


def test_another_question_in_the_midst_of_a_cell_does_not_end_it(kernel: Kernel):
    kernel.ask()
    asks = kernel.session.msg("kernel_info_request")
    kernel.say(asks, "status", execution_state="busy")
    kernel.idle(asks)
    assert kernel.cell()["state"] == "running" and kernel.runs.execution == "busy"


def test_a_run_whose_end_was_lost_ends_with_the_next_question(kernel: Kernel):
    asked = kernel.ask()
    kernel.say(asked, "execute_reply", status="ok", execution_count=1)
    kernel.idle(kernel.session.msg("kernel_info_request"))
    assert kernel.cell()["state"] == "done" and not kernel.runs.busy


def test_the_end_of_the_kernel_ends_what_ran_and_keeps_what_was_printed(kernel: Kernel):
    done, asked = kernel.run("a", "before"), kernel.ask("b")
    ended = kernel.cell("a")["ended"]
    kernel.print(asked, "half")
    kernel.runs.kernel_ended(500.0)
    assert (kernel.cell("b")["state"], kernel.cell("b")["ended"]) == ("done", 500.0)
    assert kernel.cell("a")["ended"] == ended and done
    assert (kernel.cell("a")["broken"], kernel.cell("b")["broken"]) == (False, True)
    kernel.runs.kernel_begins()
    assert not kernel.cell("b")["broken"]  # that is told of the end of the last one
    assert (kernel.runs.busy, kernel.runs.execution) == (False, "starting")
    assert (kernel.texts("a"), kernel.texts("b")) == (["before"], ["half"])


def test_what_the_last_kernel_did_not_get_runs_in_the_next_one(kernel: Kernel):
    """It waited at the agent's door as the kernel died."""
    asked = kernel.ask()
    kernel.runs.kernel_ended(500.0)
    kernel.say(asked, "execute_input", code="", execution_count=1)
    assert not kernel.runs.busy, "a late word of the one that has ended"
    kernel.runs.kernel_begins()
    kernel.say(asked, "status", execution_state="busy")
    kernel.say(asked, "execute_input", code="", execution_count=1)
    assert kernel.runs.busy and kernel.runs.execution == "busy"
    assert (kernel.cell()["state"], kernel.cell()["ended"]) == ("running", None)
    kernel.idle(asked)
    assert (kernel.cell()["state"], kernel.cell()["ended"]) == ("done", kernel.now)
    assert not kernel.runs.busy


def test_the_last_run_of_a_cell_counts_also_while_the_one_before_runs(kernel: Kernel):
    first = kernel.ask()
    kernel.print(first, "first")
    again = kernel.ask()
    kernel.print(first, "still the first")
    kernel.idle(first)
    assert kernel.cell()["outputs"] == [] and kernel.runs.busy
    kernel.print(again, "second")
    kernel.idle(again)
    assert kernel.texts() == ["second"] and not kernel.runs.busy


def test_of_runs_without_a_cell_the_last_few_stay(kernel: Kernel):
    kernel.run("a", "x")
    for number in range(LOOSE + 2):
        kernel.run(None, str(number))
    shown = [run["outputs"][0]["text"] for run in kernel.shown() if not run["cell"]]
    assert shown == [str(number) for number in range(2, LOOSE + 2)]
    assert kernel.texts() == ["x"]


@pytest.mark.parametrize("asked", [{"silent": True}, {"cell": None, "store_history": False}])
def test_what_a_program_asks_for_itself_is_no_run(kernel: Kernel, asked: dict[str, Any]):
    kernel.print(kernel.ask(**asked), "x")
    assert kernel.shown() == [] and not kernel.runs.busy


def test_a_display_is_updated_wherever_it_was_shown(kernel: Kernel):
    first = kernel.ask("a")
    named = {"transient": {"display_id": "p"}}
    kernel.say(first, "display_data", data={"text/plain": "0"}, metadata={}, **named)
    kernel.say(first, "execute_result", data={"text/plain": "0"}, execution_count=1, **named)
    kernel.say(first, "display_data", data={"text/plain": "other"}, metadata={})
    kernel.idle(first)
    second = kernel.ask("b")
    kernel.say(second, "update_display_data", data={"text/plain": "1"}, metadata={"m": 1}, **named)
    told = [output["data"]["text/plain"] for output in kernel.cell("a")["outputs"]]
    assert told == ["1", "1", "other"]
    result = kernel.cell("a")["outputs"][1]
    assert (result["output_type"], result["execution_count"]) == ("execute_result", 1)
    assert result["metadata"] == {"m": 1} and kernel.cell("b")["outputs"] == []
    # As Lab has it, showing it once more updates the others, too.
    kernel.say(second, "display_data", data={"text/plain": "2"}, metadata={}, **named)
    assert kernel.cell("a")["outputs"][0]["data"] == kernel.cell("b")["outputs"][0]["data"]
    nobody = kernel.session.msg("comm_msg")
    kernel.say(nobody, "update_display_data", data={"text/plain": "3"}, metadata={}, **named)
    assert kernel.cell("b")["outputs"][0]["data"] == {"text/plain": "3"}


def test_outputs_are_cleared_at_once_or_as_the_next_one_comes(kernel: Kernel):
    asked = kernel.ask()
    kernel.print(asked, "1")
    kernel.say(asked, "clear_output", wait=False)
    assert kernel.cell()["outputs"] == []
    kernel.print(asked, "2")
    kernel.say(asked, "clear_output", wait=True)
    kernel.say(asked, "update_display_data", **PLOT, transient={"display_id": "p"})
    assert kernel.texts() == ["2"]
    kernel.print(asked, "3")
    kernel.print(asked, "4")
    assert kernel.texts() == ["34"]


def test_the_oldest_finished_runs_are_dropped_first(kernel: Kernel):
    kernel = Kernel(limit=1000 + 3 * EACH)
    running = kernel.ask("running")
    kernel.print(running, "r" * 300)
    kernel.run("a", "a" * 400)
    kernel.run("b", "b" * 300)
    kernel.print(running, "s" * 100)
    assert kernel.cell("a")["dropped"] == 100 and kernel.texts("a") == ["a" * 300]
    kernel.print(running, "t" * 400)
    assert kernel.cell("a")["outputs"] == [] and kernel.cell("a")["dropped"] == 400
    assert kernel.texts("b") == ["b" * 300] and kernel.cell("b")["dropped"] == 0
    kernel.print(running, "u" * 1400)
    assert kernel.cell("b")["outputs"] == [] and kernel.cell("b")["dropped"] == 300
    kept = kernel.cell("running")
    assert kept["outputs"][0]["text"].endswith("t" * 400 + "u" * 1400)
    assert kept["dropped"] == 2200 - (1000 + 2 * EACH)


def test_within_a_run_the_oldest_goes_first_and_no_character_is_cut_in_two():
    kernel = Kernel(limit=100 + EACH)
    asked = kernel.ask()
    kernel.say(asked, "display_data", **PLOT)
    kernel.print(asked, "€" * 40)
    [text] = kernel.texts()
    assert text == "€" * 33
    assert kernel.cell()["dropped"] == 7 * 3 + len(
        json.dumps({"output_type": "display_data", **PLOT})
    )
    kernel.print(asked, "x" * 100)
    assert kernel.texts() == ["x" * 100]


def test_many_small_outputs_are_bounded_as_well():
    kernel = Kernel(limit=100 * EACH)
    asked = kernel.ask()
    for number in range(300):
        kernel.print(asked, "x", "stdout" if number % 2 else "stderr")
    run = kernel.cell()
    assert len(run["outputs"]) == 99 and run["dropped"] == 201


def test_an_update_takes_the_room_of_what_it_shows():
    kernel = Kernel(limit=1000 + 2 * EACH)
    named = {"transient": {"display_id": "p"}}
    asked = kernel.ask()
    kernel.say(asked, "display_data", data={"text/plain": "x"}, metadata={}, **named)
    kernel.say(asked, "update_display_data", data={"text/plain": "x" * 900}, metadata={}, **named)
    kernel.print(asked, "y" * 200)
    assert kernel.texts() == ["y" * 200] and kernel.cell()["dropped"] > 900


def test_runs_are_bounded_in_number(kernel: Kernel):
    for number in range(MOST + 3):
        kernel.run(f"cell {number}")
    assert [run["cell"] for run in kernel.shown()[:1]] == ["cell 3"] and len(kernel.shown()) == MOST


def test_what_is_not_to_be_kept_is_counted_and_changes_the_rest_all_the_same(kernel: Kernel):
    asked = kernel.ask()
    message = kernel.say(asked, "stream", keep=False, name="stdout", text="x" * 100)
    size = len(kernel.session.pack(message["content"]))
    kernel.say(asked, "execute_input", keep=False, code="", execution_count=5)
    kernel.say(asked, "status", keep=False, execution_state="idle")
    run = kernel.cell()
    assert (run["dropped"], run["outputs"]) == (size, [])
    assert (run["execution_count"], run["state"]) == (5, "done")


def test_one_output_that_is_larger_than_all_may_be_is_counted(kernel: Kernel):
    asked = kernel.ask()
    kernel.print(asked, "before")
    kernel.say(asked, "display_data", data={"text/html": "x" * LIMIT}, metadata={})
    kernel.print(asked, " and after")
    assert kernel.texts() == ["before and after"] and kernel.cell()["dropped"] > LIMIT


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("stream", b"{"),
        ("stream", b"[]"),
        ("stream", b'{"name": "stdout", "text": ["x"]}'),
        ("stream", b"\xff\xfe"),
        ("display_data", b'{"data": 5}'),
        ("display_data", b'{"data": {"a/b": NaN}}'),
        ("display_data", b'{"data": {}, "transient": 3}'),
        ("update_display_data", b'{"data": null, "transient": {"display_id": "p"}}'),
        ("error", b'{"ename": "x"}'),
        ("status", b"null"),
        ("clear_output", b"1"),
        ("display_data", b'{"data":' + b"[" * 100_000),
    ],
)
def test_what_is_malformed_is_passed_over(kernel: Kernel, kind: str, content: bytes):
    asked = kernel.ask()
    kernel.say(asked, "display_data", **PLOT, transient={"display_id": "p"})
    before = kernel.cell()
    frames = kernel.session.serialize(kernel.session.msg(kind, {}, parent=asked["header"]))
    kernel.frames([*frames[:-1], content])
    assert kernel.cell() == before
    kernel.print(asked, "after")
    assert kernel.cell()["outputs"][-1]["text"] == "after"


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [b"\x01"],  # somebody listens
        [b"<IDS|MSG>"],
        [b"<IDS|MSG>", b"s", b"{}", b"{}", b"{}", b"{}"],
        [b"<IDS|MSG>", b"s", b"[" * 100_000, b"{}", b"{}", b"{}"],
        [b"<IDS|MSG>", b"s", b'{"msg_type": []}', b"{}", b"{}", b"{}"],
        [b"<IDS|MSG>", b"s", b'{"msg_type": "stream"}', b"null", b"{}", b"{}"],
        [b"<IDS|MSG>", b"s", b'{"msg_type": "stream"}', b'{"msg_id": {}}', b"{}", b"{}"],
        [b"<IDS|MSG>", b"s", b'{"msg_type": "execute_request"}', b"{}", b"{}", b"{}"],
    ],
)
def test_frames_of_anything_are_passed_over(kernel: Kernel, frames: list[bytes]):
    kernel.frames(frames)
    assert kernel.shown() == [] and kernel.run("a", "x") and kernel.texts() == ["x"]


def test_half_a_character_of_utf16_is_no_trouble(kernel: Kernel):
    asked = kernel.ask()
    frames = kernel.session.serialize(kernel.session.msg("stream", {}, parent=asked["header"]))
    kernel.frames([*frames[:-1], rb'{"name": "stdout", "text": "a\ud800b"}'])
    assert kernel.texts() == ["a?b"]


def test_the_file_is_read_back_and_what_ran_with_the_job_is_done(kernel: Kernel, tmp_path: Path):
    kernel.run("a", "wörds")
    kernel.print(kernel.ask("b"), "half")
    (tmp_path / FILE).write_text(json.dumps({"runs": kernel.shown()}))
    first, second = read_runs(tmp_path)
    assert first == kernel.cell("a")
    assert second == {**kernel.cell("b"), "state": "done", "broken": True}
    assert second["ended"] is None
    (tmp_path / f".{FILE}.x1").write_text("half of it")
    forget_runs(tmp_path)
    assert list(tmp_path.iterdir()) == [] and read_runs(tmp_path) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"runs": 5}', '{"runs": [5]}', "[" * 100_000])
def test_a_file_that_is_none_of_ours_says_nothing(tmp_path: Path, text: str):
    (tmp_path / FILE).write_text(text)
    assert read_runs(tmp_path) == []


def test_a_file_that_is_too_large_is_not_read(
    kernel: Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    kernel.run("a", "x")
    text = json.dumps({"runs": kernel.shown()})
    (tmp_path / FILE).write_text(text)
    monkeypatch.setattr(runs_file, "LARGEST_FILE", len(text))
    assert read_runs(tmp_path)
    (tmp_path / FILE).write_text(f"{text} ")
    assert read_runs(tmp_path) == []
