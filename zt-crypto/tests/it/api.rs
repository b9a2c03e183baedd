//! What is promised of every public type (crate documentation, "What may change").

use std::error::Error;
use std::fmt::Debug;
use std::hash::Hash;
use std::panic::{RefUnwindSafe, UnwindSafe};

use zt_crypto::armor::extended::ExtendedError;
use zt_crypto::armor::{OpenError, Suite};
use zt_crypto::signature::MismatchedKeys;
use zt_crypto::{
    BadSignature, IdentitySecret, IdentitySecretError, InvalidIdentity, Scratch, SessionKey,
    VerifiedIdentity, WeakKey, WorldKey,
};

fn value<T: Debug + Clone + Eq + Hash + Send + Sync + Unpin + UnwindSafe>() {}
fn secret<T: Debug + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe>() {}
fn error<T: Error + Clone + Eq + Send + Sync + Unpin + UnwindSafe + 'static>() {}

#[test]
fn every_public_type_has_the_common_traits() {
    value::<Suite>();
    value::<VerifiedIdentity>();
    secret::<IdentitySecret>();
    secret::<SessionKey>();
    secret::<WorldKey>();
    secret::<Scratch>();
    error::<BadSignature>();
    error::<ExtendedError>();
    error::<IdentitySecretError>();
    error::<InvalidIdentity>();
    error::<MismatchedKeys>();
    error::<OpenError>();
    error::<WeakKey>();
    #[cfg(feature = "json")]
    {
        use zt_crypto::world_description::{DescriptionError, WorldDescription};
        secret::<WorldDescription>();
        error::<DescriptionError>();
    }
}

/// A cause is told once: in the text, or as the source, which whoever prints the chain adds.
#[test]
fn errors_tell_their_cause_once() {
    let chain = |error: &dyn Error| {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        text
    };
    let address = "nothex:0:".parse::<IdentitySecret>().unwrap_err();
    assert_eq!(chain(&address).matches("10 hexadecimal digits").count(), 1, "{}", chain(&address));
    let weak = ExtendedError::from(WeakKey);
    assert_eq!(chain(&weak).matches("low order").count(), 1, "{}", chain(&weak));
}

/// Whoever has a generator behind a pointer can use it.
#[test]
fn a_generator_need_not_have_a_known_type() {
    use zt_crypto::rand_core::{CryptoRng, SeedableRng as _};
    let mut generator = rand_chacha::ChaCha20Rng::from_seed([7; 32]);
    let generator: &mut dyn CryptoRng = &mut generator;
    assert_eq!(WorldKey::generate(generator).public().len(), 64);
}
