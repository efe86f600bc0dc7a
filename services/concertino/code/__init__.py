"""The code worker: code bases as sources, and the tools to read them with. Read-only, and confined to its sources."""
