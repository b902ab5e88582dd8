//! The content of the demo workspace.

use domain::bucket::Grain;
use domain::measure::Measure;
use domain::observation::ObservationType;
use domain::source::{SourceKind, SourceRole};

/// The workspace's name.
pub const WORKSPACE: &str = "demo";
/// The time zone of its days.
pub const TIME_ZONE: chrono_tz::Tz = chrono_tz::Europe::Berlin;
/// The currency of its money.
pub const CURRENCY: &str = "EUR";

/// A campaign. Days count from the day on which the workspace was opened.
#[derive(Debug, Clone, Copy)]
pub struct DemoCampaign {
    /// Its external id at every source.
    pub external_id: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its channels.
    pub channels: &'static [&'static str],
    /// Its first day.
    pub starts: i64,
    /// Its last day.
    pub ends: Option<i64>,
    /// Its budget, in whole units of the currency.
    pub budget: Option<u32>,
    /// Its state.
    pub fate: CampaignLifecycle,
    /// Its size relative to the others of its channel; 0 has no activity yet.
    pub size: u64,
}

/// The state that the setup brings a campaign to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CampaignLifecycle {
    /// Only drafted.
    Drafted,
    /// Launched; scheduled until its first day.
    Launched,
    /// Launched, then paused.
    Paused,
}

/// The campaigns.
pub const CAMPAIGNS: &[DemoCampaign] = &[
    campaign(
        "search-brand",
        "Brand search DACH",
        &["paid_search"],
        -21,
        None,
        Some(900_000),
        CampaignLifecycle::Launched,
        5,
    ),
    campaign(
        "search-generic",
        "Generic search: running shoes",
        &["paid_search"],
        -14,
        Some(45),
        Some(650_000),
        CampaignLifecycle::Launched,
        3,
    ),
    campaign(
        "search-rivals",
        "Competitor search",
        &["paid_search"],
        -30,
        None,
        Some(90_000),
        CampaignLifecycle::Paused,
        1,
    ),
    campaign(
        "social-prospecting",
        "Winter collection: prospecting",
        &["paid_social"],
        -10,
        Some(30),
        Some(350_000),
        CampaignLifecycle::Launched,
        4,
    ),
    campaign(
        "social-retargeting",
        "Cart abandoners: retargeting",
        &["paid_social"],
        -28,
        None,
        Some(250_000),
        CampaignLifecycle::Launched,
        2,
    ),
    campaign("mail-weekly", "Weekly newsletter", &["email"], -60, None, None, CampaignLifecycle::Launched, 5),
    campaign("mail-winback", "Win-back flow", &["email"], -7, None, Some(2_000), CampaignLifecycle::Launched, 1),
    campaign(
        "partners-coupons",
        "Coupon partners",
        &["affiliate"],
        -40,
        None,
        Some(150_000),
        CampaignLifecycle::Launched,
        3,
    ),
    campaign(
        "partners-content",
        "Content partners",
        &["affiliate"],
        -20,
        Some(70),
        Some(120_000),
        CampaignLifecycle::Launched,
        2,
    ),
    campaign(
        "display-reach",
        "Programmatic reach",
        &["display", "video"],
        -12,
        Some(18),
        Some(420_000),
        CampaignLifecycle::Launched,
        4,
    ),
    campaign(
        "display-takeover",
        "Homepage takeover",
        &["display"],
        7,
        Some(9),
        Some(30_000),
        CampaignLifecycle::Launched,
        0,
    ),
    campaign(
        "spring-teaser",
        "Spring teaser",
        &["paid_social", "email"],
        45,
        Some(60),
        None,
        CampaignLifecycle::Drafted,
        0,
    ),
];

