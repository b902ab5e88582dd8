//! The listeners of the APIs.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use http_edge::HttpConfig;
use http_edge::{ServeError, TlsConfig, bind, bind_policy};

use super::{ProcessRole, StartError, SystemConfig};

/// The bound addresses of a system.
#[derive(Debug)]
pub struct Listeners {
    pub(super) command: Option<BoundListener>,
    pub(super) read: Option<BoundListener>,
    pub(super) health: Option<BoundListener>,
}

/// A bound address, with its TLS configuration.
#[derive(Debug)]
pub(super) struct BoundListener {
    pub(super) listener: TcpListener,
    pub(super) tls: Option<TlsConfig>,
    addr: SocketAddr,
}

impl BoundListener {
    /// The address with its actual port.
    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its URL, if callers can be expected to reach it there: not behind a proxy, nor at every address of the machine.
    pub(super) fn url(&self, http: &HttpConfig) -> Option<String> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let is_known = !http.behind_proxy && !self.addr.ip().is_unspecified();
        is_known.then(|| format!("{scheme}://{}", self.addr))
    }
}

impl Listeners {
    /// Binds the addresses that the roles need. Rejects exposed addresses without TLS or a proxy.
    pub fn open(config: &SystemConfig) -> Result<Self, StartError> {
        let open_for = |role, http: &HttpConfig, flag| {
            config.roles.contains(&role).then(|| open(http, flag, config.development_key)).transpose()
        };
        let health = match config.health_addr {
            Some(addr) => Some(open(&HttpConfig::at(addr), "projector.health_addr", false)?),
            None => None,
        };
        Ok(Self {
            command: open_for(ProcessRole::Command, &config.command, "--command-addr")?,
            read: open_for(ProcessRole::Read, &config.read, "--read-addr")?,
            health,
        })
    }
}

fn open(http: &HttpConfig, flag: &'static str, development_key: bool) -> Result<BoundListener, StartError> {
    let files = http.tls_files();
    bind_policy::check(http.addr, files.is_some(), http.behind_proxy, development_key)
        .map_err(|source| StartError::Exposed { flag, source })?;
    let tls = files.map(|(certificate, key)| TlsConfig::from_pem_files(certificate, key)).transpose()?;
    let listener = bind(http.addr).map_err(|error| match error {
        ServeError::Bind { addr, source } if source.kind() == ErrorKind::AddrInUse => {
            StartError::AddressInUse { addr, flag }
        }
        source => StartError::Listen { flag, source },
    })?;
    let addr = listener
        .local_addr()
        .map_err(|source| StartError::Listen { flag, source: ServeError::Bind { addr: http.addr, source } })?;
    Ok(BoundListener { listener, tls, addr })
}
