//! What this room's tests stand on.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

/// A TLS configuration that trusts nobody.
pub(crate) fn tls() -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth()
}
