"""A cause -> what a person reads of it, as mail and as the JSON that Slack, Teams and other programs take. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .alert import Cause

LISTED = 10  # of what a cause hit


@dataclass(frozen=True)
class Message:
    alert: str
    outcome: str
    code: str
    subject: str
    text: str
    run_id: str
    lake: str


def written(cause: Cause, lake: str, run_id: str) -> Message:
    """What is said of a cause."""
    first, *others = cause.what
    more = f" and {len(others)} more" if others else ""
    listed = ", ".join(cause.what[:LISTED]) + (f" and {len(cause.what) - LISTED} more" if cause.what[LISTED:] else "")
    text = [cause.found, f"Concerns: {listed}.", f"Lake {lake}, run {run_id}."]
    text.append(f"To say that you look after it: carelake -p {lake} alerts ack {cause.alert} --who YOU")
    subject = " ".join(f"CareLake {lake}: {cause.outcome}: {first}{more}".split())
    return Message(cause.alert, cause.outcome, cause.code, subject, "\n\n".join(text), run_id, lake)


def posted(message: Message, form: str) -> dict[str, Any]:
    """The body of a webhook."""
    if form == "slack":
        return {"text": f"*{_for_slack(message.subject)}*\n{_for_slack(message.text)}"}
    if form == "teams":
        heading = {"type": "TextBlock", "text": message.subject, "weight": "bolder", "wrap": True}
        parts = [{"type": "TextBlock", "text": part, "wrap": True} for part in message.text.split("\n\n")]
        card = {"type": "AdaptiveCard", "version": "1.4", "body": [heading, *parts]}
        kind = "application/vnd.microsoft.card.adaptive"
        return {"type": "message", "attachments": [{"contentType": kind, "content": card}]}
    return dict(vars(message))


def _for_slack(text: str) -> str:
    """So that a name can neither link nor call anybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
