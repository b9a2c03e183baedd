//! RENDEZVOUS (verb 0x05): a root tells where another peer can be reached (`vl1.md` §10.6).

use std::net::{IpAddr, SocketAddr};

use crate::address::Address;
use crate::codec::{DecodeError, Reader};

/// `flags:1 peer:5 port:2 ip_len:1 ip:4 or 16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rendezvous {
    /// None is defined.
    pub flags: u8,
    /// Who can be reached there.
    pub peer: Address,
    /// Its port is never 0.
    pub endpoint: SocketAddr,
}

impl Rendezvous {
    /// # Errors
    /// [`DecodeError::Invalid`] for port 0 or an IP length other than 4 and 16.
    pub fn parse(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let flags = reader.u8("rendezvous flags")?;
        let peer = Address::parse(&mut reader, "rendezvous peer")?;
        let port = reader.u16("rendezvous port")?;
        if port == 0 {
            return Err(DecodeError::Invalid { field: "rendezvous port", value: 0 });
        }
        let ip = match reader.u8("rendezvous IP length")? {
            4 => IpAddr::from(reader.array::<4>("rendezvous IP")?),
            16 => IpAddr::from(reader.array::<16>("rendezvous IP")?),
            other => {
                return Err(DecodeError::Invalid { field: "rendezvous IP length", value: other.into() });
            }
        };
        Ok(Self { flags, peer, endpoint: SocketAddr::new(ip, port) })
    }

    /// Appends 13 or 25 bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(self.flags);
        self.peer.write(out);
        out.extend_from_slice(&self.endpoint.port().to_be_bytes());
        match self.endpoint.ip() {
            IpAddr::V4(ip) => {
                out.push(4);
                out.extend_from_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                out.push(16);
                out.extend_from_slice(&ip.octets());
            }
        }
    }
}
