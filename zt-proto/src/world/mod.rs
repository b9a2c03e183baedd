//! Worlds: signed lists of root servers (`vl1.md` §15.1, §15.2), and what 1.0.x has in their place (§15.7).

mod root_topology;

use std::net::SocketAddr;

pub use root_topology::{OldRoot, RootTopology};

use crate::codec::{DecodeError, Reader};
use crate::credential::Signature;
use crate::identity::{KEY_LEN, PublicIdentity};
use crate::inet;
use crate::time::Timestamp;

/// Frames the signed form: before it.
const MARKER_BEFORE: [u8; 8] = [0x7f; 8];
/// Frames the signed form: behind it.
const MARKER_AFTER: [u8; 8] = [0xf7; 8];

/// What a world is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorldKind {
    /// The roots that everybody of a system shares.
    Planet = 1,
    /// Additional roots.
    Moon = 127,
}

impl WorldKind {
    /// Returns the number on the wire.
    pub fn to_u8(self) -> u8 {
        match self {
            Self::Planet => 1,
            Self::Moon => 127,
        }
    }

    fn parse(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8("world type")? {
            1 => Ok(Self::Planet),
            127 => Ok(Self::Moon),
            other => Err(DecodeError::Invalid { field: "world type", value: other.into() }),
        }
    }
}

/// How nodes tell each other which version of a world they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WorldVersion {
    /// Which world.
    pub id: u64,
    /// Which version of it.
    pub timestamp: Timestamp,
}

impl WorldVersion {
    /// Length in bytes.
    pub const WIRE_LEN: usize = 16;

    /// Reads [`WorldVersion::WIRE_LEN`] bytes.
    pub fn parse(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { id: reader.u64("world id")?, timestamp: Timestamp(reader.u64("world timestamp")?) })
    }

    /// Appends [`WorldVersion::WIRE_LEN`] bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.to_be_bytes());
        out.extend_from_slice(&self.timestamp.0.to_be_bytes());
    }
}

/// A planet or a moon.
#[doc(alias("planet", "moon", "roots"))]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    /// Planet or moon.
    pub kind: WorldKind,
    /// For a moon, by convention, the address of one of its roots.
    pub id: u64,
    /// Of two versions the later one counts.
    pub timestamp: Timestamp,
    /// The keys that must sign the next version; only the Ed25519 half is used.
    pub update_key: [u8; KEY_LEN],
    /// By the key that the version before named, of [`World::signed_bytes`].
    pub signature: Signature,
    /// At most [`World::MAX_ROOTS`].
    pub roots: Vec<Root>,
}

/// A root server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Root {
    /// Who it is.
    pub identity: PublicIdentity,
    /// At most [`World::MAX_ENDPOINTS`].
    pub endpoints: Vec<SocketAddr>,
}

impl World {
    /// All releases refuse a world with more.
    pub const MAX_ROOTS: usize = 4;
    /// All releases refuse a world with a root that has more.
    pub const MAX_ENDPOINTS: usize = 32;
    /// The id of the planet that the releases come with.
    pub const EARTH: u64 = 149_604_618;

    /// Returns id and timestamp.
    pub fn version(&self) -> WorldVersion {
        WorldVersion { id: self.id, timestamp: self.timestamp }
    }

    /// # Errors
    /// [`DecodeError::Invalid`] for another type than planet and moon or an endpoint that is no IP address;
    /// [`DecodeError::TooLong`] for too many roots or endpoints.
    pub fn parse(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let kind = WorldKind::parse(reader)?;
        let WorldVersion { id, timestamp } = WorldVersion::parse(reader)?;
        let update_key = reader.array("world update key")?;
        let signature = Signature::parse(reader)?;
        let count = parse_count(reader, "world roots", Self::MAX_ROOTS)?;
        let roots = (0..count).map(|_| Root::parse(reader)).collect::<Result<_, _>>()?;
        if kind == WorldKind::Moon {
            let length = reader.u16("moon dictionary length")?;
            reader.bytes(length.into(), "moon dictionary")?;
        }
        Ok(Self { kind, id, timestamp, update_key, signature, roots })
    }

    /// Appends the serialized form: of too many roots or endpoints the first ones.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.write_head(out);
        self.signature.write(out);
        self.write_roots(out);
    }

    /// Returns what is signed: the serialized form without the signature, between two markers.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        let mut out = MARKER_BEFORE.to_vec();
        self.write_head(&mut out);
        self.write_roots(&mut out);
        out.extend_from_slice(&MARKER_AFTER);
        out
    }

    fn write_head(&self, out: &mut Vec<u8>) {
        out.push(self.kind.to_u8());
        self.version().write(out);
        out.extend_from_slice(&self.update_key);
    }

    fn write_roots(&self, out: &mut Vec<u8>) {
        let roots = self.roots.iter().take(Self::MAX_ROOTS);
        out.push(u8::try_from(roots.len()).expect("at most 4"));
        roots.for_each(|root| root.write(out));
        if self.kind == WorldKind::Moon {
            out.extend_from_slice(&[0, 0]);
        }
    }
}

impl Root {
    fn parse(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let identity = PublicIdentity::parse(reader)?;
        let count = parse_count(reader, "root endpoints", World::MAX_ENDPOINTS)?;
        let endpoint = |_| {
            inet::parse_endpoint(reader, "root endpoint")?
                .ok_or(DecodeError::Invalid { field: "root endpoint", value: 0 })
        };
        Ok(Self { identity, endpoints: (0..count).map(endpoint).collect::<Result<_, _>>()? })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.identity.write(out);
        let endpoints = self.endpoints.iter().take(World::MAX_ENDPOINTS);
        out.push(u8::try_from(endpoints.len()).expect("at most 32"));
        endpoints.for_each(|endpoint| inet::write_endpoint(out, Some(*endpoint)));
    }
}

fn parse_count(reader: &mut Reader<'_>, field: &'static str, max: usize) -> Result<usize, DecodeError> {
    let got: usize = reader.u8(field)?.into();
    if got > max { Err(DecodeError::TooLong { field, max, got }) } else { Ok(got) }
}
