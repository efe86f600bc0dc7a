"""The orchestrator: decides what a task needs next (the coordinator), and plans it (the planner, a worker like any other)."""
