//! Signs the certificates of a configuration, or takes over those of an earlier one that say the same (`vl2.md` §7).
//!
//! A signature takes longer than all else in an answer. When a network changes, or a member in something that no
//! certificate says, those that it has are as good as new ones: only their time of issue is earlier.

use zt_crypto::IdentitySecret;
use zt_proto::config::{Certificates, NetworkConfig};
use zt_proto::credential::{
    Capability, CertificateOfMembership, CertificateOfOwnership, Custody, Qualifier, Tag,
};
use zt_proto::{Address, Timestamp};

/// The certificates that a member has already.
#[derive(Debug, Default)]
pub(crate) struct Earlier {
    pub certificates: Certificates,
    /// Older ones are not taken over.
    pub since: Timestamp,
}

/// Signs each certificate in `config`, unless it is in `earlier` but for its time; `signer` is who signed those. Returns the
/// time of the oldest.
pub(crate) fn certify(config: &mut NetworkConfig, earlier: &Earlier, signer: &IdentitySecret) -> Timestamp {
    let (member, mut oldest, old) = (config.member, config.timestamp, &earlier.certificates);
    let mut note = |time: Timestamp| oldest = oldest.min(time);
    if let Some(membership) = &mut config.membership {
        note(certify_one(membership, old.membership.as_slice(), earlier.since, member, signer));
    }
    for capability in &mut config.capabilities {
        note(certify_one(capability, &old.capabilities, earlier.since, member, signer));
    }
    for tag in &mut config.tags {
        note(certify_one(tag, &old.tags, earlier.since, member, signer));
    }
    for ownership in &mut config.ownerships {
        note(certify_one(ownership, &old.ownerships, earlier.since, member, signer));
    }
    oldest
}

fn certify_one<C: Certificate>(
    certificate: &mut C,
    earlier: &[C],
    since: Timestamp,
    member: Address,
    signer: &IdentitySecret,
) -> Timestamp {
    let is_same = |known: &&C| {
        known.id() == certificate.id()
            && known.time() >= since
            && known.signed() == certificate.at(known.time()).signed()
    };
    match earlier.iter().find(is_same) {
        Some(known) => certificate.clone_from(known),
        None => certificate.sign(member, signer),
    }
    certificate.time()
}

/// What members show each other, signed by the controller.
trait Certificate: Clone {
    /// Tells those of one kind apart.
    fn id(&self) -> u32;
    fn time(&self) -> Timestamp;
    /// Returns it as it would be issued at another time, not signed.
    fn at(&self, time: Timestamp) -> Self;
    /// Returns all that it says.
    fn signed(&self) -> Vec<u8>;
    fn sign(&mut self, member: Address, signer: &IdentitySecret);
}

impl Certificate for CertificateOfMembership {
    fn id(&self) -> u32 {
        0
    }

    fn time(&self) -> Timestamp {
        Timestamp(self.value(Qualifier::TIMESTAMP).unwrap_or(0))
    }

    fn at(&self, time: Timestamp) -> Self {
        let mut other = self.clone();
        let times = other.qualifiers.iter_mut().filter(|qualifier| qualifier.id == Qualifier::TIMESTAMP);
        times.for_each(|qualifier| qualifier.value = time.0);
        other
    }

    fn signed(&self) -> Vec<u8> {
        self.signed_bytes()
    }

    fn sign(&mut self, _: Address, signer: &IdentitySecret) {
        self.signed_by = signer.address();
        self.signature = signer.sign(&self.signed_bytes());
    }
}

impl Certificate for Capability {
    fn id(&self) -> u32 {
        self.id
    }

    fn time(&self) -> Timestamp {
        self.timestamp
    }

    fn at(&self, time: Timestamp) -> Self {
        Self { timestamp: time, ..self.clone() }
    }

    fn signed(&self) -> Vec<u8> {
        self.signed_bytes()
    }

    fn sign(&mut self, member: Address, signer: &IdentitySecret) {
        let signature = signer.sign(&self.signed_bytes());
        self.custody = vec![Custody { to: member, from: signer.address(), signature }];
    }
}

impl Certificate for Tag {
    fn id(&self) -> u32 {
        self.id
    }

    fn time(&self) -> Timestamp {
        self.timestamp
    }

    fn at(&self, time: Timestamp) -> Self {
        Self { timestamp: time, ..self.clone() }
    }

    fn signed(&self) -> Vec<u8> {
        // Who signed stands in what is signed.
        Self { signed_by: Address::NONE, ..self.clone() }.signed_bytes()
    }

    fn sign(&mut self, _: Address, signer: &IdentitySecret) {
        self.signed_by = signer.address();
        self.signature = signer.sign(&self.signed_bytes());
    }
}

impl Certificate for CertificateOfOwnership {
    fn id(&self) -> u32 {
        self.id
    }

    fn time(&self) -> Timestamp {
        self.timestamp
    }

    fn at(&self, time: Timestamp) -> Self {
        Self { timestamp: time, ..self.clone() }
    }

    fn signed(&self) -> Vec<u8> {
        Self { signed_by: Address::NONE, ..self.clone() }.signed_bytes()
    }

    fn sign(&mut self, _: Address, signer: &IdentitySecret) {
        self.signed_by = signer.address();
        self.signature = signer.sign(&self.signed_bytes());
    }
}
