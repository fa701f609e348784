"""Who may log in, by PAM or by generated passwords, and who is admin."""

from __future__ import annotations

from typing import Any

from . import passwords
from .site import Site, SiteError


def apply(c: Any, site: Site) -> None:
    c.Authenticator.admin_users = set(site.login.admins)
    if site.login_type == "pam":
        _apply_pam(c, site)
    else:
        _apply_passwords(c, site)


def _apply_pam(c: Any, site: Site) -> None:
    c.JupyterHub.authenticator_class = "pam"
    c.PAMAuthenticator.service = site.login.service
    # Sessions are Slurm's to open on the node; the hub is unprivileged and cannot.
    c.PAMAuthenticator.open_sessions = False
    c.PAMAuthenticator.allowed_groups = set(site.login.allowed_groups)
    c.PAMAuthenticator.allow_all = not site.login.allowed_groups
    # Else whoever is in the hub's database, through a group of the site file for example, may come in.
    c.Authenticator.allow_existing_users = False


def _apply_passwords(c: Any, site: Site) -> None:
    try:
        passwords.read(site.passwords_file)
    except passwords.PasswordsError as error:
        raise SiteError([str(error)]) from error
    c.JupyterHub.authenticator_class = passwords.PasswordsAuthenticator
    c.PasswordsAuthenticator.passwords_file = str(site.passwords_file)
    # The file is the list of who may come in.
    c.PasswordsAuthenticator.allow_all = True
