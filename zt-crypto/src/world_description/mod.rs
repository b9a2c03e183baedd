//! The JSON file from which the reference's tool generates planets and moons (`vl1.md` §15.9).
//!
//! ```
//! use rand_core::SeedableRng as _;
//! use zt_crypto::signature::verify_world;
//! use zt_crypto::{IdentitySecret, WorldKey};
//! use zt_crypto::world_description::WorldDescription;
//! use zt_proto::Timestamp;
//! use zt_proto::world::{Root, WorldKind};
//!
//! // a moon that is used needs a seed that nobody knows
//! let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
//! let (root, key) = (IdentitySecret::generate(&mut rng), WorldKey::generate(&mut rng));
//! let description = WorldDescription {
//!     kind: WorldKind::Moon,
//!     id: root.address(),
//!     update_key: *key.public(),
//!     key,
//!     roots: vec![Root { identity: *root.public(), endpoints: vec!["203.0.113.1:9993".parse()?] }],
//! };
//! let json = description.to_json(); // for a file that only its owner may read
//!
//! let moon = json.parse::<WorldDescription>()?.sign(Timestamp(1_700_000_000_000));
//! assert_eq!(verify_world(&moon.update_key, &moon), Ok(()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod document;

use std::str::FromStr;

use data_encoding::HEXLOWER;
use serde::Serialize;
use zeroize::Zeroizing;
use zt_proto::credential::Signature;
use zt_proto::identity::{KEY_LEN, parse_key};
use zt_proto::inet::EndpointText;
use zt_proto::world::{Root, World, WorldKind};
use zt_proto::{Address, Timestamp};

use crate::signature::WorldKey;
use document::{Form, Node, Part};

const OBJECT_TYPE: &str = "world";
const MOON: &str = "moon";
const PLANET: &str = "planet";

/// What a planet or moon is made from: its content and the key that signs it.
///
/// The secret half of the key is wiped on drop and not printed.
#[derive(Debug)]
pub struct WorldDescription {
    /// Planet or moon.
    pub kind: WorldKind,
    /// For a moon, by convention, the address of one of its roots; for a planet any number but 0, which clients take
    /// for no world, and [`World::EARTH`], which is the one that the releases come with.
    pub id: Address,
    /// Signs this version.
    pub key: WorldKey,
    /// Must sign the next version: the public half of `key`, unless that is to be replaced.
    pub update_key: [u8; KEY_LEN],
    /// At most [`World::MAX_ROOTS`] with at most [`World::MAX_ENDPOINTS`] each, in any order.
    pub roots: Vec<Root>,
}

/// Why a text does not describe a world. Says nothing of keys but their length.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DescriptionError {
    /// The text is longer than [`WorldDescription::MAX_TEXT`].
    #[error("a description of a world has at most {max} bytes, not {got}")]
    TooLong {
        /// The limit in bytes.
        max: usize,
        /// Bytes of the text.
        got: usize,
    },
    /// With line and column.
    #[error("the description is not JSON: {0}")]
    Syntax(String),
    /// A member is missing or is not what it must be.
    #[error("{field} must be {expected}, not {got}")]
    Field {
        /// A path: `roots[1].stableEndpoints[0]`.
        field: String,
        /// What must be there.
        expected: &'static str,
        /// What is there; of what may be a secret only the length.
        got: String,
    },
    /// A list has more entries than a world can.
    #[error("{field} may have at most {max} entries, not {got}")]
    TooMany {
        /// A path, as above.
        field: String,
        /// The limit.
        max: usize,
        /// Entries of the list.
        got: usize,
    },
    /// A world that can be on the wire but not in a description.
    #[error("the id of a described world must be between 1 and 0xffffffffff, not {0:#x}")]
    Id(u64),
}

impl WorldDescription {
    /// The longest text that is read, in bytes: several times what the largest world needs.
    pub const MAX_TEXT: usize = 65_536;

    /// Describes a version of `world`, to be changed or signed anew by the owner of `key`.
    ///
    /// Clients take the new version if `key` is the one that [`World::update_key`] of theirs names, which is not
    /// checked here.
    ///
    /// # Errors
    /// [`DescriptionError::Id`] for id 0 and ids of more than 40 bits.
    pub fn of(world: &World, key: WorldKey) -> Result<Self, DescriptionError> {
        let id = Address::from_u64(world.id)
            .filter(|id| *id != Address::NONE)
            .ok_or(DescriptionError::Id(world.id))?;
        Ok(Self { kind: world.kind, id, key, update_key: world.update_key, roots: world.roots.clone() })
    }

    /// Makes the world as the tool does: roots ascending by identity, endpoints ascending, IPv4 before IPv6, then by
    /// address and port.
    ///
    /// Clients that have an earlier version take this one if `timestamp` is later.
    pub fn sign(&self, timestamp: Timestamp) -> World {
        let mut roots = self.roots.clone();
        roots.sort_by_key(|root| root.identity);
        roots.iter_mut().for_each(|root| root.endpoints.sort_unstable());
        let mut world = World {
            kind: self.kind,
            id: self.id.to_u64(),
            timestamp,
            update_key: self.update_key,
            signature: Signature::NONE,
            roots,
        };
        self.key.sign_world(&mut world);
        world
    }

