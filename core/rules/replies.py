"""What the team's front desk answers people at once, without asking a model. Plain text, no platform's markup."""

from __future__ import annotations

from core.model.ids import short

STRANGER = "Sorry, I only talk with people this team knows. Ask its owner to add you."
MESSAGE_TOO_LONG = "That message is over 256 KB. Put it in a file under files/shared and tell me its name."
MAY_NOT_ASK = "You may read along, but not give the team work. Ask its owner to make you a member."
NOTHING_OPEN = "Nothing waits for a person."
NOTHING_DECIDED = "Nothing was decided that has these words in it."
NO_DECISIONS = "Nothing has been decided yet."
NOTHING_RUNS = "No task is open."
UNKNOWN_BUTTON = "That button is not one of mine."
ASKED_BACK = "Asked. The request is taken back; it comes again with the answer."
NOT_YOURS = "Only the one who asked, or an owner, may do that."


TROUBLE_UNCERTAIN = "A message about some trouble may not have arrived here. /tasks shows how things are."
CODE_UNKNOWN = "That code is not one of mine, or its hour is over. Ask for a new one."
MUTED_NOT = "Say /mute, /mute HOURS or /mute off."
UNMUTED = "Status lines are back."
NEW_TALK = "A new conversation starts here. What was said before is left out of it."


def answer_uncertain(task: str) -> str:
    """A platform that cannot say whether a message arrived was cut off while it took an answer."""
    return f"Delivery uncertain: the answer of {task} may not have arrived here. /task {task} shows it."


def card_uncertain(inquiry: str) -> str:
    """The same, of something that waits for a decision."""
    return f"Delivery uncertain: {inquiry} may not have arrived here. /view {inquiry} shows it, /inbox what waits."


def muted(hours: int) -> str:
    """No status lines for a while."""
    return f"No status lines here for {hours} h. Answers and questions still come."


def linked(name: str) -> str:
    """An account is somebody's from now on."""
    return f"Hello {name}. This account is yours now; I work for you here."


def link_code(code: str) -> str:
    """How to bring another account."""
    return f"Send `/link {code}` from your other account within an hour. It works once; tell nobody."


def edited(task: str) -> str:
    """Somebody changed what a running request says."""
    return (
        f"You changed your request, but {short(task)} works on what it said at first. "
        f"To start over: /cancel {short(task)}, then ask again."
    )


HANDED_BACK = "I am back, and I read what was said meanwhile."
NOT_HANDED_OVER = "Nobody has taken this conversation over."


def handed_back(place: str) -> str:
    """To whoever handed it back from elsewhere."""
    return f"Handed back: {place}. The team answers there again."


def no_handover(place: str) -> str:
    """Handed back by a name that is none, or is that of several."""
    return f"No one conversation that is with a person is called {place[:80]}. /inbox names them."


def handed_over(role: str, why: str) -> str:
    """A trigger of a CONSTITUTION has fired."""
    return f"{role} hands this to a person: {why}. I do not answer here until somebody types /handback."


def still_handed_over(why: str) -> str:
    """To whoever opens a conversation that is with a person."""
    return f"This conversation is with a person: {why}.\nThe team does not answer here until somebody types /handback."


TO_BE_HANDED_ON = "(was to be handed on)"


HOW_OFTEN = "/approve ID for N times within H hours [where ARG=VALUE|VALUE, ...] [because REASON]"


ALLOWED = "agents/team.yaml is changed, and the one before is kept in .signoff/backups"
VOID = "The rest of it is void, the policy or the program has changed"
UNSURE_YET = "Not started yet: whether those who approved it may still decide cannot be looked up, and is tried again"
VOTER_LEFT = "Void, somebody who approved it may no longer decide such things"


def used(used_n: int, count_max: int) -> str:
    """How much of a bounded approval is gone."""
    return f"{used_n} of {count_max} used"


def taken_over(where: str, why: str) -> str:
    """Above all that was said there, for whoever takes it over."""
    return f"A conversation needs a person ({why}): {where}. Type /handback there when the team may answer again."


WHICH_INBOX = "/inbox shows all that waits; /inbox mine, /inbox overdue or /inbox TIER a part of it."


def more_waits(n: int) -> str:
    """Under an inbox that shows the oldest only."""
    return f"And {n:,} more. /inbox mine, /inbox overdue or /inbox TIER shows a part of it."


