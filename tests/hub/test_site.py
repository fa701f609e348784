"""The site file: every mistake is named with its key and line, and nothing in it is left unexplained."""

from __future__ import annotations

from pathlib import Path

import pytest
from shopfloor_hub import site_example
from shopfloor_hub.site import Site, SiteError, load, parse
from shopfloor_hub.site_lines import key_lines, line_of
from shopfloor_jobs.request import FIELDS

ROOT = Path(__file__).parents[2]


def problems(text: str) -> list[str]:
    with pytest.raises(SiteError) as caught:
        parse(text)
    return caught.value.problems


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "[hub]\nprt = 1",
            "site.toml, line 2: hub.prt: there is no such key, did you mean 'port'?",
        ),
        ("\n[hbu]\n", "site.toml, line 2: hbu: there is no such key, did you mean 'hub'?"),
        (
            "[[presets]]\nname='a'\n[[presets]]\nname='b'\n\nmemory = '4 Q'",
            "site.toml, line 6: presets[1].memory: '4 Q' is not possible: a size such as 4G or 512M",
        ),
        (
            "[[presets]]\nname='a'\nmemry = '4G'",
            "site.toml, line 3: presets[0].memry: there is no such key, did you mean 'memory'?",
        ),
        (
            "[[presets]]\nname='custom'",
            "site.toml, line 2: presets[0].name: 'custom' is not possible:"
            " another name, for 'custom' stands for no preset",
        ),
        (
            "[scheduler]\ntype = 'pbs'",
            "site.toml, line 2: scheduler.type: 'pbs' is not possible: 'local' or 'slurm'",
        ),
        (
            "[hub]\nport = '8000'",
            "site.toml, line 2: hub.port: '8000' is not possible: of type integer",
        ),
        ("[hub]\nport = 70000", "site.toml, line 2: hub.port: 70000 is not possible: ≤ 65535"),
        (
            "[environments.'x']\nlabel = 'X'",
            "site.toml, line 1: environments.x.path: is missing",
        ),
        (
            "[environments.x]\npath = 'here'",
            "site.toml, line 2: environments.x.path: 'here' is not possible:"
            " an absolute path such as /usr/bin/python3",
        ),
        (
            "[scheduler]\ntype = 'slurm'",
            "site.toml, line 1: scheduler.helper: is needed with type 'slurm',"
            " such as /usr/local/bin/shopfloor-helper",
        ),
        (
            "[[partitions]]\nname='gpu'\n[[presets]]\nname='a'\npartition='gpus'",
            "site.toml, line 5: presets[0].partition: 'gpus' is not possible: one of gpu,"
            " did you mean 'gpu'?",
        ),
        (
            "[[groups]]\nname='a'\n[[groups]]\nname='a'",
            "site.toml, line 4: groups[1].name: 'a' is not possible: it is there twice",
        ),
        (
            "[hub]\nport = 8081",
            "site.toml, line 1: hub.internal_port: 8081 is not possible: another of the hub's ports is"
            " the same",
        ),
        (
            "[limits]\nnamed_servers = true",
            "site.toml, line 2: limits.named_servers: True is not possible: of type integer",
        ),
    ],
)
def test_a_mistake_is_named_with_its_key_and_line(text, expected):
    assert problems(text) == [expected]


def test_what_is_not_toml_is_named_with_its_line():
    [problem] = problems("[hub]\nport = = 3")
    assert problem.startswith("site.toml: this is not TOML: ") and "line 2" in problem


def test_all_mistakes_are_named_at_once():
    assert len(problems("[hub]\nport = 0\nbase_url = 'x'\n[login]\ntype = 'oauth'")) == 3


def test_a_file_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(SiteError, match="the site file cannot be read: No such file"):
        load(tmp_path / "site.toml")


def test_lines_are_right_after_multi_line_values_and_inside_nested_tables():
    text = (
        "[a]\nx = '''\n[b]\ny = 1\n'''\nz = [\n 1, # ]\n 2,\n]\nw = 1\n[[c]]\n[c.d]\nk = 1\n[[c]]\n"
        'q.r = "#"\n["e.f"]\ng = { h = 1 }\n'
    )
    lines = key_lines(text)
    assert ("b",) not in lines
    assert lines["a", "w"] == 10
    assert lines["c", 0, "d", "k"] == 13
    assert lines["c", 1, "q", "r"] == 15
    assert lines["e.f", "g"] == 17
    assert line_of(lines, ("e.f", "g", "h")) == 17
    assert line_of(lines, ("a", "z", 1)) == 6


def test_without_a_file_everything_is_local_and_loopback():
    site = load(None)
    assert site.scheduler.type == "local"
    assert site.login_type == "passwords"
    assert site.url == "http://127.0.0.1:8000/"


def test_the_state_lies_beside_the_site_file(tmp_path):
    file = tmp_path / "site.toml"
    file.write_text('[hub]\nbase_url = "/floor"\n')
    assert load(file).state == tmp_path / ".shopfloor"
    assert load(file).url == "http://127.0.0.1:8000/floor/"


def test_a_person_on_a_node_learns_nothing_of_the_helper():
    site = parse("[scheduler]\ntype = 'slurm'\nhelper = '/opt/helper'")
    assert "helper" in site.hub_scheduler and "helper" not in site.node_scheduler


def test_every_key_is_explained():
    for _, header, description, model in site_example.tables():
        assert description and description != "None", header
        for key, info in model.model_fields.items():
            assert info.description and len(info.description) > 10, f"{header} {key}"


def test_a_preset_may_hold_every_field_of_a_request():
    presets = next(model for name, _, _, model in site_example.tables() if name == "presets")
    assert set(FIELDS) <= set(presets.model_fields)


def test_the_example_and_its_page_are_up_to_date():
    """When this fails: python -m shopfloor_hub.site_example"""
    assert (ROOT / "hub_config" / "site.example.toml").read_text() == site_example.example()
    assert (ROOT / "docs" / "site-file.md").read_text() == site_example.page()


def test_the_example_is_the_default_site():
    assert parse(site_example.example()).model_dump() == Site().model_dump()


def test_the_example_with_every_comment_removed_is_a_possible_site():
    lines = site_example.example().splitlines()
    keys = [
        line.removeprefix("# ") for line in lines if " = " in line or line.lstrip("# ")[:1] == "["
    ]
    site = parse("\n".join(keys))
    assert site.presets[0].memory == 32 * 1024**3
    assert site.partitions[0].time == 24 * 3600
