use super::*;

fn reason(text: &str) -> Result<Reason, ReasonError> {
    text.to_owned().try_into()
}

fn url(text: &str) -> Result<NoteUrl, NoteUrlError> {
    text.to_owned().try_into()
}

#[test]
fn reason_is_text_of_any_lines() {
    for text in ["stock is gone", "line one\n\tline two", &"ü".repeat(500)] {
        assert_eq!(reason(text).unwrap().as_str(), text);
    }
    assert_eq!(reason(""), Err(ReasonError::Empty));
    assert_eq!(reason(" \n\t"), Err(ReasonError::Empty));
    assert_eq!(reason(&"ü".repeat(501)), Err(ReasonError::TooLong { length: 501 }));
    for control in ["a\r\nb", "a\0b", "a\u{1b}b", "a\u{85}b"] {
        assert_eq!(reason(control), Err(ReasonError::ControlCharacter));
    }
}

#[test]
fn note_url_is_http_or_https() {
    for text in ["https://tracker.example/T-17?x=1#c", "http://[::1]/", "https://1.example"] {
        assert_eq!(url(text).unwrap().as_str(), text);
    }
    let long = format!("https://a.example/{}", "x".repeat(MAX_NOTE_URL));
    let wrong =
        ["", "https://", "https:///x", "javascript:alert(1)", "ftp://a.example", "https://a.example/a b", &long];
    for text in wrong.into_iter().chain(["https://a.example/<b>", "https://a.example/ü", "https://a.example/\n"]) {
        assert_eq!(url(text), Err(NoteUrlError), "{text}");
    }
}
