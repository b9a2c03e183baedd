//! Cryptography: what the crates do, beside what other crates would take for it.

#![expect(clippy::indexing_slicing, reason = "nothing here comes from outside")]

use std::hint::black_box;
use std::time::Duration;

use aes::cipher::{KeyIvInit as _, StreamCipher as _};
use benches::{PAYLOAD_LEN, identity, packet, session_key};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use zt_crypto::armor::{self, Suite};
use zt_crypto::{Scratch, VerifiedIdentity};
use zt_proto::packet::VERB_OFFSET;
use zt_proto::verb::Verb;

fn validation(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("identity validation");
    group.sample_size(20);
    let identity = identity();
    let mut scratch = Scratch::new();
    group.bench_function("zt-crypto", |bencher| {
        bencher.iter(|| VerifiedIdentity::verify_with(black_box(identity), &mut scratch));
    });
    let mut memory = vec![0; plain::MEMORY];
    group.bench_function("salsa20 crate", |bencher| {
        bencher.iter(|| plain::digest(black_box(&identity.key), &mut memory));
    });
    assert_eq!(plain::digest(&identity.key, &mut memory)[59..], identity.address.octets());
    group.finish();
}

fn armoring(criterion: &mut Criterion) {
    let key = session_key();
    let clear = packet(Verb::FRAME, &[7; PAYLOAD_LEN]);
    for (name, suite) in
        [("suite 0", Suite::Poly1305), ("suite 1", Suite::Salsa20Poly1305), ("suite 3", Suite::AesGmacSiv)]
    {
        let mut group = criterion.benchmark_group(format!("{name} 1400 B"));
        group.throughput(Throughput::Bytes(PAYLOAD_LEN as u64));
        let mut buffer = clear.clone();
        group.bench_function("seal", |bencher| {
            bencher.iter(|| armor::seal(black_box(&mut buffer), &key, suite));
        });
        let mut sealed = clear.clone();
        armor::seal(&mut sealed, &key, suite);
        group.bench_function("open", |bencher| {
            bencher.iter(|| {
                // a packet can be opened once only
                buffer.copy_from_slice(&sealed);
                armor::open(black_box(&mut buffer), &key)
            });
        });
        if suite == Suite::Salsa20Poly1305 {
            group.bench_function("seal, salsa20 and poly1305 crates", |bencher| {
                bencher.iter(|| plain::salsa_poly(black_box(&mut buffer[VERB_OFFSET..])));
            });
        }
        if suite == Suite::AesGmacSiv {
            let candidates = plain::AesGmac::new();
            group.bench_function("seal, aes-gcm and ctr crates", |bencher| {
                bencher.iter(|| candidates.seal(black_box(&mut buffer[VERB_OFFSET..])));
            });
        }
        group.finish();
    }
}

fn parts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parts 1400 B");
    group.throughput(Throughput::Bytes(PAYLOAD_LEN as u64));
    let mut data = [7; PAYLOAD_LEN];
    let key = session_key();
    group.bench_function("Salsa20/12, zt-crypto", |bencher| {
        bencher.iter(|| armor::mask_hello_tail(black_box(&mut data), 1, &key));
    });
    group.bench_function("Salsa20/12, salsa20 crate", |bencher| {
        bencher.iter(|| {
            salsa20::Salsa12::new(&[1; 32].into(), &[2; 8].into()).apply_keystream(black_box(&mut data))
        });
    });
    group.bench_function("Poly1305, poly1305 crate", |bencher| {
        use poly1305::universal_hash::KeyInit as _;
        bencher.iter(|| poly1305::Poly1305::new(&[1; 32].into()).compute_unpadded(black_box(&data)));
    });
    group.bench_function("SHA-512, ring", |bencher| {
        bencher.iter(|| ring::digest::digest(&ring::digest::SHA512, black_box(&data)));
    });
    group.bench_function("SHA-512, sha2 crate", |bencher| {
        use sha2::Digest as _;
        bencher.iter(|| sha2::Sha512::digest(black_box(&data)));
    });
    let gmac = plain::AesGmac::new();
    group.bench_function("GMAC, ring", |bencher| bencher.iter(|| gmac.ring_tag(black_box(&data))));
    group.bench_function("GMAC, aes-gcm crate", |bencher| bencher.iter(|| gmac.tag(black_box(&data))));
    group.bench_function("AES-CTR, ctr crate", |bencher| {
        bencher.iter(|| gmac.apply_key_stream(black_box(&mut data)));
    });
    group.finish();
}

