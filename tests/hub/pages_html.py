"""An HTML text as a browser reads it: inputs, labels and visible words, for tests of the hub's pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

EMPTY = {"input", "img", "link", "meta", "br", "hr", "rect", "path"}
UNSEEN = {"script", "style", "title", "noscript"}


@dataclass
class Element:
    """An element with its attributes; ``text`` is all that is visible inside."""

    tag: str
    attributes: dict[str, str | None]
    text: str = ""
    inside: list[Element] = field(default_factory=list)

    def __getitem__(self, name: str) -> str | None:
        return self.attributes[name]

    def __contains__(self, name: str) -> bool:
        return name in self.attributes


class Page(HTMLParser):
    """``elements`` in the order in which they open; ``text`` is everything visible."""

    def __init__(self, html: str):
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = [Element("", {})]
        self.feed(html)
        self.close()

    @property
    def text(self) -> str:
        return " ".join(self._open[0].text.split())

    def all(self, tag: str, **attributes: str) -> list[Element]:
        return [
            element
            for element in self.elements
            if element.tag == tag
            and all(element.attributes.get(name) == value for name, value in attributes.items())
        ]

    def one(self, tag: str, **attributes: str) -> Element:
        found = self.all(tag, **attributes)
        assert len(found) == 1, f"{len(found)} times <{tag} {attributes}> in {self.text[:2000]}"
        return found[0]

    def label(self, element: Element) -> str:
        return " ".join(self.one("label", **{"for": element["id"]}).text.split())

    def submitted(self) -> dict[str, list[str]]:
        """What a browser without scripts would send."""
        values: dict[str, list[str]] = {}
        for element in self.elements:
            if "name" not in element or "disabled" in element:
                continue
            if element.tag == "select":
                options = [one for one in element.inside if one.tag == "option"]
                chosen = next((one for one in options if "selected" in one), options[0])
                values.setdefault(element["name"], []).append(chosen["value"] or "")
            elif element.tag == "input" and (
                element.attributes.get("type") not in ("radio", "checkbox") or "checked" in element
            ):
                values.setdefault(element["name"], []).append(element.attributes.get("value") or "")
        return values

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        self.elements.append(element)
        for outer in self._open:
            outer.inside.append(element)
        if tag not in EMPTY:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if any(element.tag == tag for element in self._open):
            while self._open.pop().tag != tag:
                pass

    def handle_data(self, data: str) -> None:
        if not any(element.tag in UNSEEN or "hidden" in element for element in self._open):
            for element in self._open:
                element.text += data
