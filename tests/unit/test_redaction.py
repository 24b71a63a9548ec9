"""What is masked before anything is stored for long, and what is left alone."""

import subprocess
import sys

import pytest

from agents.redaction import Redactor

MASKED = {
    "card 4111 1111 1111 1111 ok": "card [card number masked] ok",
    "card 4111-1111-1111-1111.": "card [card number masked].",
    "IBAN DE89 3704 0044 0532 0130 00 is ours": "IBAN [account number masked] is ours",
    "GB82WEST12345698765432": "[account number masked]",
    "postgres://u:hunter2@db/x": "postgres://[password masked]@db/x",
    "password: hunter": "password: [password masked]",
    "API_KEY='q w'": "API_KEY='q w'",  # too short to be one
    "client secret=abcdef": "client secret=[password masked]",
    "the token is abc123!": "the token is [password masked]",
    "Das Passwort lautet sommer2026": "Das Passwort lautet [password masked]",
    "use AKIAIOSFODNN7EXAMPLE there": "use [key masked] there",
    "token: ghp_" + "a" * 36: "token: [key masked]",
    "sk-ant-api03-abcdefghijklmnop": "[key masked]",
    "sk_live_abcdefghijklmnop": "[key masked]",
    "xoxb-1234567890-abcdefgh": "[key masked]",
    "bot 123456789:" + "A" * 35: "bot [key masked]",
    "Authorization: Bearer abcdefghijklmnop": "Authorization: Bearer [key masked]",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc": "[key masked]",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----!": "[private key masked]!",
    "-----BEGIN PRIVATE KEY-----\nhalf": "[private key masked]",
    "ours: abcd1234efgh": "ours: [key masked]",
}
CONTACTS = {
    "ask ana.b+c@acme.example today": "ask [e-mail address masked] today",
    "or +49 30 901820 then": "or [telephone number masked] then",
    "call her on 030 901820 tomorrow": "call her on [telephone number masked] tomorrow",
}
PLAIN = (
    "token is required",
    "commit 3f2a9c0d1e4b5f60718293a4b5c6d7e8f9012345 on 2026-11-20 at 10:30",
    "order 1234567890123456",
    "version 1.2.3.4 build 20261120",
    "Deploys cost 3 000 000 in 2024 and 2025",
    "call on 2026-11-20 12:30",
    "DE12 is a room and DE89 3704 0044 0532 0130 01 a typing error",
    "deploys12345",
    "",
)


@pytest.fixture
def redactor():
    return Redactor({"OPENAI_API_KEY": "abcd1234efgh", "PLACE": "deploys12345", "A_TOKEN": "short"})


@pytest.mark.parametrize("contacts", [True, False])
@pytest.mark.parametrize("text", MASKED)
def test_secrets_are_always_masked(redactor, text, contacts):
    assert redactor(text, contacts=contacts).text == MASKED[text]


@pytest.mark.parametrize("text", CONTACTS)
def test_ways_to_reach_a_person_stay_only_where_they_belong(redactor, text):
    assert redactor(text).text == CONTACTS[text]
    assert redactor(text, contacts=True).text == text


@pytest.mark.parametrize("text", PLAIN)
def test_the_rest_stays_as_it_is(redactor, text):
    assert redactor(text).text == text
    assert redactor(text).masked == ()


def test_what_was_masked_is_named_once_each(redactor):
    found = redactor("4111111111111111 and 5500005555555559, ana@acme.example")
    assert found.masked == ("card number", "e-mail address")


def test_masking_twice_changes_nothing(redactor):
    for text in (*MASKED, *CONTACTS, *PLAIN):
        once = redactor(text).text
        assert redactor(once).text == once


def test_no_library_is_loaded_before_something_is_to_be_masked():
    code = "import sys, agents.redaction as r; r.Redactor({}); print({'stdnum', 'phonenumbers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
