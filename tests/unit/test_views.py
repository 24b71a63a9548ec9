"""What people are shown: built from what is so, disarmed, bounded, and complete on demand."""

import re
import sys
import unicodedata

import msgspec
import pytest

from core.model.inquiries import Evidence, InquiryState, Kind, Label, Resolution, Verb, Vote
from core.model.team import Tier
from core.model.views import Answer, Branch, Trouble
from core.model.work import CallState, Failure, Handoff, Phase
from core.rules import controls, text, views, words
from tests.unit.view_samples import DEPLOY, HOUR_MS, MONDAY_MS, NONCE, TEAM, call, child, inquiry, question, task

NOW_MS = MONDAY_MS - 5 * HOUR_MS


def card(some, votes=(), needs="1 of 2, not you (you asked)"):
    return views.inquiry_card(some, TEAM, votes, NONCE, NOW_MS, needs=needs)


def with_arguments(arguments, secrets=(), **changes):
    action = msgspec.structs.replace(DEPLOY, tool="send_mail", arguments=arguments, secrets=secrets, **changes)
    return inquiry(action=action)


def whole(some):
    return {field.name: field.shown for field in views.whole_of(some)}


def labels(some):
    return [button.label for button in card(some).buttons]


# --- Text


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="a newer Unicode may hide more; the list names its version")
def test_every_character_that_hides_or_commands_is_made_visible():
    hidden = {
        chr(n) for n in range(sys.maxunicode + 1) if unicodedata.category(chr(n)) in {"Cc", "Cf", "Cs", "Zl", "Zp"}
    }
    hidden -= {"\n"}
    assert {c for c in hidden if views.visible(c) == c} == set()
    assert {c for c in hidden if views.readable(c) == c} == {"\u200c", "\u200d"}


def test_visible_names_what_it_takes_away_and_keeps_what_people_write():
    assert views.visible("a\u202eb\x1b[2Jc\rd\te") == "a<U+202E>b<U+001B>[2Jc<U+000D>d<U+0009>e"
    assert views.visible("Grüße, 你好,\nمرحبا 🎉") == "Grüße, 你好,\nمرحبا 🎉"
    assert views.readable("a\r\nb\tc\u202e 👩\u200d💻") == "a\nb    c<U+202E> 👩\u200d💻"


@pytest.mark.parametrize(
    ("long", "n", "short"), [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("a bcd", 3, "a…"), ("ab", 1, "…"), ("ab", 0, "")]
)
def test_shorten(long, n, short):
    assert views.shorten(long, n) == short


@pytest.mark.parametrize(
    ("ms", "said"),
    [
        (0, "under 1 s"),
        (999, "under 1 s"),
        (31_000, "31 s"),
        (130_000, "2 m 10 s"),
        (3_600_000, "1 h"),
        (3_605_000, "1 h"),
        (86_400_000 * 2 + 3_600_000 * 3 + 60_000, "2 d 3 h"),
    ],
)
def test_durations(ms, said):
    assert views.human_duration(ms) == said


@pytest.mark.parametrize(
    ("microusd", "said"),
    [(0, "$0.00"), (1, "under $0.01"), (60_000, "$0.06"), (1_234_560_000, "$1,234.56")],
)
def test_money(microusd, said):
    assert views.human_money(microusd) == said


@pytest.mark.parametrize(
    ("n", "said"),
    [
        (999, "999"),
        (1_000, "1k"),
        (1_290, "1.2k"),
        (12_034, "12k"),
        (999_999, "999k"),
        (3_400_000, "3.4M"),
        (10**8, "100M"),
    ],
)
def test_counts(n, said):
    assert views.human_count(n) == said


def test_times_are_in_the_zone_asked_for():
    assert views.human_time(MONDAY_MS, "UTC") == "Mon 18:00"
    assert views.human_time(MONDAY_MS, "Asia/Tokyo") == "Tue 03:00"


