"""The calls of the README with clients that openapi-generator made: `commands` and `reads`."""

import datetime
import os

import commands
import reads

KEY = os.environ["HIGHWATER_KEY"]
NOW = datetime.datetime.fromisoformat(os.environ["HIGHWATER_NOW"])
command_api = commands.ApiClient(commands.Configuration(host=os.environ["HIGHWATER_COMMAND_URL"], access_token=KEY))
read_api = reads.ApiClient(reads.Configuration(host=os.environ["HIGHWATER_READ_URL"], access_token=KEY))
campaigns, sources = commands.CampaignsApi(command_api), commands.SourcesApi(command_api)
activity, numbers = commands.ActivityApi(command_api), reads.NumbersApi(read_api)


def refused(package, status, call):
    """The exception of a call that is answered with this status."""
    try:
        call()
    except package.ApiException as error:
        assert error.status == status, error
        return error
    raise AssertionError(f"not answered with {status}")


# A source and a campaign.
source = commands.RegisterSource(
    name="shop",
    channel="email",
    kind=commands.SourceKind.PUSH,
    role=commands.SourceRole.PRIMARY,
    time_zone="UTC",
    currency="EUR",
    expected_delay_s=60,
    restatement_horizon_s=3600,
)
assert sources.register_source(source, idempotency_key="source-1").name == "shop"
draft = commands.CreateCampaign(
    name="Sale",
    channels=["email"],
    currency="EUR",
    time_zone="UTC",
    starts_on=NOW.date() - datetime.timedelta(days=7),
    external_ids=[commands.ExternalId(id="s1")],
)
created = campaigns.create_campaign_with_http_info(draft)
campaign, first_tag = created.data.campaign_id, created.data.etag
assert (created.status_code, created.headers["etag"]) == (201, first_tag)

# A change for the version that was read, and one for a version that is gone.
edit = commands.EditCampaign(name="Winter sale", ends_on=None)
edited = campaigns.edit_campaign(campaign, edit, if_match=first_tag)
assert edited.version == 2
late = refused(commands, 412, lambda: campaigns.edit_campaign(campaign, edit, if_match=first_tag))
assert late.data.type.endswith("/version-mismatch"), late

# What happened, and that it is all.
click = commands.Observation(
    id="1", external_campaign_id="s1", type=commands.ObservationType.CLICK, occurred_at=NOW
)
recorded = activity.record_observations(commands.RecordObservations(source="shop", observations=[click]))
assert (recorded.accepted, recorded.results) == (1, [])
run = commands.ReportSync(status=commands.SyncStatus.COMPLETED, complete_through=NOW)
token = sources.report_sync_with_http_info("shop", run).headers["consistency-token"]

# The campaign and its numbers, at least as new as the run.
fresh = {"consistency_token": token, "prefer": "wait=20"}
read = reads.CampaignsApi(read_api).get_campaign_with_http_info(campaign, **fresh)
shown = read.data.data
assert (shown.name, shown.status, shown.etag) == ("Winter sale", reads.CampaignStatus.DRAFT, edited.etag)
tag = read.headers["etag"]
refused(reads, 304, lambda: reads.CampaignsApi(read_api).get_campaign(campaign, if_none_match=tag))
question = reads.ReportRequest(
    measures=["clicks", "spend"],
    date_from=NOW.date().isoformat(),
    date_to=NOW.date().isoformat(),
    group_by=[reads.GroupKey.SOURCE],
    filters=reads.Filters(source=["shop"]),
)
report = numbers.run_report_with_http_info(question, **fresh)
assert "satisfied=?1" in report.headers["data-freshness"]
[row] = report.data.data
figures = row.additional_properties
assert (row.source, figures["clicks"], figures["spend"]) == ("shop", 1, None), row
assert row.state == report.data.meta.freshness.state
