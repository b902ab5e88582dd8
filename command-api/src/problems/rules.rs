//! The problem types of the domain's rules, one for each rule.

use http_edge::problem::ProblemType;
use http_edge::problem_types;

problem_types! {
    pub(crate) ALL;

    /// A name is one line of 1 to 200 characters. The name of a source has 1 to 100.
    pub(crate) INVALID_NAME = UNPROCESSABLE_ENTITY "invalid-name" "The name cannot be used"
        r#"{"detail": "the name is empty", "errors": [{"field": "name", "detail": "the name is empty"}]}"#;
    /// Each channel may be named once.
    pub(crate) CHANNEL_TWICE = UNPROCESSABLE_ENTITY "channel-twice" "A channel is named more than once"
        r#"{"detail": "the channel email is named more than once"}"#;
    /// A campaign runs on at most 20 channels.
    pub(crate) TOO_MANY_CHANNELS = UNPROCESSABLE_ENTITY "too-many-channels" "There are too many channels"
        r#"{"detail": "21 channels are too many, at most 20 are allowed"}"#;
    /// A campaign is launched on at least one channel, and keeps one while it runs.
    pub(crate) CHANNEL_REQUIRED = UNPROCESSABLE_ENTITY "channel-required" "A launched campaign needs a channel"
        r#"{"detail": "a launched campaign needs at least one channel"}"#;
    /// The last day is not before the first.
    pub(crate) ENDS_BEFORE_START = UNPROCESSABLE_ENTITY "ends-before-start" "The campaign would end before it starts"
        r#"{"detail": "the campaign would end on 2026-11-30, before it starts on 2026-12-01"}"#;
    /// The days of a campaign must lie in the years 1970 to 2199.
    pub(crate) DATE_OUT_OF_RANGE = UNPROCESSABLE_ENTITY "date-out-of-range" "The date is out of range"
        r#"{"detail": "the first day 1969-12-31 lies outside of the years 1970 to 2199"}"#;
    /// A campaign that is over cannot be launched. Change its last day first.
    pub(crate) LAST_DAY_PASSED = UNPROCESSABLE_ENTITY "last-day-passed" "The campaign's last day has passed"
        r#"{"detail": "the campaign cannot be launched, because its last day 2026-11-01 has passed"}"#;
    /// Only a draft can be launched. A paused campaign can be resumed.
    pub(crate) NOT_A_DRAFT = UNPROCESSABLE_ENTITY "not-a-draft" "The campaign is not a draft"
        r#"{"detail": "only a draft can be launched, and the campaign is completed"}"#;
    /// Only a launched campaign can be paused.
    pub(crate) NOT_LAUNCHED = UNPROCESSABLE_ENTITY "not-launched" "The campaign is not launched"
        r#"{"detail": "only a launched campaign can be paused, and the campaign is a draft"}"#;
    /// Only a paused campaign can be resumed.
    pub(crate) NOT_PAUSED = UNPROCESSABLE_ENTITY "not-paused" "The campaign is not paused"
        r#"{"detail": "only a paused campaign can be resumed, and the campaign is a draft"}"#;
    /// Only a launched or paused campaign can be completed.
    pub(crate) NOT_UNDERWAY = UNPROCESSABLE_ENTITY "not-underway" "The campaign is not underway"
        r#"{"detail": "only a launched or paused campaign can be completed, and the campaign is a draft"}"#;
    /// A launched campaign cannot be archived. Pause or complete it first.
    pub(crate) STILL_LAUNCHED = UNPROCESSABLE_ENTITY "still-launched" "The campaign is still launched"
        r#"{"detail": "a launched campaign cannot be archived: pause or complete it first"}"#;
    /// An archived campaign takes no changes. Unarchive it first.
    pub(crate) CAMPAIGN_ARCHIVED = UNPROCESSABLE_ENTITY "campaign-archived" "The campaign is archived"
        r#"{"detail": "the campaign is archived and takes no changes: unarchive it first"}"#;
    /// Only an archived campaign can be unarchived.
    pub(crate) NOT_ARCHIVED = UNPROCESSABLE_ENTITY "not-archived" "The campaign is not archived"
        r#"{"detail": "only an archived campaign can be unarchived, and the campaign is paused"}"#;
    /// Only the name, the external ids and the attributes of a completed campaign can change.
    pub(crate) CAMPAIGN_COMPLETED = UNPROCESSABLE_ENTITY "campaign-completed" "The campaign is completed"
        r#"{"detail": "the campaign is completed: only its name, external ids and attributes can still change",
            "errors": [{"field": "channels",
                "detail": "the campaign is completed: only its name, external ids and attributes can still change"}]}"#;
    /// The currency is fixed when the campaign is launched.
    pub(crate) CURRENCY_FIXED = UNPROCESSABLE_ENTITY "currency-fixed" "The currency is fixed"
        r#"{"detail": "the currency EUR is fixed since the launch"}"#;
    /// The time zone is fixed when the campaign is launched.
    pub(crate) TIME_ZONE_FIXED = UNPROCESSABLE_ENTITY "time-zone-fixed" "The time zone is fixed"
        r#"{"detail": "the time zone is fixed since the launch"}"#;
    /// The first day is fixed once it has begun.
    pub(crate) START_FIXED = UNPROCESSABLE_ENTITY "start-fixed" "The first day is fixed"
        r#"{"detail": "the campaign has started on 2026-11-01, and its first day is fixed since"}"#;
    /// A budget must be greater than 0. `null` removes it.
    pub(crate) BUDGET_NOT_POSITIVE = UNPROCESSABLE_ENTITY "budget-not-positive" "The budget is not greater than 0"
        r#"{"detail": "the budget must be more than 0"}"#;
    /// A budget must be in the campaign's currency.
    pub(crate) BUDGET_CURRENCY = UNPROCESSABLE_ENTITY "budget-currency" "The budget is in another currency"
        r#"{"detail": "the budget is in USD, and the campaign's currency is EUR"}"#;
    /// The budget is fixed when the campaign is completed.
    pub(crate) BUDGET_FIXED = UNPROCESSABLE_ENTITY "budget-fixed" "The budget is fixed"
        r#"{"detail": "the campaign is completed, and its budget is fixed since"}"#;
    /// Each external id may be named once for a source.
    pub(crate) EXTERNAL_ID_TWICE = UNPROCESSABLE_ENTITY "external-id-twice" "An external id is named more than once"
        r#"{"detail": "the external id 1234567890 is named more than once"}"#;
    /// A campaign has at most 50 external ids.
    pub(crate) TOO_MANY_EXTERNAL_IDS = UNPROCESSABLE_ENTITY "too-many-external-ids" "There are too many external ids"
        r#"{"detail": "51 external ids are too many, at most 50 are allowed"}"#;
    /// An external id is one line of 1 to 200 characters.
    pub(crate) INVALID_EXTERNAL_ID = UNPROCESSABLE_ENTITY "invalid-external-id" "An external id cannot be used"
        r#"{"detail": "an external id is empty"}"#;
    /// The source of an external id must be a valid name of a source.
    pub(crate) INVALID_EXTERNAL_ID_SOURCE = UNPROCESSABLE_ENTITY "invalid-external-id-source"
        "The source of an external id cannot be used" r#"{"detail": "the source of an external id is empty"}"#;
    /// A campaign has at most 50 attributes.
    pub(crate) TOO_MANY_ATTRIBUTES = UNPROCESSABLE_ENTITY "too-many-attributes" "There are too many attributes"
        r#"{"detail": "51 attributes are too many, at most 50 are allowed"}"#;
    /// The key of an attribute is 1 to 40 lower-case letters, digits and `_`, and starts with a letter.
    pub(crate) INVALID_ATTRIBUTE_KEY = UNPROCESSABLE_ENTITY "invalid-attribute-key"
        "The key of an attribute cannot be used"
        r#"{"detail": "\"Region\" is not an attribute key: 1 to 40 lower-case letters, digits and _, a letter first"}"#;
    /// The value of an attribute has at most 500 characters, and no control characters but line breaks and tabs.
    pub(crate) INVALID_ATTRIBUTE_VALUE = UNPROCESSABLE_ENTITY "invalid-attribute-value"
        "The value of an attribute cannot be used"
        r#"{"detail": "the attribute region has 501 characters, at most 500 are allowed"}"#;
    /// An expected delay is at least 0 and at most 31 days, in seconds.
    pub(crate) EXPECTED_DELAY_OUT_OF_RANGE = UNPROCESSABLE_ENTITY "expected-delay-out-of-range"
        "The expected delay is out of range"
        r#"{"detail": "the expected delay of -1 s lies outside of 0 to 2678400 s, which is 31 days"}"#;
    /// A horizon is at least 0 and at most 400 days.
    pub(crate) RESTATEMENT_HORIZON_OUT_OF_RANGE = UNPROCESSABLE_ENTITY "restatement-horizon-out-of-range"
        "A restatement horizon is out of range"
        r#"{"detail": "the horizon -1s of delivery lies outside of 0 to 400 days"}"#;
    /// The table of platforms is in docs/sources.md. A source of another platform gives its delay and horizons itself.
    pub(crate) UNKNOWN_PLATFORM = UNPROCESSABLE_ENTITY "unknown-platform" "The platform is not known"
        r#"{"detail": "the platform is not known; leave it out, and give expected_delay_s and horizons"}"#;
    /// Only a push source is complete by the clock.
    pub(crate) COMPLETE_AFTER_OF_PULL = UNPROCESSABLE_ENTITY "complete-after-of-pull"
        "A pull source is complete when a run says so"
        r#"{"detail": "complete_after_s belongs to push sources; a pull source is complete when a run says so"}"#;
    /// Only observations have ids.
    pub(crate) ID_SCOPE_OF_PULL = UNPROCESSABLE_ENTITY "id-scope-of-pull" "A pull source has no ids"
        r#"{"detail": "id_scope belongs to push sources; what a pull source states is known by its bucket"}"#;
    /// A time to completeness is at least 0 and at most 31 days, in seconds.
    pub(crate) COMPLETE_AFTER_OUT_OF_RANGE = UNPROCESSABLE_ENTITY "complete-after-out-of-range"
        "The time to completeness is out of range"
        r#"{"detail": "complete_after_s of -1 s lies outside of 0 to 2678400 s, which is 31 days"}"#;
    /// Silence matters only of a source that completes by the clock.
    pub(crate) QUIET_AFTER_ALONE = UNPROCESSABLE_ENTITY "quiet-after-alone"
        "The source does not complete by the clock"
        r#"{"detail": "quiet_after_s belongs to a source with complete_after_s"}"#;
    /// A time of silence is at least a quarter of an hour and at most 31 days, in seconds.
    pub(crate) QUIET_AFTER_OUT_OF_RANGE = UNPROCESSABLE_ENTITY "quiet-after-out-of-range"
        "The time of silence is out of range"
        r#"{"detail": "quiet_after_s of 60 s lies outside of 900 to 2678400 s, which is 31 days"}"#;
    /// Ids of observations are kept for 7 to 90 days, so that is how late a source may send them.
    pub(crate) OBSERVATION_WINDOW_OUT_OF_RANGE = UNPROCESSABLE_ENTITY "observation-window-out-of-range"
        "The observation window is out of range"
        r#"{"detail": "the observation window of 1 s lies outside of 604800 to 7776000 s, which is 7 to 90 days"}"#;
    /// Only totals are stated by dimension.
    pub(crate) DIMENSIONS_OF_PUSH = UNPROCESSABLE_ENTITY "dimensions-of-push" "A push source declares no dimensions"
        r#"{"detail": "dimensions belong to pull sources; observations name theirs one by one"}"#;
    /// A source declares at most 16 dimensions.
    pub(crate) TOO_MANY_DIMENSIONS = UNPROCESSABLE_ENTITY "too-many-dimensions" "There are too many dimensions"
        r#"{"detail": "at most 16 dimensions are taken"}"#;
    /// A dimension is declared once.
    pub(crate) REPEATED_DIMENSION = UNPROCESSABLE_ENTITY "repeated-dimension" "A dimension is named twice"
        r#"{"detail": "dimensions has device twice"}"#;
    /// `expected_from` lies in the years 1970 to 2199.
    pub(crate) EXPECTED_FROM_OUT_OF_RANGE = UNPROCESSABLE_ENTITY "expected-from-out-of-range"
        "The expected start is out of range"
        r#"{"detail": "expected_from must lie in the years 1970 to 2199"}"#;
    /// Settings change from a date in the years 1970 to 2199 on.
    pub(crate) FROM_OUT_OF_RANGE = UNPROCESSABLE_ENTITY "from-out-of-range" "The date is out of range"
        r#"{"detail": "from must lie in the years 1970 to 2199"}"#;
    /// Zone and currency of a series hold from a date on. One of the two alone would undo a later change in part.
    pub(crate) SERIES_FOLLOWS = UNPROCESSABLE_ENTITY "series-follows" "A later change of zone or currency is known"
        r#"{"detail": "the time zone or currency is another from 2027-01-01 on: give both, or a later date"}"#;
    /// The days of a source follow one another, in whatever zones they are.
    pub(crate) SERIES_OUT_OF_ORDER = UNPROCESSABLE_ENTITY "series-out-of-order" "The days of two zones overlap"
        r#"{"detail": "from lies so near another change of the zone that its day begins before that one"}"#;
    /// A source ends at an instant in the years 1970 to 2199.
    pub(crate) END_OUT_OF_RANGE = UNPROCESSABLE_ENTITY "end-out-of-range" "The end is out of range"
        r#"{"detail": "at must lie in the years 1970 to 2199"}"#;
    /// Only a source that has ended can resume.
    pub(crate) SOURCE_NOT_ENDED = UNPROCESSABLE_ENTITY "source-not-ended" "The source has not ended"
        r#"{"detail": "the source has not ended, so it cannot resume"}"#;
}

