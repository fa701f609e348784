"""What of a job's directory goes into a help bundle, and the bundle itself; directory.py says what lies there.

Who reads the files is the job's owner, and who packs them is the hub, so that nothing but text travels between.
"""

from __future__ import annotations

import io
import json
import os
import platform
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from . import __version__
from .directory import open_plain
from .masking import mask

# Records and output; the script is the runner, whose version is told, and whatever else lies there may be a key.
PATTERNS = ("request.json", "start-*.json", "use-*.json", "exit-*.json", "output-*.log")
FILE_BYTES = 256 * 1024  # of each file, its end
FILES = 40
TOTAL_BYTES = 2 * 1024**2


def read_files(path: Path) -> dict[str, str]:
    """The texts of a job's directory by file name, and under ``node.json`` the versions where they are read.

    Only plain files of the directory itself are read, at most ``FILES`` of them and ``TOTAL_BYTES`` in all; what is
    left out is named under ``left-out.txt``. Raises OSError if the directory cannot be read.
    """
    found = sorted({one for pattern in PATTERNS for one in path.glob(pattern)})
    texts, left_out, room = {}, [one.name for one in found[FILES:]], TOTAL_BYTES
    for one in found[:FILES]:
        text = _end_of(one, min(FILE_BYTES, room))
        if text is None:
            left_out.append(one.name)
        else:
            texts[one.name] = text
            room -= len(text.encode())
    if left_out:
        texts["left-out.txt"] = "\n".join(left_out) + "\n"
    texts["node.json"] = json.dumps(
        {
            "shopfloor": __version__,
            "python": platform.python_version(),
            "kernel": platform.release(),
            "system": _system(),
            "machine": platform.machine(),
        },
        indent=1,
    )
    return texts


def _end_of(path: Path, limit: int) -> str | None:
    """The last bytes of a plain file; None for anything else: a link, a pipe that nobody feeds, no room left."""
    if limit <= 0:
        return None
    try:
        file = open_plain(path)
    except OSError:
        return None
    with file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - limit))
        return file.read(limit).decode(errors="replace")


def _system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return ""


def pack(folder: str, texts: Mapping[str, str], known: Iterable[str] = ()) -> bytes:
    """A zip archive of the texts in one folder, secrets masked; names are reduced to plain file names."""
    packed = io.BytesIO()
    known = tuple(known)
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in sorted(texts.items()):
            hide = mask_json if name.endswith(".json") else mask
            archive.writestr(f"{folder}/{Path(name).name}", hide(text, known))
    return packed.getvalue()


def mask_json(text: str, known: Iterable[str] = ()) -> str:
    """The same for JSON, which stays JSON: each text in it is masked as what it says, and as the value of its name.

    As one text it would not do: a line of a log begins behind an escape there. What is no JSON is masked as a text.
    """
    known = tuple(known)

    def hidden(value: Any, name: str) -> Any:
        if isinstance(value, str):
            return mask(f"{name}={mask(value, known)}").removeprefix(f"{name}=")
        if isinstance(value, list):
            return [hidden(one, name) for one in value]
        if isinstance(value, dict):
            return {key: hidden(one, key) for key, one in value.items()}
        return value

    try:
        return json.dumps(hidden(json.loads(text), ""), indent=1, ensure_ascii=False)
    except (ValueError, RecursionError):
        return mask(text, known)
