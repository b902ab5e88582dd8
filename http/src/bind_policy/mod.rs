//! The check of a listen address. Beyond loopback, an API needs TLS or a proxy that provides it, and must not use the
//! development key.

use std::net::SocketAddr;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExposureError {
    #[error(
        "{addr} can be reached from other machines, and keys would travel in clear: set a TLS certificate, say \
         `--behind-proxy` if a proxy in front speaks TLS, or listen on 127.0.0.1"
    )]
    Plain { addr: SocketAddr },
    #[error(
        "{addr} can be reached from other machines, and the development key `hw_dev` is known to everyone: choose \
         another with `--api-key`, or listen on 127.0.0.1"
    )]
    DevelopmentKey { addr: SocketAddr },
}

/// Rejects an address beyond loopback without TLS or a proxy, or with the development key.
pub fn check(addr: SocketAddr, tls: bool, behind_proxy: bool, development_key: bool) -> Result<(), ExposureError> {
    if addr.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    if development_key {
        return Err(ExposureError::DevelopmentKey { addr });
    }
    if !tls && !behind_proxy {
        return Err(ExposureError::Plain { addr });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
