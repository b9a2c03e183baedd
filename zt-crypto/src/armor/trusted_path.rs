//! Suite 2: packets that are trusted for the path they came over (`vl1.md` §9.4).
//!
//! **Warning: this is no protection.** Nothing is encrypted and nothing is authenticated: whoever can send a datagram
//! with the id in it, from any address that the receiver trusts, is whoever the packet says. The id is readable in
//! every packet, so it is no secret either.
//!
//! A node should not use it, and no other part of this crate does: [`open`](super::open) refuses suite 2, whatever the
//! id. It is here for tools that look at packets of networks where both ends were configured so. Whoever believes such
//! a packet must have checked that the datagram came from an IP address for which exactly this id was configured.

use zt_proto::packet::header::PacketHeader;

/// Number of the suite in the packet header.
pub const SUITE: u8 = 2;

/// Marks `packet` as one of the trusted path `id`, instead of sealing it.
///
/// Puts the id in the place of the MAC; everything else stays readable and open to change. Less than a header and a
/// verb is left as it is.
pub fn mark(packet: &mut [u8], id: u64) {
    let Ok((mut header, _)) = super::split(packet) else { return };
    header.set_suite(SUITE);
    header.set_mac(id.to_be_bytes());
}

/// Returns the id of the trusted path that `packet` claims, or `None` if it is of another suite or no packet.
///
/// The claim proves nothing; see the warning [above](self).
pub fn id_of(packet: &[u8]) -> Option<u64> {
    let header = PacketHeader::parse(packet).ok()?;
    (header.suite() == SUITE).then_some(u64::from_be_bytes(header.mac))
}
