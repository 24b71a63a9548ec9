"""What agents are told when a rule says no, or their form is wrong: what failed, why, the way to recover."""

from __future__ import annotations

from core.model.work import Failure

ANSWER_WAS_CUT = "the answer was cut at the model's output limit"
ASK_AGAIN = "Ask again, or `signoff retry` the task."
ASKED_BACK = "Your question went to the role that asked. Its answer follows."
BUDGET_STOPPED = "the budget of {role} stopped the task"
DAY_BUDGET_SPENT = "what it may spend today is spent or held by calls under way"
ENGINE_BROKE = "the engine broke down over it three times; the log has more"
FINISH_BY_HANDOFF = "Finish by calling hand_off: summary, changed, next_needs, risks. Do not write the result as prose."
HANDOFF_ALONE = Failure(
    what="hand_off was not taken",
    why="hand_off ends the task, and other calls of the same turn have no results yet",
    recovery="Read the results, then call hand_off alone.",
)
HANDOFF_AFTER_HEARING = Failure(
    what="hand_off was not taken yet",
    why="a message came in while you were working",
    recovery="Read it, act on it if it changes anything, then call hand_off again.",
)
HANDOFF_EMPTY = Failure(
    what="hand_off was empty",
    why="it had neither a summary nor needs",
    recovery="Give `summary` when the work is done, `needs` when you must know something first.",
)
MODEL_REFUSED = "the model refused the request"
MODEL_SAID_NOTHING = "the model answered nothing, three times"
NO_LONGER_NEEDED = "the task it belonged to has ended"
NO_REASON_GIVEN = "it gave no reason"
NOTHING_CAME = "empty replies"
OUTCOME_UNKNOWN = Failure(
    what="the action was started and its outcome is not known",
    why="its record was lost and its tool is no longer defined",
    recovery="Ask a person to look whether it happened.",
)
OUT_OF_TIME = "the task ran out of time"
PROSE_NOT_HANDOFF = "given as prose, not as a handoff"
RAISE_BUDGET = "A person can raise the budget in team.yaml, or retry the task tomorrow."
REPLY_WAS_EMPTY = "Your reply was empty. Answer, call a tool, or hand off."
SAY_IT_DIFFERENTLY = "Say the request differently, or give it to another role."
STOPPED_FIRST = Failure(
    what="the action was not run",
    why="its task was stopped before it could start",
    recovery="Nothing was done.",
)
SMALLER_OR_LONGER = "Ask for a smaller step, or raise task_seconds_max."
WALL_CLOCK = "it worked for {seconds} s, which is its limit"
WAS_CANCELLED = "the task was cancelled"
MODEL_FAILED = "the model did not answer"
DIGEST_DIFFERS = Failure(
    what="the action was not run",
    why="it is no longer, to the byte, what people approved (its arguments or its program changed)",
    recovery="Call it again: people are asked about the action as it is now.",
)
GRANT_EXPIRED = Failure(
    what="the action was not run",
    why="its permission ran out before it could start",
    recovery="Call it again: people are asked anew.",
)
TOO_LATE = Failure(
    what="the work was not done in time",
    why="the deadline of its brief has passed",
    recovery="Say what is missing, give it more time, or ask for a smaller part of it.",
)
VOTER_LEFT = Failure(
    what="the action was not run",
    why="somebody who approved it may no longer decide such things",
    recovery="Call it again: those who may decide it now are asked anew.",
)
GRANT_GONE = Failure(
    what="the action was not run",
    why="its permission was taken back, or used already",
    recovery="Report it. If it is still wanted, call it again: people are asked anew.",
)


def stopped(by: str, reason: str) -> Failure:
    """Somebody ended the task."""
    why = f"stopped by {by}" + (f": {reason}" if reason else "")
    return Failure(what=WAS_CANCELLED, why=why, recovery=ASK_AGAIN)


def refused(reason: str) -> Failure:
    """The model would not."""
    return Failure(what=MODEL_REFUSED, why=reason or NO_REASON_GIVEN, recovery=SAY_IT_DIFFERENTLY)


def unreadable(tool: str) -> Failure:
    """Arguments that are not an object."""
    return Failure(
        what=f"{tool} was not called",
        why="its arguments are not a JSON object",
        recovery="Call it again with an object that fits its schema.",
    )


def beyond_repair(last: Failure) -> Failure:
    """The same form, wrong once more than it is sent back."""
    return Failure(
        what=f"the form was wrong three times in a row: {last.what}", why=last.why, recovery=SAY_IT_DIFFERENTLY
    )


def too_many(calls_max: int) -> Failure:
    """More calls in one turn than a turn may hold."""
    return Failure(
        what="the call was not taken",
        why=f"a turn may hold {calls_max} calls",
        recovery="Call it again in the next turn, if it is still needed.",
    )


def not_asking(task: str) -> Failure:
    """An answer for a task that asked nothing."""
    return Failure(
        what="the answer was not delivered",
        why=f"no task {task or '(none given)'} of yours is waiting for an answer",
        recovery="Leave `task` out to delegate new work.",
    )


def wrong_arguments(tool: str, errors: tuple[str, ...]) -> Failure:
    """Arguments outside the schema, with the exact errors."""
    return Failure(
        what=f"{tool} was not called",
        why="; ".join(errors)[:1000],
        recovery="Call it again with arguments that fit its schema.",
    )


def already_denied(says: str) -> Failure:
    """Somebody said no to this intent in this root task."""
    return Failure(
        what=f"not done: {says}",
        why="people denied this in this piece of work already",
        recovery="Do not try it another way. Report that it was denied, or ask a person with ask_human.",
    )


def may_not(role: str, what: str) -> Failure:
    """A permission the manifest does not give."""
    return Failure(
        what=f"{what} was not done",
        why=f"{role} has no permission for it in team.yaml",
        recovery="Hand the work back and say who could do it.",
    )


def for_a_person(role: str, why: str) -> Failure:
    """A brief that its reader's CONSTITUTION leaves to people."""
    return Failure(
        what=f"the work was not handed to {role}",
        why=f"a person takes it over: {why}",
        recovery="Do not give it to anybody else. When you go on, people have dealt with it: read what they say.",
    )


def tool_gone(tool: str) -> Failure:
    """A tool that the running program does not have."""
    return Failure(
        what=f"{tool} was not run",
        why="this installation has no such tool",
        recovery="Do it another way, or hand the work back and say so.",
    )


def tool_hung(tool: str, seconds: int) -> Failure:
    """A tool that did not come back."""
    return Failure(
        what=f"{tool} was stopped", why=f"it did not end in {seconds} s", recovery="Try a smaller piece of the work."
    )


def tool_raised(tool: str, error: str) -> Failure:
    """A bug in a tool: named, without a stack trace."""
    return Failure(
        what=f"{tool} failed",
        why=f"it broke down ({error}); the log has more",
        recovery="Do it another way, or report.",
    )
