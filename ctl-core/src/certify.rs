//! Signs the certificates of a configuration, or takes over those of an earlier one that say the same (`vl2.md` §7).
//!
//! A signature takes longer than all else in an answer. When a network changes, or a member in something that no
//! certificate says, those that it has are as good as new ones: only their time of issue is earlier. What is to be signed for
//! all members of a batch is signed together.

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

/// Signs each certificate in several configurations, all of them together, unless it is among those that the member had
/// earlier but for its time; `signer` is who signed those. Returns the time of the oldest of each configuration.
pub(crate) fn certify<'a>(
    configs: impl IntoIterator<Item = (&'a mut NetworkConfig, &'a Earlier)>,
    signer: &IdentitySecret,
) -> Vec<Timestamp> {
    let mut fresh = Fresh { signer: signer.address(), messages: Vec::new(), signatures: Vec::new() };
    let oldest = configs.into_iter().map(|(config, earlier)| fresh.add_all(config, earlier)).collect();
    for (place, signature) in fresh.signatures.into_iter().zip(signer.sign_all(&fresh.messages)) {
        *place = signature;
    }
    oldest
}

/// The certificates that are to be signed.
struct Fresh<'a> {
    signer: Address,
    messages: Vec<Vec<u8>>,
    /// Where the signature of each message belongs.
    signatures: Vec<&'a mut Signature>,
}

impl<'a> Fresh<'a> {
    /// Adds those of a configuration, and returns the time of the oldest, signed before or not.
    fn add_all(&mut self, config: &'a mut NetworkConfig, earlier: &Earlier) -> Timestamp {
        let (member, mut oldest, old) = (config.member, config.timestamp, &earlier.certificates);
        let mut note = |time: Timestamp| oldest = oldest.min(time);
        if let Some(membership) = &mut config.membership {
            note(self.add(membership, old.membership.as_slice(), earlier.since, member));
        }
        for capability in &mut config.capabilities {
            note(self.add(capability, &old.capabilities, earlier.since, member));
        }
        for tag in &mut config.tags {
            note(self.add(tag, &old.tags, earlier.since, member));
        }
        for ownership in &mut config.ownerships {
            note(self.add(ownership, &old.ownerships, earlier.since, member));
        }
        oldest
    }

    /// Adds a certificate, or puts what was signed before in its place, and returns its time.
    fn add<C: Certificate>(
        &mut self,
        own: &'a mut C,
        earlier: &[C],
        since: Timestamp,
        member: Address,
    ) -> Timestamp {
        own.set_signer(self.signer, member);
        let says_the_same = |known: &C| {
            let mut then = own.clone();
            then.set_time(known.time());
            known.signed_bytes() == then.signed_bytes()
        };
        let is_same = |known: &&C| known.id() == own.id() && known.time() >= since && says_the_same(known);
        if let Some(known) = earlier.iter().find(is_same) {
            own.clone_from(known);
            return known.time();
        }
        let (time, message) = (own.time(), own.signed_bytes());
        if let Some(signature) = own.signature() {
            self.messages.push(message);
            self.signatures.push(signature);
        }
        time
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
    /// Returns the place of the signature by who was named last.
    fn signature(&mut self) -> Option<&mut Signature>;
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

    fn signature(&mut self) -> Option<&mut Signature> {
        Some(&mut self.signature)
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

    fn signature(&mut self) -> Option<&mut Signature> {
        self.custody.last_mut().map(|last| &mut last.signature)
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

            fn signature(&mut self) -> Option<&mut Signature> {
                Some(&mut self.signature)
            }
        }
    )*};
}

certificate!(CertificateOfOwnership, Tag);
