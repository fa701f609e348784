"""Whether a worker that is over gets a successor: within a bounded number of tries, never endlessly."""

from __future__ import annotations

from dataclasses import dataclass

MOST = 3  # workers in one place, and workers in a row that never connected
SETTLED = 60.0  # seconds connected after which a worker counts as one that worked


@dataclass
class Replacing:
    """Counts for one cluster; :meth:`begin` forgets, for somebody asked anew.

    A bad node or a worker that runs out of memory is met by the bound for each place; software that cannot start,
    which every worker meets, by the bound on failures in a row, so that a hundred of them are not tried 300 times.
    """

    in_a_row: int = 0
    gave_up: str = ""

    def begin(self) -> None:
        self.in_a_row, self.gave_up = 0, ""

    def connected(self) -> None:
        """One of the workers has connected: what they are started with is right."""
        self.in_a_row = 0

    def successor(
        self, name: str, cause: str, tries: int, connected_for: float | None, refused: bool
    ) -> int:
        """How many workers will have stood in the place of one that is over, its successor included; 0: it gets none.

        ``connected_for`` is in seconds, None for one that never was. What was refused is not asked again: it
        would be refused again.
        """
        if connected_for is None:
            self.in_a_row += 1
        if connected_for is not None and connected_for >= SETTLED:
            return 1
        if refused:
            self.gave_up = f"{name} was refused: {cause}"
            return 0
        if self.in_a_row >= MOST:
            self.gave_up = f"{self.in_a_row} workers in a row did not start: {cause}"
            return 0
        if tries >= MOST:
            self.gave_up = f"{name} and {tries - 1} before it ended: {cause}"
            return 0
        return tries + 1
