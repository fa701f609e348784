"""What Labs say of their kernels, as the hub keeps it: for a while, each person's own, and nothing that is no note."""

from __future__ import annotations

import pytest
from shopfloor_spawners.notes import LASTS, LONGEST, MOST, Note, Notes


class Clock:
    """Stands still until it is told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_note_lasts_as_long_as_it_is_repeated():
    clock = Clock()
    notes = Notes(clock)
    first, second = Note("train.ipynb"), Note("flights.ipynb", 5000.0)
    notes.take("alice", {"a": first})
    clock.now += LASTS - 1
    notes.take("alice", {"b": second})  # another server of hers
    assert notes.of("alice") == {"a": first, "b": second}
    clock.now += 2
    assert notes.of("alice") == {"b": second}
    notes.take("alice", {"b": Note("flights.ipynb")})
    assert notes.of("alice") == {"b": Note("flights.ipynb")}


def test_nobody_has_anothers_and_nobody_has_too_many():
    notes = Notes()
    notes.take("alice", {str(number): Note() for number in range(MOST)})
    notes.take("alice", {"new": Note()})
    assert notes.of("bob") == {}
    assert len(notes.of("alice")) == MOST and "new" in notes.of("alice")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([], "an object with title"),
        ({"colour": "red"}, "an object with title"),
        ({"title": "x" * (LONGEST + 1)}, f"at most {LONGEST} letters"),
        ({"title": 5}, "title"),
        ({"title": "caf\ud800.ipynb"}, f"title: .* {LONGEST} letters .* UTF-8"),
        ({"idle_ends": "soon"}, "idle_ends"),
        ({"idle_ends": True}, "idle_ends"),
        ({"idle_ends": 1e300}, "idle_ends"),
        ({"idle_ends": float("nan")}, "idle_ends"),
    ],
)
def test_what_is_no_note_is_refused(data, words: str):
    with pytest.raises(ValueError, match=words):
        Note.from_json(data)
