//! What a decision reads.

use zt_proto::Address;

use crate::addresses::Occupied;
use crate::member::Member;
use crate::network::Network;

/// One consistent view of everything that a decision about one member depends on.
///
/// Whoever loads it, decides and then saves the member must do so in one transaction: otherwise two new
/// members can be given one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub network: Network,
    /// `None` if the node never asked to join.
    pub member: Option<Member>,
    /// The authorized active bridges of the network, ascending, each once.
    pub bridges: Vec<Address>,
    /// The addresses that other members hold, authorized or not; may be left empty unless
    /// [`needs_pool`](crate::addresses::needs_pool) is true.
    pub occupied: Occupied,
}
