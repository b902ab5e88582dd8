//! Files, and the observations that are sent of them.

use std::io::{BufReader, Write as _};
use std::path::PathBuf;

use serde_json::{Value, json};

use super::chunks::Chunks;
use super::records::Records;
use super::{Columns, LocalTime, ObservationFile, begins_with_object};

/// The body of a chunk, and the lines of its items.
type Sent = (Value, Vec<u64>);

/// A line that is left out, and why.
type LeftOut = (u64, String);

fn read(text: &str, columns: Columns) -> anyhow::Result<(Vec<Sent>, Vec<LeftOut>)> {
    let options = ObservationFile {
        file: PathBuf::new(),
        columns,
        source: "old \"shop\"".to_owned(),
        backfill: None,
        before: None,
    };
    let mut file = tempfile::tempfile()?;
    file.write_all(text.as_bytes())?;
    std::io::Seek::rewind(&mut file)?;
    let is_json = begins_with_object(&mut file)?;
    let mut chunks = Chunks::new(Records::new(BufReader::new(file), is_json, &options)?, &options.source);
    let mut found = Vec::new();
    for chunk in &mut chunks {
        let chunk = chunk?;
        assert_eq!(chunk.number, found.len() as u64 + 1);
        found.push((serde_json::from_str(&chunk.body)?, chunk.lines));
    }
    Ok((found, chunks.take_refused().named))
}

fn columns(named: &[&str]) -> Columns {
    Columns { named: named.iter().map(|column| column.parse().unwrap()).collect(), ..Columns::default() }
}

#[test]
fn lines_are_sent_as_they_are_and_bad_ones_are_named() {
    let text = "\u{feff}{\"id\": \"1\",  \"x\": 1}\r\n\n[1]\n{\"id\": \"2\"\n{\"id\": \"3\"}";
    let (chunks, refused) = read(text, Columns::default()).unwrap();
    let body = json!({"source": "old \"shop\"", "observations": [{"id": "1", "x": 1}, {"id": "3"}]});
    assert_eq!(chunks, [(body, vec![1, 5])]);
    assert_eq!(refused.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [3, 4]);
}

#[test]
fn a_file_is_cut_at_the_same_lines_each_time() {
    let text = "{\"id\": \"1\"}\n".repeat(4_500);
    let (chunks, _) = read(&text, Columns::default()).unwrap();
    let lines: Vec<usize> = chunks.iter().map(|(_, lines)| lines.len()).collect();
    assert_eq!(lines, [2_000, 2_000, 500]);
    assert_eq!(read(&text, Columns::default()).unwrap().0, chunks);
}

#[test]
fn cells_become_members() {
    let text = "Order,type,when,external_campaign_id,count,value,currency,Land,note\n\
                o-1,conversion,2023-03-26 01:30:00,winter,,59.90,EUR,DE,x\n\
                \"o-2\",spend,2023-03-26T01:30:00Z,winter,2,7,,,\n\
                o-3,conversion,2023-03-26 02:30:00,winter,,1,EUR,DE,\n\
                o-4,conversion,yesterday,winter,,1,EUR,DE,\n";
    let named = columns(&["id=Order", "occurred_at=when", "dimensions.country=Land"]);
    let zone = Some("Europe/Berlin".parse().unwrap());
    let (chunks, refused) = read(text, Columns { times: LocalTime { zone, format: None }, ..named }).unwrap();
    let items = json!([
        {"id": "o-1", "type": "conversion", "occurred_at": "2023-03-26T00:30:00Z", "external_campaign_id": "winter",
         "value": {"amount": "59.90", "currency": "EUR"}, "dimensions": {"country": "DE"}},
        {"id": "o-2", "type": "spend", "occurred_at": "2023-03-26T01:30:00Z", "external_campaign_id": "winter",
         "count": "2", "value": "7"},
    ]);
    assert_eq!(chunks[0].0["observations"], items);
    assert_eq!(chunks[0].1, [2, 3]);
    assert_eq!(refused.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [4, 5], "{refused:?}");
}

#[test]
fn a_correction_states_its_original() {
    let text = "id,occurred_at,external_campaign_id,value,adjusts,adjusts.occurred_at,adjusts.value,currency\n\
                r-1,2026-11-01T00:00:00Z,winter,120,c-1,2026-01-05T09:00:00Z,110,EUR\n";
    let kind = Some("conversion".parse().unwrap());
    let (chunks, _) = read(text, Columns { kind, ..Columns::default() }).unwrap();
    let euros = |amount: &str| json!({"amount": amount, "currency": "EUR"});
    assert_eq!(
        chunks[0].0["observations"],
        json!([{"id": "r-1", "type": "conversion", "occurred_at": "2026-11-01T00:00:00Z", "external_campaign_id": "winter",
                "value": euros("120"),
                "adjusts": {"id": "c-1", "occurred_at": "2026-01-05T09:00:00Z", "value": euros("110")}}])
    );
}

#[test]
fn missing_columns_are_named() {
    let error = |text: &str, columns: Columns| read(text, columns).unwrap_err().to_string();
    assert!(error("Order,type\n", Columns::default()).contains("--column id=COLUMN"));
    assert!(error("id,occurred_at\n", Columns::default()).contains("--type"));
    assert!(error("id,occurred_at,type\n", columns(&["count=Menge"])).contains("no column `Menge`"));
    assert_eq!(error("", Columns::default()), "the file is empty");
}
