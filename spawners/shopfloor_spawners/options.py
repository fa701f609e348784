"""User options of a server: from form to values, and the one check on form and REST path alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jupyterhub.spawner import SpawnException
from shopfloor_jobs.fields import Refused
from shopfloor_jobs.offer import CUSTOM, Offer
from shopfloor_jobs.request import FIELDS, Request
from shopfloor_jobs.scheduler import SchedulerError

NOT_OPTIONS = ("_xsrf", "next")


class StartRefused(SpawnException):
    """A start that is not made or did not succeed; JupyterHub shows the message to the person as it is.

    ``refusal`` is the offer's, where the options were at fault, so that a form can show it at its field.
    """

    def __init__(
        self, message: str, reason: str, refusal: Refused | None = None, status: int = 400
    ):
        self.refusal = refusal
        # From the second line on stands what the job wrote, which is not the hub's to log.
        first_line = message.partition("\n")[0].replace("%", "%%")
        super().__init__(message, reason=reason, status_code=status, log_message=first_line)

    @property
    def jupyterhub_message(self) -> str:
        return self.message


def options_from_form(form: Mapping[str, list[str]]) -> dict[str, Any]:
    """The options that a submitted form means.

    ``form`` maps input names to lists of strings. A preset counts alone; with *custom*, the fields that
    are not empty count. Raises :class:`Refused` for repeated inputs.
    """
    values = {}
    for name, given in form.items():
        if name in NOT_OPTIONS or list(given) in ([], [""]):
            continue
        if len(given) != 1:
            raise Refused(name[:64], given, "one value")
        values[name] = given[0]
    if values.get("preset") == CUSTOM:
        del values["preset"]
        return values
    if "preset" in values:
        return {name: value for name, value in values.items() if name not in FIELDS}
    return values


def check_options(make_offer: Callable[[], Offer], options: Mapping[str, Any] | None) -> Request:
    """The request that the options make of the offer that is made now.

    Raises :class:`StartRefused`: a 400 for options that cannot be had, a 503 where the scheduler has not said yet
    what there is.
    """
    try:
        return make_offer().check({} if options is None else options)
    except Refused as refusal:
        raise StartRefused(str(refusal), "options", refusal) from refusal
    except SchedulerError as error:
        raise StartRefused(str(error), "unreachable", status=503) from error


def check_form(make_offer: Callable[[], Offer], form: Mapping[str, list[str]]) -> dict[str, Any]:
    """The options in a submitted form, if they can be had. Raises :class:`StartRefused`."""
    try:
        options = options_from_form(form)
    except Refused as refusal:
        raise StartRefused(str(refusal), "options", refusal) from refusal
    check_options(make_offer, options)
    return options
