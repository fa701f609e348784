"""What the pages of docs/ and the README point to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_picture_and_every_file_that_a_page_names_is_there(page: Path):
    named = [one for one in LINK.findall(page.read_text()) if "://" not in one]
    assert [one for one in named if not (page.parent / one).exists()] == []
