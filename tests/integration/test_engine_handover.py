"""A trigger hands the conversation to a person; the team falls silent there until it is handed back."""

from __future__ import annotations

import msgspec

from core.adapters.models.scripted import say, use
from core.model.events import Conversation, ScheduleFired
from core.model.team import Triggers
from core.rules import replies, words
from tests.engine_kit import MAIN, MIA, SIDE, YOU, Table, company

TRIGGERS = Triggers(words=("lawsuit",), repeats=3, deletion=True)
INBOX = Conversation(platform="desk", account="a", channel="inbox")


def table_of(script) -> Table:
    table = Table(script, team=company(YOU, MIA))
    team = table.teams.team
    roles = {name: msgspec.structs.replace(role, triggers=TRIGGERS) for name, role in team.roles.items()}
    policy = msgspec.structs.replace(team.policy, inbox=INBOX)
    table.teams.team = msgspec.structs.replace(team, roles=roles, policy=policy)
    return table


async def test_a_trigger_hands_over_with_all_that_was_said_and_the_team_says_so_and_stops() -> None:
    table = table_of({"ceo": [say("hello"), say("back")]})
    await table.say("good morning")
    await table.say("we face a lawsuit")
    title = table.teams.team.roles["ceo"].title
    assert table.lines == [replies.handed_over(title, words.trigger_word("lawsuit"))]
    (told,) = [post.view.text for post in table.desk.sent]
    assert "You: good morning" in told
    assert "You: we face a lawsuit" in told
    await table.say("hello? anybody?")
    assert len(table.lines) == 1
    assert len(table.model.requests) == 1
    await table.say("elsewhere it works", at=SIDE)
    assert len(table.answers) == 2


async def test_it_is_handed_back_by_an_approver_and_what_was_said_meanwhile_is_known() -> None:
    table = table_of({"ceo": [say("I know")]})
    assert await table.order("/handback") == ""
    assert table.lines == [replies.NOT_HANDED_OVER]
    await table.say("delete my account")
    await table.order("/handback", "mia")
    assert table.lines[-1] == replies.NOT_YOURS
    await table.say("the person answered: done by hand")
    await table.order("/handback")
    assert table.lines[-1] == replies.HANDED_BACK
    await table.say("so, is it done?")
    assert table.answer == "I know"
    assert "done by hand" in table.model.requests[-1].messages[0].text


async def test_a_running_request_is_held_while_a_person_has_the_conversation() -> None:
    table = table_of({"ops": [use("note", text="a"), say("done")]})
    table.tools["note"].hold()
    await table.say("go", role="ops")
    await table.say("this is about a lawsuit")
    table.tools["note"].let_go.set()
    await table.settle()
    assert table.answers == []
    await table.order("/handback")
    await table.settle()
    assert table.answer == "done"


async def test_the_same_question_for_the_third_time() -> None:
    table = table_of({"ceo": [say("soon"), say("soon"), say("never")]})
    for _ in range(3):
        await table.say("when?")
    assert [answer.text for answer in table.answers] == ["soon", "soon"]
    assert words.trigger_repeats(3) in table.lines[-1]
    facts = [row.row.what for row in await table.store.read.chain()] + [
        row.what for row in await table.store.read.unsealed(99)
    ]
    assert "conversation.handed-over" in facts


async def test_what_is_asked_every_now_and_then_is_no_question_that_stays_without_an_answer() -> None:
    table = table_of({"ceo": [say("done")] * 4})
    for _ in range(4):
        await table.say("deploy the docs")
        table.turn_clock(hours=0.6)
    assert len(table.answers) == 4


async def test_a_schedule_triggers_nothing_and_asking_by_command_does() -> None:
    table = table_of({"ceo": [say("done")]})
    await table.happens(ScheduleFired, at=MAIN, schedule="s", scheduled_at_ms=1, text="read about the lawsuit")
    await table.settle()
    assert table.answer == "done"
    await table.order("/ask what about the lawsuit")
    assert words.trigger_word("lawsuit") in table.lines[-1]


async def test_it_is_handed_back_from_elsewhere_by_the_name_that_the_inbox_gives_it() -> None:
    table = table_of({"ceo": [say("I know")]})
    await table.say("we face a lawsuit", at=SIDE)
    assert "/handback PLACE" in replies.waits_for_handback((), 0)
    assert await table.order("/handback chat/nowhere") == ""
    assert table.lines[-1] == replies.no_handover("chat/nowhere")
    await table.order(f"/handback {SIDE.key.rstrip('/')}", "mia")
    assert table.lines[-1] == replies.NOT_YOURS
    await table.order(f"/handback {SIDE.key.rstrip('/')}")
    assert set(table.lines[-2:]) == {replies.HANDED_BACK, replies.handed_back(SIDE.key.rstrip("/"))}
    await table.say("so, is it done?", at=SIDE)
    assert table.answer == "I know"


async def test_the_beginning_of_a_name_is_enough_if_it_is_one_place_s_alone() -> None:
    table = table_of({"ceo": [say("I know")]})
    for thread in ("", "1", "2"):
        await table.say("a lawsuit", at=msgspec.structs.replace(SIDE, thread=thread))
    await table.order(f"/handback {SIDE.platform}")
    assert table.lines[-1] == replies.no_handover(SIDE.platform)
    await table.order(f"/handback {SIDE.key}")  # exactly this one, though others begin so
    assert table.lines[-1] == replies.handed_back(SIDE.key.rstrip("/"))
    await table.order(f"/handback {SIDE.key}1")
    assert table.lines[-1] == replies.handed_back(f"{SIDE.key}1")
