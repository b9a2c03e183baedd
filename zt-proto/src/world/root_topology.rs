//! The list of roots that releases 1.0.x have in the place of a planet (`vl1.md` §15.7).

use std::net::SocketAddr;

use crate::codec::DecodeError;
use crate::dictionary::OldDictionary;
use crate::identity::PublicIdentity;
use crate::inet::EndpointText;

const ROOT_SERVERS: &str = "rootservers";
const IDENTITY: &str = "id";
const ENDPOINT: &str = "udp";
const DESCRIPTION: &str = "desc";

/// The content of a file `root-topology`: dictionaries of the old form, nested three deep.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct RootTopology {
    /// Ascending by address, each once.
    pub roots: Vec<OldRoot>,
}

/// A root server with its only endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OldRoot {
    /// Who it is.
    pub identity: PublicIdentity,
    /// Where it can be reached.
    pub endpoint: SocketAddr,
    /// For people; empty if there is none.
    pub description: Vec<u8>,
}

impl RootTopology {
    /// # Errors
    /// [`DecodeError::Invalid`] for a root without identity or endpoint, or under another address than its own.
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let topology = OldDictionary::parse(bytes);
        let roots = OldDictionary::parse(topology.bytes(ROOT_SERVERS).unwrap_or_default());
        let parse = |(address, root): (&[u8], &[u8])| {
            let invalid = |field| DecodeError::Invalid { field, value: 0 };
            let root = OldDictionary::parse(root);
            let identity: PublicIdentity = root
                .text(IDENTITY)
                .and_then(|identity| identity.parse().ok())
                .ok_or(invalid("identity of a root"))?;
            if address != identity.address.to_string().as_bytes() {
                return Err(invalid("address of a root"));
            }
            let EndpointText(endpoint) = root
                .text(ENDPOINT)
                .and_then(|endpoint| endpoint.parse().ok())
                .ok_or(invalid("endpoint of a root"))?;
            let description = root.bytes(DESCRIPTION).unwrap_or_default().to_vec();
            Ok(OldRoot { identity, endpoint, description })
        };
        Ok(Self { roots: roots.entries().map(parse).collect::<Result<_, _>>()? })
    }

    /// Returns the content of the file, without a signature: 1.0.x takes it with the option `-T`.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let roots = self.roots.iter().fold(OldDictionary::new(), |roots, root| {
            let mut entry = OldDictionary::new()
                .with_text(IDENTITY, &root.identity.to_string())
                .with_text(ENDPOINT, &EndpointText(root.endpoint).to_string());
            if !root.description.is_empty() {
                entry = entry.with_bytes(DESCRIPTION, &root.description);
            }
            roots.with_bytes(&root.identity.address.to_string(), &entry.write())
        });
        OldDictionary::new().with_bytes(ROOT_SERVERS, &roots.write()).write()
    }
}
