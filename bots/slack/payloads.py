"""Posts as Slack's payloads, and payloads of ours recognised: pure.

Laws of this file. What is sent mentions nobody and unfolds nothing. What shows a post carries the post's id, and is
known by it again.
"""

from __future__ import annotations

import hashlib
from typing import Final

from bots import words as common
from bots.slack.cards import Message, prefixed
from bots.slack.markup import Json, cut, escape, passage, rich, run
from bots.slack.wire import Asked, inner, inners, is_json, text_of
from core.model.views import Post

METADATA: Final = "signoff_post"
NAME_MAX: Final = 150
TAG_DIGITS: Final = 8
ANCHOR_MAX: Final = 2_000
QUIET: Final[Json] = {"unfurl_links": False, "unfurl_media": False, "link_names": False, "mrkdwn": False}
_ICONS: Final = ("red", "large_blue", "large_green", "large_yellow", "large_orange", "large_purple", "large_brown")


def posted(post: Post, part: int, piece: Message, *, by_name: bool) -> Json:
    """For chat.postMessage. `by_name`: roles may speak under their own name and sign."""
    shown = piece if by_name else prefixed(piece)
    payload = {**_content(shown, post, part), "channel": post.conversation.channel, **QUIET}
    if post.conversation.thread:
        payload["thread_ts"] = post.conversation.thread
    if by_name and piece.speaker:
        payload |= {"username": piece.speaker, "icon_emoji": icon(piece.speaker)}
    return payload


def updated(post: Post, part: int, piece: Message, ts: str, channel: str, *, by_name: bool) -> Json:
    """For chat.update; the name a message was posted under stays."""
    shown = piece if by_name else prefixed(piece)
    return {**_content(shown, post, part), "channel": channel, "ts": ts}


def _content(piece: Message, post: Post, part: int) -> Json:
    metadata = {"event_type": METADATA, "event_payload": {"post": post.id, "part": part}}
    return {"text": piece.text, "blocks": list(piece.blocks), "metadata": metadata}


def whispered(piece: Message) -> Json:
    """For a line that one person sees."""
    shown = prefixed(piece)
    return {"text": shown.text, "blocks": list(shown.blocks)}


def anchor(asked: Asked) -> Json:
    """The message that a typed request is answered below."""
    text = cut(common.asks(asked.name, asked.event.text), ANCHOR_MAX)
    blocks = [rich(passage(run(text)))]
    return {"channel": asked.event.conversation.channel, "text": escape(text), "blocks": blocks, **QUIET}


def icon(speaker: str) -> str:
    """A sign that is always the same for a role. It means nothing: the name does."""
    n = hashlib.sha256(speaker.encode("utf-8", "replace")).digest()[0]
    return f":{_ICONS[n % len(_ICONS)]}_circle:"


def holds(event: object, post: Post, part: int) -> str:
    """The ts of a message of ours that shows this part of the post, "" for any other message."""
    if not is_json(event):
        return ""
    metadata = inner(event, "metadata")
    payload = inner(metadata, "event_payload")
    same = payload.get("post") == post.id and payload.get("part") == part
    return text_of(event, "ts") if same and text_of(metadata, "event_type") == METADATA else ""


def holds_file(event: object, title: str) -> str:
    """The id of the file with this title in a message, "" for any other message. Whoever shares it: it is there."""
    files = inners(event, "files") if is_json(event) else []
    return next((text_of(file, "id") for file in files if text_of(file, "title") == title), "")


def file_title(name: str, post: Post, part: int) -> str:
    """What a file is called in Slack's list of files. Slack keeps a title as it was given, and nothing else of an
    upload that could say which part of which post it was: so the title does.
    """
    return f"{name} ({post.id[-TAG_DIGITS:]}-{part})"


def file_name(name: str) -> str:
    """What a file is called in Slack: no path, and nothing that cannot be seen."""
    return cut(name.replace("\\", "/").rpartition("/")[2].strip(), NAME_MAX) or "file"
