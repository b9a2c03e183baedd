//! MULTICAST_LIKE (verb 0x09): a node wants the multicasts of these groups (`vl1.md` §10.9).

use crate::address::{MulticastGroup, NetworkId};
use crate::codec::Reader;

/// Bytes of one entry: `network:8 mac:6 adi:4`.
const ENTRY_LEN: usize = 18;

/// A group of one network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Like {
    /// The network of the group.
    pub network: NetworkId,
    /// The group.
    pub group: MulticastGroup,
}

/// Reads the groups; an incomplete one at the end is ignored.
pub fn parse(payload: &[u8]) -> impl Iterator<Item = Like> + '_ {
    let (entries, _) = payload.as_chunks::<ENTRY_LEN>();
    entries.iter().filter_map(|entry| {
        let mut reader = Reader::new(entry);
        let network = NetworkId::parse(&mut reader).ok()?;
        Some(Like { network, group: MulticastGroup::parse(&mut reader).ok()? })
    })
}

/// Appends 18 bytes a group.
pub fn write(likes: &[Like], out: &mut Vec<u8>) {
    for like in likes {
        like.network.write(out);
        like.group.write(out);
    }
}
