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
    /// Revocations that fit into one packet for clients of 1.2.0 to 1.2.4, the first that know them. Receivers drop a second
    /// packet within a second.
    pub const MAX_REVOCATIONS: usize = 37;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::{CredentialType, Signature};
    use crate::packet::fragment::max_packet_len;
    use crate::packet::{DEFAULT_MTU, MAX_FRAGMENTS_BEFORE_1_2_6, PAYLOAD_OFFSET};
    use crate::{Address, NetworkId, Timestamp};

    /// Clients of 1.2.0 to 1.2.4 know revocations, and take four datagrams a packet (`vl1.md` §7.2).
    #[test]
    fn a_packet_with_the_most_revocations_reaches_the_oldest_clients_that_know_them() {
        let revocation = Revocation {
            id: u32::MAX,
            network: NetworkId(u64::MAX),
            credential_id: u32::MAX,
            threshold: Timestamp(u64::MAX),
            flags: u64::MAX,
            target: Address::MAX,
            signed_by: Address::MAX,
            credential_type: CredentialType::Membership,
            signature: Signature([0xff; 96]),
        };
        let packet_len = |count| {
            let mut payload = Vec::new();
            let revocations = vec![revocation.clone(); count];
            NetworkCredentials { revocations, ..NetworkCredentials::default() }.write(&mut payload);
            PAYLOAD_OFFSET + payload.len()
        };
        let max = max_packet_len(DEFAULT_MTU, MAX_FRAGMENTS_BEFORE_1_2_6);
        assert!(packet_len(NetworkCredentials::MAX_REVOCATIONS) <= max);
        assert!(packet_len(NetworkCredentials::MAX_REVOCATIONS + 1) > max, "there is room for more");
    }
}
