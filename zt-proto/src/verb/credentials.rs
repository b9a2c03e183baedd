//! NETWORK_CREDENTIALS (verb 0x0a): credentials that are pushed (`vl2.md` §4.4).

use crate::codec::{DecodeError, Reader};
use crate::credential::{Capability, CertificateOfMembership, CertificateOfOwnership, Revocation, Tag};

/// Credentials of any networks. A controller sends revocations only.
///
/// `memberships 0:1 (count:2 entries)` for capabilities, tags, revocations and ownerships.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct NetworkCredentials {
    /// Who is a member.
    pub memberships: Vec<CertificateOfMembership>,
    /// What members may do in addition.
    pub capabilities: Vec<Capability>,
    /// What members carry.
    pub tags: Vec<Tag>,
    /// What is no longer valid.
    pub revocations: Vec<Revocation>,
    /// Which addresses members may use.
    pub ownerships: Vec<CertificateOfOwnership>,
}

impl NetworkCredentials {
    /// Revocations that fit into one packet, with room to spare. Receivers drop a second packet within a second.
    pub const MAX_REVOCATIONS: usize = 60;

    /// Reads the payload, which may end after any group.
    pub fn parse(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let mut memberships = Vec::new();
        while reader.peek().is_some_and(|first| first != 0) {
            memberships.push(CertificateOfMembership::parse(&mut reader)?);
        }
        if !reader.is_empty() {
            reader.u8("end of certificates")?;
        }
        Ok(Self {
            memberships,
            capabilities: parse_group(&mut reader, Capability::parse)?,
            tags: parse_group(&mut reader, Tag::parse)?,
            revocations: parse_group(&mut reader, Revocation::parse)?,
            ownerships: parse_group(&mut reader, CertificateOfOwnership::parse)?,
        })
    }

    /// Appends the payload. The caller sees to it that it fits into a packet.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.memberships.iter().for_each(|membership| membership.write(out));
        out.push(0);
        write_group(out, &self.capabilities, Capability::write);
        write_group(out, &self.tags, Tag::write);
        write_group(out, &self.revocations, Revocation::write);
        write_group(out, &self.ownerships, CertificateOfOwnership::write);
    }
}

fn parse_group<T>(
    reader: &mut Reader<'_>,
    parse: impl Fn(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    if reader.is_empty() {
        return Ok(Vec::new());
    }
    let count = reader.u16("credential count")?;
    (0..count).map(|_| parse(reader)).collect()
}

fn write_group<T>(out: &mut Vec<u8>, items: &[T], write: impl Fn(&T, &mut Vec<u8>)) {
    let count = u16::try_from(items.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&count.to_be_bytes());
    items.iter().take(count.into()).for_each(|item| write(item, out));
}
