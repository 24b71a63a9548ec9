import pytest

from core.model.team import Triggers
from core.rules import words
from core.rules.triggers import fired

ALL = Triggers(words=("refund", "press release"), repeats=3, deletion=True)


@pytest.mark.parametrize(
    "text", ["I want a REFUND!", "refund", "a refund, please", "ｒｅｆｕｎｄ", "the press-release", "press  release"]
)
def test_a_word_hands_over_however_it_is_written(text):
    assert fired(ALL, text, ()) in {words.trigger_word("refund"), words.trigger_word("press release")}


@pytest.mark.parametrize("text", ["refunding is a word of its own", "pressrelease", "release the press", "", "  "])
def test_part_of_a_word_is_not_the_word(text):
    assert fired(ALL, text, ()) == ""


@pytest.mark.parametrize(
    "text",
    [
        "delete my account",
        "Please close the account of Ana",
        "I'd like my account deletion",
        "erase all of my personal data",
        "how do I get you deleting user data?",
        "cancel my profile now",
    ],
)
def test_who_wants_an_account_deleted_gets_a_person(text):
    assert fired(ALL, text, ()) == words.TRIGGER_DELETION


@pytest.mark.parametrize("text", ["delete the draft", "what is an account?", "an account of how we delete files"])
def test_other_deletions_are_work(text):
    assert fired(ALL, text, ()) == ""


def test_the_third_time_the_same_question_is_one_too_many():
    asked = ["When is it live?", "something else", "when is it live"]
    assert fired(ALL, "WHEN  is it live?!", asked) == words.trigger_repeats(3)
    assert fired(ALL, "when is it live", asked[:2]) == ""
    assert fired(ALL, "?", ["?", "?"]) == ""


def test_a_role_without_triggers_hands_nothing_over():
    assert fired(Triggers(), "refund, and delete my account", ["refund, and delete my account"] * 9) == ""
