"""What a task looks like: pure functions from its state to lines and renderables. No I/O, no clock."""
