//! `ctl-bin identity`: identities of nodes as files, made, checked and used for signatures (`vl1.md` §3, §5).

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use rand_core::CryptoRng;
use serde_json::{Value, json};
use zeroize::Zeroizing;
use zt_crypto::identity::fingerprint;
use zt_crypto::{IdentitySecret, VerifiedIdentity, signature};
use zt_proto::PublicIdentity;
use zt_proto::credential::Signature;

use super::announce::{say, say_json};
use crate::cli::progress::{Progress, ProgressArgs};

/// The longest identity in a file: several times one with its secret.
const MAX_IDENTITY_BYTES: u64 = 4096;
/// The longest file that is signed.
const MAX_SIGNED_BYTES: u64 = 1 << 30;

/// Makes and checks identities of nodes, and signs with them
#[derive(Debug, Subcommand)]
pub(crate) enum IdentityCommand {
    /// Makes a new identity; what is there is not overwritten
    New(NewArgs),
    /// Checks that an address belongs to its keys. Exit code 0: it does, 1: it does not
    Validate(OneArgs),
    /// Shows address, public identity and fingerprint
    Show(OneArgs),
    /// Signs a file, and prints the signature in hexadecimal digits
    Sign(SignArgs),
    /// Checks a signature. Exit code 0: it is right, 1: it is not
    Verify(VerifyArgs),
}

#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// File for the identity with its secret, mode 0600
    #[arg(value_name = "FILE", default_value = "identity.secret")]
    pub file: PathBuf,
    /// File for the public half [default: beside it, with .public at its end]
    #[arg(long, value_name = "FILE")]
    pub public: Option<PathBuf>,
    /// Prints as JSON what is otherwise said in words
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub progress: ProgressArgs,
}

#[derive(Debug, Args)]
pub(crate) struct OneArgs {
    /// Identity, with or without its secret, or its file; - is standard input
    #[arg(value_name = "IDENTITY|FILE")]
    pub identity: String,
    /// Prints as JSON what is otherwise said in words
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SignArgs {
    /// File of an identity with its secret
    #[arg(value_name = "IDENTITY.SECRET")]
    pub identity: PathBuf,
    /// What to sign; - is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Prints as JSON what is otherwise said in words
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Identity of the signer, or its file
    #[arg(value_name = "IDENTITY|FILE")]
    pub identity: String,
    /// What was signed; - is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Signature, as `identity sign` prints it
    #[arg(value_name = "SIGNATURE")]
    pub signature: String,
    /// Prints as JSON what is otherwise said in words
    #[arg(long)]
    pub json: bool,
}

/// Why a command was not done, or what is wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdentityError {
    #[error("{} is there already, and is not overwritten; name another file", path.display())]
    Exists { path: PathBuf },
    #[error("cannot write {}: {source}; name another file", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot read {name}: {source}; name a file that the user that runs this can read")]
    Read { name: String, source: io::Error },
    #[error("{name} has more than {limit} bytes, expected at most that")]
    TooLong { name: String, limit: u64 },
    #[error("{name} is no identity: {reason}")]
    Invalid { name: String, reason: String },
    #[error("the signature must be {expected} hexadecimal digits, as `identity sign` prints them")]
    SignatureText { expected: usize },
    #[error("the signature is not one of {name} under this file")]
    WrongSignature { name: String },
}

/// Does what the command says.
pub(crate) fn run(command: &IdentityCommand, rng: &mut impl CryptoRng) -> Result<(), IdentityError> {
    match command {
        IdentityCommand::New(args) => make(args, rng),
        IdentityCommand::Validate(args) => {
            let identity = read(&args.identity)?;
            if args.json {
                say_json(&to_json(&identity));
            } else {
                say(&format!("valid: {}, whose address belongs to its keys", identity.address));
            }
            Ok(())
        }
        IdentityCommand::Show(args) => {
            let identity = read(&args.identity)?;
            if args.json {
                say_json(&to_json(&identity));
                return Ok(());
            }
            say(&format!(
                "address: {}\npublic: {identity}\nfingerprint: {}",
                identity.address,
                HEXLOWER.encode(&fingerprint(&identity))
            ));
            Ok(())
        }
        IdentityCommand::Sign(args) => sign(args),
        IdentityCommand::Verify(args) => verify(args),
    }
}

fn make(args: &NewArgs, rng: &mut impl CryptoRng) -> Result<(), IdentityError> {
    let public = args.public.clone().unwrap_or_else(|| args.file.with_extension("public"));
    // Before the search, which takes a second.
    for path in [&args.file, &public] {
        if path.symlink_metadata().is_ok() {
            return Err(IdentityError::Exists { path: path.clone() });
        }
    }
    let shown = Progress::unknown("looking for an address", args.progress);
    let secret = IdentitySecret::generate(rng);
    drop(shown);
    write_new(&args.file, secret.to_text().as_bytes(), 0o600)?;
    write_new(&public, secret.public().to_string().as_bytes(), 0o644)?;
    if args.json {
        let mut value = to_json(secret.public());
        if let Value::Object(fields) = &mut value {
            fields.insert("secretFile".to_owned(), json!(args.file));
            fields.insert("publicFile".to_owned(), json!(public));
        }
        say_json(&value);
        return Ok(());
    }
    say(&format!("identity: {} in {} and {}", secret.address(), args.file.display(), public.display()));
    Ok(())
}

