//! Whom to trust as a receiver, and who we are to it: certificates and keys in files.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// A file of certificates as long as this is none. The roots of a whole operating system are a quarter of it.
const FILE_BYTES: u64 = 1024 * 1024;

/// The files that a TLS connection needs, in PEM form: `OTEL_EXPORTER_OTLP_CERTIFICATE`, `_CLIENT_CERTIFICATE` and
/// `_CLIENT_KEY`. They are read for a connection, and again for a later one when they have changed by then, so that a
/// renewed certificate is used without a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsFiles {
    /// The authorities that a receiver's certificate must be signed by. `None`: those that the machine trusts.
    pub ca: Option<PathBuf>,
    /// The certificate that we show, with its chain.
    pub cert: Option<PathBuf>,
    /// The key that belongs to it.
    pub key: Option<PathBuf>,
}

/// What is wrong with the files. It never repeats what is in one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{} cannot be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file holds no certificate.
    #[error("{} holds no certificate in PEM form, which begins with -----BEGIN CERTIFICATE-----", .0.display())]
    NoCertificate(PathBuf),
    /// A file holds no key that can be used.
    #[error("{} holds no private key in PEM form, which begins with -----BEGIN PRIVATE KEY-----", .0.display())]
    NoKey(PathBuf),
    /// A key needs a pass phrase.
    #[error("the key in {} is encrypted, and nobody is there to ask for its pass phrase: name a key without one", .0.display())]
    EncryptedKey(PathBuf),
    /// Certificate and key are no pair.
    #[error("the key in {} does not belong to the certificate in {}: {why}", key.display(), cert.display())]
    NoPair {
        /// The file of the certificate.
        cert: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// What rustls says.
        why: rustls::Error,
    },
    /// One without the other.
    #[error("a client certificate needs its key, and a key its certificate: name both files or none")]
    Half,
    /// The machine trusts nobody.
    #[error(
        "this machine has no root certificates to check the receiver's by: name a file of authorities, or set SSL_CERT_FILE"
    )]
    NoRoots,
    /// No cipher is left.
    #[error("TLS cannot be used: {0}")]
    Unusable(rustls::Error),
}

impl TlsError {
    /// The file that it is about, if it is about one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Unreadable { path, .. }
            | Self::NoCertificate(path)
            | Self::NoKey(path)
            | Self::EncryptedKey(path) => Some(path),
            Self::NoPair { key, .. } => Some(key),
            Self::Half | Self::NoRoots | Self::Unusable(_) => None,
        }
    }
}

impl TlsFiles {
    /// Reads the files, as for a connection.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check(&self) -> Result<(), TlsError> {
        if self.is_empty() { Ok(()) } else { self.load(&[]).map(|_| ()) }
    }

    /// Whether no file is named.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// `protocols`: what is offered by ALPN.
    fn load(&self, protocols: &[&[u8]]) -> Result<ClientConfig, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Unusable)?
            .with_root_certificates(self.roots()?);
        let mut config =
            match (&self.cert, &self.key) {
                (None, None) => config.with_no_client_auth(),
                (Some(cert), Some(key)) => config
                    .with_client_auth_cert(certificates(cert)?, private_key(key)?)
                    .map_err(|why| TlsError::NoPair { cert: cert.clone(), key: key.clone(), why })?,
                _ => return Err(TlsError::Half),
            };
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(config)
    }

    fn roots(&self) -> Result<RootCertStore, TlsError> {
        let found = match &self.ca {
            Some(ca) => certificates(ca)?,
            // What of them cannot be read is of no consequence unless nothing is left.
            None => rustls_native_certs::load_native_certs().certs,
        };
        let mut roots = RootCertStore::empty();
        match (roots.add_parsable_certificates(found), &self.ca) {
            ((0, _), Some(ca)) => Err(TlsError::NoCertificate(ca.clone())),
            ((0, _), None) => Err(TlsError::NoRoots),
            _ => Ok(roots),
        }
    }

    /// When each file was changed.
    fn stamps(&self) -> [Option<SystemTime>; 3] {
        let changed = |path: &Option<PathBuf>| std::fs::metadata(path.as_ref()?).ok()?.modified().ok();
        [&self.ca, &self.cert, &self.key].map(changed)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let read = || {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(FILE_BYTES + 1).read_to_end(&mut bytes)?;
        let too_long = bytes.len() as u64 > FILE_BYTES;
        if too_long { Err(io::Error::other("it is larger than 1 MiB")) } else { Ok(bytes) }
    };
    read().map_err(|error| TlsError::Unreadable { path: path.to_owned(), error })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    found.ok().filter(|found| !found.is_empty()).ok_or_else(|| TlsError::NoCertificate(path.to_owned()))
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let bytes = read(path)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| {
        let encrypted = String::from_utf8_lossy(&bytes).contains("ENCRYPTED");
        if encrypted { TlsError::EncryptedKey(path.to_owned()) } else { TlsError::NoKey(path.to_owned()) }
    })
}

/// What was read of the files, and when they were changed then.
#[derive(Debug)]
pub(crate) struct Loaded {
    files: TlsFiles,
    protocols: &'static [&'static [u8]],
    last: Option<([Option<SystemTime>; 3], Arc<ClientConfig>)>,
}

impl Loaded {
    pub(crate) fn new(files: TlsFiles, protocols: &'static [&'static [u8]]) -> Self {
        Self { files, protocols, last: None }
    }

    /// For the next connection. Files that were changed and cannot be used are being changed: what was read before holds
    /// until they can be.
    pub(crate) fn current(&mut self) -> Result<Arc<ClientConfig>, TlsError> {
        let stamps = self.files.stamps();
        if let Some((_, config)) = self.last.as_ref().filter(|(then, _)| *then == stamps) {
            return Ok(config.clone());
        }
        match (self.files.load(self.protocols), &self.last) {
            (Ok(config), _) => {
                let config = Arc::new(config);
                self.last = Some((stamps, config.clone()));
                Ok(config)
            }
            (Err(_), Some((_, config))) => Ok(config.clone()),
            (Err(error), None) => Err(error),
        }
    }
}
