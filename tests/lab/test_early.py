"""What is kept for a kernel that waits: cells in bounds of their own, and of a page's questions the newest."""

from __future__ import annotations

import itertools

import pytest
from shopfloor_lab.kernels.early import CELL, EARLY_BYTES, MOST_EARLY, NEWEST_ONLY, Early, Message

_numbers = itertools.count()


def message(kind: str, size: int = 1, channel: str = "shell") -> Message:
    number = next(_numbers)
    return Message(number, channel, {"msg_id": f"m-{number}", "msg_type": kind}, [b"x" * size])


def test_questions_that_a_page_asks_by_itself_take_no_room_of_cells():
    early = Early()
    for kind in (*NEWEST_ONLY, "comm_msg"):
        for _ in range(MOST_EARLY + 1):
            early.add(message(kind))
    cells = [message(CELL) for _ in range(MOST_EARLY)]
    assert all(early.add(cell) for cell in cells)
    assert not early.add(message(CELL))
    assert [one for one in early.take() if one.kind == CELL] == cells


def test_large_questions_take_no_room_of_cells():
    early = Early()
    assert early.add(message("comm_msg", EARLY_BYTES))
    assert not early.add(message("comm_msg"))
    assert early.add(message(CELL, EARLY_BYTES))
    assert not early.add(message(CELL))


@pytest.mark.parametrize("kind", sorted(NEWEST_ONLY))
def test_of_what_is_asked_again_with_each_key_only_the_newest_is_kept(kind: str):
    early = Early()
    first, cell, other, last = message(kind), message(CELL), message("comm_msg"), message(kind)
    assert all(early.add(one) for one in (first, cell, other, last))
    assert early.take() == [cell, other, last]


def test_the_newest_question_finds_room_where_the_one_before_had_it():
    early = Early()
    early.add(message("inspect_request", EARLY_BYTES))
    last = message("inspect_request", EARLY_BYTES)
    assert early.add(last)
    assert early.take() == [last]


def test_a_cell_that_is_sent_again_is_kept_once():
    early, cell = Early(), message(CELL)
    assert early.add(cell) and early.add(cell._replace(number=next(_numbers)))
    assert early.take() == [cell]
