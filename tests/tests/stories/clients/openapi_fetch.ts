// The calls of the README with openapi-fetch, over the types that openapi-typescript made: `commands` and `reads`.

import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { paths as CommandPaths } from "./commands.js";
import type { paths as ReadPaths } from "./reads.js";

/** A setting of the test. */
function setting(name: string): string {
  const value = process.env[name];
  assert.ok(value, name);
  return value;
}

// JSON, of answers that are there as CSV, too.
type Json = "application/json" | "application/problem+json";
const headers = { Authorization: `Bearer ${setting("HIGHWATER_KEY")}` };
const commands = createClient<CommandPaths, Json>({ baseUrl: setting("HIGHWATER_COMMAND_URL"), headers });
const reads = createClient<ReadPaths, Json>({ baseUrl: setting("HIGHWATER_READ_URL"), headers });
const now = setting("HIGHWATER_NOW");
const today = now.slice(0, 10);

/** The body of a successful answer. */
function expect<T>(answer: { data?: T; error?: unknown; response: Response }, status: number): T {
  assert.equal(answer.response.status, status, JSON.stringify(answer.error));
  return answer.data as T;
}

/** A header of an answer, which must be there. */
function header({ response }: { response: Response }, name: string): string {
  const value = response.headers.get(name);
  assert.ok(value, name);
  return value;
}

// A source and a campaign.
const registered = await commands.POST("/v1/sources", {
  params: { header: { "Idempotency-Key": "source-1" } },
  body: {
    name: "shop",
    channel: "email",
    kind: "push",
    role: "primary",
    time_zone: "UTC",
    currency: "EUR",
    expected_delay_s: 60,
    restatement_horizon_s: 3600,
  },
});
assert.equal(expect(registered, 201).name, "shop");
const created = await commands.POST("/v1/campaigns", {
  body: {
    name: "Sale",
    channels: ["email"],
    currency: "EUR",
    time_zone: "UTC",
    starts_on: "2026-11-01",
    external_ids: [{ id: "s1" }],
  },
});
const { campaign_id: id, etag: firstTag } = expect(created, 201);
assert.equal(header(created, "ETag"), firstTag);

// A change for the version that was read, and one for a version that is gone.
const change = {
  params: { path: { id }, header: { "If-Match": firstTag } },
  body: { name: "Winter sale", ends_on: null },
};
const edited = expect(await commands.PATCH("/v1/campaigns/{id}", change), 200);
assert.equal(edited.version, 2);
const late = await commands.PATCH("/v1/campaigns/{id}", change);
assert.equal(late.response.status, 412);
assert.match(late.error?.type ?? "", /\/version-mismatch$/);

// What happened, and that it is all.
const recorded = await commands.POST("/v1/observations", {
  body: {
    source: "shop",
    observations: [{ id: "1", external_campaign_id: "s1", type: "click", occurred_at: now }],
  },
});
const { accepted, results } = expect(recorded, 200);
assert.deepEqual([accepted, results], [1, []]);
const synced = await commands.POST("/v1/sources/{name}/syncs", {
  params: { path: { name: "shop" } },
  body: { status: "completed", complete_through: now },
});
expect(synced, 200);

// The campaign and its numbers, at least as new as the run.
const fresh = { "Consistency-Token": header(synced, "Consistency-Token"), Prefer: "wait=20" };
const read = await reads.GET("/v1/campaigns/{id}", { params: { path: { id }, header: fresh } });
const { name, status, etag } = expect(read, 200).data;
assert.deepEqual([name, status, etag], ["Winter sale", "draft", edited.etag]);
const unchanged = await reads.GET("/v1/campaigns/{id}", {
  params: { path: { id }, header: { "If-None-Match": header(read, "ETag") } },
});
assert.equal(unchanged.response.status, 304);
const report = await reads.POST("/v1/reports", {
  params: { header: fresh },
  body: {
    measures: ["clicks", "spend"],
    date_from: today,
    date_to: today,
    group_by: ["source"],
    filters: { source: ["shop"] },
  },
});
const { data: rows, meta } = expect(report, 200);
assert.match(header(report, "Data-Freshness"), /satisfied=\?1/);
assert.equal(rows.length, 1);
const [row] = rows;
assert.deepEqual([row?.source, row?.["clicks"], row?.["spend"]], ["shop", 1, null]);
assert.equal(row?.state, meta.freshness?.state);
