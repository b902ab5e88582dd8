use super::*;
use crate::import::mapping::{GENERIC, SHIPPED};

/// What a shipped mapping reads.
#[track_caller]
fn mapped(name: &str, file: &str) -> Judged {
    let judged = judge(file, &Options { mapping: Mapping::find(name).unwrap(), ..Options::default() });
    assert_eq!(judged.reports(), [""; 0]);
    judged
}

#[test]
fn shipped_mappings_are_whole() {
    GENERIC.read().unwrap();
    for shipped in SHIPPED {
        let mapping = shipped.read().unwrap();
        let has_campaign = !mapping.campaign_from.names.is_empty() || mapping.without_campaign.is_some();
        assert!(mapping.title.is_some() && mapping.source.is_some() && has_campaign, "{}", shipped.name);
        assert!(!mapping.date_from.names.is_empty() && !mapping.measures.is_empty(), "{}", shipped.name);
        let platform = mapping.platform.as_deref();
        assert!(platform.is_none_or(|name| domain::source::Platform::find(name).is_some()), "{platform:?}");
        assert!(mapping.channel.is_some(), "{}", shipped.name);
    }
}

#[test]
fn unknown_mapping_names_those_that_are_shipped() {
    let told = Mapping::find("googl").unwrap_err().to_string();
    assert!(
        told.contains("neither a file nor a mapping") && told.contains("google_ads, google_ads_api, meta"),
        "{told}"
    );
}

#[test]
fn reads_a_report_of_google_ads() {
    let file = "Campaign performance\n1 June 2026 - 25 June 2026\n\
        Campaign type,Campaign,Day,Currency code,Cost,Clicks,Impr.,CTR,Conversions,Conv. value\n\
        Search,Brand,2026-06-01,AUD,\"1,027.69\",12,\"1,350\",0.89%,1.50,99.00\n\
        Total: Account, --, --,AUD,\"1,027.69\",12,\"1,350\",0.89%,1.50,99.00\n";
    let judged = mapped("google_ads", file);
    assert_eq!(judged.facts["google_ads"].currency.code(), "AUD");
    let told = [Measure::Impressions, Measure::Clicks, Measure::Spend, Measure::Conversions, Measure::Revenue];
    assert_eq!(told.map(|measure| judged.told(measure)), [1_350, 12, 1_027_690_000, 1_500_000, 99_000_000]);
}

#[test]
fn reads_ad_sets_of_meta_as_their_campaign() {
    let file = "Day,Campaign name,Amount spent (AUD),Impressions,Link clicks,Purchases,Purchases conversion value\n\
        2026-06-01,\"Spring\nsale\",12.24,2560,60,,\n2026-06-01,\"Spring\nsale\",5.93,376,7,1,40\n";
    let judged = mapped("meta", file);
    assert_eq!(judged.verdict.items.len(), 1);
    assert_eq!((judged.told(Measure::Spend), judged.told(Measure::Revenue)), (18_170_000, 40_000_000));
    assert_eq!(judged.verdict.campaigns[0].name, "Spring sale");
}

#[test]
fn reads_rows_in_micros() {
    let file = "customer_id,date,cost_micros,id,impressions,clicks\n21,2026-06-01,36150000,99,166,49\n";
    let judged = mapped("google_ads_api", file);
    assert_eq!((judged.told(Measure::Spend), judged.verdict.campaigns[0].id.as_str()), (36_150_000, "99"));
    assert_eq!(judged.opened.layout.warnings().count(), 0);
}

#[test]
fn analytics_stand_beside_what_platforms_say() {
    let judged = mapped("ga4", "# Account: shop\nDate,Session campaign,Sessions\n20260601,(not set),7\n20260601,,3\n");
    assert_eq!(judged.told(Measure::Visits), 10);
    assert_eq!(judged.plan.source("ga4", &judged.facts["ga4"])["role"], "reference");
}

#[test]
fn docs_list_every_shipped_mapping() {
    let docs = include_str!("../../../../docs/import.md");
    for shipped in SHIPPED {
        let row = format!("| `{}` | {} |\n", shipped.name, shipped.read().unwrap().title.unwrap());
        assert!(docs.contains(&row), "{row}");
    }
}
