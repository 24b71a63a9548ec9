"""What Discord refuses in a body, and the words it refuses it with: 400, code 50035, one line a field.

Lengths are code points, as Discord's own API counts them (discord-api-docs #1315). The numbers are those of the
reference: messages, components, embeds, modals, application commands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

EPHEMERAL: Final = 1 << 6
LOADING: Final = 1 << 7
HAS_THREAD: Final = 1 << 5
COMPONENTS_V2: Final = 1 << 15

ROW, BUTTON, SELECT, INPUT, SECTION, TEXT, THUMBNAIL, GALLERY, FILE, SEPARATOR = 1, 2, 3, 4, 9, 10, 11, 12, 13, 14
CONTAINER, LABEL = 17, 18
SELECTS: Final = frozenset({3, 5, 6, 7, 8})
IN_LABEL: Final = frozenset({INPUT, 19, 21, 22, 23}) | SELECTS
IN_CONTAINER: Final = frozenset({ROW, SECTION, TEXT, GALLERY, FILE, SEPARATOR})
CONTENT_MAX: Final = 2000
TEXTS_MAX: Final = 4000
COMPONENTS_MAX: Final = 40
EMBEDS_MAX: Final = 6000

Errors = dict[str, str]  # path of the field -> what is wrong with it


def walk(components: Any) -> Iterator[dict[str, Any]]:
    """Every component, parents before children, in reading order."""
    for component in components or ():
        if isinstance(component, dict):
            yield component
            yield from walk(component.get("components"))
            yield from walk([component[name] for name in ("component", "accessory") if component.get(name)])


def message_errors(message: dict[str, Any]) -> Errors:
    """What is wrong with a message as it would be after the request: its body merged into what there was."""
    errors: Errors = {}
    flags = message.get("flags") or 0
    content = message.get("content")
    if content is not None:
        _text(errors, "content", content, 0, CONTENT_MAX)
    nonce = message.get("nonce")
    if nonce is not None and (not isinstance(nonce, str | int) or len(str(nonce)) > 25):
        errors["nonce"] = "Must be 25 or fewer in length."
    _embeds(errors, message.get("embeds") or [])
    _mentions(errors, message.get("allowed_mentions"))
    components = message.get("components") or []
    if not isinstance(components, list):
        return errors | {"components": "Only lists are accepted."}
    if flags & COMPONENTS_V2:
        for name in ("content", "embeds", "poll", "sticker_ids"):
            if message.get(name):
                errors[name] = "The 'content' field cannot be used when using MessageFlags.IS_COMPONENTS_V2"
        _tree(errors, components)
    else:
        if len(components) > 5:
            errors["components"] = "Must be 5 or fewer in length."
        for i, component in enumerate(components):
            if component.get("type") != ROW:
                errors[f"components.{i}.type"] = 'Value of field "type" must be one of (1,).'
            else:
                _row(errors, f"components.{i}", component)
    _identity(errors, components)
    return errors


def modal_errors(modal: dict[str, Any]) -> Errors:
    """A modal of 1..5 inputs, each in an action row of its own or in a label."""
    errors: Errors = {}
    _text(errors, "title", modal.get("title"), 1, 45)
    _text(errors, "custom_id", modal.get("custom_id"), 1, 100)
    components = modal.get("components")
    if not isinstance(components, list) or not 1 <= len(components) <= 5:
        return errors | {"components": "Must be between 1 and 5 in length."}
    for i, component in enumerate(components):
        path = f"components.{i}"
        match component.get("type"):
            case 1:
                inputs = component.get("components") or []
                if len(inputs) != 1 or inputs[0].get("type") != INPUT:
                    errors[f"{path}.components"] = "Must be 1 in length."
                else:
                    _text(errors, f"{path}.components.0.label", inputs[0].get("label"), 1, 45)
                    _input(errors, f"{path}.components.0", inputs[0])
            case 18:
                _text(errors, f"{path}.label", component.get("label"), 1, 45)
                _text(errors, f"{path}.description", component.get("description") or "", 0, 100)
                _in_label(errors, f"{path}.component", component.get("component") or {})
            case 10:
                _text(errors, f"{path}.content", component.get("content"), 1, TEXTS_MAX)
            case _:
                errors[f"{path}.type"] = 'Value of field "type" must be one of (1, 10, 18).'
    _identity(errors, components)
    return errors


def command_errors(commands: Any) -> Errors:
    """Application commands of one scope."""
    if not isinstance(commands, list) or len(commands) > 100:
        return {"": "Must be 100 or fewer in length."}
    errors: Errors = {}
    if len({command.get("name") for command in commands}) != len(commands):
        errors["name"] = "Application command names must be unique"
    for i, command in enumerate(commands):
        _named(errors, str(i), command)
        options = command.get("options") or []
        if len(options) > 25:
            errors[f"{i}.options"] = "Must be 25 or fewer in length."
        needed = [bool(option.get("required")) for option in options]
        if needed != sorted(needed, reverse=True):
            errors[f"{i}.options"] = "Required options must be placed before non-required options"
        for j, option in enumerate(options):
            _named(errors, f"{i}.options.{j}", option)
    return errors


def _named(errors: Errors, path: str, some: dict[str, Any]) -> None:
    name = some.get("name")
    if not isinstance(name, str) or not re.fullmatch(r"[-_'\w]{1,32}", name) or name != name.lower():
        errors[f"{path}.name"] = "Command name is invalid"
    if some.get("type", 1) not in {2, 3} or "options" in path:
        _text(errors, f"{path}.description", some.get("description"), 1, 100)


def _text(errors: Errors, path: str, value: Any, least: int, most: int) -> None:
    if value is None or not isinstance(value, str):
        errors[path] = "This field is required" if value is None else "Could not interpret the value as string."
    elif not least <= len(value) <= most:
        errors[path] = (
            f"Must be between {least} and {most} in length." if least else f"Must be {most} or fewer in length."
        )


def _tree(errors: Errors, components: list[dict[str, Any]]) -> None:
    every = list(walk(components))
    if len(every) > COMPONENTS_MAX:
        errors["components"] = f"The total number of components cannot exceed {COMPONENTS_MAX}."
    if not components:
        errors["components"] = "Must be between 1 and 40 in length."
    if sum(len(str(some.get("content", ""))) for some in every if some.get("type") == TEXT) > TEXTS_MAX:
        errors["components"] = f"The total length of displayable text cannot exceed {TEXTS_MAX}."
    for i, component in enumerate(components):
        _block(errors, f"components.{i}", component, IN_CONTAINER | {CONTAINER})


def _block(errors: Errors, path: str, component: dict[str, Any], allowed: frozenset[int]) -> None:
    kind = component.get("type")
    if kind not in allowed:
        errors[f"{path}.type"] = f'Value of field "type" must be one of {tuple(sorted(allowed))}.'
        return
    children = component.get("components") or []
    match kind:
        case 1:
            _row(errors, path, component)
        case 9:
            if not 1 <= len(children) <= 3 or any(child.get("type") != TEXT for child in children):
                errors[f"{path}.components"] = "Must be between 1 and 3 in length."
            for i, child in enumerate(children):
                _text(errors, f"{path}.components.{i}.content", child.get("content"), 1, TEXTS_MAX)
            accessory = component.get("accessory") or {}
            if accessory.get("type") == BUTTON:
                _button(errors, f"{path}.accessory", accessory)
            elif accessory.get("type") != THUMBNAIL:
                errors[f"{path}.accessory"] = "This field is required"
        case 10:
            _text(errors, f"{path}.content", component.get("content"), 1, TEXTS_MAX)
        case 12:
            if not 1 <= len(component.get("items") or []) <= 10:
                errors[f"{path}.items"] = "Must be between 1 and 10 in length."
        case 13:
            if not str((component.get("file") or {}).get("url", "")).startswith("attachment://"):
                errors[f"{path}.file.url"] = "Scheme \"\" is not supported. Scheme must be one of ('attachment',)."
        case 17:
            colour = component.get("accent_color")
            if colour is not None and (not isinstance(colour, int) or not 0 <= colour <= 0xFFFFFF):
                errors[f"{path}.accent_color"] = "int value should be between 0 and 16777215."
            if not children:
                errors[f"{path}.components"] = "Must be between 1 and 40 in length."
            for i, child in enumerate(children):
                _block(errors, f"{path}.components.{i}", child, IN_CONTAINER)


def _row(errors: Errors, path: str, row: dict[str, Any]) -> None:
    children = row.get("components") or []
    kinds = {child.get("type") for child in children}
    if not 1 <= len(children) <= 5 or (kinds & SELECTS and len(children) > 1):
        errors[f"{path}.components"] = "Must be between 1 and 5 in length."
    for i, child in enumerate(children):
        where = f"{path}.components.{i}"
        if child.get("type") == BUTTON:
            _button(errors, where, child)
        elif child.get("type") in SELECTS:
            _select(errors, where, child)
        else:
            errors[f"{where}.type"] = 'Value of field "type" must be one of (2, 3, 5, 6, 7, 8).'


def _button(errors: Errors, path: str, button: dict[str, Any]) -> None:
    style = button.get("style")
    if style not in {1, 2, 3, 4, 5, 6}:
        errors[f"{path}.style"] = "Value must be one of (1, 2, 3, 4, 5, 6)."
    if style == 5:
        _text(errors, f"{path}.url", button.get("url"), 1, 512)
    elif style != 6:
        _text(errors, f"{path}.custom_id", button.get("custom_id"), 1, 100)
    _text(errors, f"{path}.label", button.get("label") or "", 0, 80)
    if style != 6 and not button.get("label") and not button.get("emoji"):
        errors[f"{path}.label"] = "A button requires a label or an emoji."


def _select(errors: Errors, path: str, select: dict[str, Any]) -> None:
    _text(errors, f"{path}.custom_id", select.get("custom_id"), 1, 100)
    _text(errors, f"{path}.placeholder", select.get("placeholder") or "", 0, 150)
    if select.get("type") != SELECT:
        return
    options = select.get("options") or []
    if not 1 <= len(options) <= 25:
        errors[f"{path}.options"] = "Must be between 1 and 25 in length."
    if len({option.get("value") for option in options}) != len(options):
        errors[f"{path}.options"] = "The specified option value is already used"
    for i, option in enumerate(options):
        _text(errors, f"{path}.options.{i}.label", option.get("label"), 1, 100)
        _text(errors, f"{path}.options.{i}.value", option.get("value"), 1, 100)
        _text(errors, f"{path}.options.{i}.description", option.get("description") or "", 0, 100)


def _in_label(errors: Errors, path: str, component: dict[str, Any]) -> None:
    if component.get("type") not in IN_LABEL:
        errors[f"{path}.type"] = f'Value of field "type" must be one of {tuple(sorted(IN_LABEL))}.'
    elif component["type"] == INPUT:
        if component.get("label"):
            errors[f"{path}.label"] = "A text input inside a label cannot have a label."
        _input(errors, path, component)
    elif component["type"] in SELECTS:
        _select(errors, path, component)
    else:
        _text(errors, f"{path}.custom_id", component.get("custom_id"), 1, 100)


def _input(errors: Errors, path: str, some: dict[str, Any]) -> None:
    _text(errors, f"{path}.custom_id", some.get("custom_id"), 1, 100)
    if some.get("style") not in {1, 2}:
        errors[f"{path}.style"] = "Value must be one of (1, 2)."
    most = some.get("max_length")
    if most is not None and not 1 <= most <= 4000:
        errors[f"{path}.max_length"] = "int value should be between 1 and 4000."
    if not 0 <= (some.get("min_length") or 0) <= 4000:
        errors[f"{path}.min_length"] = "int value should be between 0 and 4000."
    _text(errors, f"{path}.value", some.get("value") or "", 0, min(most or 4000, 4000))
    _text(errors, f"{path}.placeholder", some.get("placeholder") or "", 0, 100)


def _identity(errors: Errors, components: list[dict[str, Any]]) -> None:
    for name in ("custom_id", "id"):
        names = [some[name] for some in walk(components) if some.get(name)]
        if len(set(names)) != len(names):
            errors[f"components.{name}"] = f"Component {name} cannot be duplicated"


def _embeds(errors: Errors, embeds: Any) -> None:
    if not isinstance(embeds, list) or len(embeds) > 10:
        errors["embeds"] = "Must be 10 or fewer in length."
        return
    total = 0
    for i, embed in enumerate(embeds):
        fields = embed.get("fields") or []
        if len(fields) > 25:
            errors[f"embeds.{i}.fields"] = "Must be 25 or fewer in length."
        texts: list[tuple[str, Any, int, int]] = [
            ("title", embed.get("title") or "", 0, 256),
            ("description", embed.get("description") or "", 0, 4096),
            ("footer.text", (embed.get("footer") or {}).get("text") or "", 0, 2048),
            ("author.name", (embed.get("author") or {}).get("name") or "", 0, 256),
        ]
        for j, one in enumerate(fields):
            texts.append((f"fields.{j}.name", one.get("name"), 1, 256))
            texts.append((f"fields.{j}.value", one.get("value"), 1, 1024))
        for name, value, least, most in texts:
            _text(errors, f"embeds.{i}.{name}", value, least, most)
            total += len(str(value or ""))
    if total > EMBEDS_MAX:
        errors["embeds"] = f"Embed size exceeds maximum size of {EMBEDS_MAX}"


def _mentions(errors: Errors, allowed: Any) -> None:
    if not isinstance(allowed, dict):
        return
    parse = allowed.get("parse") or []
    for name in ("users", "roles"):
        ids = allowed.get(name) or []
        if len(ids) > 100:
            errors[f"allowed_mentions.{name}"] = "Must be 100 or fewer in length."
        if ids and name in parse:
            errors["allowed_mentions"] = f'parse:["{name}"] and {name}: [ids...] are mutually exclusive.'
    if any(kind not in {"roles", "users", "everyone"} for kind in parse):
        errors["allowed_mentions.parse"] = "Value must be one of ('roles', 'users', 'everyone')."
