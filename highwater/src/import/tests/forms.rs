use super::*;
use crate::import::mapping::FileGrain;
use crate::import::table::Reading;

/// A file with a constant source, whose columns are day, campaign, clicks and cost in the language of the header.
fn plain(day: &str, campaign: &str, clicks: &str, cost: &str) -> Options {
    let mapping = Mapping {
        source: Some("ads".to_owned()),
        campaign_from: names(campaign),
        date_from: names(day),
        measures: [(Measure::Clicks, names(clicks)), (Measure::Spend, names(cost))].into(),
        ..Mapping::default()
    };
    Options { mapping, ..Options::default() }
}

fn english() -> Options {
    plain("Day", "Campaign", "Clicks", "Cost")
}

#[test]
fn finds_the_header_below_a_title_and_leaves_totals_out() {
    let file = "Campaign report\n1 June 2026 - 25 June 2026\nDay,Campaign,Clicks,Cost\n2026-06-01,One,5,1.50\n\
                ,,,\n--,Total: One,5,1.50\nTotal: Account, --,5,1.50\n";
    let mut options = english();
    options.mapping.skip_rows_like = vec!["--".to_owned()];
    let judged = judge(file, &options);
    assert_eq!(judged.reports(), [""; 0]);
    assert_eq!((judged.opened.layout.header_line, judged.verdict.left_out), (3, 3));
    assert_eq!(judged.verdict.items[0].line, 4);
    assert_eq!(judged.told(Measure::Spend), 1_500_000);

    let skipped = Options { reading: Reading { skip_lines: Some(2), ..Reading::default() }, ..options };
    assert_eq!(judge(file, &skipped).verdict.items[0].line, 4);
}

#[test]
fn campaign_called_total_is_no_line_of_totals() {
    let judged = judge("Campaign,Day,Clicks,Cost\nTotal Wine,2026-06-01,5,1.5\nTotal,2026-06-02,5,1.5\n", &english());
    assert_eq!((judged.verdict.items.len(), judged.verdict.left_out), (2, 0));
}

#[test]
fn reads_semicolons_and_decimal_commas() {
    let options = plain("Tag", "Kampagne", "Klicks", "Kosten");
    let file = "Tag;Kampagne;Klicks;Kosten\n01.06.2026;Eins;1.000;1.234,50 €\n13.06.2026;Zwei;12;10,5\n";
    let judged = judge(file, &options);
    assert_eq!(judged.reports(), [""; 0]);
    assert_eq!((judged.told(Measure::Clicks), judged.told(Measure::Spend)), (1_012, 1_245_000_000));
}

#[test]
fn file_whose_decimal_mark_is_open_is_refused_whole() {
    let file = "Day;Campaign;Clicks;Cost\n2026-06-01;One;1.000;7\n";
    let told = refusal(file, &english());
    assert!(told.contains("line 2: `1.000` is 1000 or 1.000"), "{told}");
    let mut options = english();
    options.mapping.decimal_mark = "comma".parse().ok();
    assert_eq!(judge(file, &options).told(Measure::Clicks), 1_000);
    options.mapping.decimal_mark = "point".parse().ok();
    assert_eq!(judge(file, &options).told(Measure::Clicks), 1);
}

#[test]
fn reads_utf_16_and_other_encodings() {
    let text = "Day\tCampaign\tClicks\tCost\r\n2026-06-01\tFrühling 😍\t\"9,380\"\t1.50\r\n";
    let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    for bytes in
        [[b"\xff\xfe".to_vec(), little.clone()].concat(), [b"\xfe\xff".to_vec(), big.clone()].concat(), little, big]
    {
        let judged = judge(bytes, &english());
        assert_eq!(judged.reports(), [""; 0]);
        assert_eq!(judged.verdict.campaigns[0].name, "Frühling 😍");
        assert_eq!(judged.told(Measure::Clicks), 9_380);
    }
    let western = b"Day,Campaign,Clicks,Cost\n2026-06-01,Fr\xfchling,1,1.5\n".to_vec();
    let named = Reading { encoding: Some("windows-1252".to_owned()), ..Reading::default() };
    let judged = judge(western, &Options { reading: named, ..english() });
    assert_eq!(judged.verdict.campaigns[0].name, "Frühling");
}

#[test]
fn ignores_byte_order_mark_and_carriage_returns() {
    let judged =
        judge("\u{feff}Day,Campaign,Clicks,Cost\r\n2026-06-01,One,1,2\r\n\r\n2026-06-02,One,x,1\r\n", &english());
    assert_eq!(judged.verdict.items.len(), 1);
    assert_eq!(judged.reports(), ["line 4 clicks `x` is not a decimal number such as 12 or 12.34"]);
}

