"""The rest of what people say about an inquiry, from the command line: the chat's words, and the chat's refusals."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from core.rules import notes, replies
from tests.integration.test_cli import DEPLOY, environment, here, ok, refused, rows, signoff

OLGA = "  - {id: olga, name: Olga, role: owner}\n"
BO = "  - {id: bo, name: Bo, role: approver}\n"
CY = "  - {id: cy, name: Cy, role: approver}\n"
YOU = "  - {id: you, name: You, role: owner}\n"
PLAIN = "  tiers: {}\n"
TIER = """\
  tiers:
    infrastructure:
      stages: [{approve: 1}]
      override: true
      bounded: {count_max: 3, hours_max: 4}
"""


@pytest.fixture(scope="module", autouse=True)
def _no_compiled_files_stay():
    yield
    shutil.rmtree(environment()["PYTHONPYCACHEPREFIX"], ignore_errors=True)


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """Only to be copied: four people, and one deployment that waits for one of the three who did not ask."""
    where = tmp_path_factory.mktemp("words") / "ws"
    ok(where.parent, "init", str(where))
    path = where / "agents" / "team.yaml"
    text = path.read_text()
    assert YOU in text
    assert PLAIN in text
    path.write_text(text.replace(YOU, YOU + OLGA + BO + CY, 1).replace(PLAIN, TIER, 1))
    assert here(where, "check").returncode == 0, here(where, "check").stdout
    ok(where, "say", DEPLOY, "--as", "you")
    ok(where, "run", typed="")
    return where


@pytest.fixture
def waiting(asked, tmp_path):
    where = shutil.copytree(asked, tmp_path / "ws")
    (inquiry,) = rows(where, "inbox")
    return where, inquiry["id"]


def recorded(where, what):
    """The rows of the record that say this; an engine links them."""
    ok(where, "run", typed="")
    links = [json.loads(text) for text in ok(where, "audit", "export").splitlines()]
    return [one["row"] for one in links if one.get("row", {}).get("what") == what]


def test_a_comment_reaches_the_agent_and_decides_nothing(waiting):
    where, inquiry = waiting
    assert ok(where, "comment", inquiry, "look", "at", "the", "docs", "--as", "bo").endswith(f"{notes.PASSED_ON}\n")
    assert [row["id"] for row in rows(where, "inbox")] == [inquiry]
    refused(here(where, "comment", inquiry), 2, "TEXT")


@pytest.mark.parametrize(("span", "hours"), [("2h", 2), ("1d", 24), ("7D", 168), ("5", 5)])
def test_reminders_are_put_off(waiting, span, hours):
    where, inquiry = waiting
    assert "No reminders of it until " in ok(where, "snooze", inquiry, span, "--as", "bo")
    (row,) = recorded(where, "inquiry.snoozed")
    assert row["detail"]["until_ms"] - row["at_ms"] == pytest.approx(hours * 3_600_000, abs=1_000)


@pytest.mark.parametrize("span", ["0h", "8d", "a while", "-2h", "1w"])
def test_what_is_no_span_is_refused_as_in_a_chat(waiting, span):
    where, inquiry = waiting
    refused(here(where, "snooze", inquiry, "--as", "bo", "--", span), 1, notes.SNOOZE_HOW)
    refused(here(where, "extend", inquiry, "--as", "bo", "--", span), 1, notes.EXTEND_HOW)


def test_a_deadline_is_moved_and_not_for_ever(waiting):
    where, inquiry = waiting
    (before,) = rows(where, "inbox")
    said = ok(where, "extend", inquiry, "1d", "--reason", "Olga is on a train", "--as", "bo")
    assert "It can be decided until " in said
    (after,) = rows(where, "inbox")
    assert after["decide_by"][:10] > before["decide_by"][:10]
    assert after["decide_by"][10:] == before["decide_by"][10:]
    refused(here(where, "extend", inquiry, "7d", "--as", "bo"), 1, notes.EXTENDED_ENOUGH)
    (row,) = recorded(where, "inquiry.extended")
    assert (row["principal"], row["detail"]["reason"]) == ("bo", "Olga is on a train")


def test_an_owner_who_did_not_ask_decides_alone(waiting):
    where, inquiry = waiting
    words = ("override", inquiry, "--reason", "the site is down")
    refused(here(where, *words, "--as", "bo"), 1, notes.OWNERS_ONLY)
    refused(here(where, *words, "--as", "you"), 1, notes.NOT_YOUR_OWN)
    refused(here(where, "override", inquiry, "--as", "olga"), 2, "--reason")
    assert ok(where, *words, "--as", "olga").endswith("Approved. It runs when signoff is up.\n")
    assert "owner override" in ok(where, "decisions")
    ok(where, "run", typed="")
    assert len((where / "deployed.log").read_text().splitlines()) == 1


def test_an_approval_for_several_times_says_how_many_and_how_long(waiting):
    where, inquiry = waiting
    bounded = ("approve", inquiry, "--times", "3", "--hours", "2", "--reason", "three pages today", "--as", "bo")
    refused(here(where, "approve", inquiry, "--times", "3", "--as", "bo"), 2, "both bounds", "--times N --hours H")
    refused(here(where, "approve", inquiry, "--where", "args.site=docs", "--as", "bo"), 2, "both bounds")
    refused(here(where, "approve", inquiry, inquiry, "--times", "3", "--hours", "2"), 2, "one at a time")
    refused(here(where, "approve", inquiry, "--times", "4", "--hours", "2", "--as", "bo"), 1, notes.too_wide(3, 4))
    refused(here(where, *bounded, "--where", "tool=x"), 1, "Not counted")
    assert ok(where, *bounded).endswith("Approved. It runs when signoff is up.\n")
    (vote,) = recorded(where, "vote.cast")
    assert (vote["principal"], vote["detail"]["reason"]) == ("bo", "three pages today")
    (grant,) = recorded(where, "grant.minted")
    assert grant["detail"]["bounds"] == {"count_max": 3, "within_ms": 7_200_000, "free": {}}
    assert rows(where, "inbox") == []


def test_a_policy_change_is_proposed_and_infrastructure_is_never_free(waiting):
    where, inquiry = waiting
    refused(here(where, "always", inquiry, "--as", "bo"), 1, notes.NEVER_ALWAYS)
    path = where / "agents" / "team.yaml"
    path.write_text(path.read_text().replace("override: true", "override: true\n      may_allow: true"))
    refused(here(where, "always", inquiry, "--until", "some day", "--as", "bo"), 1, notes.WHICH_DAY)
    assert "Approved." in ok(where, "always", inquiry, "--as", "bo")
    (proposal,) = rows(where, "inbox")
    assert "team.yaml" in ok(where, "view", proposal["id"])
    refused(here(where, "approve", proposal["id"], "--as", "bo"), 1, notes.NOT_YOUR_OWN)
    assert "Approved." in ok(where, "approve", proposal["id"], "--as", "olga")


def test_somebody_stands_in_for_who_is_away(waiting):
    where, _ = waiting
    assert "You are away until " in ok(where, "away", "3d", "--as", "bo")
    assert "Cy stands in for you" in ok(where, "away", "8h", "--delegate", "cy", "--as", "bo")
    refused(here(where, "away", "8h", "--delegate", "bo", "--as", "bo"), 1, notes.DELEGATE_SELF)
    refused(here(where, "away", "8h", "--delegate", "zoe", "--as", "bo"), 1, notes.DELEGATE_UNKNOWN)
    refused(here(where, "away", "8h", "--delegate", "bo", "--as", "cy"), 1, notes.DELEGATE_CIRCLE)
    refused(here(where, "away", "until spring", "--as", "bo"), 1, notes.AWAY_HOW)
    assert ok(where, "back", "--as", "bo") == f"{notes.AWAY_BACK}\n"


def test_the_inbox_names_who_stands_in(waiting):
    where, inquiry = waiting
    ok(where, "extend", inquiry, "1d", "--as", "bo")
    ok(where, "away", "3d", "--delegate", "cy", "--as", "bo")
    assert "(for Bo)" not in ok(where, "inbox")  # Cy could decide it anyway
    for words in (("inbox",), ("view", inquiry)):
        assert "Cy" in ok(where, *words)


def test_asking_back_counts_and_the_card_says_so_to_people(waiting):
    where, inquiry = waiting
    assert f"{replies.ASKED_BACK}" in ok(where, "askback", inquiry, "which", "version?", "--as", "bo")
    told = ok(where, "view", inquiry)
    assert "Withdrawn by Bo at " in told
    assert "a question comes first: which version?" in told
    assert "beside a new call" not in told + ok(where, "decisions")


def test_what_is_viewed_says_why_it_is_wanted_until_when_and_who_decided_it(waiting):
    where, inquiry = waiting
    before = ok(where, "view", inquiry)
    assert re.search(r"infrastructure · revision 1 · by .+ · needs 1 of", before)
    assert f'"{DEPLOY}"' in before
    ok(where, "approve", inquiry, "--reason", "it is Monday", "--as", "bo")
    assert re.search(r"revision 1 · Approved by Bo at ", ok(where, "view", inquiry))
    assert "Bo: it is Monday" in ok(where, "decisions")


def test_a_conversation_is_handed_back_by_its_name(waiting):
    where, _ = waiting
    done = here(where, "say", "there is a lawsuit", "--as", "you")
    assert "/handback" in done.stderr
    place = re.search(r"^(cli/\S+) is with a person", ok(where, "inbox"), re.MULTILINE)[1]
    refused(here(where, "handback", "cli/nowhere", "--as", "bo"), 1, replies.no_handover("cli/nowhere"))
    assert ok(where, "handback", place, "--as", "bo") == f"{replies.handed_back(place)}\n"
    assert "is with a person" not in ok(where, "inbox")


def test_no_agent_says_any_of_it(waiting):
    where, inquiry = waiting
    for words in (
        ("comment", inquiry, "x"),
        ("snooze", inquiry, "2h"),
        ("extend", inquiry, "1d"),
        ("override", inquiry, "--reason", "x"),
        ("always", inquiry),
        ("approve", inquiry, "--times", "2", "--hours", "1"),
        ("away", "3d"),
        ("back",),
        ("handback", "cli/x"),
    ):
        refused(here(where, *words, "--as", "olga", SIGNOFF_ATTEMPT="t-1:1:e0"), 4, "agents do not decide")
    assert [row["id"] for row in rows(where, "inbox")] == [inquiry]


def test_it_works_as_a_process_of_its_own(waiting):
    where, inquiry = waiting
    assert "No reminders" in ok(where, "snooze", inquiry, "2h", "--as", "bo", by=signoff)