@pytest.mark.parametrize(("days", "said"), [(0, "18:00"), (1, "Mon 18:00"), (6, "Mon 18:00"), (7, "23 Nov 18:00")])
def test_when_is_as_brief_as_it_is_clear(days, said):
    assert text.human_when(MONDAY_MS, MONDAY_MS + days * 24 * HOUR_MS, "UTC") == said


def test_several_names_in_a_sentence():
    assert views.names_of(TEAM, ()) == "nobody"
    assert views.names_of(TEAM, ("ana",)) == "Ana"
    assert views.names_of(TEAM, ("ana", "bo", "at_deadline")) == "Ana, Bo and at_deadline"


# --- Controls


@pytest.mark.parametrize("verb", list(Verb))
@pytest.mark.parametrize("option", [None, 0, 7, 9999])
def test_controls_are_read_back_and_fit(verb, option):
    made = views.control(NONCE, verb, option)
    assert views.parse_control(made) == (NONCE, verb, option)
    assert len(made.encode("ascii")) <= controls.CONTROL_BYTES_MAX


@pytest.mark.parametrize(
    "forged",
    [
        "",
        NONCE,
        f"{NONCE}.",
        f"{NONCE}.z",
        f"{NONCE}.a01",
        f"{NONCE}.a٣",
        f"{NONCE.upper()}.a",
        f" {NONCE}.a",
        f"{NONCE}.a\n",
    ],
)
def test_what_we_did_not_make_is_no_control(forged):
    assert views.parse_control(forged) is None


def test_a_nonce_needs_the_secret_and_the_store_keeps_only_its_hash():
    nonce = views.control_nonce("secret", "i-7f3a/1/console")
    assert re.fullmatch("[0-9a-f]{16}", nonce)
    assert nonce == views.control_nonce("secret", "i-7f3a/1/console")
    assert nonce != views.control_nonce("other", "i-7f3a/1/console")
    assert nonce != views.control_nonce("secret", "i-7f3a/2/console")
    assert nonce not in views.nonce_hash(nonce)
    assert views.nonce_hash(nonce) != views.nonce_hash(NONCE)


# --- Cards


def test_an_approval_says_who_wants_what_how_bad_it_is_and_what_is_expected():
    shown = card(inquiry())
    assert shown.title == "DevOps asks to run deploy"
    assert shown.line == "Runs ./deploy.sh landing on this machine"
    assert [(f.name, f.shown) for f in shown.fields] == [
        ("command", "deploy"),
        ("site", "landing"),
        ("dry_run", "false"),
    ]
    assert (shown.tier, shown.decide_by_ms, shown.decide_within_ms) == ("infrastructure", MONDAY_MS, 5 * HOUR_MS)
    assert shown.needs == "1 of 2, not you (you asked)"
    assert [(b.label, b.key, b.style) for b in shown.buttons] == [
        ("Approve", "a", "good"),
        ("Deny", "d", "bad"),
        ("Edit", "e", "plain"),
        ("Ask back", "b", "plain"),
        ("View all", "v", "plain"),
    ]
    assert views.parse_control(shown.buttons[0].control) == (NONCE, Verb.APPROVE, None)
    assert (shown.more_n, shown.hint, shown.overdue) == (0, "", False)


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({"action": msgspec.structs.replace(DEPLOY, arguments={"name": "deploy"})}, "DevOps asks to run deploy"),
        ({"action": msgspec.structs.replace(DEPLOY, arguments={"command": 5})}, "DevOps asks to run run_command"),
        ({"action": msgspec.structs.replace(DEPLOY, tool="send_mail", verb="")}, "DevOps asks to use send_mail"),
        ({"action": msgspec.structs.replace(DEPLOY, tool="mail", verb="publish")}, "DevOps asks to publish with mail"),
        ({"action": None}, "DevOps asks"),
        ({"kind": Kind.REVIEW, "action": None}, "DevOps asks for a review"),
        ({"kind": Kind.RECONCILE}, "Did it happen? DevOps started deploy"),
        ({"kind": Kind.RECONCILE, "action": None}, "Did it happen? DevOps started something"),
        ({"kind": Kind.FORM, "action": None}, "DevOps asks"),
        ({"kind": Kind.QUESTION, "role": "gone"}, "gone asks"),
    ],
)
def test_titles(changes, title):
    assert card(inquiry(**changes)).title == title