    /// Returns the name under which the tool writes the world; it ends in `.moon` for planets too.
    pub fn file_name(&self) -> String {
        format!("{:016x}.moon", self.id.to_u64())
    }

    /// Returns the JSON text. It contains the secret key.
    pub fn to_json(&self) -> Zeroizing<String> {
        let (signing_key, updates) = (hex(self.key.public()), hex(&self.update_key));
        let secret = hex(&self.key.secret());
        let document = Written {
            id: self.id.to_string(),
            objtype: OBJECT_TYPE,
            world_type: match self.kind {
                WorldKind::Moon => MOON,
                WorldKind::Planet => PLANET,
            },
            signing_key: &signing_key,
            signing_key_secret: &secret,
            updates_must_be_signed_by: &updates,
            roots: self.roots.iter().map(WrittenRoot::of).collect(),
        };
        // the capacity keeps the text from moving while it grows, which would leave a copy unwiped
        let endpoints: usize = self.roots.iter().map(|root| root.endpoints.len()).sum();
        let capacity = 1024 + 256 * self.roots.len() + 64 * endpoints;
        let mut text = Zeroizing::new(Vec::with_capacity(capacity));
        serde_json::to_writer_pretty(&mut *text, &document)
            .expect("a vector takes all, and all keys are texts");
        debug_assert!(text.len() <= capacity, "{} of {capacity}", text.len());
        Zeroizing::new(String::from_utf8(std::mem::take(&mut *text)).expect("JSON is UTF-8"))
    }
}

impl FromStr for WorldDescription {
    type Err = DescriptionError;

    /// Reads the JSON text. Members that are not known are skipped; of one that is there twice, the last counts.
    ///
    /// The text contains the secret key, so its owner should wipe it.
    fn from_str(text: &str) -> Result<Self, DescriptionError> {
        const ID: Form = Form::quoted("ten hexadecimal digits that are not all 0");
        const OBJECT: Form = Form::quoted("\"world\"");
        const KIND: Form = Form::quoted("\"moon\" or \"planet\"");
        const KEY: Form = Form::hidden("128 hexadecimal digits");

        if text.len() > Self::MAX_TEXT {
            return Err(DescriptionError::TooLong { max: Self::MAX_TEXT, got: text.len() });
        }
        let document: Node<'_> =
            serde_json::from_str(text).map_err(|error| DescriptionError::Syntax(error.to_string()))?;
        let document = Part::whole(&document);
        document.member("objtype")?.read(OBJECT, |kind| (kind == OBJECT_TYPE).then_some(()))?;
        let kind = document.member("worldType")?.read(KIND, |kind| match kind {
            MOON => Some(WorldKind::Moon),
            PLANET => Some(WorldKind::Planet),
            _ => None,
        })?;
        let id = document.member("id")?.read(ID, |id| id.parse().ok().filter(|id| *id != Address::NONE))?;
        let read_key = |name| document.member(name)?.read(KEY, |key| parse_key(key).ok());
        let secret = Zeroizing::new(read_key("signingKey_SECRET")?);
        let key = WorldKey::from_secret(&secret);
        if read_key("signingKey")? != *key.public() {
            return Err(DescriptionError::Field {
                field: "signingKey".to_owned(),
                expected: "the public key that belongs to signingKey_SECRET",
                got: "another one".to_owned(),
            });
        }
        let update_key = read_key("updatesMustBeSignedBy")?;
        let roots = document.member("roots")?.items(World::MAX_ROOTS)?;
        let roots = roots.map(|root| read_root(&root)).collect::<Result<_, _>>()?;
        Ok(Self { kind, id, key, update_key, roots })
    }
}

fn read_root(root: &Part<'_, '_>) -> Result<Root, DescriptionError> {
    // hidden because the secret key may stand behind it by mistake
    const IDENTITY: Form =
        Form::hidden("an identity, address:0:public key, with an address that is not reserved");
    const ENDPOINT: Form = Form::quoted("IP/PORT, for example 203.0.113.1/9993");

    let identity = root.member("identity")?.read(IDENTITY, |identity| identity.parse().ok())?;
    let endpoints = root.member("stableEndpoints")?.items(World::MAX_ENDPOINTS)?;
    let read = |endpoint: &str| endpoint.parse().ok().map(|EndpointText(endpoint)| endpoint);
    let endpoints = endpoints.map(|endpoint| endpoint.read(ENDPOINT, read)).collect::<Result<_, _>>()?;
    Ok(Root { identity, endpoints })
}

/// The document in the order in which it is written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    id: String,
    objtype: &'a str,
    world_type: &'a str,
    signing_key: &'a str,
    #[serde(rename = "signingKey_SECRET")]
    signing_key_secret: &'a str,
    updates_must_be_signed_by: &'a str,
    roots: Vec<WrittenRoot>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenRoot {
    identity: String,
    stable_endpoints: Vec<String>,
}

impl WrittenRoot {
    fn of(root: &Root) -> Self {
        let endpoints = root.endpoints.iter().map(|endpoint| EndpointText(*endpoint).to_string());
        Self { identity: root.identity.to_string(), stable_endpoints: endpoints.collect() }
    }
}

fn hex(key: &[u8; KEY_LEN]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(2 * KEY_LEN));
    HEXLOWER.encode_append(key, &mut text);
    text
}
