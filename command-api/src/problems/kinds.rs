//! The problem types that only commands have. Those of the domain's rules are in `rules`.

use http_edge::problem::ProblemType;
use http_edge::problem::kinds::{NOT_FOUND, OF_BODIES};
use http_edge::{problem_responses, problem_types};

use super::rules;

problem_types! {
    pub(crate) ALL;

    /// The campaign changed after the version that `If-Match` names. Nothing was done. `version` is its current
    /// version: read the campaign again and decide anew.
    pub(crate) VERSION_MISMATCH = PRECONDITION_FAILED "version-mismatch" "The campaign has changed"
        r#"{"detail": "It is at version 4. Read it again and decide anew.", "version": 4}"#;

    /// Other requests changed the same data at the same time, at every attempt. Nothing was done: send the request
    /// again.
    pub(crate) CONCURRENT_CHANGE = CONFLICT "concurrent-change" "Other requests are changing the same data"
        r#"{"detail": "Nothing was done. Send the request again."}"#;

    /// Another request with this `Idempotency-Key` is being carried out. Send this one again later: it gets the same
    /// response.
    pub(crate) REQUEST_IN_FLIGHT = CONFLICT "request-in-flight" "This request is being carried out"
        r#"{"detail": "Another request with this Idempotency-Key is not answered yet. Send this one again later."}"#;

    /// The command was written, but it is not certain that it outlives a failover: the wait for a synchronous standby
    /// was ended. Send the same request again, with the same `Idempotency-Key` and the same ids. It is carried out
    /// once, and answered when the standby has it.
    pub(crate) OUTCOME_UNKNOWN = SERVICE_UNAVAILABLE "outcome-unknown" "The outcome is not known yet"
        r#"{"detail": "It may have been carried out. Send it again with the same Idempotency-Key and the same ids."}"#;

    /// A source with another definition has this name. `errors` names the first member that differs.
    pub(crate) SOURCE_NAME_TAKEN = CONFLICT "source-name-taken" "Another source has this name"
        r#"{"detail": "The source \"google_ads\" is registered with another currency.",
            "errors": [{"field": "currency", "detail": "differs from what is registered under this name"}]}"#;

    /// A run is reported as complete through less than an earlier one. Completeness never moves back in silence.
    /// `complete_through` is what the source is complete through. Send `covers` without `complete_through` to say that
    /// a range was read again, and the status `reopened` to take completeness back.
    pub(crate) COMPLETENESS_MOVES_BACK = CONFLICT "completeness-would-move-back"
        "The source is complete through more already"
        r#"{"detail": "The source is complete through 2026-11-29T00:00:00Z.",
            "complete_through": "2026-11-29T00:00:00Z",
            "errors": [{"field": "complete_through", "detail": "lies before what the source said earlier"}]}"#;

    /// Completeness can be taken back only to an instant that the source was complete through.
    pub(crate) NOT_COMPLETE_THROUGH = UNPROCESSABLE_ENTITY "not-complete-through"
        "The source is not complete through that"
        r#"{"errors": [{"field": "complete_through", "detail": "lies after what the source is complete through"}]}"#;

    /// Another campaign of the workspace has this external id: `campaign_id`.
    pub(crate) EXTERNAL_ID_TAKEN = CONFLICT "external-id-taken" "Another campaign has this external id"
        r#"{"detail": "The external id \"1234567890\" belongs to another campaign.",
            "campaign_id": "0195d2f4-7a1e-7c30-9e5b-3f0c8a4d1e62",
            "errors": [{"field": "external_ids", "detail": "\"1234567890\" is taken"}]}"#;

    /// The workspace has no source of this name. Register it first.
    pub(crate) UNKNOWN_SOURCE = UNPROCESSABLE_ENTITY "unknown-source" "There is no such source"
        r#"{"errors": [{"field": "source", "detail": "\"google_ads\" is not registered: POST /v1/sources first"}]}"#;

    /// A push source sends observations. A pull source sends statements.
    pub(crate) WRONG_SOURCE_KIND = UNPROCESSABLE_ENTITY "wrong-source-kind" "This source does not send these"
        r#"{"errors": [{"field": "source", "detail": "\"google_ads\" is a pull source: it sends statements"}]}"#;

    /// A batch has at least one item, and at most the number that `errors` says. Send more items in several batches, or
    /// observations as newline-delimited JSON.
    pub(crate) BATCH_SIZE = UNPROCESSABLE_ENTITY "batch-size" "The batch has no items or too many"
        r#"{"errors": [{"field": "observations", "detail": "has 0 items, but 1 to 5000 are taken"}]}"#;

    /// The backfill has a chunk of this number with other content. Nothing was done. Cut the file as it was cut before,
    /// or load what is new as another backfill.
    pub(crate) BACKFILL_CHUNK_TAKEN = CONFLICT "backfill-chunk-taken" "The chunk was recorded with other content"
        r#"{"detail": "Chunk 7 of the backfill old-tracker was recorded with other content.",
            "errors": [{"field": "chunk",
            "detail": "was recorded with other content: cut the file as before, or use another `backfill`"}]}"#;

    /// The first chunk of a backfill fixes its edge: `before`. Say the same, or leave it out.
    pub(crate) BACKFILL_EDGE_FIXED = CONFLICT "backfill-edge-fixed" "The backfill has another edge"
        r#"{"before": "2026-08-01T00:00:00Z", "errors": [{"field": "before",
            "detail": "is 2026-08-01T00:00:00Z since the first chunk: say the same, or leave it out"}]}"#;

    /// What a source may still send by plain ingest is no history. A backfill ends where the source's window begins, or
    /// before.
    pub(crate) BACKFILL_EDGE_TOO_LATE = UNPROCESSABLE_ENTITY "backfill-edge-too-late"
        "The edge lies in the source's window"
        r#"{"errors": [{"field": "before",
            "detail": "lies after 2026-11-14T22:00:00Z, the start of the source's window"}]}"#;

    /// A batch of statements takes back at most the number of values that `errors` says. Nothing was done. Replace day
    /// by day, or some campaigns at a time.
    pub(crate) REPLACEMENT_TOO_LARGE = UNPROCESSABLE_ENTITY "replacement-too-large"
        "Too many values would be taken back"
        r#"{"detail": "Nothing was done. Replace day by day, or some campaigns at a time.",
            "errors": [{"field": "replace", "detail": "holds too much: at most 20000 values are taken back"}]}"#;

    /// All events of one request must have one source. Send the events of each source in a request of their own, or
    /// name one source for all of them in the query.
    pub(crate) MIXED_SOURCES = UNPROCESSABLE_ENTITY "mixed-sources" "The events are of several sources"
        r#"{"errors": [{"field": "[2].source", "detail": "differs from [0].source"}]}"#;

    /// A cursor continues the request that it came from. Send that request with it, or no cursor.
    pub(crate) CURSOR_MISMATCH = BAD_REQUEST "cursor-mismatch" "The cursor belongs to another request"
        r#"{"detail": "Send the cursor with the parameters that it came from, or send no cursor."}"#;

    /// An `Idempotency-Key` is 1 to 255 visible ASCII characters, bare or as a quoted string, and is sent once.
    pub(crate) INVALID_IDEMPOTENCY_KEY = BAD_REQUEST "invalid-idempotency-key" "The Idempotency-Key is not valid"
        r#"{"errors": [{"field": "Idempotency-Key", "detail": "is given more than once"}]}"#;

    /// This key was used for a request with another method, path or body. Use a new key for a new request.
    pub(crate) IDEMPOTENCY_KEY_REUSED = UNPROCESSABLE_ENTITY "idempotency-key-reused"
        "This idempotency key was used for another request"
        r#"{"detail": "A key stands for one method, path and body. Use a new key for a new request."}"#;

    /// `If-Match` is `*`, or one or more values of a campaign's `ETag`.
    pub(crate) INVALID_IF_MATCH = BAD_REQUEST "invalid-if-match" "The If-Match header is not valid"
        r#"{"errors": [{"field": "If-Match",
            "detail": "must be a quoted version such as \"3\", as the last answer's ETag had it"}]}"#;
}

