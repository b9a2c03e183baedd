//! PUSH_DIRECT_PATHS (verb 0x10): a peer tells where it can be reached (`vl1.md` §10.15).

use std::net::{IpAddr, SocketAddr};

use crate::codec::{DecodeError, Reader};

const IPV4: u8 = 4;
const IPV6: u8 = 6;

/// One path of a push.
///
/// `flags:1 extension_len:2 extension type:1 length:1 ip port:2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DirectPath {
    /// See the constants.
    pub flags: u8,
    /// Where the peer can be reached.
    pub endpoint: SocketAddr,
}

impl DirectPath {
    /// The path is to be forgotten.
    pub const FORGET: u8 = 0x01;
    /// Obsolete; such a path is like any other.
    pub const CLUSTER_REDIRECT: u8 = 0x02;

    /// Reads one record; `None` if its address is of an unknown type or of a wrong length.
    fn parse(reader: &mut Reader<'_>) -> Result<Option<Self>, DecodeError> {
        let flags = reader.u8("path flags")?;
        let extension = reader.u16("path extension length")?;
        reader.bytes(extension.into(), "path extension")?;
        let kind = reader.u8("path address type")?;
        let length = reader.u8("path address length")?;
        let mut address = Reader::new(reader.bytes(length.into(), "path address")?);
        let ip = match (kind, length) {
            (IPV4, 6) => IpAddr::from(address.array::<4>("path IP")?),
            (IPV6, 18) => IpAddr::from(address.array::<16>("path IP")?),
            _ => return Ok(None),
        };
        Ok(Some(Self { flags, endpoint: SocketAddr::new(ip, address.u16("path port")?) }))
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.flags, 0, 0]);
        match self.endpoint.ip() {
            IpAddr::V4(ip) => {
                out.extend_from_slice(&[IPV4, 6]);
                out.extend_from_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                out.extend_from_slice(&[IPV6, 18]);
                out.extend_from_slice(&ip.octets());
            }
        }
        out.extend_from_slice(&self.endpoint.port().to_be_bytes());
    }
}

/// Reads the paths of a push; those of an unknown kind are skipped.
pub fn parse(payload: &[u8]) -> Result<Vec<DirectPath>, DecodeError> {
    let mut reader = Reader::new(payload);
    let count = reader.u16("path count")?;
    (0..count).filter_map(|_| DirectPath::parse(&mut reader).transpose()).collect()
}

/// Writes a push: of more than 65535 paths the first ones.
pub fn write(paths: &[DirectPath], out: &mut Vec<u8>) {
    let count = u16::try_from(paths.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&count.to_be_bytes());
    paths.iter().take(count.into()).for_each(|path| path.write(out));
}
