"""Templates, static files and routes as they are: whom pages call, which words they use, what is put in where."""

from __future__ import annotations

import re

import pytest
from jupyterhub.handlers.pages import HomeHandler, SpawnHandler
from shopfloor_hub import form, help_handler, pages, stop_handler
from shopfloor_hub.pages_start import StartHandler

TEMPLATES = sorted(form.TEMPLATES.glob("*.html"))
FILES = [*TEMPLATES, *sorted(pages.STATIC.iterdir())]
NEVER_ON_SCREEN = re.compile(r"spawn|controller|reconcil|arrival|\bintent", re.IGNORECASE)


def names(paths):
    return [path.name for path in paths]


@pytest.mark.parametrize("path", FILES, ids=names(FILES))
def test_no_page_calls_another_machine(path):
    text = path.read_text().replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.findall(r"(?:https?:)?//\w\S*|@import|url\(", text)


@pytest.mark.parametrize("path", TEMPLATES, ids=names(TEMPLATES))
def test_the_words_on_screen_are_plain(path):
    text = re.sub(r"\{#.*?#\}|<script.*?</script>", "", path.read_text(), flags=re.DOTALL)
    spoken = re.findall(
        r'(?:aria-label|title|alt|data-(?:busy|failed|lost))="([^"]*)"', text, flags=re.DOTALL
    )
    text = re.sub(r"\{%.*?%\}|\{\{.*?\}\}", "", text, flags=re.DOTALL)
    text = re.sub(r"<[^>]*>", "\n", text, flags=re.DOTALL)
    assert not NEVER_ON_SCREEN.findall(text + "\n".join(spoken))


@pytest.mark.parametrize("path", TEMPLATES, ids=names(TEMPLATES))
def test_nothing_is_marked_safe_but_what_is_html_already(path):
    allowed = {"spawner_options_form", "failed_html_message", "message_html"}
    assert set(re.findall(r"(\w+)\s*\|\s*safe", path.read_text())) <= allowed


def test_the_start_route_takes_the_place_of_jupyterhubs_and_is_put_in_once():
    routes = [(r"/home", HomeHandler), (r"/spawn", SpawnHandler), (r"/spawn/([^/]+)", SpawnHandler)]
    pages.register(routes)
    once = list(routes)
    pages.register(routes)
    assert routes == once
    assert [handler for _, handler, *_ in routes[:3]] == [HomeHandler, StartHandler, StartHandler]
    own = [pattern for pattern, *_ in routes[3:]]
    assert own == [
        help_handler.ROUTE,
        *(path for path, _ in stop_handler.ROUTES),
        pages.STATIC_ROUTE,
    ]


@pytest.mark.parametrize(
    ("support", "url"),
    [
        ("https://help.example.org/x", "https://help.example.org/x"),
        ("help@example.org", "mailto:help@example.org"),
        ("room 12", ""),
        ("javascript:alert('a@b')", "mailto:javascript:alert('a@b')"),
        ("", ""),
    ],
)
def test_help_is_linked_where_it_is_an_address(support, url):
    assert pages.Pages("Site", support, "local").support_url == url
