//! OK (verb 0x03): answers a request (`vl1.md` §10.4), and the answer to HELLO (§10.2.4).

use std::net::SocketAddr;

use super::Verb;
use super::hello::NodeVersion;
use crate::codec::{DecodeError, Reader};
use crate::inet;
use crate::time::Timestamp;
use crate::world::World;

/// What every OK begins with. One that answers nothing that was sent must be dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OkReply<'a> {
    /// The verb that is answered.
    pub in_re_verb: Verb,
    /// Id of the request as it was on the wire.
    pub in_re_packet: u64,
    /// Depends on the verb.
    pub payload: &'a [u8],
}

impl<'a> OkReply<'a> {
    /// Reads the envelope; what follows it is left as it is: see [`Answer::parse`](super::Answer::parse).
    pub fn parse(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        Ok(Self {
            in_re_verb: Verb(reader.u8("answered verb")?),
            in_re_packet: reader.u64("answered packet id")?,
            payload: reader.rest(),
        })
    }

    /// Appends envelope and payload.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(self.in_re_verb.0);
        out.extend_from_slice(&self.in_re_packet.to_be_bytes());
        out.extend_from_slice(self.payload);
    }
}

/// What follows [`OkReply`] in the answer to HELLO.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OkHello<'a> {
    /// The timestamp of the HELLO.
    pub timestamp: Timestamp,
    /// What the answering node runs.
    pub version: NodeVersion,
    /// Where the HELLO came from. Peers below protocol 5 must get port 0.
    pub endpoint: Option<SocketAddr>,
    /// Serialized worlds, one after the other; at most 65535 bytes. See [`OkHello::worlds`].
    pub world_data: &'a [u8],
}

impl<'a> OkHello<'a> {
    /// Reads what follows the envelope; everything behind the version is optional.
    pub fn parse(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let timestamp = Timestamp(reader.u64("timestamp")?);
        let version = NodeVersion::parse(&mut reader)?;
        let mut ok = Self { timestamp, version, endpoint: None, world_data: &[] };
        if !reader.is_empty() {
            ok.endpoint = inet::parse_endpoint(&mut reader, "observed address")?;
        }
        if !reader.is_empty() {
            let length = reader.u16("world data length")?;
            ok.world_data = reader.bytes(length.into(), "world data")?;
        }
        Ok(ok)
    }

    /// Appends what follows the envelope. World data above 65535 bytes is left out.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.timestamp.0.to_be_bytes());
        self.version.write(out);
        inet::write_endpoint(out, self.endpoint);
        let (length, world_data) = match u16::try_from(self.world_data.len()) {
            Ok(length) => (length, self.world_data),
            Err(_) => (0, [].as_slice()),
        };
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(world_data);
    }

    /// Reads the worlds one by one, up to the first that is malformed, which comes out as an error.
    pub fn worlds(&self) -> impl Iterator<Item = Result<World, DecodeError>> + 'a {
        let mut reader = Reader::new(self.world_data);
        std::iter::from_fn(move || {
            let world = (!reader.is_empty()).then(|| World::parse(&mut reader))?;
            if world.is_err() {
                reader.rest();
            }
            Some(world)
        })
    }
}
