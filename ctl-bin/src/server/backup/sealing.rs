//! Encryption of backups: age files, which the `age` program opens as well.

use std::fmt;
use std::fs;
use std::io::{self, BufRead, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use age::secrecy::SecretString;
use age::stream::StreamWriter;
use age::{DecryptError, Decryptor, Encryptor, Identity, IdentityFile};

use super::super::home::{self, HomeError};

/// What an encrypted file begins with.
const MAGIC: &[u8] = b"age-encryption.org/v1\n";
/// A passphrase that is longer is some other file, given by mistake.
const MAX_PASSPHRASE_FILE_BYTES: u64 = 4096;
/// Likewise, a file of keys.
const MAX_IDENTITY_FILE_BYTES: u64 = 1 << 20;

/// Whom a backup is encrypted to: a public key as `age-keygen` prints it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Recipient(age::x25519::Recipient);

/// How a backup is closed to those who find it.
pub(crate) enum Sealing {
    /// Not at all: only the mode of the file protects it.
    None,
    /// Whoever has the secret key of one of them can open it.
    Recipients(Vec<Recipient>),
    Passphrase(SecretString),
}

/// What opens a backup.
pub(crate) enum Key {
    None,
    Identities(Vec<Box<dyn Identity + Send + Sync>>),
    Passphrase(SecretString),
}

/// Why a backup was not closed or opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealingError {
    #[error("cannot read {}: {source}; it must be readable by the user that runs this", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error("{}: the first line must be the passphrase, in at most 4096 bytes of UTF-8", path.display())]
    NoPassphrase { path: PathBuf },
    #[error("{}: expected lines AGE-SECRET-KEY-1…, as age-keygen writes them{}", path.display(), colon(reason))]
    NoKeys { path: PathBuf, reason: String },
    #[error("it is encrypted; give the key with --identity-file, or the passphrase with --passphrase-file")]
    KeyNeeded,
    #[error("none of the given keys opens it; it was encrypted to others, or with a passphrase")]
    WrongKey,
    #[error("the passphrase does not open it, or it was encrypted to a key (--identity-file)")]
    WrongPassphrase,
    #[error("its encryption is damaged: {0}")]
    Damaged(String),
}

fn colon(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}

impl FromStr for Recipient {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("AGE-SECRET-KEY-") {
            return Err("this is the secret key; give the public one, which begins with age1".to_owned());
        }
        let key = text
            .parse()
            .map_err(|reason| format!("expected a public key as age-keygen prints it, age1…: {reason}"));
        key.map(Self)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Sealing {
    /// Takes what the command line names; at most one of the two is there.
    pub(crate) fn choose(recipients: &[Recipient], passphrase: Option<&Path>) -> Result<Self, SealingError> {
        match passphrase {
            Some(path) => Ok(Self::Passphrase(read_passphrase(path)?)),
            None if recipients.is_empty() => Ok(Self::None),
            None => Ok(Self::Recipients(recipients.to_vec())),
        }
    }

    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Begins to write an archive into `out`. The key that comes with it opens what was written, to see whether it is
    /// what it should be: for recipients, whose secret keys are elsewhere, it is a key made for that alone, which is
    /// one more recipient and gone with this process.
    pub(super) fn seal<W: Write>(&self, out: W) -> io::Result<(Sealed<W>, Key)> {
        match self {
            Self::None => Ok((Sealed::None(out), Key::None)),
            Self::Passphrase(passphrase) => {
                let writer = Encryptor::with_user_passphrase(passphrase.clone()).wrap_output(out)?;
                Ok((Sealed::Age(writer), Key::Passphrase(passphrase.clone())))
            }
            Self::Recipients(recipients) => {
                let check = age::x25519::Identity::generate();
                let check_recipient = check.to_public();
                let recipients = recipients.iter().map(|recipient| &recipient.0).chain([&check_recipient]);
                let encryptor =
                    Encryptor::with_recipients(recipients.map(|recipient| recipient as &dyn age::Recipient))
                        .map_err(io::Error::other)?;
                Ok((Sealed::Age(encryptor.wrap_output(out)?), Key::Identities(vec![Box::new(check)])))
            }
        }
    }
}

/// An archive that is being written, encrypted or not.
pub(super) enum Sealed<W: Write> {
    None(W),
    Age(StreamWriter<W>),
}

impl<W: Write> Sealed<W> {
    /// Writes the end; without it the file does not open.
    pub(super) fn finish(self) -> io::Result<W> {
        match self {
            Self::None(out) => Ok(out),
            Self::Age(writer) => writer.finish(),
        }
    }
}

impl<W: Write> Write for Sealed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::None(out) => out.write(bytes),
            Self::Age(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::None(out) => out.flush(),
            Self::Age(writer) => writer.flush(),
        }
    }
}

impl Key {
    /// Takes what the command line names; at most one of the two is there.
    pub(crate) fn choose(identities: Option<&Path>, passphrase: Option<&Path>) -> Result<Self, SealingError> {
        if let Some(path) = passphrase {
            return Ok(Self::Passphrase(read_passphrase(path)?));
        }
        let Some(path) = identities else { return Ok(Self::None) };
        let content = read_secret(path, MAX_IDENTITY_FILE_BYTES)?;
        let no_keys = |reason: String| SealingError::NoKeys { path: path.to_owned(), reason };
        let file =
            IdentityFile::from_buffer(content.as_slice()).map_err(|error| no_keys(error.to_string()))?;
        let identities = file.into_identities().map_err(|error| no_keys(error.to_string()))?;
        if identities.is_empty() { Err(no_keys(String::new())) } else { Ok(Self::Identities(identities)) }
    }

