//! Identities, key agreement, signatures and packet armor of the ZeroTier protocol.
//!
//! What holds a secret is here and nowhere below. Randomness is an argument, so equal inputs give equal bytes.
//!
//! | module | content | source |
//! |---|---|---|
//! | [`identity`] | the secret half of an identity, its text form and its generation | `vl1.md` §3.1, §3.3, §3.5 |
//! | [`derivation`] | from public keys to an address: the memory-hard hash, [`VerifiedIdentity`] | `vl1.md` §3.2, §3.4 |
//! | [`agreement`] | the key that two nodes share | `vl1.md` §4 |
//! | [`signature`] | signatures of identities and worlds | `vl1.md` §5, §15.2 |
//! | [`credential`] | signing and checking certificates, tags, capabilities, revocations | `vl2.md` §7 |
//! | [`armor`] | packet encryption and authentication | `vl1.md` §9, §10.2.3 |
//! | [`world_description`] | the JSON file from which worlds are generated; feature `json`, on by default | `vl1.md` §15.9 |

pub mod agreement;
pub mod armor;
pub mod credential;
pub mod derivation;
pub mod identity;
mod keys;
mod poly1305;
mod salsa20;
pub mod signature;
#[cfg(feature = "json")]
pub mod world_description;

#[cfg(test)]
#[path = "../tests/it/vectors.rs"]
mod vectors;

pub use agreement::{SessionKey, WeakKey};
pub use derivation::{InvalidIdentity, Scratch, VerifiedIdentity};
pub use identity::{IdentitySecret, IdentitySecretError, fingerprint};
pub use signature::{BadSignature, WorldKey};

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
