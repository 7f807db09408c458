"""The campaigns of an account, to be deleted with all that became of their mails."""

from starlette.responses import Response

from ..storage.campaigns import Campaigns
from .names import name_to_find
from .operations import Answer, Call, Endpoint, Operation, PathParameter
from .problems import Problem

_DELETE = Operation(
    name="delete_campaign",
    subject="Campaigns",
    method="DELETE",
    path="/v1/campaigns/{campaign}",
    scope="events",
    audit="campaign.deleted",
    summary="Delete a campaign",
    description="Its events and numbers are shown nowhere from now on, and erased soon: in the feed each of the events "
    "becomes an entry of the type “erased”, and is told once more at the end. The links of its mails lead on, and who "
    "follows them is no longer recorded, but for opt-outs, which count as ever. Messages, recipients and suppressions "
    "stay. The next message that names it makes a new campaign, which has nothing of this one.",
    path_parameters=[
        PathParameter(name="campaign", description="The campaign's name, percent-encoded.", read=name_to_find)
    ],
    answers=[Answer(status=204, description="It is deleted.")],
    problems=["not-found"],
)


class CampaignsApi:
    """``/v1/campaigns``."""

    def __init__(self, campaigns: Campaigns) -> None:
        self._campaigns = campaigns

    def endpoints(self) -> list[Endpoint]:
        """Its part of the table."""
        return [Endpoint(_DELETE, self.delete)]

    async def delete(self, call: Call[None, None]) -> Response:
        """204: hidden from now on, and erased soon. 404 where there is none, or none any more."""
        if not await self._campaigns.delete(call.account.id, call.path["campaign"], call.entry):
            raise Problem("not-found", "There is no such campaign.")
        return Response(status_code=204)
