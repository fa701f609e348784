"""What `make faults STOCK=1` does around its plays: all rows are there, none takes for ever, the table tells apart."""

from __future__ import annotations

import time

import pytest

from tests.faults.stock import __main__ as stock
from tests.faults.stock.play import PLAYS

RESULT = {
    "row": 8,
    "what": "scancel",
    "trouble": "",
    "agree": True,
    "told": True,
    "seen": ["a | b"],
}


def test_every_row_of_the_table_is_played():
    assert {play.row for play in PLAYS} == set(range(1, 21))
    assert len({(play.row, play.what) for play in PLAYS}) == len(PLAYS)


def test_what_hangs_is_given_up_and_what_comes_after_it_is_not():
    began = time.monotonic()
    with pytest.raises(stock.TooLong, match=r"within 0\.1 s"), stock.deadline(0.1):
        time.sleep(5)
    with stock.deadline(60):
        pass
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("agree", "told", "trouble", "passes"),
    [
        (True, True, "", True),
        (True, None, "", True),
        (True, False, "", False),
        (False, True, "", False),
        (None, None, "", False),
        (True, True, "AssertionError: not ready", False),
    ],
)
def test_stock_passes_what_was_judged_and_never_judged_bad(agree, told, trouble, passes):
    result = RESULT | {"agree": agree, "told": told, "trouble": trouble}
    assert stock.passes(result) is passes


def test_a_row_of_the_table_is_one_line_with_as_many_columns_as_the_head():
    told = stock.line(RESULT | {"told": False, "trouble": "TooLong: not played\nTraceback"})
    assert told.count("|") == 6
    assert told.startswith("| 8 | scancel | yes | **no** | not played to the end: TooLong")


def test_stock_takes_no_times(monkeypatch, capsys):
    monkeypatch.setenv("TIMES", "20")
    assert stock.main() == 2
    assert "TIMES is not possible with STOCK" in capsys.readouterr().out
