//! The negotiation of an answer's format by `Accept`.

use http::HeaderMap;
use http::header::ACCEPT;
use http_edge::problem::Problem;
use http_edge::weights::{WeightedItem, weighted_items};

use crate::error::ApiError;

pub(crate) const JSON: &str = "application/json";
pub(crate) const CSV: &str = "text/csv";

/// The format of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Csv,
}

impl Format {
    /// Chooses the format of an answer with rows.
    pub(crate) fn of_rows(headers: &HeaderMap) -> Result<Self, ApiError> {
        match preferred(headers, &[JSON, CSV])? {
            CSV => Ok(Self::Csv),
            _ => Ok(Self::Json),
        }
    }
}

/// Rejects (406) a caller that does not accept JSON.
pub(crate) fn require_json(headers: &HeaderMap) -> Result<(), ApiError> {
    preferred(headers, &[JSON]).map(drop)
}

/// Chooses the format of the highest weight, the first among equals (RFC 9110, 12.5.1). Without `Accept`, it is the
/// first.
fn preferred(headers: &HeaderMap, offered: &'static [&'static str]) -> Result<&'static str, ApiError> {
    // Parameters other than the weight are ignored: there is only one JSON and one CSV.
    let ranges: Vec<_> = weighted_items(headers, ACCEPT).filter(|range| range.name.contains('/')).collect();
    if ranges.is_empty() {
        return offered.first().copied().ok_or_else(|| ApiError::internal("nothing is offered"));
    }
    let weighed = offered.iter().map(|media_type| (*media_type, weight(&ranges, media_type)));
    let best = weighed.reduce(|best, next| if next.1 > best.1 { next } else { best });
    match best {
        Some((media_type, weight)) if weight > 0.0 => Ok(media_type),
        Some(_) | None => Err(Problem::not_acceptable("Accept", offered).into()),
    }
}

/// The weight of the most specific range that matches the media type.
fn weight(ranges: &[WeightedItem], media_type: &str) -> f32 {
    let kind = media_type.split('/').next().unwrap_or_default();
    let by = [media_type.to_owned(), format!("{kind}/*"), "*/*".to_owned()];
    let found = by.iter().find_map(|name| ranges.iter().find(|range| range.name == *name));
    found.and_then(|range| range.weight).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn format(accept: &[&str]) -> Option<Format> {
        let mut headers = HeaderMap::new();
        for list in accept {
            headers.append(ACCEPT, HeaderValue::from_str(list).unwrap());
        }
        Format::of_rows(&headers).ok()
    }

    #[test]
    fn chooses_the_format_of_highest_weight() {
        use Format::{Csv, Json};
        let cases: [(&[&str], Option<Format>); 13] = [
            (&[], Some(Json)),
            (&[""], Some(Json)),
            (&["*/*"], Some(Json)),
            (&["application/*"], Some(Json)),
            (&["text/csv"], Some(Csv)),
            (&["TEXT/CSV; header=present"], Some(Csv)),
            (&["text/*"], Some(Csv)),
            (&["text/html, text/csv;q=0.5"], Some(Csv)),
            (&["text/csv;q=0.5, */*;q=0.1"], Some(Csv)),
            (&["text/csv;q=0.5", "application/json"], Some(Json)),
            (&["application/json;q=0, */*"], Some(Csv)),
            (&["text/html"], None),
            (&["*/*;q=0"], None),
        ];
        for (accept, expected) in cases {
            assert_eq!(format(accept), expected, "{accept:?}");
        }
    }
}