problem_types! {
    pub(super) UNLISTED;

    /// A rule in a receipt that this version of the program does not know.
    pub(super) FORGOTTEN = UNPROCESSABLE_ENTITY "not-allowed" "The rules do not allow this" "{}";
    /// A campaign is created once: its id is new each time.
    CAMPAIGN_EXISTS = UNPROCESSABLE_ENTITY "campaign-exists" "The campaign exists already" "{}";
    /// Not reached: a missing campaign is found before the domain decides.
    CAMPAIGN_NOT_FOUND = UNPROCESSABLE_ENTITY "campaign-not-found" "The campaign does not exist" "{}";
    /// A command on a source that is not registered finds none.
    SOURCE_NOT_REGISTERED = UNPROCESSABLE_ENTITY "source-not-registered" "The source is not registered" "{}";
    /// Not reached: another definition of a source is found before the domain decides.
    SOURCE_EXISTS = UNPROCESSABLE_ENTITY "source-exists" "The source is registered already" "{}";
}

type Types = &'static [&'static ProblemType];

/// The rules of a campaign's details.
pub(super) const OF_DETAILS: Types = &[
    INVALID_NAME,
    CHANNEL_TWICE,
    TOO_MANY_CHANNELS,
    ENDS_BEFORE_START,
    DATE_OUT_OF_RANGE,
    EXTERNAL_ID_TWICE,
    TOO_MANY_EXTERNAL_IDS,
    INVALID_EXTERNAL_ID,
    INVALID_EXTERNAL_ID_SOURCE,
    TOO_MANY_ATTRIBUTES,
    INVALID_ATTRIBUTE_KEY,
    INVALID_ATTRIBUTE_VALUE,
];
/// The rules of editing a campaign.
pub(super) const OF_EDITS: Types =
    &[CHANNEL_REQUIRED, CAMPAIGN_COMPLETED, CURRENCY_FIXED, TIME_ZONE_FIXED, START_FIXED, BUDGET_CURRENCY];
