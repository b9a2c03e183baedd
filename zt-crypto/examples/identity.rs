//! Makes an identity, or validates one: `cargo run -p zt-crypto --release --example identity [-- IDENTITY]`.

use std::error::Error;

use getrandom::SysRng;
use zt_crypto::rand_core::UnwrapErr;
use zt_crypto::{IdentitySecret, VerifiedIdentity, fingerprint};
use zt_proto::PublicIdentity;

fn main() -> Result<(), Box<dyn Error>> {
    let identity: PublicIdentity = match std::env::args().nth(1) {
        Some(text) => text.parse()?,
        None => {
            // randomness is an argument of everything in the crate; here it comes from the operating system
            let secret = IdentitySecret::generate(&mut UnwrapErr(SysRng));
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
