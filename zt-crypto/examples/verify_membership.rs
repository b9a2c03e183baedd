//! Verifies a certificate of membership:
//! `cargo run -p zt-crypto --example verify_membership -- CONTROLLER_IDENTITY CERTIFICATE_HEX`.
//!
//! Without arguments, it signs one for itself first.

use std::error::Error;

use rand_core::SeedableRng as _;
use zt_crypto::credential::{sign, verify_credential};
use zt_crypto::{IdentitySecret, fingerprint};
use zt_proto::codec::Reader;
use zt_proto::credential::{CertificateOfMembership, Qualifier};
use zt_proto::{Address, NetworkId, PublicIdentity, Timestamp};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (controller, membership) = match (arguments.next(), arguments.next()) {
        (Some(controller), Some(digits)) => {
            let controller: PublicIdentity = controller.parse()?;
            (controller, CertificateOfMembership::parse(&mut Reader::new(&bytes(&digits)?))?)
        }
        _ => example(),
    };
    let value = |id| membership.value(id).unwrap_or(0);
    println!("network {}", NetworkId(value(Qualifier::NETWORK)));
    println!("member  {}", Address::from_low_bits(value(Qualifier::MEMBER)));
    println!("issued  {} ms after 1970", value(Qualifier::TIMESTAMP));
    // a signature says who vouches for it, not whether that one may: only the controller of the network may
    if NetworkId(value(Qualifier::NETWORK)).controller() != controller.address {
        return Err(format!("{} does not control that network", controller.address).into());
    }
    verify_credential(&membership, &controller)?;
    println!("signed by {}", controller.address);
    Ok(())
}

fn example() -> (PublicIdentity, CertificateOfMembership) {
    let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
    let (controller, member) = (IdentitySecret::generate(&mut rng), IdentitySecret::generate(&mut rng));
    let network = NetworkId::of_controller(controller.address(), 1);
    let hash = fingerprint(member.public());
    let issued = Timestamp(1_700_000_000_000);
    let mut membership = CertificateOfMembership::new(network, member.address(), &hash, issued, 7_200_000);
    sign(&mut membership, &controller);
    (*controller.public(), membership)
}

fn bytes(digits: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let (pairs, rest) = digits.trim().as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return Err("expected an even number of hexadecimal digits".into());
    }
    pairs.iter().map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?)).collect()
}
