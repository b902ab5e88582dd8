use serde_json::json;

use super::*;
use crate::import::batches::{self, BATCH};
use crate::import::replacing::ReplacedDays;

/// The options with a zone, channels and a reference source.
fn declared() -> Options {
    let mut options = options();
    options.mapping.time_zone = "Europe/Berlin".parse().ok();
    options.channels = [("A".to_owned(), "paid_search".parse().unwrap())].into();
    options.reference = ["G".to_owned()].into();
    options
}

#[track_caller]
fn declared_file(lines: &str) -> Judged {
    judge(format!("{HEADER}{lines}"), &declared())
}

fn registered(currency: &str, role: &str) -> BTreeMap<String, Value> {
    let settings = json!({ "role": role, "channel": "email", "expected_delay_s": 86_400 });
    let body =
        json!({ "kind": "pull", "currency": currency, "time_zone": "UTC", "platform": null, "settings": settings });
    [("A".to_owned(), body)].into()
}

/// What the sources of a file come to, against what is registered.
fn settled(options: &Options, registered: &BTreeMap<String, Value>) -> Result<BTreeMap<String, SourceFacts>, String> {
    let file = judge(format!("{HEADER}01.01.2019,A,One,1,1,1\n"), options);
    sources::settle(&file.plan, &file.opened.survey.sources, registered).map_err(|error| error.to_string())
}

#[test]
fn assigns_channel_and_role_to_sources() {
    let file = declared_file("01.01.2019,A,One,1,1,1\n01.01.2019,G,One,1,1,1\n");
    let source = |name: &str| file.plan.source(name, &file.facts[name]);
    assert_eq!((&source("A")["channel"], &source("A")["role"]), (&json!("paid_search"), &json!("primary")));
    assert_eq!((&source("G")["channel"], &source("G")["role"]), (&json!("unassigned"), &json!("reference")));
    assert_eq!(source("A")["horizons"], json!({ "delivery": "604800s", "conversions": "604800s" }));
}

#[test]
fn platform_gives_delay_and_horizons() {
    let mut options = declared();
    options.mapping.platform = Some("meta".to_owned());
    let file = judge(format!("{HEADER}01.01.2019,A,One,1,1,1\n"), &options);
    let source = file.plan.source("A", &file.facts["A"]);
    assert_eq!((&source["platform"], &source["expected_delay_s"]), (&json!("meta"), &json!(null)));
}

#[test]
fn what_is_not_declared_is_as_registered() {
    let facts = settled(&options(), &registered("USD", "reference")).unwrap();
    assert_eq!((facts["A"].currency.code(), facts["A"].is_registered), ("USD", true));
}

/// `A` moved on from dollars and UTC to euros and Berlin on 2 January 2019.
fn moved() -> BTreeMap<String, Value> {
    let mut known = registered("EUR", "primary");
    let body = known.get_mut("A").unwrap();
    body["time_zone"] = json!("Europe/Berlin");
    body["series"] = json!([
        { "time_zone": "UTC", "currency": "USD", "from": null, "until": "2019-01-02" },
        { "time_zone": "Europe/Berlin", "currency": "EUR", "from": "2019-01-02", "until": null },
    ]);
    known
}

#[test]
fn days_are_sent_in_the_zone_and_currency_of_their_dates() {
    let check = |day: &str, zone: Option<&str>, currency: Option<&str>| {
        let mut options = options();
        options.mapping.time_zone = zone.map(|zone| zone.parse().unwrap());
        options.mapping.currency = currency.map(|currency| currency.parse().unwrap());
        let mut file = judge(format!("{HEADER}{day},A,One,1,1,1\n"), &options);
        file.facts =
            sources::settle(&file.plan, &file.opened.survey.sources, &moved()).map_err(|error| error.to_string())?;
        sources::check_days(&file.verdict, &file.facts, &moved()).map_err(|error| error.to_string())?;
        Ok::<_, String>((file.facts["A"].zone.to_string(), file.facts["A"].currency.to_string()))
    };
    let euros = ("Europe/Berlin".to_owned(), "EUR".to_owned());
    assert_eq!(check("02.01.2019", None, None), Ok(euros));
    let refused = check("01.01.2019", None, None).unwrap_err();
    for part in ["`A`", "UTC and USD before 2019-01-02", "--time-zone UTC --currency USD"] {
        assert!(refused.contains(part), "{refused}");
    }
    assert_eq!(check("01.01.2019", None, Some("USD")), check("01.01.2019", Some("UTC"), None));
    assert_eq!(check("01.01.2019", Some("UTC"), Some("USD")), Ok(("UTC".to_owned(), "USD".to_owned())));
    assert!(
        check("02.01.2019", Some("UTC"), Some("USD")).unwrap_err().contains("Europe/Berlin and EUR from 2019-01-02")
    );
    assert!(check("01.01.2019", None, Some("GBP")).unwrap_err().contains("registered with the currency EUR"));
}

