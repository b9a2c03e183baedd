//! Certificate of ownership (`vl2.md` §7.4).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Signature, framed, parse_extension, write_extension};
use crate::address::{Address, Mac, NetworkId};
use crate::codec::{DecodeError, Reader};
use crate::time::Timestamp;

/// Says which addresses a member may use as source.
///
/// `network:8 timestamp:8 flags:8 id:4 count:2 (type:1 value:16)* issued_to:5 signed_by:5 signature block:99 0:2`.
#[doc(alias = "COO")]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CertificateOfOwnership {
    /// The network in which the addresses are used.
    pub network: NetworkId,
    /// Time of issue.
    pub timestamp: Timestamp,
    /// None is defined.
    pub flags: u64,
    /// The number that revocations name.
    pub id: u32,
    /// At most [`CertificateOfOwnership::MAX_THINGS`].
    pub things: Vec<Thing>,
    /// The member that owns them.
    pub issued_to: Address,
    /// The controller of the network.
    pub signed_by: Address,
    /// By `signed_by`, of [`CertificateOfOwnership::signed_bytes`].
    pub signature: Signature,
}

/// An address that belongs to one member only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Thing {
    /// The source of Ethernet frames.
    Mac(Mac),
    /// The source of IP packets and ARP.
    Ip(IpAddr),
}

impl Thing {
    const MAC: u8 = 1;
    const IPV4: u8 = 2;
    const IPV6: u8 = 3;
    /// Every value takes 16 bytes, left aligned.
    const VALUE_LEN: usize = 16;

    fn parse(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let kind = reader.u8("thing type")?;
        let value: [u8; Self::VALUE_LEN] = reader.array("thing value")?;
        let [a, b, c, d, e, f, ..] = value;
        match kind {
            Self::MAC => Ok(Self::Mac(Mac([a, b, c, d, e, f]))),
            Self::IPV4 => Ok(Self::Ip(Ipv4Addr::new(a, b, c, d).into())),
            Self::IPV6 => Ok(Self::Ip(Ipv6Addr::from_octets(value).into())),
            other => Err(DecodeError::Invalid { field: "thing type", value: other.into() }),
        }
    }

    fn write(self, out: &mut Vec<u8>) {
        let end = out.len() + 1 + Self::VALUE_LEN;
        match self {
            Self::Mac(mac) => {
                out.push(Self::MAC);
                mac.write(out);
            }
            Self::Ip(IpAddr::V4(ip)) => {
                out.push(Self::IPV4);
                out.extend_from_slice(&ip.octets());
            }
            Self::Ip(IpAddr::V6(ip)) => {
                out.push(Self::IPV6);
                out.extend_from_slice(&ip.octets());
            }
        }
        out.resize(end, 0);
    }
}

impl CertificateOfOwnership {
    /// A decoder of the reference misreads what follows more things than these.
    pub const MAX_THINGS: usize = 16;

    /// # Errors
    /// [`DecodeError::TooLong`] for more than [`CertificateOfOwnership::MAX_THINGS`];
    /// [`DecodeError::Invalid`] for a thing of an unknown type.
    pub fn parse(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let network = NetworkId::parse(reader)?;
        let timestamp = Timestamp(reader.u64("ownership timestamp")?);
        let flags = reader.u64("ownership flags")?;
        let id = reader.u32("ownership id")?;
        let count: usize = reader.u16("thing count")?.into();
        if count > Self::MAX_THINGS {
            return Err(DecodeError::TooLong { field: "things", max: Self::MAX_THINGS, got: count });
        }
        let certificate = Self {
            network,
            timestamp,
            flags,
            id,
            things: (0..count).map(|_| Thing::parse(reader)).collect::<Result<_, _>>()?,
            issued_to: Address::parse(reader, "ownership holder")?,
            signed_by: Address::parse(reader, "ownership signer")?,
            signature: Signature::parse_block(reader)?,
        };
        parse_extension(reader)?;
        Ok(certificate)
    }

    /// Writes the certificate: of more than [`CertificateOfOwnership::MAX_THINGS`] the first ones.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.write_fields(out);
        self.signature.write_block(out);
        write_extension(out);
    }

    /// Returns what is signed.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        framed(|out| self.write_fields(out))
    }

    fn write_fields(&self, out: &mut Vec<u8>) {
        self.network.write(out);
        out.extend_from_slice(&self.timestamp.0.to_be_bytes());
        out.extend_from_slice(&self.flags.to_be_bytes());
        out.extend_from_slice(&self.id.to_be_bytes());
        let things = self.things.iter().take(Self::MAX_THINGS);
        let count = u16::try_from(things.len()).expect("at most 16");
        out.extend_from_slice(&count.to_be_bytes());
        things.for_each(|thing| thing.write(out));
        self.issued_to.write(out);
        self.signed_by.write(out);
    }
}
