use super::*;

fn chosen(lists: &[&str]) -> EncodingChoice {
    let mut headers = HeaderMap::new();
    for list in lists {
        headers.append(ACCEPT_ENCODING, HeaderValue::from_str(list).unwrap());
    }
    choose(&headers)
}

#[test]
fn chooses_the_coding_with_the_highest_weight() {
    use EncodingChoice::{AsItIs, Nothing, Packed};
    let cases: [(&[&str], EncodingChoice); 16] = [
        (&[], AsItIs),
        (&[""], AsItIs),
        (&["gzip"], Packed("gzip")),
        (&["gzip, deflate, br, zstd"], Packed("zstd")),
        (&["gzip, deflate", "br"], Packed("br")),
        (&["GZIP;Q=1.0, br ; q=0.5"], Packed("gzip")),
        (&["deflate"], AsItIs),
        (&["*"], Packed("zstd")),
        (&["*;q=0.5, zstd;q=0"], Packed("br")),
        (&["gzip;q=0"], AsItIs),
        (&["identity, gzip;q=0.5"], AsItIs),
        (&["identity;q=0.5, gzip;q=0.5"], Packed("gzip")),
        (&["identity;q=0"], Nothing),
        (&["identity;q=0, gzip"], Packed("gzip")),
        (&["*;q=0"], Nothing),
        (&["gzip;q=two, br;q=-1"], AsItIs),
    ];
    for (lists, expected) in cases {
        assert_eq!(chosen(lists), expected, "{lists:?}");
    }
}
