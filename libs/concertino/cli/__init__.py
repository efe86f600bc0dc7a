"""The command line: the client for people, and the services started on one machine."""
