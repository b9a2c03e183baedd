//! Key agreement (`vl1.md` §4), seen through the packets that the keys open.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use zt_crypto::armor::{self, Suite};
use zt_crypto::{IdentitySecret, SessionKey, WeakKey};
use zt_proto::PublicIdentity;

use crate::vectors::{array, list, load, text};

#[test]
fn both_sides_agree_on_the_key_of_the_reference() {
    for pair in list(&load("vl1/key_agreement.json")["pairs"]) {
        let mine: IdentitySecret = text(&pair["mine_secret"]).parse().unwrap();
        let theirs: IdentitySecret = text(&pair["their_secret"]).parse().unwrap();
        let reference = SessionKey::from_bytes(array(&pair["session_key"]));
        for key in [mine.agree(theirs.public()).unwrap(), theirs.agree(mine.public()).unwrap()] {
            for suite in [Suite::Salsa20Poly1305, Suite::AesGmacSiv] {
                let mut packet = [7; 60];
                armor::seal(&mut packet, &reference, suite);
                assert_eq!(armor::open(&mut packet, &key), Ok(suite));
            }
        }
    }
}

#[test]
fn keys_of_low_order_are_refused() {
    let secret = IdentitySecret::generate(&mut ChaCha20Rng::seed_from_u64(1));
    let mut one = [0; 64];
    one[0] = 1;
    for key in [[0; 64], one] {
        let weak = PublicIdentity { address: secret.address(), key };
        assert_eq!(secret.agree(&weak).err(), Some(WeakKey));
    }
}

#[test]
fn session_key_does_not_show_itself() {
    assert_eq!(format!("{:?}", SessionKey::from_bytes([0xab; 48])), "SessionKey");
}
