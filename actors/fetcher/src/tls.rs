//! What a fetcher trusts: one rustls configuration, built once and shared by all of its connections.
//!
//! Owns the choice of roots (the system's, and what `--ca` adds) and of protocols. Certificates are always
//! checked; there is no switch that turns it off. Start at [`client_config`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::{ClientConfig, RootCertStore};

/// Why no TLS configuration could be built.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read certificates from {}", .file.display())]
    File { file: PathBuf, source: pem::Error },
    #[error("{} holds no certificate (PEM, BEGIN CERTIFICATE)", .0.display())]
    Empty(PathBuf),
    #[error("{} holds a certificate that cannot be a root", .file.display())]
    Unfit {
        file: PathBuf,
        source: rustls::Error,
    },
    #[error(
        "this machine has no root certificates: install ca-certificates, set SSL_CERT_FILE, or give --ca FILE"
    )]
    NoRoots,
    #[error("the cryptography lacks a protocol version")]
    Provider(#[source] rustls::Error),
}

/// A configuration that trusts the system's roots (Mozilla's where it has none) and those of these PEM files. HTTP/1.1 is what is spoken, and
/// HTTP/2 where a server prefers it, if `http2`.
///
/// # Errors
/// A file that cannot be read or holds no root, or no root at all.
pub fn client_config(ca_files: &[PathBuf], http2: bool) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    // Unreadable or odd files among the system's own are the system's business, as long as some are good.
    let (_good, _odd) =
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        // A slim container has no roots of its own; Mozilla's, compiled in, are what it would install.
        roots.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
    }
    for file in ca_files {
        add_file(&mut roots, file)?;
    }
    config_of(roots, http2)
}

fn config_of(roots: RootCertStore, http2: bool) -> Result<Arc<ClientConfig>, TlsError> {
    if roots.is_empty() {
        return Err(TlsError::NoRoots);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Provider)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let h2 = http2.then(|| b"h2".to_vec());
    config.alpn_protocols = h2.into_iter().chain([b"http/1.1".to_vec()]).collect();
    Ok(Arc::new(config))
}

fn add_file(roots: &mut RootCertStore, file: &Path) -> Result<(), TlsError> {
    let unreadable = |source| TlsError::File {
        file: file.to_owned(),
        source,
    };
    let mut found = 0;
    for certificate in CertificateDer::pem_file_iter(file).map_err(unreadable)? {
        let unfit = |source| TlsError::Unfit {
            file: file.to_owned(),
            source,
        };
        roots.add(certificate.map_err(unreadable)?).map_err(unfit)?;
        found += 1;
    }
    if found == 0 {
        Err(TlsError::Empty(file.to_owned()))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(file: &Path) -> String {
        client_config(&[file.to_owned()], false)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_file_without_a_root_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let missing = dir.path().join("missing.pem");
        assert_eq!(
            refused(&missing),
            format!("cannot read certificates from {}", missing.display())
        );
        let empty = file("empty.pem", "nothing here\n");
        assert!(
            refused(&empty).ends_with("empty.pem holds no certificate (PEM, BEGIN CERTIFICATE)")
        );
        let odd = file(
            "odd.pem",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        );
        assert!(refused(&odd).ends_with("odd.pem holds a certificate that cannot be a root"));
        let torn = file(
            "torn.pem",
            "-----BEGIN CERTIFICATE-----\n%%%%\n-----END CERTIFICATE-----\n",
        );
        assert!(refused(&torn).starts_with("cannot read certificates from"));
    }

    #[test]
    fn without_roots_there_is_no_configuration() {
        assert!(matches!(
            config_of(RootCertStore::empty(), false),
            Err(TlsError::NoRoots)
        ));
    }
}
