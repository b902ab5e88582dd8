"""The calls of the README with clients that openapi-python-client made: `commands` and `reads`."""

import datetime
import os

from commands.api.activity import record_observations
from commands.api.campaigns import create_campaign, edit_campaign
from commands.api.sources import register_source, report_sync
from commands.client import AuthenticatedClient as CommandClient
from commands.models import (
    CreateCampaign,
    EditCampaign,
    ExternalId,
    Observation,
    ObservationType,
    RecordObservations,
    RegisterSource,
    ReportSync,
    SourceKind,
    SourceRole,
    SyncStatus,
)
from reads.api.campaigns import get_campaign
from reads.api.numbers import run_report
from reads.client import AuthenticatedClient as ReadClient
from reads.models import CampaignStatus, Filters, GroupKey, ReportRequest

KEY = os.environ["HIGHWATER_KEY"]
NOW = datetime.datetime.fromisoformat(os.environ["HIGHWATER_NOW"])
commands = CommandClient(base_url=os.environ["HIGHWATER_COMMAND_URL"], token=KEY)
reads = ReadClient(base_url=os.environ["HIGHWATER_READ_URL"], token=KEY)


def expect(answer, status):
    assert answer.status_code == status, (answer.status_code, answer.content)
    return answer


# A source and a campaign.
source = RegisterSource(
    name="shop",
    channel="email",
    kind=SourceKind.PUSH,
    role=SourceRole.PRIMARY,
    time_zone="UTC",
    currency="EUR",
    expected_delay_s=60,
    restatement_horizon_s=3600,
)
registered = expect(register_source.sync_detailed(client=commands, body=source, idempotency_key="source-1"), 201)
assert registered.parsed.name == "shop"
draft = CreateCampaign(
    name="Sale",
    channels=["email"],
    currency="EUR",
    time_zone="UTC",
    starts_on=NOW.date() - datetime.timedelta(days=7),
    external_ids=[ExternalId(id="s1")],
)
created = expect(create_campaign.sync_detailed(client=commands, body=draft), 201)
campaign, first_tag = created.parsed.campaign_id, created.parsed.etag
assert created.headers["ETag"] == first_tag

# A change for the version that was read, and one for a version that is gone.
edit = EditCampaign(name="Winter sale", ends_on=None)
edited = expect(edit_campaign.sync_detailed(campaign, client=commands, body=edit, if_match=first_tag), 200)
assert edited.parsed.version == 2
late = expect(edit_campaign.sync_detailed(campaign, client=commands, body=edit, if_match=first_tag), 412)
assert late.parsed.type_.endswith("/version-mismatch"), late.parsed

# What happened, and that it is all.
click = Observation(id="1", external_campaign_id="s1", type_=ObservationType.CLICK, occurred_at=NOW)
batch = RecordObservations(source="shop", observations=[click])
recorded = expect(record_observations.sync_detailed(client=commands, body=batch), 200)
assert (recorded.parsed.accepted, recorded.parsed.results) == (1, [])
run = ReportSync(status=SyncStatus.COMPLETED, complete_through=NOW)
synced = expect(report_sync.sync_detailed("shop", client=commands, body=run), 200)
token = synced.headers["Consistency-Token"]

# The campaign and its numbers, at least as new as the run.
fresh = {"consistency_token": token, "prefer": "wait=20"}
read = expect(get_campaign.sync_detailed(campaign, client=reads, **fresh), 200)
shown = read.parsed.data
assert (shown.name, shown.status, shown.etag) == ("Winter sale", CampaignStatus.DRAFT, edited.parsed.etag)
unchanged = get_campaign.sync_detailed(campaign, client=reads, if_none_match=read.headers["ETag"])
assert (expect(unchanged, 304).content, unchanged.parsed) == (b"", None)
question = ReportRequest(
    measures=["clicks", "spend"],
    date_from=NOW.date().isoformat(),
    date_to=NOW.date().isoformat(),
    group_by=[GroupKey.SOURCE],
    filters=Filters(source=["shop"]),
)
report = expect(run_report.sync_detailed(client=reads, body=question, **fresh), 200)
assert "satisfied=?1" in report.headers["Data-Freshness"]
[row] = report.parsed.data
assert (row.source, row["clicks"], row["spend"]) == ("shop", 1, None), row
assert row.state == report.parsed.meta.freshness.state
