"""A real MCP server over stdio: tickets of a support desk, and a log of every call of its tools, in the file it is given.

What else it is given it adds to its answers.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from mcp.server import MCPServer

TICKETS = {
    "T-17": "Customers were told to plan for 30 seconds before a retry, and complain that retries come sooner.",
    "T-18": "The relay was moved to another rack.",
}

server = MCPServer("tickets")


def _log(tool: str, **arguments: str) -> None:
    with Path(sys.argv[1]).open("a") as log:
        log.write(json.dumps([tool, arguments]) + "\n")


@server.tool()
def search_tickets(query: str) -> str:
    """Find tickets that hold the words of a query."""
    _log("search_tickets", query=query)
    words = query.lower().split()
    found = [f"{id_}: {text}" for id_, text in TICKETS.items() if any(word in text.lower() for word in words)]
    return "\n".join([*found, *sys.argv[2:]])


@server.tool()
def close_ticket(id: str) -> str:  # noqa: A002
    """Close a ticket for good."""
    _log("close_ticket", id=id)
    return f"{id} is closed"


if __name__ == "__main__":
    server.run()