/// The rules of a budget.
pub(super) const OF_BUDGETS: Types = &[BUDGET_NOT_POSITIVE, BUDGET_CURRENCY];
/// The rules of the lifecycle.
pub(super) const OF_STEPS: Types = &[
    CHANNEL_REQUIRED,
    LAST_DAY_PASSED,
    NOT_A_DRAFT,
    NOT_LAUNCHED,
    NOT_PAUSED,
    NOT_UNDERWAY,
    STILL_LAUNCHED,
    NOT_ARCHIVED,
];
/// The rules of sources.
pub(super) const OF_SOURCES: Types = &[
    INVALID_NAME,
    UNKNOWN_PLATFORM,
    EXPECTED_DELAY_OUT_OF_RANGE,
    RESTATEMENT_HORIZON_OUT_OF_RANGE,
    COMPLETE_AFTER_OF_PULL,
    COMPLETE_AFTER_OUT_OF_RANGE,
    QUIET_AFTER_ALONE,
    QUIET_AFTER_OUT_OF_RANGE,
    OBSERVATION_WINDOW_OUT_OF_RANGE,
    ID_SCOPE_OF_PULL,
    DIMENSIONS_OF_PUSH,
    TOO_MANY_DIMENSIONS,
    REPEATED_DIMENSION,
    EXPECTED_FROM_OUT_OF_RANGE,
];
/// The rules of a registered source.
pub(super) const OF_SOURCE_CHANGES: Types =
    &[FROM_OUT_OF_RANGE, SERIES_FOLLOWS, SERIES_OUT_OF_ORDER, END_OUT_OF_RANGE, SOURCE_NOT_ENDED];

/// The problem type of the rule with this code.
pub(super) fn of_code(code: &str) -> &'static ProblemType {
    ALL.iter().chain(UNLISTED).find(|kind| kind.code == code).unwrap_or(&FORGOTTEN)
}
