//! A node asks for its configuration, or somebody else makes it due (`vl2.md` §3).

use zt_proto::verb::network_config_request::RequestMetadata;
use zt_proto::{NetworkId, PublicIdentity};

/// Why a configuration is being decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// The node asked.
    Request,
    /// A record changed; the metadata are those of the node's last request. A push tells a member what is, and
    /// neither creates nor authorizes one: otherwise deleting a member, or taking its authorization away on
    /// a public network, would be undone at once (`vl2.md` §19.2).
    Push,
}

/// Everything about the asking node that a decision depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigRequest {
    pub network: NetworkId,
    /// Address and keys belong together, and the node has proved that it holds the secret: VL1 checked both.
    pub identity: PublicIdentity,
    pub metadata: RequestMetadata,
    pub kind: RequestKind,
}
