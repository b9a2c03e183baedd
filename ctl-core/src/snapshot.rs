//! What a decision reads.

use std::sync::Arc;

use zt_proto::Address;

use crate::addresses::Occupied;
use crate::member::Member;
use crate::network::Network;

/// One consistent view of everything that a decision about one member depends on.
///
/// Whoever loads it, decides and then saves the member must do so in one transaction: otherwise two new
/// members can be given one address. What does not belong to the member is shared, not copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub network: Arc<Network>,
    /// `None` if the node never asked to join.
    pub member: Option<Member>,
    /// The authorized active bridges of the network, ascending, each once.
    pub bridges: Arc<[Address]>,
    /// The addresses that members hold, authorized or not; the member's own may be among them or not, which
    /// makes no difference. May be left empty unless [`needs_pool`](crate::addresses::needs_pool) is true.
    pub occupied: Arc<Occupied>,
}
