"""What a notebook wants done before the job of its kernel ends: ``@shopfloor.before_end``.

The agent (before_end.py beside this folder) puts a copy on the path of every kernel that is a job, whatever Python
that has: hence the standard library only, and syntax that an old one understands. It signals, and reads what is told.
"""

import contextlib
import inspect
import json
import os
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path

NOTES = "SHOPFLOOR_BEFORE_END"  # the variable that leads to the directory where kernel and agent leave notes
LINE = 200  # characters of one function's outcome

_functions = []
_running = False
_notes = None  # the same directory: what a notebook does to its environment later is its own affair


def before_end(function):
    """Have a function without arguments called before the job of this kernel ends, be it at its time limit or for want
    of work: ``@shopfloor.before_end``. Returns the function.

    It is called in the main thread, also in the middle of a cell that runs, which then goes on; but not while a call
    into compiled code does not return. Several are called in the order of their registration. One of a module or
    notebook that is defined again takes the place of its former self, and so does the same method of the same object;
    functions that others make, and methods of other objects, come beside those before. A kernel that is no job of its
    own warns, and calls nothing.
    """
    global _notes
    if not callable(function) or inspect.iscoroutinefunction(function):
        raise TypeError("before_end takes a function that can be called without arguments")
    if not _is_job():
        warnings.warn(
            "this kernel has no job of its own: nothing is called before its end", stacklevel=2
        )
        return function
    _notes = _notes or Path(os.environ[NOTES])
    if not _functions:
        signal.signal(signal.SIGUSR1, _call_all)  # ValueError outside of the main thread
        _leave("registered", {})
    for number, one in enumerate(_functions):
        if _is_former_self(one, function):
            _functions[number] = function
            break
    else:
        _functions.append(function)
    return function


def _is_job():
    """Whether an agent waits for notes here; what a notebook submits elsewhere has its variables, too."""
    try:
        return Path(os.environ[NOTES]).stat().st_uid == os.getuid()
    except (KeyError, OSError):
        return False


def _call_all(number, frame):
    global _running
    if _running:
        return
    _running = True
    told, failed = [], False
    try:
        for count, function in enumerate(list(_functions), 1):
            name = _name(function)
            _tell("running", [*told, f"{name} ({count} of {len(_functions)})"])
            began = time.time()
            try:
                function()
            except BaseException as error:  # noqa: BLE001 - the cell in whose midst we are must not get it
                failed = True
                last = traceback.format_exception_only(type(error), error)[-1]
                told.append(f"{name} failed: {' '.join(last.split())}"[:LINE])
                with contextlib.suppress(
                    Exception
                ):  # a file in whose midst we are cannot be written
                    traceback.print_exc()
            else:
                told.append(f"{name}: done in {time.time() - began:.0f} s")
        _tell("failed" if failed else "done", told)
    finally:
        _running = False


def _is_former_self(one, function):
    """Whether the second function is the first one, defined again perhaps."""
    if one is function:
        return True
    places = [
        (getattr(each, "__module__", None), getattr(each, "__qualname__", None))
        for each in (one, function)
    ]
    of = [getattr(each, "__self__", None) for each in (one, function)]
    # <lambda>, and what a function makes in each of its calls (f.<locals>.g), have one name for many.
    return places[0] == places[1] and "<" not in (places[0][1] or "<") and of[0] is of[1]


def _name(function):
    name = getattr(function, "__name__", None)
    return name if isinstance(name, str) else type(function).__name__


def _tell(state, lines):
    _leave("told", {"state": state, "text": "; ".join(lines)})


def _leave(kind, note):
    """Each process its own, for a child has our environment; whole or not at all."""
    path = _notes / f"{kind}-{os.getpid()}.json"
    try:
        path.with_suffix(".new").write_text(json.dumps(note))
        path.with_suffix(".new").replace(path)
    except OSError as error:
        print(f"shopfloor: {error}", file=sys.stderr)
