//! Makes an identity, or validates one: `cargo run -p zt-crypto --release --example identity [-- IDENTITY]`.

use std::error::Error;

use rand_core::SeedableRng as _;
use zt_crypto::{IdentitySecret, VerifiedIdentity, fingerprint};
use zt_proto::PublicIdentity;

fn main() -> Result<(), Box<dyn Error>> {
    let identity: PublicIdentity = match std::env::args().nth(1) {
        Some(text) => text.parse()?,
        None => {
            let secret = IdentitySecret::generate(&mut rand_chacha::ChaCha20Rng::from_seed(seed()?));
            println!("{}", secret.to_text().as_str());
            *secret.public()
        }
    };
    let verified = VerifiedIdentity::verify(identity)?;
    println!("{} is valid; its fingerprint is", verified.address());
    for byte in fingerprint(verified.public()) {
        print!("{byte:02x}");
    }
    println!();
    Ok(())
}

/// Randomness is an argument of everything in the crate; here it comes from the operating system.
fn seed() -> std::io::Result<[u8; 32]> {
    use std::io::Read as _;
    let mut seed = [0; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut seed)?;
    Ok(seed)
}
