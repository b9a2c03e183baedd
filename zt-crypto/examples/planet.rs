//! Reads a planet or moon file, or makes one: `cargo run -p zt-crypto --release --example planet [-- FILE]`.
//!
//! Without a file, it makes a planet with one root in memory, signs it, and reads it back.

use std::error::Error;

use rand_core::SeedableRng as _;
use zt_crypto::signature::{may_replace, verify_world};
use zt_crypto::{IdentitySecret, WorldKey};
use zt_proto::Timestamp;
use zt_proto::codec::Reader;
use zt_proto::credential::Signature;
use zt_proto::inet::EndpointText;
use zt_proto::world::{Root, World, WorldKind};

fn main() -> Result<(), Box<dyn Error>> {
    let bytes = match std::env::args().nth(1) {
        Some(file) => std::fs::read(file)?,
        None => make()?,
    };
    let world = World::parse(&mut Reader::new(&bytes))?;
    println!("{:?} {}, {} ms after 1970, {} bytes", world.kind, world.id, world.timestamp.0, bytes.len());
    for root in &world.roots {
        println!("root {}", root.identity);
        root.endpoints.iter().for_each(|endpoint| println!("  {}", EndpointText(*endpoint)));
    }
    match verify_world(&world.update_key, &world) {
        Ok(()) => println!("signed by the key that its next version needs"),
        Err(_) => println!("signed by another key than its next version needs"),
    }
    Ok(())
}

fn make() -> Result<Vec<u8>, Box<dyn Error>> {
    // a planet that is used needs a seed that nobody knows
    let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
    let root = IdentitySecret::generate(&mut rng);
    let key = WorldKey::generate(&mut rng);
    let mut planet = World {
        kind: WorldKind::Planet,
        // not the id of the planet that the releases come with, or its next version takes this one's place
        id: 1,
        timestamp: Timestamp(1_700_000_000_000),
        update_key: *key.public(),
        signature: Signature::NONE,
        roots: vec![Root { identity: *root.public(), endpoints: vec!["203.0.113.1:9993".parse()?] }],
    };
    key.sign_world(&mut planet);
    let mut next = World { timestamp: planet.timestamp.plus_millis(1), ..planet.clone() };
    key.sign_world(&mut next);
    println!("its next version is accepted: {}", may_replace(&planet, &next));
    let mut bytes = Vec::new();
    planet.write(&mut bytes);
    Ok(bytes)
}
