"""How well a planner sizes and splits: fifty requests, and what a good plan for each looks like."""
