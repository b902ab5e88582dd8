use super::*;

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn loopback_is_always_allowed() {
    for loopback in ["127.0.0.1:8081", "127.3.2.1:1", "[::1]:8081", "[::ffff:127.0.0.1]:8081"] {
        assert_eq!(check(addr(loopback), false, false, true), Ok(()), "{loopback}");
    }
}

#[test]
fn public_address_requires_tls_or_proxy_and_an_own_key() {
    for open in ["0.0.0.0:8081", "[::]:8081", "10.0.0.7:8081", "[::ffff:10.0.0.7]:1"] {
        let addr = addr(open);
        assert_eq!(check(addr, false, false, false), Err(ExposureError::Plain { addr }));
        assert_eq!(check(addr, true, false, false), Ok(()));
        assert_eq!(check(addr, false, true, false), Ok(()));
        assert_eq!(check(addr, true, true, true), Err(ExposureError::DevelopmentKey { addr }));
    }
}