def test_what_a_card_shortens_view_all_has_complete():
    arguments = {f"a{n}": n for n in range(8)} | {"body": "x" * 5_000, "n" * 60: {"deep": [1, 2]}}
    some = with_arguments(arguments)
    shown = card(some)
    assert len(shown.fields) == 6
    assert shown.more_n == 4
    assert whole(some)["body"] == "x" * 5_000
    assert whole(some)[f"{'n' * 60}.deep"] == "[\n  1,\n  2\n]"
    assert whole(some)["(tool)"] == "send_mail"
    assert whole(some)["(acts on)"] == "site:landing"
    assert whole(some)["(SHA-256)"] == "ab" * 32
    assert "(server)" not in whole(some)
    only = card(with_arguments({"n" * 60: {"deep": [1, 2]}, "body": "x\n" * 90})).fields
    assert [len(field.name) for field in only] == [40, 4]
    assert only[0].shown == "[1, 2]"
    assert len(only[1].shown) == 80


def test_case_27_bidi_and_control_characters_are_seen():
    some = with_arguments({"to\u202e": "ana\u200b@acme.example\x1b[2J\nBcc: eve"}, says="Mails \u2066ana")
    shown = card(some)
    assert shown.line == "Mails <U+2066>ana"
    assert shown.fields[0].name == "to<U+202E>"
    assert shown.fields[0].shown == "ana<U+200B>@acme.example<U+001B>[2J⏎Bcc: eve"
    assert whole(some)["to<U+202E>"] == "ana<U+200B>@acme.example<U+001B>[2J\nBcc: eve"


def test_a_string_that_reads_as_something_else_is_quoted():
    arguments = {"a": "5", "b": 5, "c": "", "d": " x", "e": "true", "f": "plain words", "g": None}
    assert [f.shown for f in views.whole_of(with_arguments(arguments))][:7] == [
        '"5"',
        "5",
        '""',
        '" x"',
        '"true"',
        "plain words",
        "null",
    ]


def test_case_29_secrets_are_nowhere_on_a_card():
    some = with_arguments(
        {
            "token": "hunter2",
            "to": [{"token": "hunter2"}, "eve"],
            "auth": {"key": ["k-12345", 7], "user": "ana"},
            "all": {"password": {"now": "p4ssw0rd"}},
            "pin": "1",
        },
        secrets=("token", "auth.key", "password", "pin"),
        says="Sends with hunter2 and k-12345 and p4ssw0rd",
        resource="api?token=hunter2",
    )
    some = msgspec.structs.replace(some, why="I use hunter2")
    everything = repr(card(some))
    for secret in ("hunter2", "k-12345", "p4ssw0rd"):
        assert secret not in everything
    assert "ana" in everything
    assert whole(some)["pin"] == words.REDACTED
    shown = views.arguments_shown(some.action)
    assert shown["to"] == [{"token": words.REDACTED}, "eve"]
    assert shown["auth"] == {"key": words.REDACTED, "user": "ana"}


def test_an_unasked_verb_has_no_button_but_everything_can_be_viewed():
    assert labels(inquiry(verbs=(Verb.APPROVE, Verb.DENY))) == ["Approve", "Deny", "View all"]
    assert labels(inquiry(kind=Kind.REVIEW, action=None)) == ["Approve", "Deny", "Ask back", "View all"]
    assert labels(inquiry(kind=Kind.RECONCILE)) == ["It happened", "Run it", "Give up", "View all"]


