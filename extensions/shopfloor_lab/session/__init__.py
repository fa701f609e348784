"""The server's own job, seen from inside: its time left, what it uses of what it was given, and whether it works."""
