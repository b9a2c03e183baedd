//! Signs the certificates of a configuration, or takes over those of an earlier one that say the same (`vl2.md` §7).
//!
//! A signature takes longer than all else in an answer. When a network changes, or a member in something that no
//! certificate says, those that it has are as good as new ones: only their time of issue is earlier.

use zt_crypto::IdentitySecret;
use zt_proto::config::{Certificates, NetworkConfig};
use zt_proto::credential::{
    Capability, CertificateOfMembership, CertificateOfOwnership, Custody, Qualifier, Signature, Tag,
};
use zt_proto::{Address, Timestamp};

/// The certificates that a member has already.
#[derive(Debug, Default)]
pub(crate) struct Earlier {
    pub certificates: Certificates,
    /// Older ones are not taken over.
    pub since: Timestamp,
}

/// Signs each certificate in a configuration, unless it is among those that the member had earlier but for its time; `signer`
/// is who signed those. Returns the time of the oldest, signed before or not.
pub(crate) fn certify(config: &mut NetworkConfig, earlier: &Earlier, signer: &IdentitySecret) -> Timestamp {
    let certifier = Certifier { signer, member: config.member, since: earlier.since };
    let (mut oldest, old) = (config.timestamp, &earlier.certificates);
    let mut note = |time: Timestamp| oldest = oldest.min(time);
    if let Some(membership) = &mut config.membership {
        note(certifier.certify(membership, old.membership.as_slice()));
    }
    for capability in &mut config.capabilities {
        note(certifier.certify(capability, &old.capabilities));
    }
    for tag in &mut config.tags {
        note(certifier.certify(tag, &old.tags));
    }
    for ownership in &mut config.ownerships {
        note(certifier.certify(ownership, &old.ownerships));
    }
    oldest
}

/// Who signs the certificates of a member.
struct Certifier<'a> {
    signer: &'a IdentitySecret,
    member: Address,
    /// Older ones are not taken over.
    since: Timestamp,
}

impl Certifier<'_> {
    /// Signs a certificate, or puts what was signed before in its place, and returns its time.
    fn certify<C: Certificate>(&self, own: &mut C, earlier: &[C]) -> Timestamp {
        own.set_signer(self.signer.address(), self.member);
        let says_the_same = |known: &C| {
            let mut then = own.clone();
            then.set_time(known.time());
            known.signed_bytes() == then.signed_bytes()
        };
        let is_same =
            |known: &&C| known.id() == own.id() && known.time() >= self.since && says_the_same(known);
        if let Some(known) = earlier.iter().find(is_same) {
            own.clone_from(known);
        } else {
            own.set_signature(self.signer.sign(&own.signed_bytes()));
        }
        own.time()
    }
}

/// What members show each other, signed by the controller.
trait Certificate: Clone {
    /// Tells those of one kind apart.
    fn id(&self) -> u32;
    fn time(&self) -> Timestamp;
    fn set_time(&mut self, time: Timestamp);
    /// Names who signs it and for whom, which may be part of what is signed.
    fn set_signer(&mut self, signer: Address, member: Address);
    /// Returns all that it says.
    fn signed_bytes(&self) -> Vec<u8>;
    /// Sets the signature by who was named last.
    fn set_signature(&mut self, signature: Signature);
}

impl Certificate for CertificateOfMembership {
    fn id(&self) -> u32 {
        0
    }

    fn time(&self) -> Timestamp {
        Timestamp(self.value(Qualifier::TIMESTAMP).unwrap_or(0))
    }

    fn set_time(&mut self, time: Timestamp) {
        let times = self.qualifiers.iter_mut().filter(|qualifier| qualifier.id == Qualifier::TIMESTAMP);
        times.for_each(|qualifier| qualifier.value = time.0);
    }

    fn set_signer(&mut self, signer: Address, _: Address) {
        self.signed_by = signer;
    }

    fn signed_bytes(&self) -> Vec<u8> {
        self.signed_bytes()
    }

    fn set_signature(&mut self, signature: Signature) {
        self.signature = signature;
    }
}

impl Certificate for Capability {
    fn id(&self) -> u32 {
        self.id
    }

    fn time(&self) -> Timestamp {
        self.timestamp
    }

    fn set_time(&mut self, time: Timestamp) {
        self.timestamp = time;
    }

    fn set_signer(&mut self, signer: Address, member: Address) {
        self.custody = vec![Custody { to: member, from: signer, signature: Signature::NONE }];
    }

    fn signed_bytes(&self) -> Vec<u8> {
        self.signed_bytes()
    }

    fn set_signature(&mut self, signature: Signature) {
        if let Some(last) = self.custody.last_mut() {
            last.signature = signature;
        }
    }
}

/// Of those that have the same fields.
macro_rules! certificate {
    ($($name:ty),*) => {$(
        impl Certificate for $name {
            fn id(&self) -> u32 {
                self.id
            }

            fn time(&self) -> Timestamp {
                self.timestamp
            }

            fn set_time(&mut self, time: Timestamp) {
                self.timestamp = time;
            }

            fn set_signer(&mut self, signer: Address, _: Address) {
                self.signed_by = signer;
            }

            fn signed_bytes(&self) -> Vec<u8> {
                self.signed_bytes()
            }

            fn set_signature(&mut self, signature: Signature) {
                self.signature = signature;
            }
        }
    )*};
}

certificate!(CertificateOfOwnership, Tag);
