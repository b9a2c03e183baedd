//! Identities, key agreement, signatures and packet armor of the ZeroTier protocol.
//!
//! What holds a secret is here and nowhere below. Randomness is an argument, so equal inputs give equal bytes. `vl1.md`
//! and `vl2.md` are explained in [`zt_proto`].
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
//!
//! # What may change
//!
//! The rules are those of [`zt_proto`]: enums of errors and [`armor::Suite`] are `#[non_exhaustive]`; errors without a
//! field say all by their name and stay so, as whoever asks with bad intent should learn no more. [`Credential`] is
//! sealed: it names what can be signed.
//!
//! Types of other crates in signatures are those of [`zt_proto`], [`rand_core`] and [`zeroize`], which are re-exported in
//! the version that fits; a new second number of theirs is a breaking change here. What computes the cryptography is
//! private and may be exchanged. The feature `aws-lc`, off by default, takes `aws-lc-rs` for signatures and key agreement, in
//! half the time.
//!
//! [`Credential`]: credential::Credential

#![warn(missing_docs)]

pub mod agreement;
pub mod armor;
pub mod credential;
mod curve25519;
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
pub use {rand_core, zeroize, zt_proto};

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