def waits_for_handback(places: tuple[tuple[str, str, str], ...], more_n: int) -> str:
    """Under an inbox: where people have taken over, how long ago and why."""
    lines = [f"{where} is with a person for {ago}: {why}" for where, ago, why in places]
    if more_n:
        lines.append(f"and {more_n:,} more")
    return "\n".join((*lines, "/handback there, or /handback PLACE from anywhere, lets the team answer again."))


def none_of_several(refused: tuple[tuple[str, str], ...]) -> str:
    """One of several could not be decided: none was."""
    lines = [f"{short(inquiry)}: {why}" for inquiry, why in refused]
    return "\n".join(("Nothing was approved, because not all of them can be:", *lines))


def several_decided(decided: tuple[tuple[str, str], ...]) -> str:
    """What each of several came to."""
    return "\n".join(f"{short(inquiry)}: {note}" for inquiry, note in decided)


TOO_MANY = "That is too much for one word: at most 20 at a time."


def no_such_role(role: str, roles: tuple[str, ...]) -> str:
    """Somebody addressed a role that is not there."""
    return f"There is no role {role[:40]}. Here are: {', '.join(roles)}."


def which_inquiry(ids: tuple[str, ...]) -> str:
    """A bare decision with several open."""
    return f"Which one? Open are {', '.join(short(i) for i in ids)}."


def no_such(kind: str, some_id: str) -> str:
    """An id that names nothing."""
    return f"There is no {kind} {some_id[:40]}."


def ambiguous(kind: str, some_id: str, ids: tuple[str, ...]) -> str:
    """A prefix that names several."""
    return f"{some_id} could be {', '.join(ids)}. Give more of the {kind}'s id."


def heard(waiting_on: tuple[str, ...]) -> str:
    """A message meanwhile: kept, and said so."""
    if waiting_on:
        return f"Heard. I am waiting on {', '.join(short(w) for w in waiting_on[:3])}; I read this next."
    return "Heard. I read this at the next step."


def stopping(what: str) -> str:
    """A task or scope is being stopped."""
    return f"Stopping {short(what)}."


def waits_for_resume(task: str) -> str:
    """New work while everything, or its role, is stopped."""
    return f"Heard ({short(task)}). Work is stopped here; it starts when somebody types /resume."


def stopped(scope: str) -> str:
    """Paused."""
    return f"{scope} is stopped. Nothing of it starts until you resume it."


def resumed(scope: str) -> str:
    """No longer paused."""
    return f"{scope} goes on."


def retrying(task: str, new: str) -> str:
    """A finished task starts again."""
    return f"Starting {short(task)} again as {short(new)}."


def not_over(task: str) -> str:
    """Retry of something that still runs."""
    return f"{short(task)} is not over yet. Cancel it first."


def adopted(task: str, tasks_n: int) -> str:
    """A running request goes on under today's definition."""
    return f"{short(task)} goes on under today's definition ({tasks_n} open {'task' if tasks_n == 1 else 'tasks'})."


def adopted_already(task: str) -> str:
    """It does so already."""
    return f"{short(task)} works by today's definition already."


def role_gone(role: str) -> str:
    """A running task's role is no more."""
    return f"There is no role {role[:40]} any more, so its task goes on as it began. Cancel it, or let it end."


def over_already(task: str) -> str:
    """Cancel of something that has ended."""
    return f"{short(task)} is over already."


def could_not(what: str) -> str:
    """A bug of ours, in words that do not hide it."""
    return f"I could not deal with that ({what}). It is in the log; nothing was done."


def ran(duration_ms: int | None, failure: str) -> str:
    """Under a decided card: what came of the action. None: it outlived the engine that started it."""
    if duration_ms is None:
        return f"failed: {failure}" if failure else "ran, while signoff was down for a moment"
    took = f"{duration_ms / 1000:.1f} s"
    return f"failed after {took}: {failure}" if failure else f"ran in {took}"


def not_run(why: str) -> str:
    """Under a decided card: it was approved, and yet not run."""
    return f"not run: {why}"


def asks_back(person: str, question: str) -> str:
    """Why a request was taken back: somebody must know more before they decide."""
    return f"{person} asks before deciding: {question} (answer it in the text beside a new call)"
