//! The masked end of HELLO (`vl1.md` §10.2.3).

use crate::agreement::SessionKey;
use crate::salsa20::Salsa20;

/// Masks or unmasks the end of a HELLO: everything from the number of moons on.
///
/// `packet_id` is that of the HELLO. A sender masks before it seals; a receiver opens, then unmasks.
pub fn mask_hello_tail(tail: &mut [u8], packet_id: u64, key: &SessionKey) {
    // releases 1.2.0 to 1.2.4 change the low three bits of the id between masking and sealing
    let nonce = (packet_id & !0x07).to_be_bytes();
    Salsa20::<12>::new(key.salsa(), &nonce).xor(0, tail);
}
