"""Login by generated passwords in a file of names and passwords (0600); for one machine, and for demos."""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from jupyterhub.auth import Authenticator
from traitlets import Unicode

SHORTEST = 10  # characters of a password


class PasswordsError(Exception):
    """The file of passwords cannot be used; the text says why and what to do."""


def read(path: Path) -> dict[str, str]:
    """Names and passwords. Raises PasswordsError for a file that is missing, open to others or malformed."""
    try:
        if path.stat().st_mode & 0o077:
            raise PasswordsError(f"{path}: others can read the passwords; run: chmod 600 {path}")
        data = json.loads(path.read_text())
    except OSError as error:
        raise PasswordsError(f"{path}: the passwords cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise PasswordsError(f"{path}: this is not JSON: {error}") from error
    if not isinstance(data, dict) or not data:
        raise PasswordsError(f"{path}: expected an object of names and passwords")
    for name, password in data.items():
        if not isinstance(password, str) or len(password) < SHORTEST:
            raise PasswordsError(
                f"{path}: the password of {name} is shorter than {SHORTEST} characters"
            )
        if name != name.lower() or "/" in name or not name.strip():
            raise PasswordsError(f"{path}: {name!r} is not a lower-case name")
    return data


def generate(path: Path, names: Sequence[str]) -> dict[str, str] | None:
    """Write a new file with a password for each name and return it; None when there is a file already."""
    passwords = {name: secrets.token_urlsafe(9) for name in names}
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(passwords, file, indent=1)
        os.link(temporary, path)
    except FileExistsError:
        return None
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
    return passwords


class PasswordsAuthenticator(Authenticator):
    """Lets in who stands in the file, with the password that stands there; read anew at each login."""

    passwords_file = Unicode(help="Path of the JSON file of names and passwords.").tag(config=True)

    async def authenticate(self, handler, data):
        name = self.normalize_username(data.get("username", ""))
        expected = self._read().get(name)
        # Compared even for a name that does not exist, so that the time taken tells nothing.
        given = data.get("password", "").encode()
        same = hmac.compare_digest(given, (expected or secrets.token_urlsafe(9)).encode())
        return name if same and expected else None

    async def refresh_user(self, user, handler=None):
        """Who was taken out of the file is logged out."""
        return user.name in self._read()

    def _read(self) -> dict[str, str]:
        try:
            return read(Path(self.passwords_file))
        except PasswordsError as error:
            self.log.error("Nobody can log in: %s", error)
            return {}
