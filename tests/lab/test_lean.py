"""A server starts without what it does not use, and whatever was kept out still works for those who need it."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("rfc3987_syntax", "alembic", "distributed", "dask", "pandas", "ipywidgets", "IPython")


def run(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_the_server_imports_nothing_heavy_that_it_does_not_use():
    loaded = run(
        "import sys, shopfloor_lab.singleuser, shopfloor_lab.app\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    assert loaded == "[]"


def test_what_was_kept_out_works_when_it_is_called_and_when_somebody_else_imports_it():
    assert (
        run(
            "import shopfloor_lab.singleuser\n"
            "from jsonschema import FormatChecker\n"
            "checker = FormatChecker()\n"
            "print(checker.conforms('http://example.org/ü', 'iri'), checker.conforms('no iri', 'iri'))\n"
            "import alembic.config\n"
            "print(alembic.config.Config('x').config_file_name)"
        )
        == "True False\nx"
    )


def test_what_was_imported_before_is_left_alone():
    assert (
        run(
            "import alembic, sys\n"
            "import shopfloor_lab.singleuser\n"
            "print(sys.modules['alembic'] is alembic, hasattr(alembic, '__version__'))"
        )
        == "True True"
    )
