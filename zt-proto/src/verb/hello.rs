//! HELLO (verb 0x01): announces an identity, asks for an answer, measures latency (`vl1.md` §10.2).

use std::net::SocketAddr;

use crate::codec::{DecodeError, Reader};
use crate::identity::PublicIdentity;
use crate::inet;
use crate::time::Timestamp;
use crate::world::{WorldKind, WorldVersion};

/// What a node says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeVersion {
    /// `vl1.md` §11.
    pub protocol: u8,
    /// First number of the release.
    pub major: u8,
    /// Second number of the release.
    pub minor: u8,
    /// Third number of the release.
    pub revision: u16,
}

impl NodeVersion {
    /// Lowest protocol version that is answered.
    pub const MIN_PROTOCOL: u8 = 4;

    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            protocol: reader.u8("protocol version")?,
            major: reader.u8("major version")?,
            minor: reader.u8("minor version")?,
            revision: reader.u16("revision")?,
        })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.protocol, self.major, self.minor]);
        out.extend_from_slice(&self.revision.to_be_bytes());
    }
}

/// Bytes of one entry in the masked tail.
const MOON_LEN: usize = 1 + WorldVersion::WIRE_LEN;

/// The payload of a HELLO of any release; later ones have more fields.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Hello<'a> {
    /// What the sender runs.
    pub version: NodeVersion,
    /// The sender's time, sent back in the answer.
    pub timestamp: Timestamp,
    /// Who the sender claims to be; not validated.
    pub identity: PublicIdentity,
    /// Where the sender sent it to; `None` through a relay and before 1.0.3.
    pub destination: Option<SocketAddr>,
    /// The sender's planet; `None` before 1.1.0.
    pub planet: Option<WorldVersion>,
    /// Everything behind the planet, up to the end of the payload, masked as it is on the wire. Empty before
    /// 1.2.0. Once unmasked, [`parse_moons`] reads it, and the HELLO is dropped if that fails.
    ///
    /// Without a planet these are the 1 to 15 bytes that were too few for one.
    pub tail: &'a [u8],
}

impl<'a> Hello<'a> {
    /// # Errors
    /// [`DecodeError::Truncated`] if the payload ends before the identity does, or inside the address.
    pub fn parse(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let version = NodeVersion::parse(&mut reader)?;
        let timestamp = Timestamp(reader.u64("timestamp")?);
        let identity = PublicIdentity::parse(&mut reader)?;
        let mut hello = Self { version, timestamp, identity, destination: None, planet: None, tail: &[] };
        if !reader.is_empty() {
            hello.destination = inet::parse_endpoint(&mut reader, "HELLO destination")?;
        }
        if reader.remaining() >= WorldVersion::WIRE_LEN {
            hello.planet = Some(WorldVersion::parse(&mut reader)?);
        }
        hello.tail = reader.rest();
        Ok(hello)
    }

    /// Returns where in `payload`, from which this was parsed, the masked tail begins.
    pub fn tail_offset(&self, payload: &[u8]) -> usize {
        payload.len().saturating_sub(self.tail.len())
    }

    /// Appends the payload and returns where in it the tail begins, which is its length if there is none.
    ///
    /// The tail is written as it is: a sender puts it in plain (see [`write_moons`]) and masks it in the packet.
    /// Without destination, planet and tail the payload ends behind the identity.
    pub fn write(&self, out: &mut Vec<u8>) -> usize {
        let start = out.len();
        self.version.write(out);
        out.extend_from_slice(&self.timestamp.0.to_be_bytes());
        self.identity.write(out);
        if self.destination.is_some() || self.planet.is_some() || !self.tail.is_empty() {
            inet::write_endpoint(out, self.destination);
        }
        if let Some(planet) = self.planet {
            planet.write(out);
        }
        let tail_offset = out.len() - start;
        out.extend_from_slice(self.tail);
        tail_offset
    }
}

/// Reads the unmasked tail of a HELLO: the moons that the sender has or wants (timestamp 0). Entries of other
/// types are skipped.
///
/// # Errors
/// [`DecodeError::Truncated`] if the list claims more entries than there are bytes; the whole HELLO is dropped then.
pub fn parse_moons(tail: &[u8]) -> Result<impl Iterator<Item = WorldVersion> + '_, DecodeError> {
    let mut reader = Reader::new(tail);
    let count: usize = reader.u16("moon count")?.into();
    let (entries, _) = reader.bytes(count * MOON_LEN, "moons")?.as_chunks::<MOON_LEN>();
    Ok(entries.iter().filter_map(|[kind, version @ ..]| {
        let is_moon = *kind == WorldKind::Moon.to_u8();
        is_moon.then(|| WorldVersion::parse(&mut Reader::new(version)).ok()).flatten()
    }))
}

/// Writes the plain tail of a HELLO: of more than 65535 moons the first ones.
pub fn write_moons(moons: &[WorldVersion], out: &mut Vec<u8>) {
    let count = u16::try_from(moons.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&count.to_be_bytes());
    for moon in moons.iter().take(count.into()) {
        out.push(WorldKind::Moon.to_u8());
        moon.write(out);
    }
}
