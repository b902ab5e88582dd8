use super::*;

#[test]
fn rewords_parser_messages() {
    for (path, message, field, detail) in [
        (".", "missing field `id`", "id", "is missing"),
        ("compare_to", "missing field `date_to`", "compare_to.date_to", "is missing"),
        ("a", "duplicate field `a`", "a.a", "is there more than once"),
        ("reports", "duplicate field `my a`", "reports.my a", "is there more than once"),
        (
            "lines[0].cuont",
            "unknown field `cuont`, expected `count`",
            "lines[0].cuont",
            "is not known; known are count",
        ),
        (".", "unknown field `x`, there are no fields", "x", "is not known; there are none"),
        ("kind", "unknown variant `x`, expected `push` or `pull`", "kind", "must be one of push or pull"),
        ("kind", "unknown variant `x`, expected one of `a`, `b`, `c`", "kind", "must be one of a, b, c"),
        (
            "n",
            "invalid type: string \"x, expected y\", expected i64",
            "n",
            "must be a whole number, not \"x, expected y\"",
        ),
        ("n", "invalid value: integer `-1`, expected u32", "n", "must be a whole number, not -1"),
        ("n", "invalid type: floating point `1.5`, expected a string", "n", "must be a string, not 1.5"),
        ("n", "invalid type: boolean `true`, expected a sequence", "n", "must be a list, not true"),
        ("n", "invalid type: sequence, expected struct FilterRequest", "n", "must be an object, not a list"),
        ("n", "invalid type: map, expected a boolean", "n", "must be true or false, not an object"),
        ("n", "invalid type: null, expected a map", "n", "must be an object, not null"),
        ("n", "invalid length 0, expected struct Batch with 2 elements", "n", "must be an object, not a list"),
        ("n", "UUID parsing failed: invalid length: expected 36, found 1", "n", "is not a UUID"),
        ("n", "says something else", "n", "says something else"),
    ] {
        let error = field_error(path, message);
        assert_eq!((error.field.as_str(), error.detail.as_str()), (field, detail), "{message}");
    }
}

#[test]
fn shortens_long_text() {
    let error = field_error(".", &format!("unknown field `{0}`, expected `a`", "é".repeat(5_000)));
    assert_eq!((error.field.chars().count(), error.detail.as_str()), (301, "is not known; known are a"));
    assert_eq!(shortened(&"é".repeat(5_000)).chars().count(), 301);
}
