use std::collections::{BTreeMap, BTreeSet};

use domain::source::SourceRole;
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::filter::parts::{DisjointPart, TooManyParts, may_match_source, partition};
use super::super::filter::{Condition, Filter};
use super::super::query::DataState;
use super::super::request::ReportRequest;
use super::{defaults, id, query, source, sources};
use crate::sources::{PeriodId, SourcePeriods};

fn filter(filters: &Value) -> Filter {
    query(json!({ "filters": filters })).filters
}

fn repeated(filters: &Value) -> Value {
    serde_json::to_value(filter(filters)).unwrap()
}

#[test]
fn equal_filters_are_repeated_in_one_form() {
    let canonical = json!({"channel": ["email", "sms"], "or": [{"source": ["a", "b"]}, {"status": ["active"]}],
                           "not": {"campaign_id": [id(1), id(2)]}});
    for filters in [
        canonical.clone(),
        json!({"and": [{"or": [{"status": ["active"]}, {"source": ["b"]}, {"source": ["a"]}]}, {"channel": ["sms", "email"]},
                       {"not": {"campaign_id": [id(2)]}}, {"not": {"campaign_id": [id(1)]}}]}),
        json!({"not": {"or": [{"campaign_id": [id(2), id(1)]}, {"not": {"channel": ["email", "sms"]}}]},
               "or": [{"or": [{"source": ["b", "a"]}]}, {"and": [{"status": ["active"]}]}]}),
    ] {
        assert_eq!(repeated(&filters), canonical);
    }
    assert_eq!(repeated(&json!({"or": [], "and": [{}], "channel": []})), json!({}));
    // Both must hold, so they are not joined to one list.
    let both = repeated(&json!({"and": [{"source": ["a"]}, {"source": ["b"]}]}));
    assert_eq!(both, json!({"source": ["a"], "and": [{"source": ["b"]}]}));
}

#[test]
fn rejects_hostile_filters() {
    let wrong = |filters: Value| {
        let request: ReportRequest = serde_json::from_value(json!({ "filters": filters })).unwrap();
        let wrong = request.canonical(defaults(), DataState::All).unwrap_err();
        wrong.into_iter().map(|error| error.field).collect::<Vec<_>>()
    };
    let deep = (0..20).fold(json!({"source": ["a"]}), |inner, _| json!({ "not": inner }));
    assert_eq!(wrong(deep), ["filters.not.not.not.not.not.not"]);
    let wide: Vec<_> = (0..51).map(|n| json!({"source": [format!("s{n}")]})).collect();
    assert_eq!(wrong(json!({ "or": wide })), ["filters.or[50]"]);
    let many: Vec<_> = (0..1_001).map(|n| format!("v{n}")).collect();
    assert_eq!(wrong(json!({ "country": many })), ["filters.country"]);
    assert_eq!(wrong(json!({"or": [{"source": ["a"]}, {}]})), ["filters.or[1]"]);
    assert_eq!(wrong(json!({"not": {"or": []}})), ["filters.not"]);
    assert_eq!(wrong(json!({"not": {"status": ["asleep"]}})), ["filters.not.status[0]"]);
    // The repeated form would be refused.
    let both = json!({"status": ["active"], "not": {"source": ["a"], "channel": ["sms"]}});
    let other = json!({"source": ["t"]});
    let levels = |count| (0..count).fold(both.clone(), |inner, _| json!({"source": ["s"], "or": [inner, other]}));
    assert_eq!(repeated(&levels(3))["or"][0]["source"], json!(["s"]));
    assert_eq!(wrong(levels(4)), ["filters"]);
    let joined = json!({"or": [{"source": many[..600]}, {"source": many[401..]}]});
    assert_eq!(wrong(joined), ["filters"]);
}

#[test]
fn campaign_bound_covers_every_admitted_campaign() {
    let bound = |filters: Value| filter(&filters).campaign_bound();
    assert_eq!(bound(json!({"channel": ["email"]})), None);
    assert_eq!(bound(json!({"campaign_id": [id(1)], "channel": ["email"]})), Some(BTreeSet::from([id(1)])));
    assert_eq!(bound(json!({"not": {"campaign_id": [id(1)]}})), None);
    let either = json!({"or": [{"campaign_id": [id(1)], "source": ["a"]}, {"campaign_id": [id(2)]}]});
    assert_eq!(bound(either), Some(BTreeSet::from([id(1), id(2)])));
    assert_eq!(bound(json!({"or": [{"campaign_id": [id(1)]}, {"source": ["a"]}]})), None);
}

