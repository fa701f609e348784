"""What the dialog for a kernel's job is drawn from, and what it is told: environments, offer, outlook; handlers.py."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from shopfloor_jobs.fields import Refused
from shopfloor_jobs.offer import Offer
from shopfloor_jobs.request import Request

from shopfloor_lab.clusters.presets import Presets
from shopfloor_lab.outlooks import Outlooks

from .lab import Lab

Specs = Mapping[str, Mapping[str, Any]]  # as KernelSpecManager.get_all_specs has them
HIDDEN = ("nodes", "environment")  # a kernel has one node, and its software is the kernelspec's


def kernel_request(offer: Offer, options: Any) -> Request:
    """What a kernel's job is to get. Raises Refused."""
    request = offer.check({} if options is None else options)
    if request.nodes != 1:
        raise Refused("nodes", request.nodes, "1: a kernel is one process on one node")
    return request


class KernelForm:
    """``specs`` lists the server's kernelspecs, ``default`` is the usual one's name."""

    def __init__(self, lab: Lab, specs: Callable[[], Awaitable[Specs]], default: Callable[[], str]):
        self._lab, self._specs, self._default = lab, specs, default
        self._outlooks = Outlooks(lab.offers.hub)
        self._presets = Presets(lab.home, lab.offers.get, kernel_request)

    async def open(self) -> dict[str, Any]:
        """``offer`` as kernels may use it, ``kernels``, and own ``presets``. Raises NoOffer."""
        offer = (await self._lab.offers.get()).to_json()
        offer["fields"] = [field for field in offer["fields"] if field["name"] not in HIDDEN]
        return {
            "offer": offer,
            "kernels": await self.kernels(),
            "presets": await self._presets.list(),
        }

    async def kernels(self) -> list[dict[str, Any]]:
        """By label, the usual one first."""
        specs, default = await self._specs(), self._default()
        found = [
            {
                "name": name,
                "label": str(one["spec"].get("display_name") or name),
                "python": "",
                "default": name == default,
                "disabled": None,
            }
            for name, one in specs.items()
        ]
        return sorted(found, key=lambda one: (not one["default"], one["label"]))

    async def check(self, name: Any, chosen: Any) -> None:
        """Raises Refused, naming field, value and limit, or NoOffer."""
        names = list(await self._specs())
        if name not in names:
            raise Refused("name", name, f"one of {', '.join(sorted(names))}")
        kernel_request(await self._lab.offers.get(), chosen)

    async def outlook(self, chosen: Any) -> dict[str, Any]:
        """When a kernel with this request would start, and what it costs. Raises Refused or NoOffer."""
        request = kernel_request(await self._lab.offers.get(), chosen)
        return {**await self._outlooks.of(request), "cap": None}
