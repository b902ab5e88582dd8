//! The cryptography provider of a process that uses TLS as a client.

/// Installs ring as the process's provider. A second call changes nothing.
pub fn install_provider() {
    // The error means that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
