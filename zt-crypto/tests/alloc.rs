//! Sealing and opening a packet allocate nothing. In a binary of its own, because counting replaces the allocator.

use allocation_counter::measure;
use zt_crypto::SessionKey;
use zt_crypto::armor::{self, Suite};

#[test]
fn armor_allocates_nothing() {
    let key = SessionKey::from_bytes([1; 48]);
    for suite in [Suite::Poly1305, Suite::Salsa20Poly1305, Suite::AesGmacSiv] {
        for size in [28, 137, 1432, 10_024] {
            let mut packet = vec![7; size];
            let allocations = measure(|| {
                armor::seal(&mut packet, &key, suite);
                assert_eq!(armor::open(&mut packet, &key), Ok(suite));
                // a packet that is refused takes another way
                packet[20] ^= 1;
                assert!(armor::open(&mut packet, &key).is_err());
                armor::mask_hello_tail(&mut packet, 1, &key);
            });
            assert_eq!(allocations.count_total, 0, "{suite:?} {size}");
        }
    }
}

#[test]
fn counting_counts() {
    assert!(measure(|| drop(std::hint::black_box(vec![1; 100]))).count_total > 0);
}
