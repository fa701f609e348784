"""Jupyter's sessions, which say which document a kernel belongs to: noted beside a job's kernel, and had again with it.

Whoever asks for sessions first waits until the kernels of earlier servers are there: Lab starts another kernel for a
notebook that has none.
"""

from __future__ import annotations

from typing import Any

from jupyter_server.services.sessions.sessionmanager import SessionManager

from .kept import Session
from .managers import JobKernels


class JobSessions(SessionManager):
    """As Jupyter's own, where kernels are not :class:`~.managers.JobKernels`."""

    def __init__(self, *given: Any, **settings: Any) -> None:
        super().__init__(*given, **settings)
        self._known = set[str]()  # kernels whose sessions are here, or were

    async def list_sessions(self) -> list[dict[str, Any]]:
        await self._adopt()
        return await super().list_sessions()

    async def session_exists(self, path: str) -> bool:
        await self._adopt()
        return await super().session_exists(path)

    async def get_session(self, **given: Any) -> dict[str, Any]:
        await self._adopt()
        return await super().get_session(**given)

    async def save_session(self, session_id: str, **given: Any) -> dict[str, Any]:  # type: ignore[override]
        saved = await super().save_session(session_id, **given)
        self._note(session_id)
        return saved

    async def update_session(self, session_id: str, **given: Any) -> None:
        await super().update_session(session_id, **given)
        self._note(session_id)

    async def _adopt(self) -> None:
        kernels = self.kernel_manager
        if not isinstance(kernels, JobKernels):
            return
        await kernels.adopt()
        # The newest first: it is the one that a document was given last.
        for kernel_id, one in reversed(kernels.board.sessions().items()):
            if kernel_id not in self._known:
                self._known.add(kernel_id)
                self._have(kernel_id, one)

    def _have(self, kernel_id: str, one: Session) -> None:
        """Unless the document has another kernel here, which the person may have given it meanwhile."""
        others = self.cursor.execute(
            "SELECT kernel_id FROM session WHERE session_id=? OR (path=? AND path!='')",
            (one.id, one.path),
        ).fetchall()
        if any(other in self.kernel_manager for (other,) in others):
            return
        # Not save_session, which would ask for it, and so come by here again.
        self.cursor.execute("DELETE FROM session WHERE session_id=?", (one.id,))
        self.cursor.execute(
            "INSERT INTO session VALUES (?,?,?,?,?)",
            (one.id, one.path, one.name, one.type, kernel_id),
        )

    def _note(self, session_id: str) -> None:
        kernels = self.kernel_manager
        if not isinstance(kernels, JobKernels):
            return
        found = self.cursor.execute(
            "SELECT path, name, type, kernel_id FROM session WHERE session_id=?", (session_id,)
        ).fetchone()
        if found:
            path, name, kind, kernel_id = found
            kernels.board.note_session(
                kernel_id, Session(session_id, path or "", name or "", kind or "")
            )
