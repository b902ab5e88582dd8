use super::*;

fn sent(values: &[&str]) -> TraceContext {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(TRACEPARENT, HeaderValue::from_str(value).unwrap());
    }
    TraceContext::from_headers(&headers)
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

#[test]
fn continues_the_callers_trace() {
    for (flags, kept) in [("00", "00"), ("01", "01"), ("03", "01"), ("fe", "00")] {
        let context = sent(&[&format!("00-{TRACE}-{SPAN}-{flags}")]);
        assert_eq!(context.correlation_id, TRACE);
        assert_eq!(context.causation_id, SPAN);
        let parent = parse(&context.traceparent).unwrap();
        assert_eq!(parent.trace, TRACE);
        assert_ne!(parent.span, SPAN);
        assert!(context.traceparent.ends_with(&format!("-{kept}")));
        assert_eq!(context.request_id(), format!("{TRACE}-{}", parent.span));
    }
    assert_eq!(sent(&[&format!("01-{TRACE}-{SPAN}-01-more")]).correlation_id, TRACE);
}

#[test]
fn malformed_traceparent_begins_a_new_trace() {
    let upper = TRACE.to_uppercase();
    for bad in [
        vec![],
        vec![String::new()],
        vec![format!("00-{TRACE}-{SPAN}")],
        vec![format!("00-{TRACE}-{SPAN}-01-more")],
        vec![format!("ff-{TRACE}-{SPAN}-01")],
        vec![format!("00-{upper}-{SPAN}-01")],
        vec![format!("00-{}-{SPAN}-01", "0".repeat(32))],
        vec![format!("00-{TRACE}-{}-01", "0".repeat(16))],
        vec![format!("00-{TRACE}-{SPAN}-0g")],
        vec![format!("00-{TRACE}-{SPAN}-01"), format!("00-{TRACE}-{SPAN}-01")],
    ] {
        let values: Vec<&str> = bad.iter().map(String::as_str).collect();
        let context = sent(&values);
        assert_ne!(context.correlation_id, TRACE, "{bad:?}");
        let parent = parse(&context.traceparent).unwrap();
        assert_eq!((parent.trace, parent.span), (context.correlation_id.as_str(), context.causation_id.as_str()));
    }
    assert_ne!(sent(&[]), sent(&[]));
}
