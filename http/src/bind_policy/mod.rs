//! Whether an API may listen where it is told to: nothing listens beyond loopback without TLS or a proxy that speaks
//! it, nor with the development key.

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

/// Refuses an address that would expose what must not be.
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
