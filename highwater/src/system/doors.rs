//! Where the APIs listen.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use http_edge::HttpConfig;
use http_edge::{ServeError, TlsConfig, bind, exposure};

use super::{Role, StartError, SystemConfig};

/// The addresses of a system, taken.
#[derive(Debug)]
pub struct Doors {
    pub(super) command: Option<Door>,
    pub(super) read: Option<Door>,
    pub(super) health: Option<Door>,
}

/// One address, taken, and how it speaks.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) listener: TcpListener,
    pub(super) tls: Option<TlsConfig>,
    addr: SocketAddr,
}

impl Door {
    /// The address with its real port.
    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Doors {
    /// Takes the addresses that the roles need. Refuses those that would expose what must not be.
    pub fn open(config: &SystemConfig) -> Result<Self, StartError> {
        let open_for = |role, http: &HttpConfig, flag| {
            config.roles.contains(&role).then(|| open(http, flag, config.development_key)).transpose()
        };
        let health = match config.health_addr {
            Some(addr) => Some(open(&HttpConfig::at(addr), "projector.health_addr", false)?),
            None => None,
        };
        Ok(Self {
            command: open_for(Role::Command, &config.command, "--command-addr")?,
            read: open_for(Role::Read, &config.read, "--read-addr")?,
            health,
        })
    }
}

fn open(http: &HttpConfig, flag: &'static str, development_key: bool) -> Result<Door, StartError> {
    let files = http.tls_files();
    exposure::check(http.addr, files.is_some(), http.behind_proxy, development_key)
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
    Ok(Door { listener, tls, addr })
}