fn curves(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("curves");
    let message = [7; 32];
    {
        use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
        let pair = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).expect("any 32 bytes are a seed");
        let signature = pair.sign(&message);
        let public = UnparsedPublicKey::new(&ED25519, pair.public_key().as_ref());
        group.bench_function("Ed25519 sign, ring", |bencher| bencher.iter(|| pair.sign(black_box(&message))));
        group.bench_function("Ed25519 verify, ring", |bencher| {
            bencher.iter(|| public.verify(black_box(&message), signature.as_ref()));
        });
    }
    {
        use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
        let pair = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).expect("any 32 bytes are a seed");
        let signature = pair.sign(&message);
        let public = UnparsedPublicKey::new(&ED25519, pair.public_key().as_ref());
        group.bench_function("Ed25519 sign, aws-lc-rs", |bencher| {
            bencher.iter(|| pair.sign(black_box(&message)));
        });
        group.bench_function("Ed25519 verify, aws-lc-rs", |bencher| {
            bencher.iter(|| public.verify(black_box(&message), signature.as_ref()));
        });
    }
    {
        use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
        let pair = SigningKey::from_bytes(&[9; 32]);
        let signature = pair.sign(&message);
        let public = pair.verifying_key().to_bytes();
        group.bench_function("Ed25519 sign, ed25519-dalek", |bencher| {
            bencher.iter(|| pair.sign(black_box(&message)));
        });
        group.bench_function("Ed25519 verify, ed25519-dalek", |bencher| {
            // ring, too, takes the key as bytes
            bencher.iter(|| {
                let public = VerifyingKey::from_bytes(&public).expect("it was just made");
                public.verify_strict(black_box(&message), &signature)
            });
        });
    }
    {
        // Most of a signature is one multiplication of the base point.
        use curve25519_dalek::constants::ED25519_BASEPOINT_POINT as BASE;
        use curve25519_dalek::edwards::{EdwardsBasepointTableRadix32, EdwardsBasepointTableRadix256};
        use curve25519_dalek::traits::BasepointTable as _;
        use curve25519_dalek::{EdwardsPoint, Scalar};
        let scalar = Scalar::from_bytes_mod_order([0xa5; 32]);
        group.bench_function("base point, built-in table", |bencher| {
            bencher.iter(|| EdwardsPoint::mul_base(black_box(&scalar)));
        });
        let table = Box::new(EdwardsBasepointTableRadix32::create(&BASE));
        group.bench_function("base point, radix 32", |bencher| {
            bencher.iter(|| table.mul_base(black_box(&scalar)));
        });
        let table = Box::new(EdwardsBasepointTableRadix256::create(&BASE));
        group.bench_function("base point, radix 256", |bencher| {
            bencher.iter(|| table.mul_base(black_box(&scalar)));
        });
    }
    let ours = x25519_dalek::StaticSecret::from([3; 32]);
    let theirs = x25519_dalek::PublicKey::from(&x25519_dalek::StaticSecret::from([4; 32]));
    group.bench_function("X25519, x25519-dalek", |bencher| {
        bencher.iter(|| ours.diffie_hellman(black_box(&theirs)));
    });
    {
        use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
        let ours = PrivateKey::from_private_key(&X25519, ours.as_bytes()).expect("32 bytes are a secret");
        group.bench_function("X25519, aws-lc-rs", |bencher| {
            bencher.iter(|| {
                let theirs = UnparsedPublicKey::new(&X25519, black_box(theirs.as_bytes()));
                agree(&ours, theirs, (), |shared| Ok(black_box(shared).first().copied()))
            });
        });
    }
    group.finish();
}

