//! The one provider of cryptography in a process that speaks TLS as a client.

/// Makes ring the process's provider. A second call changes nothing.
pub fn install_provider() {
    // The error only says that a provider is installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
