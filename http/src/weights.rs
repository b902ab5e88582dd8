//! Weighted lists, as in `Accept` and `Accept-Encoding` (RFC 9110, 12.4.2).

use http::{HeaderMap, HeaderName};

/// One alternative of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightedItem {
    /// The name in lower case, without parameters.
    pub name: String,
    /// The weight from 0 to 1; 1 if the list gives none. `None` if it is invalid.
    pub weight: Option<f32>,
}

/// Reads the lists of all fields of one name, in order. Parameters other than the weight are ignored.
pub fn weighted_items(headers: &HeaderMap, field: HeaderName) -> impl Iterator<Item = WeightedItem> {
    let lists = headers.get_all(field).into_iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).filter_map(read)
}

fn read(item: &str) -> Option<WeightedItem> {
    let mut parts = item.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?.to_ascii_lowercase();
    let weight = parts.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse().ok())
    });
    Some(WeightedItem { name, weight: weight.unwrap_or(Some(1.0)).filter(|weight| (0.0..=1.0).contains(weight)) })
}