#[test]
fn what_is_declared_otherwise_than_registered_is_refused() {
    let mut options = declared();
    options.mapping.currency = "GBP".parse().ok();
    options.reference.insert("A".to_owned());
    let told = settled(&options, &registered("EUR", "primary")).unwrap_err();
    for part in [
        "source `A` is registered with the currency EUR, and here it is GBP",
        "source `A` is registered with the time zone UTC, and here it is Europe/Berlin",
        "source `A` is registered with the role primary, and here it is reference",
        "source `A` is registered with the channel email, and here it is paid_search",
    ] {
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn source_has_the_currency_of_its_lines() {
    let mut options = options();
    options.mapping.currency_from = names("Currency");
    let header = "Date,Datasource,Campaign,Clicks,Impressions,Cost,Currency\n";
    let file = judge(format!("{header}01.01.2019,A,One,1,1,1,aud\n01.01.2019,B,One,1,1,1,USD\n"), &options);
    assert_eq!((file.facts["A"].currency.code(), file.facts["B"].currency.code()), ("AUD", "USD"));
    let mixed = format!("{header}01.01.2019,A,One,1,1,1,AUD\n02.01.2019,A,One,1,1,1,USD\n");
    assert!(refusal(mixed.clone(), &options).contains("`A` has lines in AUD and USD, but a source has one currency"));
    options.mapping.currency = "EUR".parse().ok();
    assert!(refusal(mixed.clone(), &options).contains("source `A` is in EUR, and its lines are in AUD and USD"));
    options.mapping.currency = "USD".parse().ok();
    assert_eq!(judge(mixed, &options).reports(), ["line 2 is in AUD, but `A` is in USD"]);
}

#[test]
fn currency_may_stand_in_the_name_of_a_column() {
    let mut options = options();
    options.mapping.currency_from = names("Amount spent (*)");
    options.mapping.measures.insert(Measure::Spend, names("Amount spent (*)"));
    let file = "Date,Datasource,Campaign,Clicks,Impressions,Amount spent (AUD)\n01.01.2019,A,One,1,1,1.5\n";
    let judged = judge(file, &options);
    assert_eq!((judged.facts["A"].currency.code(), judged.told(Measure::Spend)), ("AUD", 1_500_000));
}

#[test]
fn micros_are_divided_and_warned_of() {
    let mut options = options();
    let with = |options: &mut Options, column: &str| {
        options.mapping.measures.insert(Measure::Spend, names(column));
        let header = "Date,Datasource,Campaign,Clicks,Impressions,cost_micros,Cost\n";
        let file = judge(format!("{header}01.01.2019,A,One,1,1,36150000,36.15\n"), options);
        (file.told(Measure::Spend), file.opened.layout.warnings().collect::<Vec<_>>().concat())
    };
    assert_eq!(with(&mut options, "cost_micros/1000000"), (36_150_000, String::new()));
    let (told, warning) = with(&mut options, "cost_micros");
    assert_eq!(told, 36_150_000_000_000);
    assert!(warning.contains("`cost_micros` is called micros and is taken as whole units"), "{warning}");
    let (told, warning) = with(&mut options, "Cost/1000000");
    assert_eq!(told, 36);
    assert!(warning.contains("`Cost` is divided, and is not called micros"), "{warning}");
}

#[test]
fn campaign_gets_the_channels_of_its_primary_sources() {
    let file = declared_file("01.01.2019,A,One,1,1,\n01.01.2019,G,One,1,1,\n01.01.2019,G,Two,1,1,\n");
    let one = file.campaign("One");
    assert_eq!(one["channels"], json!(["paid_search"]));
    assert_eq!(one["external_ids"], json!([{ "id": "One" }]));
    assert_eq!(one["starts_on"], "2019-01-01");
    assert_eq!(file.campaign("Two")["channels"], json!(["unassigned"]));
}

#[test]
fn status_of_a_campaign_is_true_of_its_days() {
    let file = declared_file("01.06.2026,A,Old,1,1,\n15.06.2026,A,Old,1,1,\n16.06.2026,A,New,1,1,\n");
    assert_eq!(
        (&file.campaign("Old")["status"], &file.campaign("Old")["ends_on"]),
        (&json!("completed"), &json!("2026-06-15"))
    );
    assert_eq!((&file.campaign("New")["status"], &file.campaign("New")["ends_on"]), (&json!("active"), &json!(null)));
}

#[test]
fn campaigns_of_one_name_may_be_others_in_each_source() {
    let options = Options { campaigns_per_source: true, ..declared() };
    let file = judge(format!("{HEADER}01.01.2019,A,One,1,1,\n01.01.2019,B,One,1,1,\n"), &options);
    let ids: Vec<Value> = file
        .verdict
        .campaigns
        .iter()
        .map(|campaign| file.plan.campaign(campaign, &file.verdict, &file.facts)["external_ids"][0].clone())
        .collect();
    assert_eq!(ids, [json!({ "source": "A", "id": "One" }), json!({ "source": "B", "id": "One" })]);
}

#[test]
fn reports_names_missing_from_the_file() {
    let file = declared_file("01.01.2019,A,One,1,1,\n");
    assert_eq!(file.plan.unknown_names(&file.verdict.sources).collect::<Vec<_>>(), ["G"]);
}

#[test]
fn statements_are_exact_and_dated_by_arrival() {
    let file = declared_file("01.01.2019,A,One,3,,1.1\n");
    let batches = batches::gather(&file.verdict, |_| true);
    assert_eq!(
        file.plan.statements(&batches[0], &file.verdict, &file.facts["A"]),
        json!({
            "source": "A",
            "grain": "day",
            "time_zone": "Europe/Berlin",
            "statements": [{
                "external_campaign_id": "One",
                "bucket": "2019-01-01",
                "measures": { "clicks": 3, "spend": { "amount": "1.100000", "currency": "EUR" } },
            }],
        })
    );
}

#[test]
fn batches_hold_one_source_each_and_every_line_once() {
    let lines = (0..2_500).map(|n| format!("01.01.2019,{},C{n},1,1,\n", if n % 3 == 0 { "A" } else { "B" }));
    let file = declared_file(&lines.collect::<String>());
    let batches = batches::gather(&file.verdict, |campaign| campaign != 7);
    assert!(batches.iter().all(|batch| batch.items.len() <= BATCH));
    assert_eq!(batches.iter().map(|batch| batch.number).collect::<Vec<_>>(), [0, 1, 2]);
    let mut all: Vec<usize> = batches.iter().flat_map(|batch| &batch.items).copied().collect();
    assert!(
        batches.iter().all(|batch| batch.items.iter().all(|item| file.verdict.items[*item].source == batch.source))
    );
    all.sort_unstable();
    assert_eq!(all, (0..2_500).filter(|place| *place != 7).collect::<Vec<_>>());
}

#[test]
fn complete_through_is_the_end_of_the_day_in_the_zone() {
    let file = declared_file("01.01.2019,A,One,3,,1.1\n");
    let until = file.plan.complete_until(date("2019-06-30"), file.facts["A"].zone).unwrap();
    assert_eq!(file.plan.completed(until)["complete_through"], "2019-06-30T22:00:00.000Z");
}

#[test]
fn replaced_days_are_two_dates_in_order() {
    for wrong in ["", "2019-01-01", "2019-01-02..2019-01-01", "2019-01-01..soon", "..2019-01-01"] {
        assert!(wrong.parse::<ReplacedDays>().is_err(), "{wrong}");
    }
}

#[test]
fn each_source_and_day_is_replaced_by_one_batch() {
    let file =
        declared_file("02.01.2019,A,One,3,,\n01.01.2019,A,One,1,,\n04.01.2019,B,One,4,,\n01.01.2019,A,Two,2,,\n");
    let days: ReplacedDays = "2019-01-01..2019-01-02".parse().unwrap();
    let gathered = days.gather(batches::gather(&file.verdict, |_| true), &file.verdict).unwrap();
    let shown: Vec<_> =
        gathered.iter().map(|batch| (batch.number, batch.source, batch.replaces, batch.items.len())).collect();
    let (first, second) = (Some(date("2019-01-01")), Some(date("2019-01-02")));
    assert_eq!(shown, [(0, 0, first, 2), (1, 0, second, 1), (2, 1, first, 0), (3, 1, second, 0), (4, 1, None, 1)]);
    let body = |batch: usize| file.plan.statements(&gathered[batch], &file.verdict, &file.facts["A"]);
    let replace = json!({ "from": "2019-01-01", "to": "2019-01-01", "measures": ["impressions", "clicks", "spend"] });
    assert_eq!(body(0)["replace"], replace);
    assert_eq!(body(4)["replace"], json!(null));
}