def test_a_question_offers_its_options_or_an_answer():
    assert labels(question()) == ["Answer"]
    some = question(options=("Spain", "Norway"))
    assert [(b.label, b.key, views.parse_control(b.control)) for b in card(some).buttons] == [
        ("Spain", "1", (NONCE, Verb.ANSWER, 0)),
        ("Norway", "2", (NONCE, Verb.ANSWER, 1)),
    ]
    assert whole(some) == {"question": "Which market first?", "option 1": "Spain", "option 2": "Norway"}


def test_a_long_question_and_many_options_can_be_viewed_whole():
    assert labels(question(question="x" * 700)) == ["Answer", "View all"]
    assert labels(question(options=("o" * 100,))) == ["o" * 59 + "…", "View all"]
    many = labels(question(options=tuple(f"o{n}" for n in range(30))))
    assert len(many) == views.OPTIONS_MAX + 2
    assert many[-2:] == ["Answer", "View all"]
    assert whole(question(question="")) == {}


def test_a_form_lists_what_it_asks():
    schema = {"type": "object", "properties": {"date": {"description": "the day"}, "n": {"type": "integer"}, "x": {}}}
    shown = card(question(kind=Kind.FORM, schema=schema))
    assert [(f.name, f.shown) for f in shown.fields] == [("date", "the day"), ("n", "integer"), ("x", "")]
    assert card(question(kind=Kind.FORM)).fields == ()


def test_the_only_person_is_told_how_to_approve_alone():
    assert card(inquiry(label=Label.SINGLE)).hint == words.HINT_TWICE
    assert card(inquiry(label=Label.SINGLE, pressed_once=True)).hint == words.HINT_AGAIN
    assert card(inquiry(label=Label.REDUCED)).hint == words.HINT_REDUCED
    both = card(inquiry(label=Label.REDUCED, approve_reason=True)).hint
    assert both == f"{words.HINT_REDUCED} · {words.HINT_REASON}"
    assert card(inquiry(approve_reason=True)).hint == words.HINT_REASON
    assert card(inquiry(label=Label.SINGLE, kind=Kind.RECONCILE)).hint == ""


def test_who_has_approved_so_far_is_said():
    votes = tuple(
        Vote(
            inquiry=inquiry().id,
            revision=1,
            stage=0,
            principal=who,
            account=f"console:{who}",
            evidence=Evidence.VERIFIED,
            verb=verb,
            callback=who,
            at_ms=1,
            active=active,
        )
        for who, verb, active in (("ana", Verb.APPROVE, True), ("bo", Verb.APPROVE, False), ("cy", Verb.ASK_BACK, True))
    )
    assert card(inquiry(), votes, needs="1 of 2").needs == "1 of 2 · approved so far by Ana"
    assert card(inquiry(), votes, needs="").needs == "approved so far by Ana"


def test_no_deadline_and_a_past_one():
    assert card(inquiry(decide_by_ms=None)).decide_within_ms is None
    late = card(inquiry(decide_by_ms=NOW_MS - 1, overdue=True))
    assert (late.decide_within_ms, late.overdue) == (0, True)


# --- Decided


def decided(state, by=("bo",), answer=None, reason="", **changes):
    resolution = Resolution(by=by, at_ms=MONDAY_MS, reason=reason, answer=answer)
    return views.decided_card(
        inquiry(state=state, resolution=resolution, **changes), TEAM, MONDAY_MS, "ran in 3.1 s, exit 0"
    )


