//! FRAME, EXT_FRAME and MULTICAST_FRAME (verbs 0x06, 0x07, 0x0e): Ethernet between members (`vl1.md` §10.7).

use super::multicast_gather::Gathered;
use crate::address::{Mac, MulticastGroup, NetworkId};
use crate::codec::{DecodeError, Reader};
use crate::credential::CertificateOfMembership;

const FLAG_MEMBERSHIP: u8 = 0x01;
/// In a frame: a gather limit follows. In its answer: gathered members follow.
const FLAG_GATHER: u8 = 0x02;
const FLAG_SOURCE: u8 = 0x04;

/// FRAME: `network:8 ether_type:2 data`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Frame<'a> {
    /// Both are members of it, and have the MAC addresses that follow from that ([`Mac::of_member`]).
    pub network: NetworkId,
    /// Type of the Ethernet frame.
    pub ether_type: u16,
    /// What follows the Ethernet header.
    pub data: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Reads the payload.
    pub fn parse(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        Ok(Self {
            network: NetworkId::parse(&mut reader)?,
            ether_type: reader.u16("Ethernet type")?,
            data: reader.rest(),
        })
    }

    /// Appends the payload.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.network.write(out);
        out.extend_from_slice(&self.ether_type.to_be_bytes());
        out.extend_from_slice(self.data);
    }
}

/// EXT_FRAME: `network:8 flags:1 [certificate] destination:6 source:6 ether_type:2 data`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ExtFrame<'a> {
    /// Both are members of it.
    pub network: NetworkId,
    /// See [`ExtFrame::ACKNOWLEDGE`]; the flag that says what follows is written as it is needed.
    pub flags: u8,
    /// Proves that the sender is a member, if it was not proved before.
    pub membership: Option<CertificateOfMembership>,
    /// Where the Ethernet frame goes.
    pub destination: Mac,
    /// Where it comes from: another MAC than the member's own is behind a bridge.
    pub source: Mac,
    /// Type of the Ethernet frame.
    pub ether_type: u16,
    /// What follows the Ethernet header.
    pub data: &'a [u8],
}

impl<'a> ExtFrame<'a> {
    /// Asks for an OK, whose payload is the network id: [`ExtFrameAnswer`].
    pub const ACKNOWLEDGE: u8 = 0x10;

    /// Reads the payload.
    pub fn parse(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let network = NetworkId::parse(&mut reader)?;
        let flags = reader.u8("frame flags")?;
        let membership = parse_membership(&mut reader, flags)?;
        Ok(Self {
            network,
            flags,
            membership,
            destination: Mac::parse(&mut reader, "frame destination")?,
            source: Mac::parse(&mut reader, "frame source")?,
            ether_type: reader.u16("Ethernet type")?,
            data: reader.rest(),
        })
    }

    /// Appends the payload.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.network.write(out);
        out.push(with_flag(self.flags, FLAG_MEMBERSHIP, self.membership.is_some()));
        write_membership(out, self.membership.as_ref());
        self.destination.write(out);
        self.source.write(out);
        out.extend_from_slice(&self.ether_type.to_be_bytes());
        out.extend_from_slice(self.data);
    }
}

/// What follows the envelope of the OK to EXT_FRAME: `network:8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExtFrameAnswer {
    /// The network of the frame.
    pub network: NetworkId,
}

impl ExtFrameAnswer {
    /// Reads what follows the envelope.
    pub fn parse(payload: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self { network: NetworkId::parse(&mut Reader::new(payload))? })
    }

    /// Appends 8 bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.network.write(out);
    }
}

/// MULTICAST_FRAME: `network:8 flags:1 [certificate] [gather_limit:4] [source:6] mac:6 adi:4 ether_type:2 data`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MulticastFrame<'a> {
    /// The network in which it is sent.
    pub network: NetworkId,
    /// See [`MulticastFrame::REPLICATE`]; flags that say what follows are written as they are needed.
    pub flags: u8,
    /// Proves that the sender is a member, if it was not proved before.
    pub membership: Option<CertificateOfMembership>,
    /// How many more members of the group the sender wants to know.
    pub gather_limit: Option<u32>,
    /// `None`: the MAC address of the sending member.
    pub source: Option<Mac>,
    /// To whom it goes.
    pub group: MulticastGroup,
    /// Type of the Ethernet frame.
    pub ether_type: u16,
    /// What follows the Ethernet header.
    pub data: &'a [u8],
}