#[expect(clippy::too_many_arguments, reason = "one row of the table above")]
const fn campaign(
    external_id: &'static str,
    name: &'static str,
    channels: &'static [&'static str],
    starts: i64,
    ends: Option<i64>,
    budget: Option<u32>,
    fate: CampaignLifecycle,
    size: u64,
) -> DemoCampaign {
    DemoCampaign { external_id, name, channels, starts, ends, budget, fate, size }
}

/// A source and its behaviour.
#[derive(Debug, Clone, Copy)]
pub struct DemoSource {
    /// Its name.
    pub name: &'static str,
    /// The channel that it reports on.
    pub channel: &'static str,
    /// The channel whose campaigns it reports; `None` for all of them.
    pub feeds: Option<&'static str>,
    /// Push or pull.
    pub kind: SourceKind,
    /// Whether its numbers count toward totals.
    pub role: SourceRole,
    /// How long after a bucket closes its numbers usually arrive.
    pub expected_delay_s: i64,
    /// How long after a bucket closes it may still change its numbers.
    pub restatement_horizon_s: i64,
    /// The steps in which it reports completeness.
    pub grain: Grain,
    /// The pattern of its runs.
    pub habit: SyncPattern,
    /// The observations that it pushes.
    pub pushes: &'static [Push],
    /// The measures that it states.
    pub states: &'static [State],
}

/// The pattern of a source's runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncPattern {
    /// Each run ends well, shortly after its quarter of an hour.
    Punctual,
    /// Every other run takes nearly as long as the quarter of an hour that it reports.
    OftenLate,
    /// Every other run fails first and ends well some minutes later.
    SometimesFails,
}

/// One kind of observation that a source pushes.
#[derive(Debug, Clone, Copy)]
pub struct Push {
    /// The type.
    pub kind: ObservationType,
    /// How often, relative to the other kinds of all sources, in an average hour.
    pub parts: u64,
    /// The least and the greatest count of one observation, in an average hour.
    pub count: (u64, u64),
    /// The least and the greatest value or cost of one observation, in micros.
    pub value_micros: Option<(u64, u64)>,
}

/// One measure that a source states, for a campaign of size 1 in an average hour, per requested observation a second.
#[derive(Debug, Clone, Copy)]
pub struct State {
    /// The measure.
    pub measure: Measure,
    /// The amount, in the measure's unit.
    pub hourly: u64,
}

const fn push(kind: ObservationType, parts: u64, count: (u64, u64), value_micros: Option<(u64, u64)>) -> Push {
    Push { kind, parts, count, value_micros }
}

