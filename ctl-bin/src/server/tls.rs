//! TLS of the API: certificate and key from two files, read again when they change (`docs/security.md`).

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{InconsistentKeys, ServerConfig};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use zt_proto::Timestamp;

use super::clock;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Largest file that is read: a chain has some KiB.
const MAX_FILE_BYTES: u64 = 1 << 20;

#[derive(Debug, Clone, Args)]
pub(crate) struct TlsArgs {
    /// Certificate of the API in PEM, with what links it to its authority; makes the API speak TLS. It is read again when it
    /// changes
    #[arg(long, value_name = "FILE", env = "CTL_API_CERT", requires = "api_key")]
    pub api_cert: Option<PathBuf>,
    /// Private key of that certificate, in PEM
    #[arg(long, value_name = "FILE", env = "CTL_API_KEY", requires = "api_cert")]
    pub api_key: Option<PathBuf>,
}

/// Why the API cannot speak TLS, and what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("cannot read {}: {source}; it must be readable by the user that runs this", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} has more than {MAX_FILE_BYTES} bytes; it is no certificate and no key", path.display())]
    TooLong { path: PathBuf },
    #[error("{} has no certificate; expected PEM with a line -----BEGIN CERTIFICATE-----", path.display())]
    NoCertificate { path: PathBuf },
    #[error("{} has no private key; expected PEM with a line -----BEGIN PRIVATE KEY-----, without a passphrase", path.display())]
    NoKey { path: PathBuf },
    #[error("{} is damaged: {reason}", path.display())]
    Damaged { path: PathBuf, reason: String },
    #[error("the key in {} does not belong to the first certificate in {}; that has to be the one of this server", key.display(), certificate.display())]
    Mismatch { certificate: PathBuf, key: PathBuf },
    #[error("{} cannot be used: {reason}", path.display())]
    Unusable { path: PathBuf, reason: String },
}

/// The two files.
#[derive(Debug, Clone)]
pub(crate) struct TlsFiles {
    certificate: PathBuf,
    key: PathBuf,
}

/// What was in them.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) config: Arc<ServerConfig>,
    not_before: Timestamp,
    not_after: Timestamp,
}

/// Tells versions of the two files apart.
type Stamps = [Option<(u64, i64, i64, u64)>; 2];

impl TlsFiles {
    pub(crate) fn of(args: &TlsArgs) -> Option<Self> {
        let (certificate, key) = args.api_cert.clone().zip(args.api_key.clone())?;
        Some(Self { certificate, key })
    }

