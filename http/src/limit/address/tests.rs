use http::HeaderValue;

use super::*;

#[track_caller]
fn seen(trust: Trust, fields: &[(&'static str, &'static str)]) -> String {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let mut extensions = Extensions::new();
    extensions.insert(ConnectInfo("10.0.0.1:5000".parse::<SocketAddr>().unwrap()));
    of(&extensions, &headers, trust).unwrap().to_string()
}

#[test]
fn forwarded_headers_count_only_behind_a_proxy() {
    let claims = [("x-forwarded-for", "192.0.2.7"), ("forwarded", "for=192.0.2.8")];
    assert_eq!(seen(Trust::Peer, &claims), "10.0.0.1");
    assert_eq!(seen(Trust::Proxy, &claims), "192.0.2.7");
    assert_eq!(seen(Trust::Proxy, &claims[1..]), "192.0.2.8");
    assert_eq!(seen(Trust::Proxy, &[]), "10.0.0.1");
}

#[test]
fn takes_the_last_forwarded_address() {
    let spoofed = [("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "2.2.2.2, 192.0.2.7")];
    assert_eq!(seen(Trust::Proxy, &spoofed), "192.0.2.7");
    let spoofed = [("forwarded", "for=1.1.1.1, For=\"192.0.2.9:99\";proto=https;by=203.0.113.43")];
    assert_eq!(seen(Trust::Proxy, &spoofed), "192.0.2.9");
}

#[test]
fn parses_addresses_in_every_form() {
    for (text, address) in [
        ("192.0.2.7:4711", "192.0.2.7"),
        ("2001:db8:0:1::7", "2001:db8:0:1::"),
        ("[2001:db8:0:1:2:3:4:5]", "2001:db8:0:1::"),
        ("[2001:db8:0:1::7]:4711", "2001:db8:0:1::"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("unknown", "10.0.0.1"),
        ("_hidden", "10.0.0.1"),
        ("", "10.0.0.1"),
    ] {
        let fields: [(&'static str, &'static str); 1] = [("x-forwarded-for", text)];
        assert_eq!(seen(Trust::Proxy, &fields), address, "{text}");
    }
    assert_eq!(seen(Trust::Proxy, &[("forwarded", "for=\"[2001:db8:0:1::7]\"")]), "2001:db8:0:1::");
    assert_eq!(seen(Trust::Proxy, &[("forwarded", "proto=https")]), "10.0.0.1");
}

#[test]
fn no_connection_gives_no_address() {
    assert_eq!(of(&Extensions::new(), &HeaderMap::new(), Trust::Proxy), None);
}
