"""Group 8: every length one below, at and above what a message holds; emoji; hostile markup is nothing but text."""

import pytest

GROUP = 8
HOSTILE = (
    "@everyone @here <!channel> <!here> <@U0OWNER> <@1001> <b>bold</i> </b> <script>alert(1)</script> &amp; &lt; "
    "[x](javascript:alert(1)) *_~`|> ```\nnever closed <pre> \u202egnirts\u202c \x00 {0} %s"
)
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def _answered(stage, word, answer):
    refused_n = stage.journal_n("refused")
    talk = await stage.ping(word=word, answer=answer)
    await talk.until("done in", seconds=30)
    await talk.until(f"pong {word}")
    assert stage.journal_n("refused") == refused_n, stage.service.journal.lines("refused")[refused_n:]
    stage.talks.remove(talk)
    return talk


@pytest.mark.parametrize("letter", ["x", "😀", "é", "&", "<"])
async def test_around_the_longest_message(stage, letter):
    """As the text of the answer, and as it is drawn, with its heading and markup: some of these meet the limit."""
    width = len(letter.encode("utf-16-le")) // 2
    for delta in (-60, -1, 0, 1):
        word = stage.word()
        head = f"pong {word} "
        fill = (stage.service.text_max + delta - len(head) - 2) // width
        answer = head + "".join(
            str(n // 10 % 1000).rjust(5) if n % 10 == 0 else letter for n in range(fill - fill // 2)
        )
        answer += letter * (fill - len(answer) + len(head))
        talk = await _answered(stage, word, f"{answer} Z")
        shown = "".join(one.text for one in talk.shown())
        whole = [c.decode() for one in talk.shown() for _, c in one.files]
        found = max(shown.count(letter), *(text.count(letter) for text in ["", *whole]))
        assert found >= answer.count(letter), "text was lost"
        for one in talk.shown():
            assert len(one.text.encode("utf-16-le")) // 2 <= max(stage.service.text_max, 4_000)


async def test_hostile_text(stage):
    word = stage.word()
    talk = await _answered(stage, word, f"pong {word} {HOSTILE}")
    shown = "".join(one.text for one in talk.shown())
    for piece in ("<script>alert(1)</script>", "@everyone", "<!channel>"):
        assert piece in shown
    assert not any(line.detail.get("pings") for line in stage.service.journal.lines("applied"))


@pytest.mark.case(27)
async def test_hostile_words_of_a_person_on_a_card(stage):
    talk = await stage.say("ask me whether <b>red</i> @everyone or <!channel> & blue")
    card = await talk.find(lambda one: bool(one.buttons))
    assert "<b>red</i>" in card.text + " ".join(card.buttons)
    pressed = await stage.press(stage.service.owner, card, card.buttons[0])
    assert pressed.acknowledged
    await talk.until("Answered by You")


async def test_an_empty_looking_message(stage):
    for text in ("\u200b", ".", "\u202e"):
        await stage.say(text)
    talk = await stage.ping()
    await talk.once()