/// What everybody may know of an identity.
fn to_json(identity: &PublicIdentity) -> Value {
    json!({
        "address": identity.address.to_string(), "public": identity.to_string(), "fingerprint": HEXLOWER.encode(&fingerprint(identity)),
    })
}

/// Writes a file that is not there, closed to others from its first moment.
fn write_new(path: &Path, content: &[u8], mode: u32) -> Result<(), IdentityError> {
    let written =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(path).and_then(|mut file| {
            file.write_all(content)?;
            file.sync_all()
        });
    written.map_err(|source| {
        let path = path.to_owned();
        let is_there = source.kind() == io::ErrorKind::AlreadyExists;
        if is_there { IdentityError::Exists { path } } else { IdentityError::Write { path, source } }
    })
}

/// Reads an identity from the text itself or the file that it names, and checks that the address belongs to the keys.
fn read(named: &str) -> Result<PublicIdentity, IdentityError> {
    let (name, text) = if named.contains(':') && !Path::new(named).exists() {
        ("the identity".to_owned(), Zeroizing::new(named.to_owned()))
    } else {
        (named.to_owned(), read_text(Path::new(named))?)
    };
    let invalid = |reason: String| IdentityError::Invalid { name: name.clone(), reason };
    let text = text.trim();
    let identity: PublicIdentity = if text.split(':').nth(3).is_some() {
        *text.parse::<IdentitySecret>().map_err(|error| invalid(error.to_string()))?.public()
    } else {
        text.parse().map_err(|error: zt_proto::identity::IdentityTextError| invalid(error.to_string()))?
    };
    VerifiedIdentity::verify(identity).map_err(|error| invalid(error.to_string()))?;
    Ok(identity)
}

fn sign(args: &SignArgs) -> Result<(), IdentityError> {
    let invalid =
        |reason: String| IdentityError::Invalid { name: args.identity.display().to_string(), reason };
    let text = read_text(&args.identity)?;
    let secret: IdentitySecret = text.trim().parse().map_err(|error| invalid(format!("{error}")))?;
    secret.verify().map_err(|error| invalid(error.to_string()))?;
    let Signature(signature) = secret.sign(&read_bytes(&args.file, MAX_SIGNED_BYTES)?);
    if args.json {
        say_json(
            &json!({ "address": secret.address().to_string(), "signature": HEXLOWER.encode(&signature) }),
        );
    } else {
        say(&HEXLOWER.encode(&signature));
    }
    Ok(())
}

fn verify(args: &VerifyArgs) -> Result<(), IdentityError> {
    let identity = read(&args.identity)?;
    let expected = || IdentityError::SignatureText { expected: 2 * Signature::LEN };
    let signature = HEXLOWER_PERMISSIVE.decode(args.signature.trim().as_bytes()).map_err(|_| expected())?;
    let signature = Signature(signature.try_into().map_err(|_| expected())?);
    let signed = read_bytes(&args.file, MAX_SIGNED_BYTES)?;
    let wrong = |_| IdentityError::WrongSignature { name: identity.address.to_string() };
    signature::verify(&identity, &signed, &signature).map_err(wrong)?;
    if args.json {
        say_json(&json!({ "address": identity.address.to_string(), "file": args.file }));
    } else {
        say(&format!("right: {} is signed by {}", args.file.display(), identity.address));
    }
    Ok(())
}

fn read_text(path: &Path) -> Result<Zeroizing<String>, IdentityError> {
    let bytes = Zeroizing::new(read_bytes(path, MAX_IDENTITY_BYTES)?);
    let text = std::str::from_utf8(&bytes).map(|text| Zeroizing::new(text.to_owned()));
    let name = path.display().to_string();
    text.map_err(|error| IdentityError::Invalid { name, reason: error.to_string() })
}

fn read_bytes(path: &Path, limit: u64) -> Result<Vec<u8>, IdentityError> {
    let is_input = path == Path::new("-");
    let name = || if is_input { "standard input".to_owned() } else { path.display().to_string() };
    let mut bytes = Vec::new();
    let reading = if is_input {
        io::stdin().lock().take(limit + 1).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
    };
    let length = reading.map_err(|source| IdentityError::Read { name: name(), source })?;
    if u64::try_from(length).is_ok_and(|length| length <= limit) {
        Ok(bytes)
    } else {
        Err(IdentityError::TooLong { name: name(), limit })
    }
}
