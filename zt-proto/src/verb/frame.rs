//! FRAME, EXT_FRAME and MULTICAST_FRAME (verbs 0x06, 0x07, 0x0e): Ethernet between members, read only to be
//! recognised (`vl1.md` §10.7).

use crate::address::{Mac, MulticastGroup, NetworkId};
use crate::codec::{DecodeError, Reader};
use crate::credential::CertificateOfMembership;

const FLAG_MEMBERSHIP: u8 = 0x01;
const FLAG_GATHER_LIMIT: u8 = 0x02;
const FLAG_SOURCE: u8 = 0x04;

/// FRAME: `network:8 ether_type:2 data`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    pub network: NetworkId,
    pub ether_type: u16,
    pub data: &'a [u8],
}

impl<'a> Frame<'a> {
    pub fn parse(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        Ok(Self {
            network: NetworkId::parse(&mut reader)?,
            ether_type: reader.u16("Ethernet type")?,
            data: reader.rest(),
        })
    }
}

/// EXT_FRAME: `network:8 flags:1 [certificate] destination:6 source:6 ether_type:2 data`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtFrame<'a> {
    pub network: NetworkId,
    /// 0x10 asks for an OK.
    pub flags: u8,
    pub membership: Option<CertificateOfMembership>,
    pub destination: Mac,
    pub source: Mac,
    pub ether_type: u16,
    pub data: &'a [u8],
}

impl<'a> ExtFrame<'a> {
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
}

/// MULTICAST_FRAME: `network:8 flags:1 [certificate] [gather_limit:4] [source:6] mac:6 adi:4 ether_type:2 data`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MulticastFrame<'a> {
    pub network: NetworkId,
    /// 0x08 asks to replicate.
    pub flags: u8,
    pub membership: Option<CertificateOfMembership>,
    pub gather_limit: Option<u32>,
    /// `None`: the MAC address of the sending member.
    pub source: Option<Mac>,
    pub group: MulticastGroup,
    pub ether_type: u16,
    pub data: &'a [u8],
}

impl<'a> MulticastFrame<'a> {
    pub fn parse(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let network = NetworkId::parse(&mut reader)?;
        let flags = reader.u8("frame flags")?;
        let membership = parse_membership(&mut reader, flags)?;
        let gather_limit = match flags & FLAG_GATHER_LIMIT {
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
