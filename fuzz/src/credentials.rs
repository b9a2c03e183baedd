//! What controllers and roots sign, and rules.

use std::hint::black_box;

use zt_crypto::signature;
use zt_proto::codec::Reader;
use zt_proto::rules;
use zt_proto::verb::credentials::NetworkCredentials;
use zt_proto::world::World;

use crate::assert_survives_writing;

/// The payload of NETWORK_CREDENTIALS: credentials of every kind.
pub fn credentials(data: &[u8]) -> bool {
    let Ok(credentials) = NetworkCredentials::parse(data) else { return false };
    credentials.memberships.iter().for_each(|it| drop(it.signed_bytes()));
    credentials.capabilities.iter().for_each(|it| drop(it.signed_bytes()));
    credentials.tags.iter().for_each(|it| drop(it.signed_bytes()));
    credentials.revocations.iter().for_each(|it| drop(it.signed_bytes()));
    credentials.ownerships.iter().for_each(|it| drop(it.signed_bytes()));
    assert_survives_writing!(credentials, NetworkCredentials::parse);
    true
}

/// A table of rules.
pub fn rules(data: &[u8]) -> bool {
    let Ok(rules) = rules::parse_table(data) else { return false };
    let mut written = Vec::new();
    rules::write_table(&rules, &mut written);
    assert_eq!(rules::parse_table(&written).as_ref(), Ok(&rules));
    true
}

/// A planet or a moon.
pub fn world(data: &[u8]) -> bool {
    let read = |bytes: &[u8]| World::parse(&mut Reader::new(bytes));
    let Ok(world) = read(data) else { return false };
    // Whether it is signed is not the question: the check takes any key and any bytes.
    black_box(signature::verify_by_key(&world.update_key, &world.signed_bytes(), &world.signature).is_ok());
    assert_survives_writing!(world, read);
    true
}
