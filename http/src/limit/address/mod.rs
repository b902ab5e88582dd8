//! The address of a request's sender.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::extract::ConnectInfo;
use http::{Extensions, HeaderMap, HeaderName, header::FORWARDED};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The source of a caller's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// The connection: there is no proxy.
    Peer,
    /// The proxy. It appends the address of its peer to `X-Forwarded-For` or `Forwarded`. The caller may have forged
    /// the earlier entries.
    Proxy,
}

/// The address that stands for one caller. An IPv6 address stands for its /64 network, because one caller has 2^64 of
/// them.
pub(super) fn of(extensions: &Extensions, headers: &HeaderMap, trust: Trust) -> Option<IpAddr> {
    let ConnectInfo(peer) = extensions.get::<ConnectInfo<SocketAddr>>()?;
    let address = match trust {
        Trust::Peer => peer.ip(),
        Trust::Proxy => forwarded(headers).unwrap_or_else(|| peer.ip()),
    };
    Some(match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    })
}

/// The last address that was appended. A proxy sets one of the two fields, and the caller may have forged the other. If
/// both are there, `X-Forwarded-For` counts, because most proxies set it.
fn forwarded(headers: &HeaderMap) -> Option<IpAddr> {
    if headers.contains_key(X_FORWARDED_FOR) {
        return address(last(headers, X_FORWARDED_FOR)?);
    }
    let parameters = last(headers, FORWARDED)?.split(';');
    let node = parameters.filter_map(|parameter| parameter.trim().split_once('=')).find_map(|(name, node)| {
        let is_for = name.trim().eq_ignore_ascii_case("for");
        is_for.then(|| node.trim().trim_matches('"'))
    });
    address(node?)
}

/// The last member of a list that may span several fields.
fn last(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let field = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    field.rsplit(',').next().map(str::trim)
}

/// Parses `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:4711`.
fn address(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<SocketAddr>().ok().map(|addr| addr.ip());
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    text.parse().ok().or_else(with_port).or_else(bracketed)
}

#[cfg(test)]
mod tests;