/// The sources. No two primary ones state the same measure of the same campaign.
pub const SOURCES: &[DemoSource] = &[
    DemoSource {
        name: "google_ads",
        channel: "paid_search",
        feeds: Some("paid_search"),
        kind: SourceKind::Pull,
        role: SourceRole::Primary,
        expected_delay_s: 1_800,
        restatement_horizon_s: 10_800,
        grain: Grain::Hour,
        habit: SyncPattern::Punctual,
        pushes: &[],
        states: &[
            State { measure: Measure::Impressions, hourly: 260 },
            State { measure: Measure::Spend, hourly: 7_030_000 },
        ],
    },
    DemoSource {
        name: "search_tracker",
        channel: "paid_search",
        feeds: Some("paid_search"),
        kind: SourceKind::Push,
        role: SourceRole::Primary,
        expected_delay_s: 120,
        restatement_horizon_s: 3_600,
        grain: Grain::QuarterHour,
        habit: SyncPattern::Punctual,
        pushes: &[
            push(ObservationType::Click, 350, (1, 1), None),
            push(ObservationType::Conversion, 10, (1, 1), Some((28_000_000, 95_000_000))),
        ],
        states: &[],
    },
    DemoSource {
        name: "meta_events",
        channel: "paid_social",
        feeds: Some("paid_social"),
        kind: SourceKind::Push,
        role: SourceRole::Primary,
        expected_delay_s: 120,
        restatement_horizon_s: 3_600,
        grain: Grain::QuarterHour,
        habit: SyncPattern::Punctual,
        pushes: &[
            push(ObservationType::Impression, 4_300, (2, 6), None),
            push(ObservationType::Click, 210, (1, 1), None),
            push(ObservationType::Conversion, 4, (1, 1), Some((25_000_000, 90_000_000))),
        ],
        states: &[],
    },
    DemoSource {
        name: "meta_ads",
        channel: "paid_social",
        feeds: Some("paid_social"),
        kind: SourceKind::Pull,
        role: SourceRole::Primary,
        expected_delay_s: 14_400,
        restatement_horizon_s: 172_800,
        grain: Grain::Day,
        habit: SyncPattern::Punctual,
        pushes: &[],
        states: &[State { measure: Measure::Spend, hourly: 4_370_000 }],
    },
    DemoSource {
        name: "mailer",
        channel: "email",
        feeds: Some("email"),
        kind: SourceKind::Push,
        role: SourceRole::Primary,
        expected_delay_s: 180,
        restatement_horizon_s: 7_200,
        grain: Grain::QuarterHour,
        habit: SyncPattern::Punctual,
        pushes: &[
            push(ObservationType::Send, 60, (20, 60), None),
            push(ObservationType::Delivery, 60, (19, 59), None),
            push(ObservationType::Bounce, 19, (1, 4), None),
            push(ObservationType::Open, 350, (1, 2), None),
            push(ObservationType::Click, 70, (1, 1), None),
            push(ObservationType::Unsubscribe, 3, (1, 1), None),
        ],
        states: &[],
    },
    DemoSource {
        name: "affiliate_network",
        channel: "affiliate",
        feeds: Some("affiliate"),
        kind: SourceKind::Push,
        role: SourceRole::Primary,
        expected_delay_s: 300,
        restatement_horizon_s: 14_400,
        grain: Grain::QuarterHour,
        habit: SyncPattern::SometimesFails,
        pushes: &[
            push(ObservationType::Click, 145, (1, 1), None),
            push(ObservationType::Conversion, 5, (1, 1), Some((20_000_000, 80_000_000))),
            push(ObservationType::Spend, 5, (1, 1), Some((2_000_000, 7_000_000))),
        ],
        states: &[],
    },
    DemoSource {
        name: "adserver",
        channel: "display",
        feeds: Some("display"),
        kind: SourceKind::Push,
        role: SourceRole::Primary,
        expected_delay_s: 60,
        restatement_horizon_s: 3_600,
        grain: Grain::QuarterHour,
        habit: SyncPattern::OftenLate,
        pushes: &[
            push(ObservationType::Impression, 2_600, (12, 28), None),
            push(ObservationType::Click, 64, (1, 1), None),
            push(ObservationType::VideoView, 120, (5, 15), None),
            push(ObservationType::Spend, 23, (1, 1), Some((1_500_000, 5_500_000))),
        ],
        states: &[],
    },
    DemoSource {
        name: "web_analytics",
        channel: "unassigned",
        feeds: None,
        kind: SourceKind::Push,
        role: SourceRole::Reference,
        expected_delay_s: 600,
        restatement_horizon_s: 7_200,
        grain: Grain::QuarterHour,
        habit: SyncPattern::Punctual,
        pushes: &[
            push(ObservationType::Visit, 1_000, (1, 1), None),
            push(ObservationType::Conversion, 18, (1, 1), Some((20_000_000, 100_000_000))),
        ],
        states: &[],
    },
];

impl DemoSource {
    /// The campaigns that it has numbers for.
    pub fn campaigns(&self) -> impl Iterator<Item = &'static DemoCampaign> {
        let feeds = self.feeds;
        CAMPAIGNS.iter().filter(move |campaign| {
            let running = campaign.size > 0 && campaign.fate == CampaignLifecycle::Launched;
            running && feeds.is_none_or(|channel| campaign.channels.contains(&channel))
        })
    }
}
