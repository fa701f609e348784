"""Slurm's commands with a fault: a directory that stands first on the PATH of hub and helper.

Each command there is a wrapper that does what its *order* says, a few lines of sh, and else is the real one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

NAMES = ("sbatch", "squeue", "scancel", "scontrol")

WRAPPER = """\
#!/bin/sh
name=${0##*/}
here=${0%/bin/*}
echo x >> "$here/$name.calls"
[ -r "$here/$name.order" ] && . "$here/$name.order"
exec "/usr/bin/$name" "$@"
"""

HELPER = """\
#!/bin/sh
PATH={bin}:/usr/bin:/bin
export PATH
exec {helper} "$@"
"""

# Orders. `held` tells the test that the moment has come; the command goes on when `hold` is gone. Several people's
# may be held at once: the file is whoever's came first.
HANG = "exec sleep 600\n"
WAIT = 'touch "$here/held" 2> /dev/null; while [ -e "$here/hold" ]; do sleep 0.05; done\n'
HOLD_BEFORE = WAIT
HOLD_AFTER = 'answer=$("/usr/bin/$name" "$@") || exit $?\n' + WAIT + 'echo "$answer"; exit 0\n'


def complains(text: str, status: int = 1) -> str:
    """The order to fail with this text."""
    return f"echo '{text}' >&2; exit {status}\n"


def prints(text: str) -> str:
    """The order to print this text and to claim success."""
    return f"echo '{text}'; exit 0\n"


class Commands:
    """The wrappers in ``directory``, which must lie where everybody can run them; ``others`` are only counted."""

    def __init__(self, directory: Path, helper: Path, others: Sequence[str] = ()):
        self.directory = directory
        self.bin = directory / "bin"
        self.bin.mkdir(parents=True)
        directory.chmod(0o1777)  # the wrappers run as the hub's user and as the people
        for name in dict.fromkeys((*NAMES, *others)):
            _program(self.bin / name, WRAPPER)
            calls = directory / f"{name}.calls"
            calls.touch()
            calls.chmod(0o666)  # whoever calls first must not be the only one who is counted
        self.helper = directory / "shopfloor-helper"
        _program(self.helper, HELPER.format(bin=self.bin, helper=helper))

    @contextmanager
    def ordered(self, name: str, order: str) -> Iterator[None]:
        """Meanwhile the command does what it is told; what it holds goes on afterwards."""
        (self.directory / "hold").touch()
        self._order(name).write_text(order)
        try:
            yield
        finally:
            self.release()
            self._order(name).unlink()

    @property
    def held(self) -> bool:
        """Whether a command with ``HOLD_…`` has come to its moment."""
        return (self.directory / "held").exists()

    def release(self) -> None:
        """What is held goes on."""
        for name in ("hold", "held"):
            (self.directory / name).unlink(missing_ok=True)

    def calls(self, name: str) -> int:
        """How often the command was called."""
        file = self.directory / f"{name}.calls"
        return len(file.read_text().split()) if file.exists() else 0

    def _order(self, name: str) -> Path:
        return self.directory / f"{name}.order"


def _program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)
