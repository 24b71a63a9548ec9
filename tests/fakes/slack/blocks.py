"""Block Kit as Slack sees it: what it refuses, and what people read of what it takes. Pure.

Law of this file: a payload that Slack would refuse is refused here, for the same field; where Slack's own limit is not
documented (the sum of all blocks), the stricter of the known measurements holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

BLOCKS_MAX: Final = {"message": 50, "modal": 100}
TEXT_IN_BLOCKS_MAX: Final = 13_300  # github.com/slackapi/bolt-js/issues/2509: 13,297 in one block, 125 fewer with two
CHARACTERS_A_BLOCK: Final = 125
BLOCK_FIELDS: Final = {
    "actions": {"elements"},
    "context": {"elements"},
    "divider": set(),
    "header": {"text"},
    "image": {"image_url", "slack_file", "alt_text", "title"},
    "input": {"label", "element", "hint", "optional", "dispatch_action"},
    "markdown": {"text"},
    "rich_text": {"elements"},
    "section": {"text", "fields", "accessory", "expand"},
    "table": {"rows", "column_settings"},
}
_SELECT: Final = {"placeholder", "initial_option", "options", "option_groups", "confirm", "focus_on_load"}
ELEMENT_FIELDS: Final = {
    "button": {"text", "value", "url", "style", "confirm", "accessibility_label"},
    "checkboxes": {"options", "initial_options", "confirm", "focus_on_load"},
    "image": {"image_url", "slack_file", "alt_text"},
    "overflow": {"options", "confirm"},
    "plain_text_input": {
        "initial_value",
        "multiline",
        "min_length",
        "max_length",
        "placeholder",
        "dispatch_action_config",
        "focus_on_load",
    },
    "radio_buttons": {"options", "initial_option", "confirm", "focus_on_load"},
    "static_select": _SELECT,
    "multi_static_select": _SELECT | {"initial_options", "max_selected_items"},
}
OPTIONS_MAX: Final = {
    "overflow": 5,
    "radio_buttons": 10,
    "checkboxes": 10,
    "static_select": 100,
    "multi_static_select": 100,
}
INPUTS: Final = {"plain_text_input", "static_select", "multi_static_select", "radio_buttons", "checkboxes"}
INTERACTIVE: Final = {"button", "overflow", "static_select", "multi_static_select", "radio_buttons", "checkboxes"}


@dataclass(slots=True)
class _Check:
    """Collects what is wrong, as Slack words it."""

    found: list[str] = field(default_factory=list)

    def say(self, what: str, at: str) -> None:
        self.found.append(f"[ERROR] {what} [json-pointer:{at}]")

    def length(self, value: Any, n: int, at: str, *, least: int = 1) -> None:
        if not isinstance(value, str):
            self.say("must be a string", at)
        elif len(value) > n:
            self.say(f"must be less than {n + 1} characters", at)
        elif len(value) < least:
            self.say(f"must be more than {least - 1} characters", at)

    def fields(self, value: dict[str, Any], allowed: set[str], at: str) -> None:
        for name in value.keys() - allowed - {"type"}:
            self.say(f"invalid additional property: {name}", at)

    def text(self, value: Any, n: int, at: str, *, plain: bool = False) -> None:
        """A text object of at most n characters."""
        if not isinstance(value, dict):
            self.say("missing required field: text", at)
            return
        kinds = {"plain_text"} if plain else {"plain_text", "mrkdwn"}
        if value.get("type") not in kinds:
            self.say(f"unsupported type: {value.get('type')}", f"{at}/type")
        self.fields(value, {"text", "emoji"} if value.get("type") == "plain_text" else {"text", "verbatim"}, at)
        self.length(value.get("text"), n, f"{at}/text")

    def some(self, value: Any, n: int, at: str) -> list[dict[str, Any]]:
        """A list of 1 to n objects."""
        if not isinstance(value, list) or not value:
            self.say("no fewer than 1 items allowed", at)
            return []
        if len(value) > n:
            self.say(f"no more than {n} items allowed", at)
        return [item for item in value if isinstance(item, dict)]


def message_problems(blocks: Any) -> list[str]:
    """What Slack says against the blocks of a message; nothing if it takes them."""
    check = _Check()
    _blocks(check, blocks, "message")
    return check.found


def too_long(blocks: list[dict[str, Any]]) -> bool:
    """Each block is fine, and all of them together are not (`msg_blocks_too_long`)."""
    total = sum(len(text) for block in blocks for text in _texts(block))
    return total + CHARACTERS_A_BLOCK * (len(blocks) - 1) > TEXT_IN_BLOCKS_MAX


def view_problems(view: Any) -> list[str]:
    """What Slack says against a modal."""
    check = _Check()
    if not isinstance(view, dict) or view.get("type") != "modal":
        check.say("unsupported type", "/view/type")
        return check.found
    allowed = {"title", "blocks", "close", "submit", "private_metadata", "callback_id", "clear_on_close"}
    check.fields(view, allowed | {"notify_on_close", "external_id", "submit_disabled"}, "/view")
    check.text(view.get("title"), 24, "/view/title", plain=True)
    for name in ("close", "submit"):
        if name in view:
            check.text(view[name], 24, f"/view/{name}", plain=True)
    check.length(view.get("private_metadata", ""), 3000, "/view/private_metadata", least=0)
    check.length(view.get("callback_id", ""), 255, "/view/callback_id", least=0)
    check.length(view.get("external_id", ""), 255, "/view/external_id", least=0)
    _blocks(check, view.get("blocks"), "modal")
    blocks = view.get("blocks")
    listed = [b for b in blocks if isinstance(b, dict)] if isinstance(blocks, list) else []
    if "submit" not in view and any(block.get("type") == "input" for block in listed):
        check.say("missing required field: submit", "/view")
    return check.found


def _blocks(check: _Check, blocks: Any, surface: str) -> None:
    seen: set[str] = set()
    for i, block in enumerate(check.some(blocks, BLOCKS_MAX[surface], "/blocks")):
        at = f"/blocks/{i}"
        kind = block.get("type")
        if kind not in BLOCK_FIELDS or (surface == "modal" and kind in {"markdown", "table"}):
            check.say(f"unsupported type: {kind}", f"{at}/type")
            continue
        check.fields(block, BLOCK_FIELDS[kind] | {"block_id"}, at)
        if "block_id" in block:
            check.length(block["block_id"], 255, f"{at}/block_id")
            if block["block_id"] in seen:
                check.say(f"block_id {block['block_id']} already exists", f"{at}/block_id")
            seen.add(block["block_id"])
        _block(check, block, at)
    listed = [b for b in blocks if isinstance(b, dict)] if isinstance(blocks, list) else []
    if sum(block.get("type") == "table" for block in listed) > 1:
        check.say("only_one_table_allowed", "/blocks")
    if sum(len(str(block.get("text"))) for block in listed if block.get("type") == "markdown") > 12_000:
        check.say("must be less than 12001 characters", "/blocks")


def _block(check: _Check, block: dict[str, Any], at: str) -> None:
    match block["type"]:
        case "section":
            if "text" not in block and "fields" not in block:
                check.say("missing required field: text", at)
            if "text" in block:
                check.text(block["text"], 3000, f"{at}/text")
            if "fields" in block:
                for i, each in enumerate(check.some(block["fields"], 10, f"{at}/fields")):
                    check.text(each, 2000, f"{at}/fields/{i}")
            if "accessory" in block:
                _elements(check, [block["accessory"]], f"{at}/accessory", set(ELEMENT_FIELDS) - {"plain_text_input"})
        case "header":
            check.text(block.get("text"), 150, f"{at}/text", plain=True)
        case "context":
            for i, each in enumerate(check.some(block.get("elements"), 10, f"{at}/elements")):
                if each.get("type") != "image":
                    check.text(each, 3000, f"{at}/elements/{i}")
        case "actions":
            some = check.some(block.get("elements"), 25, f"{at}/elements")
            _elements(check, some, f"{at}/elements", INTERACTIVE)
        case "input":
            check.text(block.get("label"), 2000, f"{at}/label", plain=True)
            if "hint" in block:
                check.text(block["hint"], 2000, f"{at}/hint", plain=True)
            _elements(check, [block.get("element")], f"{at}/element", INPUTS)
        case "markdown":
            check.length(block.get("text"), 12_000, f"{at}/text")
        case "rich_text":
            check.some(block.get("elements"), 1000, f"{at}/elements")
        case "image":
            check.length(block.get("alt_text"), 2000, f"{at}/alt_text")
        case "table":
            _table(check, block, at)


def _table(check: _Check, block: dict[str, Any], at: str) -> None:
    rows = block.get("rows")
    if not isinstance(rows, list) or not rows or len(rows) > 100:
        check.say("no more than 100 items allowed", f"{at}/rows")
        return
    for i, row in enumerate(rows):
        for j, cell in enumerate(check.some(row, 20, f"{at}/rows/{i}")):
            if cell.get("type") == "raw_text":
                check.length(cell.get("text"), 10_000, f"{at}/rows/{i}/{j}/text")
            elif cell.get("type") != "rich_text":
                check.say(f"unsupported type: {cell.get('type')}", f"{at}/rows/{i}/{j}")
    if sum(len(text) for text in _texts(block)) > 10_000:
        check.say("must be less than 10001 characters", f"{at}/rows")


def _elements(check: _Check, elements: list[Any], at: str, kinds: set[str]) -> None:
    seen: set[str] = set()
    for i, element in enumerate(elements):
        here = f"{at}/{i}"
        if not isinstance(element, dict) or element.get("type") not in kinds:
            check.say("unsupported type", here)
            continue
        kind = element["type"]
        check.fields(element, ELEMENT_FIELDS[kind] | {"action_id"}, here)
        if "action_id" in element:
            check.length(element["action_id"], 255, f"{here}/action_id")
            if element["action_id"] in seen:
                check.say(f"action_id {element['action_id']} already exists", f"{here}/action_id")
            seen.add(element["action_id"])
        if "placeholder" in element:
            check.text(element["placeholder"], 150, f"{here}/placeholder", plain=True)
        if kind == "button":
            check.text(element.get("text"), 75, f"{here}/text", plain=True)
            check.length(element.get("value", ""), 2000, f"{here}/value", least=0)
            check.length(element.get("url", ""), 3000, f"{here}/url", least=0)
            if element.get("style", "primary") not in {"primary", "danger"}:
                check.say("must be one of: primary, danger", f"{here}/style")
        if kind == "plain_text_input":
            _text_input(check, element, here)
        if kind in OPTIONS_MAX:
            _options(check, element, here)


def _text_input(check: _Check, element: dict[str, Any], at: str) -> None:
    most = element.get("max_length", 3000)
    if not isinstance(most, int) or not 1 <= most <= 3000:
        check.say("must be less than 3001", f"{at}/max_length")
        most = 3000
    check.length(element.get("initial_value", ""), most, f"{at}/initial_value", least=0)


def _options(check: _Check, element: dict[str, Any], at: str) -> None:
    kind = element["type"]
    options = check.some(element.get("options"), OPTIONS_MAX[kind], f"{at}/options")
    for i, option in enumerate(options):
        check.text(option.get("text"), 75, f"{at}/options/{i}/text", plain="select" in kind or kind == "overflow")
        check.length(option.get("value"), 150, f"{at}/options/{i}/value")
    initial = [element["initial_option"]] if "initial_option" in element else element.get("initial_options", [])
    for one in initial:
        if one not in options:
            check.say("initial option is not one of the options", f"{at}/initial_option")


# --- What people read ------------------------------------------------------------------------------------------------

_CODE: Final = re.compile(r"```\n?(?P<fence>.*?)\n?```|`(?P<code>[^`\n]+)`", re.DOTALL)
_ANGLED: Final = re.compile(r"<([^<>\n]+)>")
_PING: Final = re.compile(r"<(?:!(channel|here|everyone|subteam\^\w+)|@([UW]\w+))(?:\|[^<>\n]*)?>")
_AT: Final = re.compile(r"(?<![\w@])@([\w.-]+)")


def mrkdwn(text: str, names: dict[str, str]) -> str:
    """As it is read: marks gone, links and mentions by their names, entities resolved."""
    parts, at = [], 0
    for found in _CODE.finditer(text):
        parts.append(_prose(text[at : found.start()], names))
        parts.append(found["fence"] if found["fence"] is not None else found["code"])
        at = found.end()
    parts.append(_prose(text[at:], names))
    return unescape("".join(parts))


def unescape(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _prose(text: str, names: dict[str, str]) -> str:
    for mark in ("*", "_", "~"):
        sign = re.escape(mark)
        text = re.sub(rf"(?<![\w{sign}]){sign}(?=\S)([^{sign}\n]*?)(?<=\S){sign}(?![\w{sign}])", r"\1", text)
    text = re.sub(r"(?m)^&gt; ?", "", text)

    def named(found: re.Match[str]) -> str:
        target, _, label = found[1].partition("|")
        if label:
            return label
        if target.startswith("@"):
            return f"@{names.get(target[1:], target[1:])}"
        return f"@{target[1:]}" if target.startswith("!") else target.removeprefix("mailto:")

    return _ANGLED.sub(named, text)


def readable(message: dict[str, Any], names: dict[str, str]) -> str:
    """All that people see of a message, a line for each text."""
    blocks = list(_all_blocks(message))
    if not blocks:
        return mrkdwn(message.get("text", ""), names)
    return "\n".join(line for block in blocks for line in _lines(block, names) if line)


def _all_blocks(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from message.get("blocks") or ()
    for attachment in message.get("attachments") or ():
        yield from attachment.get("blocks") or ()


def _lines(block: dict[str, Any], names: dict[str, str]) -> Iterator[str]:
    match block["type"]:
        case "section":
            yield from (_text(t, names) for t in (block.get("text"), *block.get("fields", ())) if t)
        case "header":
            yield _text(block["text"], names)
        case "context":
            yield " ".join(_text(e, names) for e in block["elements"] if e.get("type") != "image")
        case "markdown":
            yield unescape(block["text"])
        case "input":
            yield _text(block["label"], names)
        case "image":
            yield block["alt_text"]
        case "rich_text":
            yield from (_rich(element, names) for element in block["elements"])
        case "table":
            for row in block["rows"]:
                yield " | ".join(c["text"] if c["type"] == "raw_text" else _rich(c, names) for c in row)


def _text(value: dict[str, Any], names: dict[str, str]) -> str:
    return mrkdwn(value["text"], names) if value["type"] == "mrkdwn" else value["text"]


def _rich(element: dict[str, Any], names: dict[str, str]) -> str:
    match element.get("type"):
        case "text":
            return element["text"]
        case "link":
            return element.get("text") or element["url"]
        case "user":
            return f"@{names.get(element['user_id'], element['user_id'])}"
        case "broadcast":
            return f"@{element['range']}"
        case "date":
            return element.get("fallback", "")
        case "emoji":
            return f":{element['name']}:"
        case "rich_text_list":
            return "\n".join(_rich(item, names) for item in element["elements"])
        case _:
            return "".join(_rich(item, names) for item in element.get("elements", ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """Something to press: a button, or one option of a menu."""

    label: str
    block_id: str
    element: dict[str, Any]
    option: dict[str, Any] | None = None

    def answers_to(self, label: str) -> bool:
        """By its label, its action id or its value."""
        named = (self.label, self.element.get("action_id"), (self.option or self.element).get("value"))
        return label in named


def controls(message: dict[str, Any]) -> tuple[Control, ...]:
    """Everything that can be pressed, in the order it is seen."""
    found = []
    for block in _all_blocks(message):
        accessory = [block["accessory"]] if "accessory" in block else []
        for element in accessory + (block["elements"] if block["type"] == "actions" else []):
            if element["type"] == "button":
                found.append(Control(label=element["text"]["text"], block_id=block["block_id"], element=element))
            elif element["type"] in INTERACTIVE:
                found += [
                    Control(label=o["text"]["text"], block_id=block["block_id"], element=element, option=o)
                    for o in element["options"]
                ]
    return tuple(found)


def inputs(view: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """The input blocks of a modal, in order."""
    return tuple(block for block in view["blocks"] if block["type"] == "input")


def pings(message: dict[str, Any], *, names: bool) -> tuple[str, ...]:
    """Whom a message calls: user ids, `channel`, `here`, `everyone`. `names`: Slack was told to look for plain ones."""
    marked = [message.get("text") or ""]
    found: list[str] = []
    for block in _all_blocks(message):
        marked += [block["text"]] if block["type"] == "markdown" else _marked(block)
        found += _rich_pings(block)
    for text in marked:
        prose = _CODE.sub("", text)
        found += [broadcast or user for broadcast, user in _PING.findall(prose)]
        if names:
            found += _AT.findall(prose)
    return tuple(found)


def _marked(value: Any) -> list[str]:
    """The text of every mrkdwn object in it. In plain_text nothing is looked for."""
    if isinstance(value, dict):
        if value.get("type") == "mrkdwn":
            return [value["text"]]
        return [text for each in value.values() for text in _marked(each)]
    return [text for each in value for text in _marked(each)] if isinstance(value, list) else []


def _rich_pings(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = {"user": "user_id", "broadcast": "range", "usergroup": "usergroup_id"}.get(value.get("type", ""))
        if own and own in value:
            return [value[own]]
        return [ping for each in value.values() for ping in _rich_pings(each)]
    return [ping for each in value for ping in _rich_pings(each)] if isinstance(value, list) else []


def _texts(value: Any) -> Iterator[str]:
    """Every text of a block, however deep."""
    if isinstance(value, dict):
        for name, each in value.items():
            if name == "text" and isinstance(each, str):
                yield each
            else:
                yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
