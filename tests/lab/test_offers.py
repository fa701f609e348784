"""What may be asked for, as a node hears it: from a hub of any version, and from before where that says nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from shopfloor_lab.offer import NoOffer, Offers
from tornado.web import Application

from .cluster_parts import offer_of
from .job_kernels import leave_offer

OFFER = offer_of(Path("/nowhere"))


@pytest.fixture
def offers(jobs_hub: Application, tmp_path: Path) -> Offers:
    environment = {
        "JUPYTERHUB_API_URL": jobs_hub.settings["url"],
        "JUPYTERHUB_API_TOKEN": "secret",
    }
    return Offers(tmp_path, environment)


async def test_what_the_hub_says_is_kept_for_when_it_is_away(jobs_hub: Application, offers: Offers):
    jobs_hub.settings["offer"] = OFFER.to_json()
    assert (await offers.get()).to_json() == OFFER.to_json()
    away = Offers(offers.cache.parents[3], {})
    assert (await away.get()).to_json() == OFFER.to_json()


async def test_what_cannot_be_read_does_not_take_the_place_of_what_could(
    jobs_hub: Application, offers: Offers, tmp_path: Path
):
    leave_offer(tmp_path, OFFER)
    jobs_hub.settings["offer"] = {"version": 1, "person": "alice"}
    assert (await offers.get()).to_json() == OFFER.to_json()
    away = Offers(tmp_path, {})
    assert (await away.get()).to_json() == OFFER.to_json()


@pytest.mark.parametrize("choices", [[], {"account": 1}, {"account": [{}]}])
async def test_an_offer_that_cannot_be_read_is_told_in_words(
    jobs_hub: Application, offers: Offers, choices: object
):
    jobs_hub.settings["offer"] = {**OFFER.to_json(), "choices": choices}
    with pytest.raises(NoOffer, match="of another version"):
        await offers.get()


async def test_nor_is_one_that_lies_in_the_home(offers: Offers, tmp_path: Path):
    leave_offer(tmp_path, OFFER).write_text('{"version": 1}')
    with pytest.raises(NoOffer, match="does not say"):
        await Offers(tmp_path, {}).get()
