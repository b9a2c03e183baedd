//! The identities of the simulated nodes, made beforehand: making one takes 15 memory-hard hashes, verifying it one.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use zt_crypto::{IdentitySecret, VerifiedIdentity};
use zt_proto::{Address, PublicIdentity};

static ALL: LazyLock<Vec<Arc<IdentitySecret>>> = LazyLock::new(|| {
    let lines = include_str!("../../testdata/simulation/identities.txt").lines();
    lines.map(|line| Arc::new(line.parse().unwrap())).collect()
});
static VERIFIED: Mutex<BTreeMap<Address, VerifiedIdentity>> = Mutex::new(BTreeMap::new());

/// How many there are.
pub(crate) fn count() -> usize {
    ALL.len()
}

pub(crate) fn secret(n: usize) -> Arc<IdentitySecret> {
    Arc::clone(&ALL[n])
}

/// Says whether this is one of the simulated nodes.
pub(crate) fn is_known(identity: &PublicIdentity) -> bool {
    ALL.iter().any(|secret| secret.public() == identity)
}

/// Verifies an identity of the pool; each is hashed once in the life of the test program.
pub(crate) fn verify(identity: &PublicIdentity) -> Option<VerifiedIdentity> {
    if !is_known(identity) {
        return None;
    }
    let known = VERIFIED.lock().unwrap_or_else(PoisonError::into_inner).get(&identity.address).copied();
    if known.is_some() {
        return known;
    }
    let verified = VerifiedIdentity::verify(*identity).unwrap();
    VERIFIED.lock().unwrap_or_else(PoisonError::into_inner).insert(identity.address, verified);
    Some(verified)
}
