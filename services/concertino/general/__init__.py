"""The general worker: a role, instructions and a set of tools that the plan gives it for one piece of work."""
