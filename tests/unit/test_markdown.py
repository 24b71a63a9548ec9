"""Markdown as blocks: what is kept, what is made harmless, and where it is cut."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bots import markdown as md
from bots.markdown import Code, Heading, List, Paragraph, Quote, Rule, Span, Table

MIXED = """# Hi *there*

one **bold _both_** `c<o>de` ~~gone~~
next line\\
third

1. one
2. two
   - sub

> quoted

```py title
a
b
```

| a | b |
|---|---|
| 1 | 日本 |

***
"""


def texts(*words):
    return tuple(Paragraph((Span(word),)) for word in words)


def test_every_block_is_read():
    assert md.parse(MIXED) == (
        Heading(1, (Span("Hi "), Span("there", italic=True))),
        Paragraph((
            Span("one "),
            Span("bold ", bold=True),
            Span("both", bold=True, italic=True),
            Span(" "),
            Span("c<o>de", code=True),
            Span(" "),
            Span("gone", strike=True),
            Span("\nnext line\nthird"),
        )),
        List((texts("one"), (*texts("two"), List((texts("sub"),)))), 1),
        Quote(texts("quoted")),
        Code("a\nb", "py"),
        Table(((Span("a"),), (Span("b"),)), (((Span("1"),), (Span("日本"),)),)),
        Rule(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("[a](https://x.y/?p=1&q=2)", (Span("a", link="https://x.y/?p=1&q=2"),)),
        ("<mailto:a@b.c>", (Span("mailto:a@b.c", link="mailto:a@b.c"),)),
        ("[**a**](http://x)", (Span("a", bold=True, link="http://x"),)),
        ("[](http://x)", (Span("http://x", link="http://x"),)),
        ("![alt](http://x/p.png)", (Span("alt", link="http://x/p.png"),)),
        ("![](http://x/p.png)", (Span("http://x/p.png", link="http://x/p.png"),)),
        ("[![alt](http://x/p.png)](http://y)", (Span("alt", link="http://x/p.png"),)),
        ("[a](report.md)", (Span("a (report.md)"),)),
        ("![](p.png)", (Span("p.png"),)),
        ("[a](tg://user?id=1)", (Span("a (tg://user?id=1)"),)),
        ("[a]()", (Span("a"),)),
        ("[a](javascript:alert(1))", (Span("[a](javascript:alert(1))"),)),
        ("<b onclick=x>hi</b>", (Span("<b onclick=x>hi</b>"),)),
        ("&lt;b&gt; &#x202e;", (Span("<b> <U+202E>"),)),
        ("`\u202e`", (Span("<U+202E>", code=True),)),
    ],
)
def test_links_lead_to_the_web_and_nothing_acts(text, spans):
    assert md.parse(text) == (Paragraph(spans),)


def test_a_target_too_long_for_a_link_is_text():
    target = "http://x/" + "a" * md.LINK_MAX
    assert md.parse(f"[a]({target})") == (Paragraph((Span(f"a ({target})"),)),)


def test_nothing_vanishes():
    assert md.parse("") == ()
    assert md.parse("[1]: http://x") == texts("[1]: http://x")
    assert md.parse("<!-- a -->") == texts("<!-- a -->")
    assert md.parse("    indented") == (Code("indented"),)
    assert md.parse("```<script>\nx\n```") == (Code("x"),)
    deep = ">" * md.NESTING_MAX + " hi"
    assert md.parse(deep) == texts(deep)


def test_tables_are_aligned_in_columns_of_a_screen():
    (table,) = md.parse("| name | n |\n|---|---|\n| 日本 | 1 |\n| a | 22 |")
    assert md.aligned(table) == "name  n\n────  ──\n日本  1\na     22"


def test_wide_tables_are_wrapped_and_wider_ones_are_records():
    (table,) = md.parse("| name | what |\n|---|---|\n| a | one two three four fivefivefivefive |")
    assert md.aligned(table, 20) == (
        "name  what\n────  ──────────────\na     one two three\n      four\n      fivefivefivefi\n      ve"
    )
    assert md.aligned(table, 11) == "name: a\nwhat: one\ntwo three\nfour\nfivefivefiv\nefive"
    (bare,) = md.parse("| name | what more |\n|---|---|")
    assert md.aligned(bare, 9) == "name\nwhat more"
    assert md.aligned(bare) == "name  what more\n────  ─────────"


# --- Cutting --------------------------------------------------------------------------------------------------------


def drawn(blocks):
    """A drawing with marks that cost, as platforms have them."""
    out = []
    for block in blocks:
        match block:
            case Paragraph(spans):
                out.append(md.plain(spans))
            case Heading(_, spans):
                out.append(f"*{md.plain(spans)}*")
            case Code(text, language):
                out.append(f"```{language}\n{text}\n```")
            case Quote(inside):
                out.append(f"> {drawn(inside)}")
            case List(items, start):
                out.extend(f"{'-' if start is None else start + i} {drawn(item)}" for i, item in enumerate(items))
            case Table():
                out.append(md.aligned(block))
            case Rule():
                out.append("---")
    return "\n".join(out)


def size(blocks):
    return len(drawn(blocks))


def split(blocks, limit):
    groups = md.split(blocks, size, limit)
    assert all(groups)
    assert all(size(group) <= limit for group in groups), [drawn(group) for group in groups]
    return groups


def test_blocks_are_kept_whole_where_they_can_be():
    blocks = texts("a" * 10, "b" * 10, "c" * 10)
    assert split(blocks, 100) == (blocks,)
    assert split(blocks, 21) == (blocks[:2], blocks[2:])
    assert split((), 21) == ()


def test_a_title_stays_with_what_is_too_long():
    assert split(texts("CEO", "one two three four"), 14) == (
        texts("CEO", "one two "),
        texts("three four"),
    )
    assert split(texts("a longer title", "one two three four"), 16)[0] == texts("a longer title")


def test_paragraphs_are_cut_at_sentences_then_words_then_anywhere():
    assert split(texts("One two. Three four"), 16) == (texts("One two. "), texts("Three four"))
    assert split(texts("one two three"), 9) == (texts("one two "), texts("three"))
    assert split(texts("abcdefgh"), 3) == (texts("abc"), texts("def"), texts("gh"))
    assert split(texts("ae\u0301e\u0301"), 4) == (texts("ae\u0301"), texts("e\u0301"))
    assert split(texts("a" + "\u0301" * 40), 30)[0] == texts("a" + "\u0301" * 29)  # no letter: cut all the same


def test_pages_are_as_full_as_they_can_be():
    assert [size(page) for page in split(texts("word " * 500), 400)] == [400] * 6 + [100]


@pytest.mark.parametrize("text", ["word", "word " * 30, "word " * 300])
def test_measuring_grows_with_the_text_alone(text):
    blocks, measured = texts(*[text] * 3000), 0

    def counted(some):
        nonlocal measured
        measured += len(some)
        return size(some)

    assert len(md.split(blocks, counted, 3000)) > 1
    assert measured < 8 * len(blocks)


@settings(deadline=None)
@given(lengths=st.lists(st.integers(1, 40), max_size=60), limit=st.integers(40, 200))
def test_pages_take_a_block_after_the_other_while_there_is_room(lengths, limit):
    blocks = texts(*("x" * n for n in lengths))
    pages = []
    for block in blocks:
        if pages and size((*pages[-1], block)) <= limit:
            pages[-1] += (block,)
        else:
            pages.append((block,))
    assert split(blocks, limit) == tuple(pages)


def test_styles_go_on_after_a_cut():
    bold = Paragraph((Span("a "), Span("bold words ", bold=True), Span("end")))
    assert split((bold,), 9) == (
        (Paragraph((Span("a "), Span("bold ", bold=True))),),
        (Paragraph((Span("words ", bold=True), Span("end"))),),
    )


def test_headings_stay_headings():
    assert split((Heading(2, (Span("one two"),)),), 7) == (
        (Heading(2, (Span("one "),)),),
        (Heading(2, (Span("two"),)),),
    )


def test_code_is_cut_at_line_ends_and_fenced_again():
    assert split((Code("one\ntwo\nthree", "py"),), 18) == ((Code("one\ntwo", "py"),), (Code("three", "py"),))
    assert split((Code("abcdefgh"),), 12) == ((Code("abcd"),), (Code("efgh"),))


def test_long_quotes_are_several_quotes():
    assert split((Quote(texts("one", "two")),), 6) == ((Quote(texts("one")),), (Quote(texts("two")),))


def test_lists_are_cut_between_items_and_go_on_counting():
    some = List((texts("one"), texts("two"), texts("three")), 7)
    assert split((some,), 11) == ((List((texts("one"), texts("two")), 7),), (List((texts("three"),), 9),))
    bullets = List((texts("one"), texts("two words here")))
    assert split((bullets,), 10) == (
        (List((texts("one"),)),),
        (List((texts("two "),)),),
        texts("words "),
        texts("here"),
    )


def test_tables_repeat_their_head_and_long_rows_become_prose():
    (table,) = md.parse("| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |")
    n = size((table,))
    first, second = split((table,), n - 1)
    assert (first[0].head, first[0].rows) == (table.head, table.rows[:1])
    assert (second[0].head, second[0].rows) == (table.head, table.rows[1:])
    (wide,) = md.parse("| a |  |\n|---|---|\n| " + "x" * 30 + " | y |")
    assert split((wide,), 25)[1] == (Paragraph((Span("x" * 25),)),)
    (bare,) = md.parse("| a | |\n|---|---|")
    assert split((bare,), 5) == (texts("a"),)


def test_what_has_nothing_in_it_to_cut_is_left_as_it_is():
    blocks = (Rule(), Quote(()), List(()), List(((),)))
    assert [block for group in md.split(blocks, lambda _: 9, 1) for block in group] == list(blocks)
    assert md.split(texts("a"), lambda _: 9, 1) == (texts("a"),)


LETTERS = st.text("ab \n.`*_>#-|[](){}!<&\\1é\u0301\u200d😀日", max_size=200)


@settings(deadline=None)
@given(text=st.one_of(st.text(max_size=200), LETTERS))
def test_reading_is_total_and_no_character_commands(text):
    shown = drawn(md.parse(text))
    assert not set(shown) & {"\u202e", "\x1b", "\u200b"}


@settings(deadline=None)
@given(text=LETTERS, limit=st.integers(120, 160))
def test_cutting_loses_no_letter(text, limit):
    blocks = md.parse(text)
    letters = [letter for group in split(blocks, limit) for letter in drawn(group) if letter in "abé日😀"]
    assert letters == [letter for letter in drawn(blocks) if letter in "abé日😀"]