/// The same work done with other crates, as directly as they allow.
mod plain {
    use aes::Aes256;
    use aes::cipher::{KeyInit as _, KeyIvInit as _, StreamCipher as _, StreamCipherSeek as _};
    use aes_gcm::Aes256Gcm;
    use aes_gcm::aead::AeadInOut as _;
    use poly1305::Poly1305;
    use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
    use salsa20::{Salsa12, Salsa20};
    use sha2::{Digest as _, Sha512};

    pub(super) const MEMORY: usize = 2_097_152;

    /// The memory-hard hash, step by step as `vl1.md` §3.2 has it.
    pub(super) fn digest(key: &[u8; 64], memory: &mut [u8]) -> [u8; 64] {
        let mut digest: [u8; 64] = Sha512::digest(key).into();
        let (stream_key, nonce) = (&digest[..32], &digest[32..40]);
        let mut stream = Salsa20::new_from_slices(stream_key, nonce).expect("lengths of key and nonce");
        memory.fill(0);
        let mut previous = [0; 64];
        for block in memory.as_chunks_mut::<64>().0 {
            *block = previous;
            stream.apply_keystream(block);
            previous = *block;
        }
        for index in (0..MEMORY / 8).step_by(2) {
            let word = |index: usize| {
                let bytes = memory[8 * index..8 * index + 8].try_into().expect("eight bytes");
                usize::try_from(u64::from_be_bytes(bytes) % (MEMORY as u64 / 8))
                    .expect("below the number of words")
            };
            let (a, b) = (word(index) % 8, word(index + 1));
            digest[8 * a..8 * a + 8].swap_with_slice(&mut memory[8 * b..8 * b + 8]);
            stream.apply_keystream(&mut digest);
        }
        digest
    }

    /// Suite 1 without its key derivation.
    pub(super) fn salsa_poly(body: &mut [u8]) -> [u8; 16] {
        let mut stream = Salsa12::new(&[1; 32].into(), &[2; 8].into());
        let mut key = [0; 32];
        stream.apply_keystream(&mut key);
        stream.seek(64);
        stream.apply_keystream(body);
        Poly1305::new(&key.into()).compute_unpadded(body).into()
    }

    pub(super) struct AesGmac {
        mac: Aes256Gcm,
        ring: LessSafeKey,
        cipher: Aes256,
    }

    impl AesGmac {
        pub(super) fn new() -> Self {
            let ring = UnboundKey::new(&AES_256_GCM, &[1; 32]).expect("length of the key");
            Self {
                mac: Aes256Gcm::new(&[1; 32].into()),
                ring: LessSafeKey::new(ring),
                cipher: Aes256::new(&[2; 32].into()),
            }
        }

        pub(super) fn tag(&self, data: &[u8]) -> [u8; 16] {
            let tag = self.mac.encrypt_inout_detached(&[3; 12].into(), data, (&mut [][..]).into());
            tag.expect("no length to be refused").into()
        }

        pub(super) fn ring_tag(&self, data: &[u8]) -> ring::aead::Tag {
            let nonce = Nonce::assume_unique_for_key([3; 12]);
            let tag = self.ring.seal_in_place_separate_tag(nonce, Aad::from(data), &mut []);
            tag.expect("no length to be refused")
        }

        pub(super) fn apply_key_stream(&self, data: &mut [u8]) {
            use aes::cipher::InnerIvInit as _;
            let core = ctr::CtrCore::<_, ctr::flavors::Ctr32BE>::inner_iv_init(&self.cipher, &[4; 16].into());
            aes::cipher::StreamCipherCoreWrapper::from_core(core).apply_keystream(data);
        }

        /// Suite 3 without its header.
        pub(super) fn seal(&self, body: &mut [u8]) -> [u8; 16] {
            let tag = self.tag(body);
            self.apply_key_stream(body);
            tag
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    targets = validation, armoring, parts, curves
}
criterion_main!(benches);
