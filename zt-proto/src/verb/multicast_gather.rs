//! MULTICAST_GATHER (verb 0x0d): asks who wants the multicasts of a group (`vl1.md` §10.14).

use crate::address::{Address, MulticastGroup, NetworkId};
use crate::codec::{DecodeError, Reader};
use crate::credential::CertificateOfMembership;

const FLAG_MEMBERSHIP: u8 = 0x01;

/// `network:8 flags:1 mac:6 adi:4 limit:4 [certificate]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MulticastGather {
    /// The network of the group.
    pub network: NetworkId,
    /// The group that is asked about.
    pub group: MulticastGroup,
    /// How many addresses are wanted at most.
    pub limit: u32,
    /// Proves that the asker is a member.
    pub membership: Option<CertificateOfMembership>,
}

impl MulticastGather {
    /// Reads the payload.
    pub fn parse(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let network = NetworkId::parse(&mut reader)?;
        let flags = reader.u8("gather flags")?;
        let group = MulticastGroup::parse(&mut reader)?;
        let limit = reader.u32("gather limit")?;
        let membership = match flags & FLAG_MEMBERSHIP {
            0 => None,
            _ => Some(CertificateOfMembership::parse(&mut reader)?),
        };
        Ok(Self { network, group, limit, membership })
    }

    /// Appends the payload.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.network.write(out);
        out.push(if self.membership.is_some() { FLAG_MEMBERSHIP } else { 0 });
        self.group.write(out);
        out.extend_from_slice(&self.limit.to_be_bytes());
        if let Some(membership) = &self.membership {
            membership.write(out);
        }
    }
}

/// What follows the envelope of the OK.
///
/// `network:8 mac:6 adi:4 known:4 count:2 addresses:5 each`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GatherAnswer {
    /// The network of the group.
    pub network: NetworkId,
    /// The group that was asked about.
    pub group: MulticastGroup,
    /// Members of the group that are known, the asker included.
    pub known: u32,
    /// At most [`GatherAnswer::MAX_MEMBERS`].
    pub members: Vec<Address>,
}

impl GatherAnswer {
    /// Most addresses that an answer has room to count.
    pub const MAX_MEMBERS: usize = Gathered::MAX_MEMBERS;

    /// Reads what follows the envelope.
    pub fn parse(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let network = NetworkId::parse(&mut reader)?;
        let group = MulticastGroup::parse(&mut reader)?;
        let Gathered { known, members } = Gathered::parse(&mut reader)?;
        Ok(Self { network, group, known, members })
    }

    /// Appends the answer: of more than [`GatherAnswer::MAX_MEMBERS`] members the first ones.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.network.write(out);
        self.group.write(out);
        write_members(out, self.known, &self.members);
    }
}

/// Members of a group: `known:4 count:2 addresses:5 each`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Gathered {
    /// Members of the group that are known, the asker included.
    pub known: u32,
    /// At most [`Gathered::MAX_MEMBERS`].
    pub members: Vec<Address>,
}

impl Gathered {
    /// Most addresses that there is room to count.
    pub const MAX_MEMBERS: usize = 65_535;

    /// Reads the members.
    pub fn parse(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let known = reader.u32("known members")?;
        let count = reader.u16("member count")?;
        let members = (0..count).map(|_| Address::parse(reader, "member")).collect::<Result<_, _>>()?;
        Ok(Self { known, members })
    }

    /// Appends the members: of more than [`Gathered::MAX_MEMBERS`] the first ones.
    pub fn write(&self, out: &mut Vec<u8>) {
        write_members(out, self.known, &self.members);
    }
}

fn write_members(out: &mut Vec<u8>, known: u32, members: &[Address]) {
    out.extend_from_slice(&known.to_be_bytes());
    let count = u16::try_from(members.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&count.to_be_bytes());
    members.iter().take(count.into()).for_each(|member| member.write(out));
}