@pytest.mark.parametrize(
    ("state", "changes", "headline"),
    [
        (InquiryState.APPROVED, {}, "Approved by Bo at 18:00"),
        (InquiryState.APPROVED, {"label": Label.SINGLE}, "Approved by Bo at 18:00 (single operator)"),
        (InquiryState.DENIED, {"reason": "not on Friday"}, "Denied by Bo at 18:00: not on Friday"),
        (InquiryState.DENIED, {}, "Denied by Bo at 18:00"),
        (InquiryState.ANSWERED, {"answer": "Spain"}, "Answered by Bo at 18:00: Spain"),
        (InquiryState.ANSWERED, {}, "Answered by Bo at 18:00"),
        (InquiryState.DISMISSED, {}, "Dismissed by Bo at 18:00"),
        (InquiryState.SUPERSEDED, {}, "Replaced by a newer request"),
        (InquiryState.DENIED, {"by": ("deadline",), "reason": "late"}, "Denied by the deadline at 18:00: late"),
        (InquiryState.CANCELLED, {"by": ("",), "reason": "the task ended"}, "Withdrawn: the task ended"),
        (InquiryState.CANCELLED, {"by": ("policy",)}, "Withdrawn"),
        (InquiryState.CANCELLED, {}, "Withdrawn by Bo at 18:00"),
        (InquiryState.CANCELLED, {"reason": "which?"}, "Withdrawn by Bo at 18:00: which?"),
        (InquiryState.EXPIRED, {}, "Expired"),
        (InquiryState.EXPIRED, {"by": ("task",), "reason": "it has ended"}, "Expired: it has ended"),
        (InquiryState.UNDELIVERABLE, {}, "Could not be shown to anybody yet"),
        (InquiryState.OPEN, {}, "Still open"),
        (InquiryState.COLLECTING, {"overdue": True}, "Overdue, in the inbox since 18:00"),
        (InquiryState.ANSWERED, {"kind": Kind.RECONCILE, "answer": "happened"}, "It happened, said Bo at 18:00"),
        (InquiryState.APPROVED, {"kind": Kind.RECONCILE}, "Approved by Bo at 18:00"),
    ],
)
def test_headlines(state, changes, headline):
    shown = decided(state, **changes)
    assert shown.headline == headline
    assert (shown.title.endswith("deploy"), shown.outcome) == (True, "ran in 3.1 s, exit 0")


def test_a_decision_nobody_recorded_still_has_a_headline():
    shown = views.decided_card(inquiry(state=InquiryState.DENIED), TEAM, NOW_MS)
    assert (shown.headline, shown.outcome) == ("Denied by nobody at 13:00", "")


def test_the_inbox_is_oldest_first():
    old = inquiry(id="i-aaaa", created_at_ms=NOW_MS - 2 * HOUR_MS, overdue=True)
    new = question(id="i-bbbb", created_at_ms=NOW_MS + HOUR_MS, tier=Tier.INTERNAL)
    inbox = views.inbox_view(((new, "an answer"), (old, "1 of 1")), TEAM, NOW_MS)
    assert [(i.inquiry, i.age_ms, i.overdue, i.needs, i.tier) for i in inbox.items] == [
        ("i-aaaa", 2 * HOUR_MS, True, "1 of 1", "infrastructure"),
        ("i-bbbb", 0, False, "an answer", "internal"),
    ]


# --- Requests


def test_a_handoff_is_an_answer():
    result = Handoff(
        summary="Done.\x1b]0;", changed=("site\tlive",), risks=("r",), next_needs=("n",), artifacts=("a\u202e",)
    )
    shown = views.answer_view(task(phase=Phase.DONE, result=result), TEAM)
    assert shown == Answer(
        task="t-81c200112233",
        speaker="CEO",
        text="Done.<U+001B>]0;",
        changed=("site    live",),
        risks=("r",),
        next_needs=("n",),
        artifacts=("a<U+202E>",),
    )


def test_a_failure_is_trouble_with_a_remedy():
    failed = task(phase=Phase.FAILED, result=Failure(what="no build", why="no disk", recovery="free some"))
    assert views.answer_view(failed, TEAM) == Trouble(what="no build", means="no disk", remedy="free some")


