"""Pictures of a page as people see it: light, dark and on a small screen; those for the docs are kept on demand."""

from __future__ import annotations

import os
import shutil

from playwright.sync_api import Page

from .chromium import RESULTS, ROOT, SIZE

SMALL = {"width": 390, "height": 844}
DOCS = {"width": 900, "height": 640}


def picture(page: Page, name: str, whole: bool = False) -> None:
    """Leave ``NAME-light.png``, ``NAME-dark.png`` and ``NAME-small.png`` in the results, and the first in docs.

    ``whole`` is for a page that is longer than the window.
    """
    for kind, size, scheme in (
        ("small", SMALL, "light"),
        ("dark", DOCS, "dark"),
        ("light", DOCS, "light"),
    ):
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        page.screenshot(path=RESULTS / f"{name}-{kind}.png", full_page=whole)
    page.set_viewport_size(SIZE)
    if os.environ.get("SHOPFLOOR_SCREENSHOT"):
        shutil.copyfile(RESULTS / f"{name}-light.png", ROOT / "docs" / f"{name}.png")
