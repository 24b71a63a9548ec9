"""MCP servers: their tools under the team's tiers, pinned, supervised, and never believed (docs/mcp.md).

Only `session`, `http`, `pipe` and `login` import the SDK, and nothing imports them before a server is spoken to.
"""