    /// Opens an archive, encrypted or not.
    pub(super) fn open<'a>(&self, mut input: impl BufRead + 'a) -> Result<Box<dyn Read + 'a>, SealingError> {
        let damaged = |error: &dyn fmt::Display| SealingError::Damaged(error.to_string());
        let begin = input.fill_buf().map_err(|error| damaged(&error))?;
        if !begin.starts_with(MAGIC) {
            // What is not encrypted needs no key, whatever was given.
            return Ok(Box::new(input));
        }
        let decryptor = Decryptor::new_buffered(input).map_err(|error| damaged(&error))?;
        let opened = match self {
            Self::None => return Err(SealingError::KeyNeeded),
            Self::Identities(identities) => {
                decryptor.decrypt(identities.iter().map(|identity| &**identity as &dyn Identity))
            }
            Self::Passphrase(passphrase) => {
                let identity = age::scrypt::Identity::new(passphrase.clone());
                decryptor.decrypt(std::iter::once(&identity as &dyn Identity))
            }
        };
        match (opened, self) {
            (Ok(reader), _) => Ok(Box::new(reader)),
            (Err(DecryptError::NoMatchingKeys | DecryptError::DecryptionFailed), Self::Passphrase(_)) => {
                Err(SealingError::WrongPassphrase)
            }
            (Err(DecryptError::NoMatchingKeys), _) => Err(SealingError::WrongKey),
            (Err(error), _) => Err(damaged(&error)),
        }
    }
}

fn read_passphrase(path: &Path) -> Result<SecretString, SealingError> {
    let content = read_secret(path, MAX_PASSPHRASE_FILE_BYTES)?;
    let text = std::str::from_utf8(&content).ok();
    let line = text.and_then(|text| text.lines().next()).filter(|line| !line.is_empty());
    let line = line.ok_or_else(|| SealingError::NoPassphrase { path: path.to_owned() })?;
    Ok(SecretString::from(line.to_owned()))
}

/// Reads a file that other users must not be able to read, whose length is limited.
fn read_secret(path: &Path, max_bytes: u64) -> Result<zeroize::Zeroizing<Vec<u8>>, SealingError> {
    let failed = |source| SealingError::File { path: path.to_owned(), source };
    let file = fs::File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_file() {
        home::check_mode(path, metadata.permissions().mode(), 0o600)?;
    }
    let mut content = zeroize::Zeroizing::new(Vec::new());
    file.take(max_bytes + 1).read_to_end(&mut content).map_err(failed)?;
    if u64::try_from(content.len()).unwrap_or(u64::MAX) > max_bytes {
        return Err(failed(io::Error::other(format!("it has more than {max_bytes} bytes"))));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_key_is_no_recipient_and_the_message_says_what_is() {
        let error = "AGE-SECRET-KEY-1QQ".parse::<Recipient>().unwrap_err();
        assert!(error.contains("age1"), "{error}");
        let error = "ssh-ed25519 AAAA".parse::<Recipient>().unwrap_err();
        assert!(error.contains("age1"), "{error}");
    }

    #[test]
    fn what_was_sealed_opens_with_each_key_it_was_sealed_to_and_with_no_other() {
        let secret = age::x25519::Identity::generate();
        let sealing = Sealing::Recipients(vec![Recipient(secret.to_public())]);
        let (mut sealed, check) = sealing.seal(Vec::new()).unwrap();
        sealed.write_all(b"content").unwrap();
        let bytes = sealed.finish().unwrap();
        let open = |key: &Key| {
            let mut content = Vec::new();
            key.open(&*bytes).map(|mut reader| reader.read_to_end(&mut content).map(|_| content).unwrap())
        };
        assert_eq!(open(&check).unwrap(), b"content");
        assert_eq!(open(&Key::Identities(vec![Box::new(secret)])).unwrap(), b"content");
        let other = Key::Identities(vec![Box::new(age::x25519::Identity::generate())]);
        assert!(matches!(open(&other), Err(SealingError::WrongKey)));
        assert!(matches!(open(&Key::None), Err(SealingError::KeyNeeded)));
        let passphrase = Key::Passphrase(SecretString::from("x".to_owned()));
        assert!(matches!(open(&passphrase), Err(SealingError::WrongPassphrase)));
    }

    /// `known-flaws.md` row 3.
    #[test]
    fn a_passphrase_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passphrase");
        fs::write(&path, "correct horse\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(read_passphrase(&path), Err(SealingError::Home(HomeError::TooOpen { .. }))));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let passphrase = read_passphrase(&path).unwrap();
        assert_eq!(age::secrecy::ExposeSecret::expose_secret(&passphrase), "correct horse");
        fs::write(&path, "\n").unwrap();
        assert!(matches!(read_passphrase(&path), Err(SealingError::NoPassphrase { .. })));
    }
}
