//! Signing and checking what controllers hand out (`vl2.md` §2.2, §7, §4.1).

use zt_proto::credential::{
    Capability, CertificateOfMembership, CertificateOfOwnership, Custody, Revocation, Signature, Tag,
};
use zt_proto::dictionary::OldDictionary;
use zt_proto::{Address, PublicIdentity, Timestamp};

use crate::identity::IdentitySecret;
use crate::signature::{BadSignature, verify};

/// A credential that names its only signer.
///
/// Implemented by certificates of membership and ownership, tags and revocations. Capabilities are handed from one to
/// the next: [`hand_over`] and [`verify_custody`].
pub trait Credential: sealed::Sealed {
    /// Returns who vouches for it, as it claims.
    fn signed_by(&self) -> Address;
    /// Returns the signature, which is not checked.
    fn signature(&self) -> &Signature;
    /// Returns what is signed. The signer is part of it, but for certificates of membership.
    fn signed_bytes(&self) -> Vec<u8>;
    /// Sets the signer, which comes before signing; [`sign`] does both.
    fn set_signer(&mut self, signer: Address);
    /// Sets the signature of [`Credential::signed_bytes`].
    fn set_signature(&mut self, signature: Signature);
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! credential {
    ($($name:ty),*) => {$(
        impl sealed::Sealed for $name {}

        impl Credential for $name {
            fn signed_by(&self) -> Address {
                self.signed_by
            }

            fn signature(&self) -> &Signature {
                &self.signature
            }

            fn signed_bytes(&self) -> Vec<u8> {
                <$name>::signed_bytes(self)
            }

            fn set_signer(&mut self, signer: Address) {
                self.signed_by = signer;
            }

            fn set_signature(&mut self, signature: Signature) {
                self.signature = signature;
            }
        }
    )*};
}

credential!(CertificateOfMembership, CertificateOfOwnership, Tag, Revocation);

/// Makes `signer` the one that vouches for a credential.
pub fn sign(credential: &mut impl Credential, signer: &IdentitySecret) {
    credential.set_signer(signer.address());
    credential.set_signature(signer.sign(&credential.signed_bytes()));
}

/// Checks that `signer` vouches for a credential. Whether it may, as the controller of that network, and whether the
/// credential is for the one that shows it, is for the caller to ask.
///
/// # Errors
/// [`BadSignature`] if the credential names another signer, or was not signed by this one.
pub fn verify_credential(credential: &impl Credential, signer: &PublicIdentity) -> Result<(), BadSignature> {
    if credential.signed_by() != signer.address {
        return Err(BadSignature);
    }
    verify(signer, &credential.signed_bytes(), credential.signature())
}

/// Hands a capability to `to`: the controller first, then whoever has it, if it allows that.
///
/// Returns `false`, and changes nothing, if the chain is full.
#[must_use]
pub fn hand_over(capability: &mut Capability, giver: &IdentitySecret, to: Address) -> bool {
    if capability.custody.len() >= capability.max_custody_chain.into() {
        return false;
    }
    let signature = giver.sign(&capability.signed_bytes());
    capability.custody.push(Custody { to, from: giver.address(), signature });
    true
}

/// Checks the chain of a capability: the first giver is `controller`, each other one is who got it before, and each
/// has signed. `identity_of` looks up those other than the controller.
///
/// Returns who holds it now.
///
/// # Errors
/// [`BadSignature`] for an empty chain, a missing link, an unknown giver or a signature that is not theirs.
pub fn verify_custody(
    capability: &Capability,
    controller: &PublicIdentity,
    mut identity_of: impl FnMut(Address) -> Option<PublicIdentity>,
) -> Result<Address, BadSignature> {
    let message = capability.signed_bytes();
    let mut holder = None;
    for entry in &capability.custody {
        let expected = holder.unwrap_or(controller.address);
        if entry.from != expected {
            return Err(BadSignature);
        }
        let giver = match holder {
            None => *controller,
            Some(address) => identity_of(address).filter(|it| it.address == address).ok_or(BadSignature)?,
        };
        verify(&giver, &message, &entry.signature)?;
        holder = Some(entry.to);
    }
    holder.ok_or(BadSignature)
}

/// Signs a dictionary as controllers up to 1.1.4 did.
#[must_use]
pub fn sign_dictionary(dictionary: OldDictionary, signer: &IdentitySecret, at: Timestamp) -> OldDictionary {
    let dictionary = dictionary.with_signer(signer.public(), at);
    let signature = signer.sign(&dictionary.signed_bytes());
    dictionary.with_signature(&signature)
}

/// Checks a signed dictionary of the old form and returns who signed it: an identity that is only claimed, so the
/// caller compares it with the one it expects.
///
/// # Errors
/// [`BadSignature`] if it is not signed, or not by the one it names.
pub fn verify_dictionary(dictionary: &OldDictionary) -> Result<PublicIdentity, BadSignature> {
    let signer = dictionary.signer().ok_or(BadSignature)?;
    let signature = dictionary.signature().ok_or(BadSignature)?;
    verify(&signer, &dictionary.signed_bytes(), &signature)?;
    Ok(signer)
}
