"""What axe-core finds on a page that tools of people with a handicap would stumble over."""

from __future__ import annotations

from playwright.sync_api import Page

from .chromium import ROOT

# A development dependency of the extensions, where the versions of JavaScript packages are kept.
AXE = ROOT / "extensions" / "node_modules" / "axe-core" / "axe.min.js"
SERIOUS = ("serious", "critical")
FIND = """async (where) => (await axe.run(...(where ? [where] : []))).violations.map(
    (one) => [one.impact, one.id, one.help, ...one.nodes.map((node) => node.html)])"""


def serious_faults(page: Page, where: str = "") -> list[list[str]]:
    """What it calls serious or critical in the page, or in what this selector names; all kinds of faults are looked
    for, contrast as the page is drawn now."""
    if not page.evaluate("'axe' in window"):
        page.add_script_tag(path=AXE)
    return [one for one in page.evaluate(FIND, where) if one[0] in SERIOUS]


def faults(page: Page) -> list[list[str]]:
    """What axe-core calls serious or critical, in light and in dark."""
    found = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found += [[scheme, *one] for one in serious_faults(page)]
    return found
