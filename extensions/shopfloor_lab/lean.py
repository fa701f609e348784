"""Keeps out of a server's start what its libraries import and a server does not use; singleuser.py says what.

Measured as CPU time of a start of 1.9 s: jsonschema compiles a grammar for international URLs (0.65 s), and
JupyterHub's logging pulls in its database migrations (0.15 s).
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any


class Deferred(ModuleType):
    """Stands for a module of which only functions are used: each imports the real one when it is called."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*args: Any, **kwargs: Any) -> Any:
            return getattr(importlib.import_module(self.__name__), name)(*args, **kwargs)

        return call


@contextmanager
def deferred(*names: str) -> Iterator[None]:
    """What is imported meanwhile gets stand-ins for these modules; what was imported before is left alone.

    Afterwards the names mean the real modules again, for whoever else imports them. A package and the modules in
    it have to be named together.
    """
    ours = {name: Deferred(name) for name in names if name not in sys.modules}
    for name, module in ours.items():
        package, _, last = name.rpartition(".")
        if package in ours:
            setattr(ours[package], last, module)
    for module in ours.values():
        module.__path__ = []  # so that each may be a package
    sys.modules.update(ours)
    try:
        yield
    finally:
        for name, module in ours.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
