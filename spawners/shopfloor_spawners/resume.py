"""After a restart of the hub: start the servers again that were starting, which finds their jobs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from jupyterhub import orm
from jupyterhub.utils import url_escape_path, url_path_join
from sqlalchemy.orm import object_session
from tornado.httpclient import AsyncHTTPClient, HTTPClientError

if TYPE_CHECKING:
    from .spawner import ShopfloorSpawner

GIVE_UP_AFTER = 300  # seconds
RESUMED_TAG = "X-Shopfloor-Tag"  # a start that goes on with the job of this tag, and makes no other
_tasks: dict[str, asyncio.Task[None]] = {}


def resume_soon(spawner: ShopfloorSpawner) -> None:
    """Post the server's own start route once the hub answers; asking twice does it once."""
    assert spawner.intent is not None
    tag = spawner.intent.tag
    if tag not in _tasks:
        _tasks[tag] = asyncio.create_task(_resume(spawner))
        _tasks[tag].add_done_callback(lambda _: _tasks.pop(tag, None))


async def _resume(spawner: ShopfloorSpawner) -> None:
    assert spawner.intent is not None
    tag = spawner.intent.tag
    url = url_path_join(
        spawner.hub.api_url,
        "users",
        spawner.user.escaped_name,
        "servers",
        url_escape_path(spawner.name),
    )
    if not spawner.name:
        url = url_path_join(spawner.hub.api_url, "users", spawner.user.escaped_name, "server")
    token = spawner.user.new_api_token(
        note="going on after a restart of the hub",
        expires_in=GIVE_UP_AFTER,
        scopes=["servers!user"],
    )
    client = AsyncHTTPClient()
    context = spawner.encryption and spawner.encryption.to_hub()
    deadline = asyncio.get_running_loop().time() + GIVE_UP_AFTER
    try:
        while asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.5)
            if spawner.user.spawners.get(spawner.name) is spawner:
                continue  # the restart check of this server has not ended yet
            if tag_of(spawner.orm_spawner) != tag:
                return  # ended or cancelled meanwhile: starting it now would be a second job
            try:
                headers = {"Authorization": f"token {token}", RESUMED_TAG: tag}
                await client.fetch(
                    url, method="POST", body="", headers=headers, ssl_options=context
                )
            except HTTPClientError as error:
                if error.code not in (429, 502, 503, 599):
                    return  # the hub's own answer; it stands on the person's page
                spawner.log.info("Going on with %s waits: %s", spawner._log_name, error)
            except OSError as error:
                spawner.log.info("Going on with %s waits: %s", spawner._log_name, error)
            else:
                return
        spawner.log.error("%s could not be gone on with", spawner._log_name)
    finally:
        _revoke(spawner, token)


def tag_of(orm_spawner: orm.Spawner) -> str:
    """The tag of the job that the hub's database holds for a server; empty where it holds none."""
    return (orm_spawner.state or {}).get("shopfloor", {}).get("tag", "")


def _revoke(spawner: ShopfloorSpawner, token: str) -> None:
    session = object_session(spawner.orm_spawner)
    if (found := orm.APIToken.find(session, token)) is not None:
        session.delete(found)
        session.commit()
