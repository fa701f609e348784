"""On which line of a TOML text a key stands, which the standard parser forgets; used by site.py for its errors."""

from __future__ import annotations

import re
from collections.abc import Iterator

Key = tuple[str | int, ...]

_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*|[\[\]{}\n]|[^"\'#\[\]{}\n]+',
    re.DOTALL,
)
_PART = re.compile(r'\s*("(?:\\.|[^"\\])*"|\'[^\']*\'|[A-Za-z0-9_-]+)\s*')


def key_lines(text: str) -> dict[Key, int]:
    """The line (from 1) of every table and key of a valid TOML text; array elements count from 0.

    Keys inside inline tables and elements of plain arrays are not listed: :func:`line_of` gives the line
    of what holds them.
    """
    lines: dict[Key, int] = {}
    counts: dict[Key, int] = {}
    table: Key = ()
    for line, statement in _statements(text):
        if statement.startswith("[["):
            name = _resolve(_parts(statement[2:]), counts)
            counts[name] = counts.get(name, 0) + 1
            lines.setdefault(name, line)
            table = (*name, counts[name] - 1)
            lines[table] = line
        elif statement.startswith("["):
            table = _resolve(_parts(statement[1:]), counts)
            lines.setdefault(table, line)
        else:
            lines[(*table, *_parts(statement))] = line
    return lines


def line_of(lines: dict[Key, int], key: Key) -> int:
    """The line of a key, or of the nearest thing around it; 1 where nothing of it is written."""
    for length in range(len(key), 0, -1):
        if key[:length] in lines:
            return lines[key[:length]]
    return 1


def _statements(text: str) -> Iterator[tuple[int, str]]:
    line, start, depth, parts = 1, 1, 0, []
    for match in _TOKEN.finditer(text + "\n"):
        token = match[0]
        if token == "\n" and depth == 0:
            if statement := "".join(parts).strip():
                yield start, statement
            parts = []
        elif not token.startswith("#"):
            if not parts and token.strip():
                start = line
            if parts or token.strip():
                parts.append(token)
            depth += (token in "[{") - (token in "]}") if len(token) == 1 else 0
        line += token.count("\n")


def _parts(text: str) -> Key:
    """The parts of the dotted key that the text begins with."""
    parts, position = [], 0
    while match := _PART.match(text, position):
        parts.append(match[1].strip("\"'"))
        position = match.end()
        if text[position : position + 1] != ".":
            break
        position += 1
    return tuple(parts)


def _resolve(parts: Key, counts: dict[Key, int]) -> Key:
    """A table's full key: `[presets.x]` below `[[presets]]` belongs to the last of the presets."""
    resolved: Key = ()
    for part in parts[:-1]:
        resolved = (*resolved, part)
        if resolved in counts:
            resolved = (*resolved, counts[resolved] - 1)
    return (*resolved, *parts[-1:])