/// Four sources in two channels, which conditions distinguish.
fn four() -> SourcePeriods {
    let one = |n: u128, name: &str, channel: &str| source(n, name, channel, SourceRole::Primary, "EUR");
    sources([one(1, "a", "email"), one(2, "b", "email"), one(3, "c", "sms"), one(4, "d", "sms")])
}

fn active() -> BTreeSet<Uuid> {
    BTreeSet::from([id(11), id(13)])
}

fn parts(filter: &Filter) -> Result<Vec<DisjointPart>, TooManyParts> {
    let statuses = filter.statuses();
    let by_status: BTreeMap<_, _> = statuses.into_iter().map(|statuses| (statuses, active())).collect();
    partition(filter, &four(), &by_status)
}

#[test]
fn rejects_filters_with_too_many_parts() {
    // Each source and each value has campaigns of its own.
    let each: Vec<_> = (0..25_u128).map(|n| json!({"country": [format!("v{n}")], "campaign_id": [id(n)]})).collect();
    assert_eq!(parts(&filter(&json!({ "or": each }))), Err(TooManyParts));
}

/// Whether a filter admits a number, condition by condition.
fn lets_in(filter: &Filter, source: PeriodId, campaign: Uuid, value: Option<&str>) -> bool {
    let definition = &four()[&source].definition;
    let condition = |condition: &Condition| match condition {
        Condition::Campaign(ids) => ids.contains(&campaign),
        Condition::Channel(channels) => channels.contains(&definition.channel),
        Condition::Source(names) => names.contains(&definition.name),
        Condition::Status(_) => active().contains(&campaign),
        Condition::Value(_, values) => values.iter().any(|one| one.as_deref() == value),
    };
    match filter {
        Filter::All(parts) => parts.iter().all(|part| lets_in(part, source, campaign, value)),
        Filter::Any(parts) => parts.iter().any(|part| lets_in(part, source, campaign, value)),
        Filter::Is(is) => condition(is),
        Filter::IsNot(is) => !condition(is),
    }
}

fn any_filters() -> impl Strategy<Value = Value> {
    let lists = prop_oneof![
        proptest::sample::subsequence(vec![id(11), id(12), id(13)], 1..3).prop_map(|ids| json!({ "campaign_id": ids })),
        proptest::sample::subsequence(vec!["email", "sms"], 1..2).prop_map(|names| json!({ "channel": names })),
        proptest::sample::subsequence(vec!["a", "b", "c", "nobody"], 1..4).prop_map(|names| json!({ "source": names })),
        Just(json!({"status": ["active"]})),
        proptest::sample::subsequence(vec![json!("DE"), json!("FR"), json!(null)], 1..3)
            .prop_map(|values| json!({ "country": values })),
    ];
    lists.prop_recursive(4, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..4).prop_map(|each| json!({ "and": each })),
            proptest::collection::vec(inner.clone(), 1..4).prop_map(|each| json!({ "or": each })),
            inner.prop_map(|inner| json!({ "not": inner })),
        ]
    })
}

proptest! {
    /// The repeated form of a filter admits what the filter admits, and is repeated unchanged.
    #[test]
    fn repeated_filters_admit_the_same(filters in any_filters()) {
        let once = filter(&filters);
        let again = filter(&serde_json::to_value(&once).unwrap());
        prop_assert_eq!(serde_json::to_value(&again).unwrap(), serde_json::to_value(&once).unwrap());
        prop_assert_eq!(again, once);
    }

    /// The parts admit what the filter admits, each number once.
    #[test]
    fn parts_admit_what_the_filter_admits(filters in any_filters()) {
        let filter = filter(&filters);
        let parts = parts(&filter).unwrap();
        for (source, one) in four() {
            for campaign in [11, 12, 13].map(id) {
                for value in [Some("DE".to_owned()), Some("FR".to_owned()), Some("IT".to_owned()), None] {
                    let in_parts = parts.iter().filter(|part| part.contains(source, campaign) && part.values.contains(&value));
                    let expected = lets_in(&filter, source, campaign, value.as_deref());
                    prop_assert_eq!(in_parts.count(), usize::from(expected));
                    prop_assert!(may_match_source(&filter, &one) || !expected);
                    prop_assert!(!expected || filter.campaign_bound().is_none_or(|bound| bound.contains(&campaign)));
                }
            }
        }
    }
}
