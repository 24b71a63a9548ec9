"""A Discord of our own, on a real socket."""

from tests.fakes.discord.service import DiscordService

__all__ = ["DiscordService"]
