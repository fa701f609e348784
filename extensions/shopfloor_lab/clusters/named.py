"""Becomes one worker of a job array: runs the command it is given with this copy's name; job.py writes that command.

Run as a file, by an interpreter that imports nothing else, so that it costs some milliseconds:
``named.py worker-3,worker-4 COMMAND…``; the runner says by ``SHOPFLOOR_INDEX`` which copy this is.
"""

import os
import sys


def main() -> None:
    names, command = sys.argv[1].split(","), sys.argv[2:]
    name = names[int(os.environ.get("SHOPFLOOR_INDEX", "0"))]
    os.execv(command[0], [*command, "--name", name])


if __name__ == "__main__":
    main()