@pytest.mark.parametrize(
    ("phase", "means"),
    [(Phase.CANCELLED, words.CANCELLED_MEANS), (Phase.REJECTED, words.REJECTED_MEANS), (Phase.FAILED, "")],
)
def test_no_result_is_trouble_too(phase, means):
    shown = views.answer_view(task(phase=phase), TEAM)
    assert shown == Trouble(what=words.NO_RESULT, means=means, remedy=words.ASK_AGAIN)


def doing(some, *others):
    return views.status_line(some, others, TEAM, MONDAY_MS + 31_000).branches


def test_a_status_line_follows_the_work_down():
    root = task(calls=(call(CallState.CHILD, child="t-000000000001"),))
    cto = child(1, root, calls=(call(CallState.CHILD, child="t-000000000002"),))
    devops = child(2, cto, role="devops", calls=(call(CallState.RUNNING),))
    line = views.status_line(root, (root, cto, devops), TEAM, MONDAY_MS + 31_000)
    assert line.branches == (Branch(roles=("CEO", "CTO", "DevOps"), doing="running read_file"),)
    assert (line.steps, line.tokens, line.cost_microusd) == (6, 18_051, 90_000)
    assert (line.at_ms - line.started_at_ms, line.done, line.roles_n, line.more) == (31_000, "", 3, 0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"phase": Phase.CANCELLING}, "stopping"),
        ({"thinking": "e"}, "thinking"),
        ({"calls": (call(CallState.RUNNING, name="run_command", arguments={"command": "deploy"}),)}, "running deploy"),
        ({"calls": (call(CallState.RUNNING), call(CallState.RUNNING))}, "running read_file and 1 more"),
        ({"calls": (call(CallState.PERSON, inquiry="i-7f3a00112233"),)}, "waiting on i-7f3a"),
        ({"calls": (call(CallState.CHILD, child="t-gone"),)}, "reading what came back"),
        ({"calls": (call(CallState.ENDED),)}, "getting ready"),
        ({"question": "which?"}, "asked a question back"),
        ({}, "getting ready"),
    ],
)
def test_what_a_task_is_doing(changes, said):
    assert doing(task(**changes)) == (Branch(roles=("CEO",), doing=said),)


def test_a_fan_out_shows_six_branches_and_counts_the_rest():
    root = task(calls=tuple(call(CallState.CHILD, child=f"t-{n:012x}") for n in range(9)))
    line = views.status_line(root, tuple(child(n, root, thinking="e") for n in range(9)), TEAM, MONDAY_MS)
    assert (len(line.branches), line.more) == (6, 3)


def test_a_circle_of_parents_ends():
    one = child(1, task(), parent="t-000000000002", thinking="e")
    two = child(2, task(), parent="t-000000000001", phase=Phase.DONE)
    assert len(doing(one, two)[0].roles) <= 3


def test_the_receipt_says_how_it_ended():
    root = task(phase=Phase.DONE)
    line = views.status_line(root, (child(1, root, thinking="e"),), TEAM, MONDAY_MS + 10**9)
    assert (line.done, line.branches, line.at_ms - line.started_at_ms, line.roles_n) == ("done", (), 130_000, 2)


def test_a_word_meanwhile_is_heard():
    waiting = task(
        calls=(call(CallState.PERSON, inquiry="i-7f3a00112233"), call(CallState.CHILD, child="t-81c200112299"))
    )
    assert views.waiting_line(waiting, TEAM).text == "waiting on i-7f3a and 1 more; I read this next"
    assert views.waiting_line(task(), TEAM).text == "heard; I read this at the next step"
    assert views.waiting_line(task(), TEAM).speaker == "CEO"


def test_a_stranger_gets_one_polite_line():
    assert views.refusal().text == words.REFUSAL
    assert views.refusal().private


def test_a_zone_that_does_not_exist_is_no_silent_utc():
    with pytest.raises(KeyError):
        views.human_time(MONDAY_MS, "Mars/Olympus")
