"""What a person reads of a message, and who is called by it: markdown rendered away, simply, and mentions found.

Code comes first: nothing inside it is markup, and nobody is called from there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from tests.fakes.discord.limits import BUTTON, SELECT, TEXT, walk

_CODE: Final = r"```(?:[\w+#.-]*\n)?(?P<block>.*?)```|(?P<ticks>`{1,2})(?P<code>.+?)(?P=ticks)"
_TOKEN: Final = re.compile(
    _CODE
    + r"|\\(?P<escaped>[^\w\s]|_)|<@!?(?P<user>\d+)>|<@&(?P<role>\d+)>|<#(?P<channel>\d+)>"
    + r"|<t:(?P<time>-?\d+)(?::[tTdDfFsSR])?>|\[(?P<label>[^\]\n]+)\]\(<?https?://[^\s)>]+>?\)",
    re.DOTALL,
)
_CODE_ONLY: Final = re.compile(_CODE, re.DOTALL)
_LINE: Final = re.compile(r"^(?:#{1,3} |-# |>>> |> )", re.MULTILINE)
_PAIRS: Final = tuple(
    re.compile(
        rf"(?<!\w){mark}(?=\S)(.+?)(?<=\S){mark}(?!\w)" if "_" in mark else rf"{mark}(?=\S)(.+?)(?<=\S){mark}",
        re.DOTALL,
    )
    for mark in (r"\*\*\*", r"\*\*", r"__", r"~~", r"\|\|", r"\*", r"_")
)

Names = Callable[[str, str], str]  # kind (user, role, channel) and id -> name


def plain(text: str, names: Names) -> str:
    """The text without its markup. Times are UTC, to the minute."""
    kept: list[str] = []

    def keep(shown: str) -> str:
        kept.append(shown)
        return f"\x00{len(kept) - 1}\x00"

    def one(found: re.Match[str]) -> str:
        for kind, mark in (("user", "@"), ("role", "@"), ("channel", "#")):
            if found[kind]:
                return keep(mark + names(kind, found[kind]))
        if found["time"]:
            return keep(datetime.fromtimestamp(int(found["time"]), UTC).strftime("%Y-%m-%d %H:%M"))
        if found["label"]:
            return plain(found["label"], names)
        return keep(next(some for some in (found["block"], found["code"], found["escaped"]) if some is not None))

    shown = _LINE.sub("", _TOKEN.sub(one, text.replace("\x00", "")))
    for pair in _PAIRS:
        shown = pair.sub(r"\1", shown)
    while "\x00" in shown:
        shown = re.sub("\x00(\\d+)\x00", lambda found: kept[int(found[1])], shown)
    return shown.strip()


def text_of(message: Mapping[str, Any], names: Names) -> str:
    """All of a message that is text, in reading order, one block a line."""
    pieces = [message.get("content") or ""]
    for embed in message.get("embeds") or ():
        pieces += [(embed.get("author") or {}).get("name", ""), embed.get("title", ""), embed.get("description", "")]
        for field in embed.get("fields") or ():
            pieces += [f"{field['name']}: {field['value']}"]
        pieces += [(embed.get("footer") or {}).get("text", "")]
    pieces += [some.get("content", "") for some in walk(message.get("components")) if some.get("type") == TEXT]
    return "\n".join(plain(piece, names) for piece in pieces if piece)


def labels_of(message: Mapping[str, Any]) -> tuple[str, ...]:
    """What can be pressed or chosen: labels of buttons that are not disabled, and options of selects."""
    labels: list[str] = []
    for some in walk(message.get("components")):
        if some.get("disabled"):
            continue
        if some.get("type") == BUTTON:
            labels.append(some.get("label") or (some.get("emoji") or {}).get("name", ""))
        elif some.get("type") == SELECT:
            labels += [option["label"] for option in some.get("options") or ()]
    return tuple(labels)


def control_of(message: Mapping[str, Any], label: str) -> dict[str, Any] | None:
    """The data of the interaction that a press on this label causes."""
    for some in walk(message.get("components")):
        if some.get("disabled") or not some.get("custom_id"):
            continue
        if some["type"] == BUTTON and label in {some.get("label"), (some.get("emoji") or {}).get("name")}:
            return {"custom_id": some["custom_id"], "component_type": BUTTON, "id": some.get("id", 1)}
        for option in some.get("options") or ():
            if label == option["label"]:
                values = {"values": [option["value"]], "resolved": {}}
                return {"custom_id": some["custom_id"], "component_type": SELECT, "id": some.get("id", 1)} | values
    return None


def pings(message: Mapping[str, Any], replied_to: str) -> tuple[str, ...]:
    """Who is called: "everyone", "here", "<user id>", "role:<id>". Embeds never call anybody."""
    allowed = message.get("allowed_mentions")
    texts = [message.get("content") or ""]
    texts += [some.get("content", "") for some in walk(message.get("components")) if some.get("type") == TEXT]
    text = _CODE_ONLY.sub("", "\n".join(texts))
    everyone = re.findall(r"@(everyone|here)\b", text)
    users = re.findall(r"<@!?(\d+)>", text)
    roles = re.findall(r"<@&(\d+)>", text)
    replied = [replied_to] if replied_to else []
    if allowed is not None:
        parse = allowed.get("parse") or []
        everyone = everyone if "everyone" in parse else []
        users = users if "users" in parse else [user for user in users if user in map(str, allowed.get("users") or ())]
        roles = roles if "roles" in parse else [role for role in roles if role in map(str, allowed.get("roles") or ())]
        replied = replied if allowed.get("replied_user") else []
    return tuple(dict.fromkeys([*everyone, *users, *(f"role:{role}" for role in roles), *replied]))