type Types = &'static [&'static ProblemType];

/// The types of every command.
const COMMAND: Types =
    &[INVALID_IDEMPOTENCY_KEY, IDEMPOTENCY_KEY_REUSED, REQUEST_IN_FLIGHT, CONCURRENT_CHANGE, OUTCOME_UNKNOWN];
/// The types of a command on a campaign that exists.
const CHANGE: Types = &[NOT_FOUND, INVALID_IF_MATCH, VERSION_MISMATCH, rules::CAMPAIGN_ARCHIVED];
/// The types of what is found by a name in the path.
const NAMED: Types = &[NOT_FOUND];
/// The types of a batch.
const BATCH: Types = &[UNKNOWN_SOURCE, WRONG_SOURCE_KIND, BATCH_SIZE];
/// The types of a list in pages.
const PAGED: Types = &[CURSOR_MISMATCH];
/// The types of what may be repeated without a key.
const RETRY: Types = &[INVALID_IDEMPOTENCY_KEY, CONCURRENT_CHANGE];

problem_responses! {
    /// Problems of creating a campaign.
    pub(crate) CreateCampaignProblems = COMMAND, &[EXTERNAL_ID_TAKEN, rules::CHANNEL_REQUIRED, rules::LAST_DAY_PASSED],
        rules::OF_DETAILS, rules::OF_BUDGETS;
    /// Problems of editing a campaign.
    pub(crate) EditCampaignProblems = COMMAND, CHANGE, &[EXTERNAL_ID_TAKEN], rules::OF_DETAILS, rules::OF_EDITS;
    /// Problems of setting a campaign's budget.
    pub(crate) BudgetProblems = COMMAND, CHANGE, rules::OF_BUDGETS, &[rules::BUDGET_FIXED];
    /// Problems of the steps of a campaign's lifecycle, whose bodies may be left out.
    pub(crate) LifecycleProblems = COMMAND, CHANGE, rules::OF_STEPS, OF_BODIES;
    /// Problems of registering a source.
    pub(crate) SourceProblems = COMMAND, &[SOURCE_NAME_TAKEN], rules::OF_SOURCES;
    /// Problems of a command on a registered source.
    pub(crate) SourceCommandProblems = COMMAND, &[NOT_FOUND], rules::OF_SOURCES, rules::OF_SOURCE_CHANGES;
    /// Problems of reading a source.
    pub(crate) ReadSourceProblems = NAMED;
    /// Problems of a batch of observations.
    pub(crate) ObservationProblems = COMMAND, BATCH,
        &[MIXED_SOURCES, BACKFILL_CHUNK_TAKEN, BACKFILL_EDGE_FIXED, BACKFILL_EDGE_TOO_LATE];
    /// Problems of a batch of statements.
    pub(crate) StatementProblems = COMMAND, BATCH, &[REPLACEMENT_TOO_LARGE];
    /// Problems of listing rejected items.
    pub(crate) ListRejectionsProblems = PAGED;
    /// Problems of a rejected item.
    pub(crate) RejectionProblems = NAMED;
    /// Problems of judging rejected items again.
    pub(crate) RetryProblems = RETRY, PAGED, OF_BODIES;
    /// Problems of judging a rejected item again.
    pub(crate) RetryRejectionProblems = NAMED, RETRY, OF_BODIES;
    /// Problems of a command on the workspace itself.
    pub(crate) WorkspaceProblems = COMMAND, NAMED;
    /// Problems of a sync.
    pub(crate) SyncProblems = COMMAND, &[NOT_FOUND, COMPLETENESS_MOVES_BACK, NOT_COMPLETE_THROUGH];
}
