"""A fake Slack on real sockets."""

from tests.fakes.slack.service import SlackService

__all__ = ["SlackService"]
