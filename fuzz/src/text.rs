//! Texts: dictionaries, identities.

use std::str;

use zt_crypto::IdentitySecret;
use zt_proto::PublicIdentity;
use zt_proto::codec::Reader;
use zt_proto::config::NetworkConfig;
use zt_proto::dictionary::{Dictionary, DictionaryWriter};

use crate::assert_survives_writing;

/// A received dictionary, and a value in one that is written.
pub fn dictionary(data: &[u8]) -> bool {
    let dictionary = Dictionary::new(data);
    let mut found = false;
    for key in ["v", "n", "a", "b", "k", "", "="] {
        found |= dictionary.bytes(key).is_some();
        let values = (dictionary.hex(key), dictionary.boolean(key), dictionary.text(key));
        if let (Some(_), None, _) | (None, Some(_), _) | (Some(_), _, None) = values {
            panic!("{key:?} is there in one form and not in another: {values:?}");
        }
    }
    let written = DictionaryWriter::new().bytes("before", b"x").bytes("value", data).hex("after", 7).finish();
    let read = Dictionary::new(&written);
    assert_eq!(read.bytes("value").as_deref(), Some(data));
    assert_eq!(read.hex("after"), Some(7));
    found
}

/// The dictionary that a member gets.
pub fn network_config(data: &[u8]) -> bool {
    let Ok(config) = NetworkConfig::parse(data) else { return false };
    assert_eq!(NetworkConfig::parse(&config.write()).as_ref(), Ok(&config));
    true
}

/// An identity in binary form and in its two text forms.
pub fn identity(data: &[u8]) -> bool {
    let read = |bytes: &[u8]| PublicIdentity::parse(&mut Reader::new(bytes));
    let binary = read(data);
    if let Ok(identity) = binary {
        assert_survives_writing!(identity, read);
    }
    let Ok(text) = str::from_utf8(data) else { return binary.is_ok() };
    let public: Result<PublicIdentity, _> = text.parse();
    if let Ok(identity) = public {
        assert_eq!(identity.to_string().parse(), Ok(identity));
    }
    if let Ok(secret) = text.parse::<IdentitySecret>() {
        let again: Result<IdentitySecret, _> = secret.to_text().parse();
        assert_eq!(again.ok().map(|again| *again.public()), Some(*secret.public()));
    }
    binary.is_ok() || public.is_ok()
}
