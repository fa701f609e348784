"""Login through a provider of OpenID Connect, on oauthenticator's generic one; imported only where it is wanted."""

from __future__ import annotations

import asyncio
import json
import pwd
import stat
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oauthenticator.generic import GenericOAuthenticator
from shopfloor_jobs.directory import read_json, write_json
from tornado import web
from traitlets import Bool, List, Unicode

WELL_KNOWN = "/.well-known/openid-configuration"  # OpenID Connect Discovery 1.0, section 4
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint")
METHODS = "token_endpoint_auth_methods_supported"  # absent means client_secret_basic, section 3
PATIENCE = 10  # seconds


class OidcError(Exception):
    """The provider or the secret cannot be used; says which key of the site file it is about."""


class OpenIDConnect(GenericOAuthenticator):
    """Lets in whom the provider names, if they are in an allowed group and have an account on the cluster."""

    any_allow_config = True  # it is not forgotten: check_allowed below decides

    needs_account = Bool(
        False, help="Whether only people with a Unix account may come in, as jobs need one."
    ).tag(config=True)
    groups_claim = Unicode(
        "groups", help="The claim that lists a person's groups; dots lead into objects."
    ).tag(config=True)
    claim_groups = List(
        Unicode(), help="Groups of which a person must be in one; empty: no such condition."
    ).tag(config=True)

    async def check_allowed(self, username: str, auth_model: Mapping[str, Any] | None) -> bool:
        """Whom the provider lets in may come in, but for those that are named here.

        Raises 403 with a sentence for the person, rather than False, which says nothing. JupyterHub does not ask
        this where ``allow_all`` is set.
        """
        if auth_model is not None and self.claim_groups:
            claims = auth_model["auth_state"][self.user_auth_state_key]
            if not set(self.claim_groups) & groups_in(claims, self.groups_claim):
                raise web.HTTPError(
                    403,
                    f"{username} is in none of the groups that may use this machine:"
                    f" {', '.join(self.claim_groups)}. Ask your administrator.",
                )
        if self.needs_account and not await asyncio.to_thread(has_account, username):
            raise web.HTTPError(
                403,
                f"You are signed in as {username}, but there is no account {username} on this cluster. Ask"
                " your administrator for one.",
            )
        return True


def groups_in(claims: Mapping[str, Any], path: str) -> set[str]:
    """The groups that a claim lists, such as ``groups`` or ``realm_access.roles``; none where it does not."""
    found: Any = claims
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    if isinstance(found, str):
        return {found}
    return {one for one in found if isinstance(one, str)} if isinstance(found, list) else set()


def has_account(name: str) -> bool:
    """Whether the person has a Unix account that may have jobs; root has none."""
    try:
        return pwd.getpwnam(name).pw_uid != 0
    except (KeyError, ValueError):
        return False


def secret(path: Path) -> str:
    """The client's secret. Raises OidcError unless the file is its owner's alone."""
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise OidcError(
                f"login.client_secret_file: others can read the secret; run: chmod 600 {path}"
            )
        text = path.read_text().strip()
    except OSError as error:
        raise OidcError(
            f"login.client_secret_file: {path} cannot be read: {error.strerror}"
        ) from error
    if not text:
        raise OidcError(f"login.client_secret_file: {path} is empty")
    return text


def discover(issuer: str, kept: Path) -> dict[str, Any]:
    """The provider's endpoints, as it tells them, else as it told them the last time (``kept``).

    So a hub can start again while the provider is away. Raises OidcError.
    """
    try:
        found = ask(issuer)
    except OidcError:
        known = read_json(kept)
        if not known or known.get("issuer") != issuer:
            raise
        return known
    write_json(kept, found)
    return found


def ask(issuer: str) -> dict[str, Any]:
    """The provider's endpoints, as it tells them now. Raises OidcError."""
    url = issuer.rstrip("/") + WELL_KNOWN
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            told = json.load(answer)
    except (OSError, ValueError) as error:
        raise OidcError(
            f"login.issuer: {url} does not answer as a provider of OpenID Connect: {error}"
        ) from error
    told = told if isinstance(told, dict) else {}
    check_issuer(told, issuer, url)
    missing = [name for name in ENDPOINTS if not isinstance(told.get(name), str)]
    if missing:
        raise OidcError(f"login.issuer: {url} names no {', '.join(missing)}")
    methods = told.get(METHODS)
    return {
        "issuer": issuer,
        **{name: told[name] for name in ENDPOINTS},
        METHODS: methods if isinstance(methods, list) else ["client_secret_basic"],
    }


def check_issuer(told: Mapping[str, Any], issuer: str, url: str) -> None:
    """Another issuer's answer must not be taken (section 4.3). Raises OidcError."""
    if str(told.get("issuer", "")).rstrip("/") != issuer.rstrip("/"):
        raise OidcError(
            f"login.issuer: {url} answers for {told.get('issuer')!r} and does not answer for {issuer}; name"
            " the issuer as it names itself"
        )
