"""SOUL.<env>.md: sections that replace and add, checked in every environment."""

import pytest

from agents.overlays import overlaid, sections_of
from agents.team import TeamErrors, load
from tests.team_kit import errors_of, made

OVER = "agents/dev/SOUL.prod.md"


@pytest.fixture
def place(tmp_path):
    return made(tmp_path)


def test_a_named_section_is_replaced_in_its_place_and_others_are_added():
    merged = overlaid("Before\n\n## A\none\n\n## B\ntwo\n", "## C\nthree\n## A\nuno\n")
    assert merged == "Before\n\n## A\nuno\n\n## B\ntwo\n\n## C\nthree"


def test_a_section_that_is_there_twice_is_one():
    assert sections_of("## A\none\n## A\ntwo\n")[1] == {"A": "## A\none\n## A\ntwo\n"}


def test_only_its_environment_has_it(place):
    (place / OVER).write_text("## Boundaries\nNothing without a ticket.\n\n## Hours\nDays only.\n")
    assert "ticket" not in load(place, environ={}).roles["dev"].prompt
    assert "ticket" not in load(place, environ={"SIGNOFF_ENV": "dev"}).roles["dev"].prompt
    team = load(place, environ={"SIGNOFF_ENV": "prod"})
    assert "ticket" in team.roles["dev"].prompt
    assert "## Hours\nDays only." in team.roles["dev"].prompt
    assert "None." not in team.roles["dev"].prompt.partition("## Boundaries")[2]
    assert "ticket" not in team.roles["ops"].prompt
    assert errors_of(place) == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "agents/dev/SOUL.prod.md:1: it has no section"),
        ("Be strict.\n## A\nx\n", "agents/dev/SOUL.prod.md:1: text outside of a section"),
        ("---\nid: dev\n---\n## A\nx\n", "agents/dev/SOUL.prod.md:1: text outside of a section"),
        ("## A\nx\n## Boundaries\n\n## B\nx", "agents/dev/SOUL.prod.md:3: section Boundaries is empty"),
    ],
)
def test_what_is_no_overlay_is_an_error_in_every_environment(place, text, what):
    (place / OVER).write_text(text)
    assert any(error.startswith(what) for error in errors_of(place)), errors_of(place)


@pytest.mark.parametrize("name", ["../x", "Prod", "a b", "x" * 40])
def test_an_environment_has_a_name(place, name):
    with pytest.raises(TeamErrors, match="is no environment"):
        load(place, environ={"SIGNOFF_ENV": name})


def test_what_is_too_long_in_one_environment_is_an_error_in_all(place):
    (place / OVER).write_text("## Boundaries\n" + "word " * 8_300 + "\n")
    (error,) = errors_of(place)
    assert error.startswith("agents/team.yaml: with SIGNOFF_ENV=prod: ")
    assert "the prompt of dev has" in error


@pytest.mark.parametrize("name", ["SOUL.Prod.md", "SOUL..md", "SOUL.a.b.md", "SOUL.-.md"])
def test_an_overlay_of_no_environment_is_an_error(place, name):
    (place / "agents/dev" / name).write_text("## Boundaries\nNone.\n")
    assert errors_of(place) == [f"agents/dev/{name}: names no environment: SOUL.prod.md"]
