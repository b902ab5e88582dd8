//! The problem types of reads.

use http_edge::problem::ProblemType;
use http_edge::problem::kinds::{INVALID_QUERY, NOT_FOUND};
use http_edge::{problem_responses, problem_types};

problem_types! {
    pub(crate) ALL;

    /// A `Consistency-Token` is sent as it was received, and to the workspace that it came from.
    pub(crate) INVALID_CONSISTENCY_TOKEN = BAD_REQUEST "invalid-consistency-token"
        "The consistency token cannot be used"
        r#"{"detail": "It was handed out for another workspace."}"#;

    /// `min_position`, or the position of the token, is past the log's head: no event has this position.
    pub(crate) UNKNOWN_POSITION = BAD_REQUEST "unknown-position" "The log has not come that far"
        r#"{"detail": "Position 18500 is required, and the log's last position is 18350.",
            "asked": 18500, "head": 18350}"#;

    /// The required position is not visible yet, and `on_timeout=error` forbids a stale answer. Send the request again
    /// after `Retry-After`, or let it wait: `Prefer: wait=5`. Behind a parked part, it becomes visible when the part is
    /// retried or skipped.
    pub(crate) NOT_YET_VISIBLE = SERVICE_UNAVAILABLE "not-yet-visible" "The answer does not hold that position yet"
        r#"{"detail": "Position 18350 is required, and the log is applied up to 18342.",
            "asked": 18350, "applied": 18342}"#;

    /// The answer would lag by `lag_ms`, which is more than `max_staleness`.
    pub(crate) STALENESS_BOUND_UNMET = SERVICE_UNAVAILABLE "staleness-bound-unmet"
        "The answer would be older than allowed" r#"{"detail": "It would lag by 6120 ms.", "lag_ms": 6120}"#;

    /// Nothing of the workspace is projected yet, not even its time zone and currency. `GET /v1/freshness` shows the
    /// progress.
    pub(crate) BUILDING = SERVICE_UNAVAILABLE "building" "The read model is being built"
        r#"{"detail": "GET /v1/freshness shows the progress."}"#;

    /// A cursor continues the query that it came from. Send that query with it, or no cursor.
    pub(crate) CURSOR_MISMATCH = BAD_REQUEST "cursor-mismatch" "The cursor belongs to another query"
        r#"{"detail": "Send the cursor with the query that it came from, or send no cursor."}"#;

    /// The read model was rebuilt after the cursor was issued, so the order of its rows may have changed. Start again
    /// without a cursor.
    pub(crate) CURSOR_EXPIRED = GONE "cursor-expired" "The cursor can no longer be used"
        r#"{"detail": "The read model was rebuilt since then. Start again without a cursor."}"#;

    /// The log was restored from a backup, or lost its last events in a failover, after the consistency token or the
    /// cursor was issued. The event that it rests on is gone, and another one may stand at its position. Send what was
    /// sent since then again, and start without the token or the cursor.
    pub(crate) LOG_RESTORED = GONE "log-restored" "The log was restored from a backup since"
        r#"{"detail": "The event at position 1204 that it rests on is not in the log any more.", "reset": "restored",
            "asked": 1204}"#;

    /// The report would have more numbers than one answer may have. Ask for fewer measures or groups, coarser buckets,
    /// or a shorter range.
    pub(crate) REPORT_TOO_LARGE = UNPROCESSABLE_ENTITY "report-too-large" "The report is too large"
        r#"{"detail": "It would add up to more than 200000 numbers. Ask for fewer groups or coarser buckets."}"#;

    /// Sums are kept by one dimension of observations at a time, not by combinations. `group_by` and `filters` together
    /// may name one. `dimensions` lists those of the request.
    pub(crate) DIMENSION_COMBINATION = UNPROCESSABLE_ENTITY "dimension-combination" "Dimensions cannot be crossed"
        r#"{"detail": "The query names country and device. Use one of them, or ask for a report by each.",
            "dimensions": ["country", "device"]}"#;

    /// The query was cancelled, because it exceeded the time limit. Ask for less, or retry when the load is lower.
    pub(crate) REPORT_TOO_SLOW = SERVICE_UNAVAILABLE "report-too-slow" "The answer takes too long to compute"
        r#"{"detail": "The database's work was cancelled. Ask for a shorter range or fewer groups."}"#;
}

type Types = &'static [&'static ProblemType];

/// The problem types of every read of the model.
const READ: Types = &[
    INVALID_QUERY,
    INVALID_CONSISTENCY_TOKEN,
    UNKNOWN_POSITION,
    LOG_RESTORED,
    NOT_YET_VISIBLE,
    STALENESS_BOUND_UNMET,
    BUILDING,
    REPORT_TOO_SLOW,
];
/// The problem types of a query.
const QUERY: Types = &[INVALID_QUERY];
/// The problem types of pages.
const PAGED: Types = &[CURSOR_MISMATCH, CURSOR_EXPIRED];

problem_responses! {
    /// Problems of a list of a workspace.
    pub(crate) ListProblems = READ, PAGED;
    /// Problems of one campaign, or of the workspace.
    pub(crate) CampaignProblems = READ, &[NOT_FOUND];
    /// Problems of a list of one campaign.
    pub(crate) CampaignListProblems = READ, PAGED, &[NOT_FOUND];
    /// Problems of the numbers of one campaign.
    pub(crate) NumbersProblems = READ, PAGED, &[NOT_FOUND, REPORT_TOO_LARGE, DIMENSION_COMBINATION];
    /// Problems of reports.
    pub(crate) ReportProblems = READ, PAGED, &[REPORT_TOO_LARGE, DIMENSION_COMBINATION];
    /// Problems of a dashboard; those of its reports are in its answer.
    pub(crate) DashboardProblems = READ;
    /// Problems of the current state of a workspace.
    pub(crate) WorkspaceProblems = QUERY;
    /// Problems of data that is the same for every workspace.
    pub(crate) CatalogueProblems = QUERY;
}
