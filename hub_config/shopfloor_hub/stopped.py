"""The error that ends a command of ours with one sentence; raised by up and readiness, caught in cli."""


class Stopped(Exception):
    """Something is in the way; the text says what, and what to do."""
