use std::sync::Mutex;

use futures_util::stream;
use proptest::prelude::*;

use super::*;

fn shape() -> TableSchema {
    TableSchema::of_tests("clicks", &["id", "value"], &[0])
}

fn row(id: i32, value: Option<&str>) -> Row {
    let order = ordering(vec![id.to_be_bytes().to_vec()], &[true]);
    Row { order, values: vec![Some(id.to_string()), value.map(str::to_owned)] }
}

fn merged(live: Vec<Row>, rebuilt: Vec<Row>) -> Result<(TableCount, Vec<(String, RowDifference)>), Problem> {
    let found = Mutex::new(Vec::new());
    let note = |key: Vec<Cell>, row| found.lock().unwrap().push((key[0].value.clone().unwrap(), row));
    let side = |rows: Vec<Row>| stream::iter(rows.into_iter().map(Ok));
    let count = futures_util::FutureExt::now_or_never(merge(&shape(), side(live), side(rebuilt), note)).unwrap()?;
    Ok((count, found.into_inner().unwrap()))
}

fn value(value: Option<&str>) -> Vec<Cell> {
    vec![Cell { column: "value".to_owned(), value: value.map(str::to_owned) }]
}

#[test]
fn reports_every_difference_with_its_key() {
    let live = vec![row(-2, Some("a")), row(-1, Some("b")), row(3, None), row(4, Some("d"))];
    let rebuilt = vec![row(-1, Some("b")), row(3, Some("c")), row(4, Some("d")), row(5, None)];
    let (count, found) = merged(live, rebuilt).unwrap();
    let changed = Changed { column: "value".to_owned(), live: None, rebuilt: Some("c".to_owned()) };
    assert_eq!(
        found,
        [
            ("-2".to_owned(), RowDifference::Extra(value(Some("a")))),
            ("3".to_owned(), RowDifference::Changed(vec![changed])),
            ("5".to_owned(), RowDifference::Missing(value(None))),
        ]
    );
    assert_eq!(count, TableCount { table: "clicks", rows: 5, differences: 3 });
}

#[test]
fn rejects_rows_out_of_order() {
    let found = merged(vec![row(2, None), row(1, None)], vec![row(1, None), row(2, None)]);
    assert!(matches!(found, Err(Problem::Order("clicks"))), "{found:?}");
}

proptest! {
    #[test]
    fn finds_same_differences_as_map_comparison(
        live in proptest::collection::btree_map(-9..9_i32, 0..3_u8, 0..12),
        rebuilt in proptest::collection::btree_map(-9..9_i32, 0..3_u8, 0..12),
    ) {
        let side = |rows: &std::collections::BTreeMap<i32, u8>| -> Vec<Row> {
            rows.iter().map(|(id, value)| row(*id, Some(&value.to_string()))).collect()
        };
        let (count, found) = merged(side(&live), side(&rebuilt)).unwrap();
        let keys: std::collections::BTreeSet<_> = live.keys().chain(rebuilt.keys()).collect();
        let differing: Vec<_> =
            keys.iter().filter(|id| live.get(id) != rebuilt.get(id)).map(ToString::to_string).collect();
        prop_assert_eq!(count.rows, keys.len() as u64);
        prop_assert_eq!(found.into_iter().map(|(id, _)| id).collect::<Vec<_>>(), differing);
    }
}
