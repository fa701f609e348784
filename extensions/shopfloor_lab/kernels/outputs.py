"""The outputs of a cell as a notebook holds them, kept in little room; runs.py has whose they are."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

PIECE = 64 * 1024  # bytes that small ones of a text grow to
EACH = 500  # bytes that an output takes beside its text


class Stream:
    """Text of one name that was printed in one go. UTF-8, for a single wide character widens a whole str.

    In pieces, for whatever is made from one long text takes its room again.
    """

    def __init__(self, name: str):
        self.name, self.length = name, 0
        self._pieces: deque[bytes] = deque()

    @property
    def size(self) -> int:
        return EACH + self.length

    def add(self, text: bytes) -> None:
        if self._pieces and len(self._pieces[-1]) < PIECE:
            last = self._pieces.pop()
            self.length -= len(last)
            text = last + text
        self._pieces.append(text)
        self.length += len(text)

    def cut(self, number: int) -> None:
        """Leave out the oldest bytes, and what they leave of a character."""
        while number >= len(self._pieces[0]):
            number -= len(self._pieces[0])
            self.length -= len(self._pieces.popleft())
        first = self._pieces[0]
        while number < len(first) and first[number] & 0xC0 == 0x80:
            number += 1
        self._pieces[0] = first[number:]
        self.length -= number

    def json(self) -> Iterator[str]:
        yield f'{{"output_type": "stream", "name": {json.dumps(self.name)}, "text": "'
        for piece in self._pieces:
            yield json.dumps(piece.decode())[1:-1]
        yield '"}'


class Shown:
    """Any other output, as JSON: an object for each word of a large table would take many times its room."""

    def __init__(self, output: Mapping[str, Any], display: str | None = None):
        self.display, self._kind = display, output["output_type"]
        self._count = output.get("execution_count")
        self._text = as_json(output)

    @property
    def size(self) -> int:
        return EACH + len(self._text)

    def update(self, data: Mapping[str, Any]) -> None:
        self._text = as_json(output_of(self._kind, data, self._count))

    def json(self) -> Iterator[str]:
        yield self._text


def output_of(kind: str, content: Mapping[str, Any], count: Any) -> dict[str, Any]:
    data, metadata = dict(content["data"]), dict(content.get("metadata") or {})
    output = {"output_type": kind, "data": data, "metadata": metadata}
    return {**output, "execution_count": count} if kind == "execute_result" else output


def as_json(output: Mapping[str, Any]) -> str:
    # Raises ValueError for NaN, which a browser's JSON has not.
    return json.dumps(output, allow_nan=False)
