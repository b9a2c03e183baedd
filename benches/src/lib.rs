//! What the benchmarks share: inputs here; a client and a controller to put under load in the modules.
//!
//! `cargo bench -p benches` runs all benchmarks; what is compared is measured in one run.

pub mod member;
pub mod namespace;
pub mod process;
pub mod wall;

use zt_crypto::SessionKey;
use zt_proto::packet::{HEADER_LEN, PacketHeader};
use zt_proto::verb::Verb;
use zt_proto::{Address, PublicIdentity};

/// Length of the payload whose armoring is measured: about what fits into one datagram.
pub const PAYLOAD_LEN: usize = 1400;

/// An ordinary identity, of the test vectors.
pub const IDENTITY: &str = "7d8273c358:0:2b3023cda20f940532d9e4036c1d176d6c812b26b1bc55bf0a17473e7d59435cf1a293129bf870bbde724e5e327416d0176554f439409611dafedf8207b67433";

/// Returns the key that packets are sealed with.
pub fn session_key() -> SessionKey {
    SessionKey::from_bytes(std::array::from_fn(|index| u8::try_from(index).unwrap_or(0) ^ 0x5a))
}

/// Returns an identity that is valid.
pub fn identity() -> PublicIdentity {
    IDENTITY.parse().expect("an identity of the test vectors")
}

/// Returns a packet in clear: header, verb and `payload`.
pub fn packet(verb: Verb, payload: &[u8]) -> Vec<u8> {
    let header = PacketHeader {
        id: 0x0123_4567_89ab_cdef,
        destination: Address::from_low_bits(0x11_2233_4455),
        source: Address::from_low_bits(0x7d_8273_c358),
        flags: 0,
        mac: [0; 8],
    };
    let mut packet = Vec::with_capacity(HEADER_LEN + 1 + payload.len());
    header.write(&mut packet);
    packet.push(verb.to_byte(false));
    packet.extend_from_slice(payload);
    packet
}
