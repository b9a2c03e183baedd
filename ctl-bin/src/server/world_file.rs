//! Files of planets and moons: read, checked, described for people.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use data_encoding::HEXLOWER;
use nix::fcntl::OFlag;
use serde_json::{Map, Value, json};
use zt_crypto::signature::verify_world;
use zt_proto::codec::{DecodeError, Reader};
use zt_proto::inet::{EndpointText, is_usable_path};
use zt_proto::world::{Root, World, WorldKind};

/// The longest file that is read: several times the largest world.
const MAX_BYTES: u64 = 65_536;

/// Why a file is no planet or moon.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorldFileError {
    #[error("cannot read {file}: {source}; name a file that the user that runs this can read")]
    Io { file: String, source: io::Error },
    #[error("{file} is neither a planet nor a moon: {source}")]
    Malformed { file: String, source: DecodeError },
    #[error("{file} is a {got}, not a {expected}")]
    Kind { file: String, expected: &'static str, got: &'static str },
    #[error("{file}: {extra} bytes follow the world")]
    TooLong { file: String, extra: usize },
}

pub(super) fn name_of(kind: WorldKind) -> &'static str {
    match kind {
        WorldKind::Planet => "planet",
        WorldKind::Moon => "moon",
    }
}

/// Reads a file, or standard input if it is `-`.
///
/// # Errors
/// If it is not one world of that kind, whole and with nothing behind it.
pub(super) fn read(file: &Path, kind: Option<WorldKind>) -> Result<World, WorldFileError> {
    let name = || file.display().to_string();
    let mut bytes = Vec::new();
    let reading = if file == Path::new("-") {
        io::stdin().lock().take(MAX_BYTES).read_to_end(&mut bytes)
    } else {
        File::open(file).and_then(|open| open.take(MAX_BYTES).read_to_end(&mut bytes))
    };
    reading.map_err(|source| WorldFileError::Io { file: name(), source })?;
    parse(&bytes, &name(), kind)
}

/// Opens a file to read it, unless the path is a link; a pipe keeps nobody waiting.
pub(super) fn open_unlinked(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    File::options().read(true).custom_flags(flags.bits()).open(path)
}

/// Parses the content of a file.
pub(super) fn parse(bytes: &[u8], file: &str, kind: Option<WorldKind>) -> Result<World, WorldFileError> {
    let file = || file.to_owned();
    let mut reader = Reader::new(bytes);
    let world =
        World::parse(&mut reader).map_err(|source| WorldFileError::Malformed { file: file(), source })?;
    if let Some(expected) = kind.filter(|kind| *kind != world.kind) {
        let (expected, got) = (name_of(expected), name_of(world.kind));
        return Err(WorldFileError::Kind { file: file(), expected, got });
    }
    if !reader.is_empty() {
        return Err(WorldFileError::TooLong { file: file(), extra: reader.remaining() });
    }
    Ok(world)
}

/// Returns the serialized form.
pub(super) fn to_bytes(world: &World) -> Vec<u8> {
    let mut bytes = Vec::new();
    world.write(&mut bytes);
    bytes
}

/// Says what a world is, for people.
pub(super) fn describe(world: &World) -> String {
    let kind = name_of(world.kind);
    let mut text = format!(
        "{kind} {:010x}, version {} ({} bytes)\n",
        world.id,
        world.timestamp.0,
        to_bytes(world).len()
    );
    let signed = match verify_world(&world.update_key, world) {
        Ok(()) => "by the key that must sign the next version",
        Err(_) => {
            "by another key than the next version needs, which is usual only right after a change of keys"
        }
    };
    let key = HEXLOWER.encode(&world.update_key);
    // Writing to a string cannot fail.
    let written = write!(text, "signed {signed}:\n  {key}\n");
    debug_assert!(written.is_ok());
    for root in &world.roots {
        text.push_str(&format!("root {}\n", root.identity));
        for endpoint in &root.endpoints {
            let note =
                if is_usable_path(endpoint.ip()) { "" } else { " (clients cannot use this as a path)" };
            text.push_str(&format!("  {}{note}\n", EndpointText(*endpoint)));
        }
    }
    text
}

/// Says what a world is, for programs.
pub(super) fn to_json(world: &World) -> Map<String, Value> {
    let root = |root: &Root| {
        let endpoints: Vec<_> =
            root.endpoints.iter().map(|endpoint| EndpointText(*endpoint).to_string()).collect();
        json!({
            "address": root.identity.address.to_string(), "identity": root.identity.to_string(), "endpoints": endpoints,
        })
    };
    let key = HEXLOWER.encode(&world.update_key);
    Map::from_iter([
        ("kind".to_owned(), name_of(world.kind).into()),
        ("id".to_owned(), format!("{:010x}", world.id).into()),
        ("timestamp".to_owned(), world.timestamp.0.into()),
        ("updateKey".to_owned(), key.into()),
        ("isSignedByUpdateKey".to_owned(), verify_world(&world.update_key, world).is_ok().into()),
        ("sizeBytes".to_owned(), to_bytes(world).len().into()),
        ("roots".to_owned(), world.roots.iter().map(root).collect()),
    ])
}

/// Returns what clients would stumble over.
pub(super) fn problems(world: &World) -> Vec<String> {
    let mut problems = Vec::new();
    if world.id == 0 {
        problems.push("its id is 0, which clients take for no world".to_owned());
    }
    if world.roots.is_empty() {
        problems.push("it has no roots".to_owned());
    }
    for root in &world.roots {
        let address = root.identity.address;
        if let Err(error) = zt_crypto::VerifiedIdentity::verify(root.identity) {
            problems.push(format!("root {address} has no valid identity: {error}"));
        }
        if !root.endpoints.iter().any(|endpoint| is_usable_path(endpoint.ip()) && endpoint.port() != 0) {
            problems.push(format!("root {address} has no endpoint at which clients can reach it"));
        }
    }
    if verify_world(&world.update_key, world).is_err() {
        problems.push("it is not signed by the key that it names for the next version".to_owned());
    }
    problems
}