impl<'a> MulticastFrame<'a> {
    /// Asks to pass the frame on to the group.
    pub const REPLICATE: u8 = 0x08;

    /// Reads the payload.
    pub fn parse(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let network = NetworkId::parse(&mut reader)?;
        let flags = reader.u8("frame flags")?;
        let membership = parse_membership(&mut reader, flags)?;
        let gather_limit = match flags & FLAG_GATHER {
            0 => None,
            _ => Some(reader.u32("gather limit")?),
        };
        let source = match flags & FLAG_SOURCE {
            0 => None,
            _ => Some(Mac::parse(&mut reader, "frame source")?),
        };
        Ok(Self {
            network,
            flags,
            membership,
            gather_limit,
            source,
            group: MulticastGroup::parse(&mut reader)?,
            ether_type: reader.u16("Ethernet type")?,
            data: reader.rest(),
        })
    }

    /// Appends the payload.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.network.write(out);
        let flags = with_flag(self.flags, FLAG_MEMBERSHIP, self.membership.is_some());
        let flags = with_flag(flags, FLAG_GATHER, self.gather_limit.is_some());
        out.push(with_flag(flags, FLAG_SOURCE, self.source.is_some()));
        write_membership(out, self.membership.as_ref());
        if let Some(limit) = self.gather_limit {
            out.extend_from_slice(&limit.to_be_bytes());
        }
        if let Some(source) = self.source {
            source.write(out);
        }
        self.group.write(out);
        out.extend_from_slice(&self.ether_type.to_be_bytes());
        out.extend_from_slice(self.data);
    }
}

/// What follows the envelope of the OK to MULTICAST_FRAME: `network:8 mac:6 adi:4 flags:1 [certificate] [members]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MulticastFrameAnswer {
    /// The network of the frame.
    pub network: NetworkId,
    /// The group that it was for.
    pub group: MulticastGroup,
    /// Those that say what follows are written as they are needed; no other is defined.
    pub flags: u8,
    /// Proves that the sender is a member.
    pub membership: Option<CertificateOfMembership>,
    /// More members of the group, if the frame asked for them.
    pub gathered: Option<Gathered>,
}

impl MulticastFrameAnswer {
    /// Reads what follows the envelope.
    pub fn parse(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let network = NetworkId::parse(&mut reader)?;
        let group = MulticastGroup::parse(&mut reader)?;
        let flags = reader.u8("answer flags")?;
        let membership = parse_membership(&mut reader, flags)?;
        let gathered = match flags & FLAG_GATHER {
            0 => None,
            _ => Some(Gathered::parse(&mut reader)?),
        };
        Ok(Self { network, group, flags, membership, gathered })
    }

    /// Appends what follows the envelope.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.network.write(out);
        self.group.write(out);
        let flags = with_flag(self.flags, FLAG_MEMBERSHIP, self.membership.is_some());
        out.push(with_flag(flags, FLAG_GATHER, self.gathered.is_some()));
        write_membership(out, self.membership.as_ref());
        if let Some(gathered) = &self.gathered {
            gathered.write(out);
        }
    }
}

fn parse_membership(
    reader: &mut Reader<'_>,
    flags: u8,
) -> Result<Option<CertificateOfMembership>, DecodeError> {
    match flags & FLAG_MEMBERSHIP {
        0 => Ok(None),
        _ => CertificateOfMembership::parse(reader).map(Some),
    }
}

fn write_membership(out: &mut Vec<u8>, membership: Option<&CertificateOfMembership>) {
    if let Some(membership) = membership {
        membership.write(out);
    }
}

fn with_flag(flags: u8, flag: u8, is_set: bool) -> u8 {
    flags & !flag | if is_set { flag } else { 0 }
}
