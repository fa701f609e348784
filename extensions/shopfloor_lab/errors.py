"""What can go wrong between a page and its jobs, apart from what the jobs' own package says; answering.py tells it."""

from __future__ import annotations


class Conflict(Exception):
    """What is asked does not go with the state that something is in; the text is fit for the person."""


class NoAnswer(Exception):
    """What runs in a job did not answer: it may have ended, or be busy; the text is why."""
