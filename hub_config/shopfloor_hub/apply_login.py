"""Who may log in, by PAM, OpenID Connect or generated passwords, and who is admin."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from . import passwords, state
from .site import Site, SiteError

OIDC_MISSING = (
    "login.type: 'oidc' needs oauthenticator beside the hub; run: pip install 'shopfloor[oidc]'"
)


def apply(c: Any, site: Site) -> None:
    c.Authenticator.admin_users = set(site.login.admins)
    if site.login_type == "pam":
        _apply_pam(c, site)
    elif site.login_type == "oidc":
        _apply_oidc(c, site)
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


def _apply_oidc(c: Any, site: Site) -> None:
    try:
        from . import oidc
    except ImportError as error:
        raise SiteError([OIDC_MISSING]) from error
    login = site.login
    try:
        endpoints = oidc.discover(str(login.issuer), state.prepare(site) / "oidc.json")
        secret = oidc.secret(site.client_secret_file)
    except oidc.OidcError as error:
        raise SiteError([str(error)]) from error
    c.JupyterHub.authenticator_class = oidc.OpenIDConnect
    settings = c.OpenIDConnect
    settings.client_id = login.client_id
    settings.client_secret = secret
    settings.authorize_url = endpoints["authorization_endpoint"]
    settings.token_url = endpoints["token_endpoint"]
    settings.userdata_url = endpoints["userinfo_endpoint"]
    settings.basic_auth = "client_secret_post" not in endpoints[oidc.METHODS]
    settings.scope = login.scopes
    settings.username_claim = login.username_claim
    settings.groups_claim = login.groups_claim
    settings.claim_groups = login.claim_groups
    settings.login_service = urlsplit(str(login.issuer)).hostname or "OpenID Connect"
    settings.needs_account = site.scheduler.type == "slurm"
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