#[test]
fn missing_column_lists_the_existing_ones() {
    let told = refusal("Report\nDatum,Campaign,Clicks,Cost\n2026-06-01,One,1,2\n", &english());
    assert!(told.contains("no column `Day`; its columns: `Datum`, `Campaign`, `Clicks`, `Cost`"), "{told}");
    let told = refusal("Day,Day,Campaign,Clicks,Cost\n", &english());
    assert!(told.contains("more than one column `Day`"), "{told}");
    assert!(refusal("", &english()).contains("no header line"));
}

#[test]
fn hours_are_stated_by_their_first_instant() {
    let mut options = english();
    options.mapping.time_zone = "Europe/Berlin".parse().ok();
    let lines = "2026-06-01 5:00:00,One,1,1\n2026-06-01 06:00:00,One,2,1\n2026-03-29 02:00:00,One,1,1\n\
                 2025-10-26 02:00:00,One,1,1\n2026-06-01 07:30:00,One,1,1\n";
    let judged = judge(format!("Day,Campaign,Clicks,Cost\n{lines}"), &options);
    assert_eq!(judged.opened.grain, domain::bucket::Grain::Hour);
    let buckets: Vec<_> = judged.verdict.items.iter().map(|item| serde_json::to_value(item.bucket).unwrap()).collect();
    assert_eq!(buckets, ["2026-06-01T03:00:00Z", "2026-06-01T04:00:00Z"]);
    assert_eq!(
        judged.reports(),
        [
            "line 4 `2026-03-29 02:00:00` does not happen in Europe/Berlin, because clocks go forward",
            "line 5 `2025-10-26 02:00:00` happens twice in Europe/Berlin, because clocks go back; times with their \
             offset from UTC tell which",
            "line 6 `2026-06-01 07:30:00` is not the start of a bucket of this grain in this time zone",
        ]
    );
}

#[test]
fn times_of_a_day_are_refused_or_added_where_days_are_stated() {
    let file = "Day,Campaign,Clicks,Cost\n2026-06-01 05:00:00,One,1,1\n2026-06-01 06:00:00,One,2,1\n\
                2026-06-02 00:00:00,One,4,1\n";
    let mut options = english();
    options.mapping.grain = Some(FileGrain::Day);
    let told = judge(file, &options).reports();
    assert_eq!(told.len(), 2);
    assert!(told[0].contains("has a time of the day; --grain hour states hours"), "{told:?}");
    options.mapping.add_rows = Some(true);
    let judged = judge(file, &options);
    assert_eq!((judged.verdict.items.len(), judged.told(Measure::Clicks)), (2, 7));
}

#[test]
fn lines_without_a_campaign_go_to_the_named_one() {
    let mut options = english();
    options.mapping.without_campaign = Some("Account fees".to_owned());
    let judged = judge("Day,Campaign,Clicks,Cost\n2026-06-01,One,1,1\n2026-06-01,--,,5\n2026-06-02,,,6\n", &options);
    assert_eq!(judged.reports(), [""; 0]);
    let campaigns: Vec<&str> = judged.verdict.campaigns.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(campaigns, ["One", "Account fees"]);
    assert_eq!(judged.told(Measure::Spend), 12_000_000);
}

#[test]
fn campaign_with_an_id_stays_one_when_it_is_renamed() {
    let mut options = english();
    options.mapping.campaign_id_from = names("Id");
    let file = "Day,Id,Campaign,Clicks,Cost\n2026-06-02,771,Spring sale,1,1\n2026-06-01,771,Spring,2,1\n\
                2026-06-01,772,Spring,4,1\n";
    let judged = judge(file, &options);
    let campaigns: Vec<(&str, &str)> =
        judged.verdict.campaigns.iter().map(|it| (it.id.as_str(), it.name.as_str())).collect();
    assert_eq!(campaigns, [("771", "Spring sale"), ("772", "Spring")]);
    assert_eq!(judged.campaign("Spring sale")["external_ids"], serde_json::json!([{ "source": "ads", "id": "771" }]));
}

#[test]
fn spreadsheets_are_read_like_text() {
    let judged = judge(include_bytes!("campaigns.xlsx").to_vec(), &english());
    assert_eq!(judged.reports(), [""; 0]);
    assert_eq!(judged.opened.table.encoding, None);
    let days: Vec<String> = judged.verdict.items.iter().map(|item| item.day.to_string()).collect();
    assert_eq!(days, ["2026-06-01", "2026-06-02"]);
    assert_eq!((judged.told(Measure::Clicks), judged.told(Measure::Spend)), (1_012, 1_236_234_000));
    let named = Reading { sheet: Some("None".to_owned()), ..Reading::default() };
    let told = refusal(include_bytes!("campaigns.xlsx").to_vec(), &Options { reading: named, ..english() });
    assert!(told.contains("no sheet `None`; its sheets: `Notes`, `Report`"), "{told}");
}
