from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.tools.pictures import media_of, sides
from tests import papers

WHOLE = [
    (papers.png(3, 2), "image/png", (3, 2)),
    (papers.gif(700, 1), "image/gif", (700, 1)),
    (papers.jpeg(640, 480), "image/jpeg", (640, 480)),
    (papers.jpeg(640, 480, frame=0xC2, before=b"\xff\xe0\x00\x04ab\xff\x01\xff"), "image/jpeg", (640, 480)),
    (papers.webp("VP8 ", 300, 200), "image/webp", (300, 200)),
    (papers.webp("VP8L", 16_384, 1), "image/webp", (16_384, 1)),
    (papers.webp("VP8X", 9_000, 2), "image/webp", (9_000, 2)),
]


@pytest.mark.parametrize(("data", "media", "size"), WHOLE)
def test_a_picture_is_known_by_its_bytes(data, media, size) -> None:
    assert media_of(data) == media
    assert sides(data, media) == size


@pytest.mark.parametrize(("data", "media", "size"), WHOLE)
def test_a_picture_that_is_cut_off_never_has_another_size(data, media, size) -> None:
    for n in range(len(data)):
        assert sides(data[:n], media) in {None, size}


@pytest.mark.parametrize("data", [b"", b"hello", b"<svg/>", b"RIFF\0\0\0\0WAVE", b"BM\0\0", b"GIF90a"])
def test_all_else_is_no_picture(data) -> None:
    assert media_of(data) == ""
    assert sides(data, "") is None


@pytest.mark.parametrize(
    ("data", "media"),
    [
        (papers.png(0, 5), "image/png"),
        (papers.gif(0, 0), "image/gif"),
        (b"\xff\xd8\xff\xda\x00\x00" + b"\xff" * 40, "image/jpeg"),
        (b"\xff\xd8\xff\xe0\x00\x02 no marker here", "image/jpeg"),
        (papers.webp("VP8 ", 300, 200).replace(b"\x9d\x01\x2a", b"\0\0\0"), "image/webp"),
        (papers.webp("VP8L", 300, 200).replace(b"\x2f", b"\0"), "image/webp"),
        (papers.webp("ALPH", 300, 200), "image/webp"),
    ],
)
def test_one_that_names_no_size_has_none(data, media) -> None:
    assert sides(data, media) is None


@given(
    st.sampled_from([media for _, media, _ in WHOLE]), st.sampled_from([data[:12] for data, _, _ in WHOLE]), st.binary()
)
def test_any_bytes_can_be_asked(media, head, rest) -> None:
    found = sides(head + rest, media)
    assert found is None or min(found) > 0
