//! The files of a TLS connection, read once.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper_rustls::ConfigBuilderExt;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::Error;
use crate::export::config::{ClientIdentity, Tls};

/// The bytes of the files.
#[derive(Default)]
pub(crate) struct Files {
    pub(crate) ca: Option<(PathBuf, Vec<u8>)>,
    pub(crate) client: Option<Client>,
}

/// The bytes of our certificate chain and key.
pub(crate) struct Client {
    certificate_path: PathBuf,
    pub(crate) certificate: Vec<u8>,
    key_path: PathBuf,
    pub(crate) key: Vec<u8>,
}

impl Files {
    /// Reads them, and looks that each holds what it should.
    pub(crate) fn read(tls: &Tls) -> Result<Self, Error> {
        let ca = match &tls.ca {
            Some(path) => Some((path.clone(), read(path)?)),
            None => None,
        };
        let client = match &tls.client {
            Some(ClientIdentity { certificate, key }) => Some(Client {
                certificate_path: certificate.clone(),
                certificate: read(certificate)?,
                key_path: key.clone(),
                key: read(key)?,
            }),
            None => None,
        };
        let files = Self { ca, client };
        files.roots()?;
        if let Some(client) = &files.client {
            client.chain()?;
            client.private_key()?;
        }
        Ok(files)
    }

    /// The named authorities; `None` is the system's.
    fn roots(&self) -> Result<Option<RootCertStore>, Error> {
        let Some((path, pem)) = &self.ca else { return Ok(None) };
        let mut roots = RootCertStore::empty();
        for certificate in certificates(path, pem)? {
            roots.add(certificate)?;
        }
        Ok(Some(roots))
    }

    /// A client configuration for HTTP; ring, as everywhere in the binary.
    pub(crate) fn client_config(&self) -> Result<ClientConfig, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let builder = if let Some(roots) = self.roots()? {
            builder.with_root_certificates(roots)
        } else {
            builder.with_native_roots().map_err(Error::Roots)?
        };
        Ok(match &self.client {
            Some(client) => {
                builder.with_client_auth_cert(client.chain()?, client.private_key()?)?
            }
            None => builder.with_no_client_auth(),
        })
    }
}

impl Client {
    fn chain(&self) -> Result<Vec<CertificateDer<'static>>, Error> {
        certificates(&self.certificate_path, &self.certificate)
    }

    fn private_key(&self) -> Result<PrivateKeyDer<'static>, Error> {
        PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| Error::Pem {
            path: self.key_path.clone(),
            what: "private key",
            why: error.to_string(),
        })
    }
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let wrong = |why: String| Error::Pem { path: path.to_owned(), what: "certificate", why };
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| wrong(error.to_string()))?;
    if certificates.is_empty() {
        return Err(wrong("there is none".to_owned()));
    }
    Ok(certificates)
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}
