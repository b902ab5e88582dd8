use super::*;
use crate::import::inspect::inspect;

/// What is said of a file of this name.
#[track_caller]
fn told(name: &str, file: impl Into<Vec<u8>>) -> String {
    inspect(file.into(), &Options { file: name.into(), ..Options::default() }, now()).unwrap()
}

#[track_caller]
fn says(told: &str, parts: &[&str]) {
    for part in parts {
        assert!(told.contains(part), "`{part}` is not in\n{told}");
    }
}

#[test]
fn names_the_shipped_mapping_that_knows_most_columns() {
    let file = "Campaign report\n1 June 2026 - 25 June 2026\n\
        Campaign,Campaign type,Currency code,Day,Clicks,Impr.,Cost,Conversions,Conv. value\n\
        Brand,Search,AUD,2026-06-01,12,\"1,350\",27.69,0.50,99.00\n\
        Total: Account,--,--,--,12,\"1,350\",27.69,0.50,99.00\n";
    let told = told("my report.csv", file);
    says(
        &told,
        &[
            "looks like: google_ads (Google Ads: ",
            "UTF-8 text separated by `,`; header on line 3; days as %Y-%m-%d, stated as days; decimal point",
            "Impr. -> impressions",
            "Cost -> spend (money)",
            "google_ads  spend  27.690000 AUD",
            "rows: 1 (0 refused), and 1 lines blank or of totals",
            "\nhighwater import statements 'my report.csv' --mapping google_ads\n",
        ],
    );
}

#[test]
fn spells_out_the_columns_of_an_unknown_export() {
    let file = "Tag;Kampagne;Klicks;Kosten\n1. März 2026;Eins;1.000;1.234,50\n1. März 2026;Eins;1;0,50\n";
    let told = told("export.csv", file);
    says(
        &told,
        &[
            "no export that a shipped mapping is for",
            "decimal comma",
            "warning: nothing says the currency; EUR is taken",
            "export  clicks  1001",
            "\nhighwater import statements export.csv --source export --campaign-from Kampagne --date-from Tag \
             --measure clicks=Klicks --measure spend=Kosten --add-rows\n",
        ],
    );
}

#[test]
fn takes_the_day_of_a_file_without_days_from_its_title() {
    let text = "Campaign report\n27 January 2026 - 23 February 2026\nCampaign\tCurrency code\tClicks\tImpr.\tCost\n\
        Brand\tGBP\t264\t\"9,380\"\t365.22\n";
    let file: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let told = told("report.csv", file);
    says(
        &told,
        &["UTF-16LE text separated by tabs", "no column has the day", "--mapping google_ads --date 2026-02-23\n"],
    );
}

#[test]
fn divides_micros_by_what_their_column_is_called() {
    let told = told("rows.csv", "day,id,taps,spend_micros\n2026-06-01,7,3,1500000\n");
    says(&told, &["rows  spend  1.500000 EUR", "--measure spend=spend_micros/1000000"]);
}

#[test]
fn says_what_the_lines_leave_open() {
    let file = "Date;Campaign;Clicks;Cost\n2026-06-01;One;1.000;7\n".to_owned();
    let error = inspect(file.into_bytes(), &Options::default(), now()).unwrap_err();
    let told = format!("{error:#}");
    says(&told, &["its lines leave something open", "`1.000` is 1000 or 1.000", "--decimal-mark"]);
    let error = inspect(b"a,b\n1,2\n".to_vec(), &Options::default(), now()).unwrap_err();
    says(&error.to_string(), &["no shipped mapping fits", "`a`, `b`"]);
}

#[test]
fn takes_what_the_lines_leave_open() {
    let mut options = Options { file: "x.csv".into(), ..Options::default() };
    options.mapping.decimal_mark = "comma".parse().ok();
    options.mapping.date_format = Some("%d/%m/%Y".to_owned());
    let file = "Date;Campaign;Clicks;Cost\n01/02/2026;One;1.000;7\n";
    let told = inspect(file.into(), &options, now()).unwrap();
    says(&told, &["clicks  1000", "2026-02-01 to 2026-02-01", "--date-format '%d/%m/%Y' --decimal-mark comma\n"]);
}