    /// Reads both files.
    ///
    /// # Errors
    /// If they cannot be read or do not fit. A certificate that has expired is none: it may be the clock that is wrong.
    pub(crate) fn load(&self) -> Result<Loaded, TlsError> {
        let chain = self.chain()?;
        let unusable = |reason: String| TlsError::Unusable { path: self.certificate.clone(), reason };
        let first =
            chain.first().ok_or_else(|| TlsError::NoCertificate { path: self.certificate.clone() })?;
        let parsed = Certificate::from_der(first).map_err(|error| unusable(error.to_string()))?;
        let validity = parsed.tbs_certificate.validity;
        let millis = |time: x509_cert::time::Time| {
            Timestamp(u64::try_from(time.to_unix_duration().as_millis()).unwrap_or(u64::MAX))
        };
        let key = read(&self.key)?;
        let key = PrivateKeyDer::from_pem_slice(&key).map_err(|error| {
            if matches!(error, pem::Error::NoItemsFound) {
                TlsError::NoKey { path: self.key.clone() }
            } else {
                TlsError::Damaged { path: self.key.clone(), reason: error.to_string() }
            }
        })?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(error.to_string()))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| {
                if error == rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) {
                    TlsError::Mismatch { certificate: self.certificate.clone(), key: self.key.clone() }
                } else {
                    TlsError::Unusable { path: self.key.clone(), reason: error.to_string() }
                }
            })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Loaded {
            config: Arc::new(config),
            not_before: millis(validity.not_before),
            not_after: millis(validity.not_after),
        })
    }

    fn chain(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let text = read(&self.certificate)?;
        let certificates = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
        certificates
            .map_err(|error| TlsError::Damaged { path: self.certificate.clone(), reason: error.to_string() })
    }

    /// Reads the files again if they changed since `stamps`, or if somebody asks for it.
    fn look(&self, stamps: &mut Stamps, is_asked: bool) -> Option<Result<Loaded, TlsError>> {
        let found = self.stamps();
        let is_new = found != *stamps;
        *stamps = found;
        (is_asked || is_new).then(|| self.load())
    }

    fn stamps(&self) -> Stamps {
        [&self.certificate, &self.key].map(|path| {
            let file = fs::metadata(path).ok()?;
            Some((file.ino(), file.mtime(), file.mtime_nsec(), file.size()))
        })
    }

    /// Warns of what is no reason not to serve.
    pub(crate) fn warn_of(&self, loaded: &Loaded, now: Timestamp) {
        let certificate = self.certificate.display();
        if loaded.not_after <= now {
            warn!(%certificate, "the certificate of the API has expired; clients will refuse it");
        } else if loaded.not_before > now {
            warn!(%certificate, "the certificate of the API is not valid yet; clients will refuse it");
        }
        if fs::metadata(&self.key).is_ok_and(|key| key.mode() & 0o004 != 0) {
            let key = self.key.display();
            warn!(%key, "the private key of the API can be read by every user; close it with chmod 600");
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |source| TlsError::Read { path: path.to_owned(), source };
    if fs::metadata(path).map_err(failed)?.len() > MAX_FILE_BYTES {
        return Err(TlsError::TooLong { path: path.to_owned() });
    }
    fs::read(path).map_err(failed)
}

/// Reads the files again whenever they change or `reload` says so; what cannot be used leaves everything as it was. Also
/// warns once when the certificate expires.
pub(crate) async fn keep(
    files: TlsFiles,
    mut loaded: Loaded,
    configs: watch::Sender<Arc<ServerConfig>>,
    mut reload: watch::Receiver<()>,
) {
    let mut stamps = files.stamps();
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut was_valid = loaded.not_after > clock::wall();
    loop {
        let is_asked = tokio::select! {
            _ = ticks.tick() => false,
            changed = reload.changed() => match changed {
                Ok(()) => true,
                Err(_) => return, // the program ends
            },
        };
        match files.look(&mut stamps, is_asked) {
            None => {}
            Some(Ok(new)) => {
                loaded = new;
                files.warn_of(&loaded, clock::wall());
                configs.send_replace(Arc::clone(&loaded.config));
                was_valid = loaded.not_after > clock::wall();
                info!("the API has a new certificate");
            }
            Some(Err(reason)) => warn!(%reason, "the API keeps the certificate that it has"),
        }
        if was_valid && loaded.not_after <= clock::wall() {
            was_valid = false;
            files.warn_of(&loaded, clock::wall());
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};
    use tempfile::TempDir;

    use super::*;

    /// A folder with a certificate and its key.
    fn files() -> (TempDir, TlsFiles) {
        let folder = TempDir::new().unwrap();
        let files =
            TlsFiles { certificate: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
        write(&files, CertificateParams::new(["localhost".to_owned()]).unwrap());
        (folder, files)
    }

    fn write(files: &TlsFiles, params: CertificateParams) {
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        fs::write(&files.certificate, certificate.pem()).unwrap();
        fs::write(&files.key, key.serialize_pem()).unwrap();
    }

    fn refusal(files: &TlsFiles) -> String {
        files.load().unwrap_err().to_string()
    }

    #[test]
    fn certificate_with_its_key_is_taken() {
        let (_folder, files) = files();
        let loaded = files.load().unwrap();
        assert_eq!(loaded.config.alpn_protocols, [b"http/1.1".to_vec()]);
        assert!(loaded.not_before < loaded.not_after);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_file() {
        let (folder, files) = files();
        let (cert, key) = (fs::read(&files.certificate).unwrap(), fs::read(&files.key).unwrap());
        let restore = || {
            fs::write(&files.certificate, &cert).unwrap();
            fs::write(&files.key, &key).unwrap();
        };

        fs::write(&files.certificate, &key).unwrap();
        assert!(refusal(&files).contains("cert.pem has no certificate"), "{}", refusal(&files));
        restore();
        fs::write(&files.key, &cert).unwrap();
        assert!(refusal(&files).contains("key.pem has no private key"), "{}", refusal(&files));
        restore();
        fs::write(&files.certificate, &cert[..cert.len() / 2]).unwrap();
        assert!(refusal(&files).contains("cert.pem"), "{}", refusal(&files));
        fs::write(&files.certificate, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
            .unwrap();
        assert!(refusal(&files).contains("cert.pem cannot be used"), "{}", refusal(&files));
        restore();
        fs::write(&files.key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
        let error = refusal(&files);
        assert!(error.contains("key.pem does not belong to the first certificate in"), "{error}");
        fs::write(&files.key, vec![b'x'; 2 << 20]).unwrap();
        assert!(refusal(&files).contains("key.pem has more than"), "{}", refusal(&files));
        fs::remove_file(&files.key).unwrap();
        let error = refusal(&files);
        assert!(error.contains("cannot read") && error.contains("key.pem"), "{error}");
        drop(folder);
    }

    #[test]
    fn expired_certificate_is_served_and_known_to_be_expired() {
        let (_folder, files) = files();
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
        write(&files, params);
        let loaded = files.load().unwrap();
        assert_eq!(loaded.not_after, Timestamp(1_577_836_800_000));
        assert!(loaded.not_after <= clock::wall());
    }

    /// What renews certificates often replaces one file before the other.
    #[test]
    fn new_files_are_taken_as_soon_as_they_fit_and_others_never() {
        let (_folder, files) = files();
        let mut stamps = files.stamps();
        assert!(files.look(&mut stamps, false).is_none());
        assert!(files.look(&mut stamps, true).unwrap().is_ok());
        let (_other_folder, other) = self::files();
        fs::rename(&other.certificate, &files.certificate).unwrap();
        assert!(matches!(files.look(&mut stamps, false), Some(Err(TlsError::Mismatch { .. }))));
        assert!(files.look(&mut stamps, false).is_none(), "it is said once");
        fs::rename(&other.key, &files.key).unwrap();
        assert!(files.look(&mut stamps, false).unwrap().is_ok());
    }
}
