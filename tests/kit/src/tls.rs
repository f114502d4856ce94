//! A certificate authority of the tests' own, and what it signs: `*.zoo.test`.
//!
//! Names lie two labels under `.test`, since verifiers refuse a wildcard right under a top-level name. The
//! authority's certificate is for `--ca`; the server's, as files, for nginx, and as configuration for our origin.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};

/// Every host under this name is covered by the server's certificate.
pub const ZONE: &str = "zoo.test";

/// An authority and one server certificate, fresh at each call of [`Authority::new`].
pub struct Authority {
    authority_pem: String,
    authority: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    server_pem: String,
    server: CertificateDer<'static>,
    key: KeyPair,
}

/// What is wrong with a server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Its time is over.
    Expired,
    /// Its time has not begun.
    NotYet,
    /// It is for another host.
    OtherName,
    /// Nobody but the server itself has signed it.
    SelfSigned,
}

/// The certificates as files, for programs.
pub struct PemFiles {
    /// The authority's certificate.
    pub authority: PathBuf,
    /// The server's certificate.
    pub server: PathBuf,
    /// The server's private key.
    pub key: PathBuf,
}

impl Authority {
    /// A new authority and a certificate for `*.zoo.test`, `zoo.test` and 127.0.0.1.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new() -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
            .distinguished_name
            .push(DnType::CommonName, "Zoo Test Authority");
        let authority_key = KeyPair::generate()?;
        let authority = params.self_signed(&authority_key)?;
        let issuer = Issuer::new(params, authority_key);

        let names = vec![format!("*.{ZONE}"), ZONE.to_owned(), "127.0.0.1".to_owned()];
        let key = KeyPair::generate()?;
        let server = CertificateParams::new(names)?.signed_by(&key, &issuer)?;
        Ok(Self {
            authority_pem: authority.pem(),
            authority: authority.der().clone(),
            issuer,
            server_pem: server.pem(),
            server: server.der().clone(),
            key,
        })
    }

    /// Writes all three files into `folder`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<PemFiles> {
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text)
                .with_context(|| format!("cannot write {}", path.display()))?;
            Ok::<_, anyhow::Error>(path)
        };
        Ok(PemFiles {
            authority: write("authority.pem", &self.authority_pem)?,
            server: write("server.pem", &self.server_pem)?,
            key: write("server.key", &self.key.serialize_pem())?,
        })
    }

    /// What our origin speaks: HTTP/1.1 under the server's certificate.
    ///
    /// # Errors
    /// When the TLS library refuses the certificate.
    pub fn server(&self) -> Result<Arc<ServerConfig>> {
        config_of(self.server.clone(), &self.key)
    }

    /// The same under a certificate for `*.zoo.test` with this flaw.
    ///
    /// # Errors
    /// When no key can be made or the TLS library refuses the certificate.
    pub fn flawed(&self, flaw: Flaw) -> Result<Arc<ServerConfig>> {
        let name = match flaw {
            Flaw::OtherName => "*.elsewhere.test".to_owned(),
            Flaw::Expired | Flaw::NotYet | Flaw::SelfSigned => format!("*.{ZONE}"),
        };
        let mut params = CertificateParams::new(vec![name])?;
        match flaw {
            Flaw::Expired => {
                params.not_before = date_time_ymd(2019, 1, 1);
                params.not_after = date_time_ymd(2020, 1, 1);
            }
            Flaw::NotYet => params.not_before = date_time_ymd(2999, 1, 1),
            Flaw::OtherName | Flaw::SelfSigned => {}
        }
        let key = KeyPair::generate()?;
        let certificate = match flaw {
            Flaw::SelfSigned => params.self_signed(&key)?,
            _ => params.signed_by(&key, &self.issuer)?,
        };
        config_of(certificate.der().clone(), &key)
    }

    /// Asks a server on loopback for a page and returns its answer; the server must be one of this authority's.
    ///
    /// # Errors
    /// When the server is not there or its certificate is not for `host`.
    pub fn get(&self, host: &str, port: u16, path: &str) -> Result<String> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone())?;
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connection =
            ClientConnection::new(Arc::new(config), ServerName::try_from(host.to_owned())?)?;
        let mut stream = StreamOwned::new(connection, TcpStream::connect(("127.0.0.1", port))?);
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
        )?;
        let mut bytes = Vec::new();
        // A server that closes without a TLS goodbye is an error after all bytes have come.
        let _ = stream.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn config_of(certificate: CertificateDer<'static>, key: &KeyPair) -> Result<Arc<ServerConfig>> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::Site;
    use crate::web::Web;

    #[test]
    fn a_name_outside_the_zone_and_a_foreign_authority_are_refused() {
        let authority = Authority::new().unwrap();
        let origin = Site::of(Web::default())
            .with_tls(authority.server().unwrap())
            .start()
            .unwrap();
        assert!(authority.get("any.zoo.test", origin.port(), "/").is_ok());
        assert!(authority.get("elsewhere.test", origin.port(), "/").is_err());
        assert!(
            Authority::new()
                .unwrap()
                .get("any.zoo.test", origin.port(), "/")
                .is_err()
        );
    }

    #[test]
    fn the_files_are_pem() {
        let folder = tempfile::tempdir().unwrap();
        let files = Authority::new().unwrap().write(folder.path()).unwrap();
        let text = |path: &Path| std::fs::read_to_string(path).unwrap();
        assert!(text(&files.authority).starts_with("-----BEGIN CERTIFICATE-----"));
        assert_ne!(text(&files.authority), text(&files.server));
        assert!(text(&files.key).starts_with("-----BEGIN PRIVATE KEY-----"));
    }
}
