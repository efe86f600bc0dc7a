"""The pure core: what is to be done about a task, worked out from its facts. No I/O, no clock, no chance."""
