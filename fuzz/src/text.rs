//! Texts: dictionaries, identities, descriptions of worlds, settings.

use std::fmt::Display;
use std::hint::black_box;
use std::str::{self, FromStr};

use ctl_core::settings_file::{self, Key, Kind};
use zt_crypto::IdentitySecret;
use zt_crypto::credential::verify_dictionary;
use zt_crypto::signature::verify_world;
use zt_crypto::world_description::WorldDescription;
use zt_proto::codec::Reader;
use zt_proto::config::{NetworkConfig, TextConfig};
use zt_proto::credential::CertificateOfMembership;
use zt_proto::dictionary::{Dictionary, DictionaryWriter, OldDictionary};
use zt_proto::inet::EndpointText;
use zt_proto::world::RootTopology;
use zt_proto::{Address, IpPrefix, Mac, NetworkId, PublicIdentity, Timestamp};

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
    let older = NetworkConfig::parse(&config.write_version_6()).expect("it was just written");
    assert_eq!(NetworkConfig::parse(&older.write_version_6()), Ok(older));
    true
}

/// An identity in binary form and in its two text forms; also the texts of addresses of every kind.
pub fn identity(data: &[u8]) -> bool {
    let read = |bytes: &[u8]| PublicIdentity::parse(&mut Reader::new(bytes));
    let binary = read(data);
    if let Ok(identity) = binary {
        assert_survives_writing!(identity, read);
    }
    let Ok(text) = str::from_utf8(data) else { return binary.is_ok() };
    let is_address = assert_text_survives::<Address>(text)
        | assert_text_survives::<NetworkId>(text)
        | assert_text_survives::<Mac>(text)
        | assert_text_survives::<IpPrefix>(text)
        | assert_text_survives::<EndpointText>(text);
    let public: Result<PublicIdentity, _> = text.parse();
    if let Ok(identity) = public {
        assert_eq!(identity.to_string().parse(), Ok(identity));
    }
    if let Ok(secret) = text.parse::<IdentitySecret>() {
        let again: Result<IdentitySecret, _> = secret.to_text().parse();
        assert_eq!(again.ok().map(|again| *again.public()), Some(*secret.public()));
    }
    binary.is_ok() || public.is_ok() || is_address
}

/// Asserts that what a text says, if anything, is still the same after it was written and read again.
fn assert_text_survives<T: FromStr + Display + PartialEq>(text: &str) -> bool {
    let value = text.parse::<T>();
    if let Ok(value) = &value {
        assert!(value.to_string().parse().is_ok_and(|again: T| again == *value), "{value}");
    }
    value.is_ok()
}

/// What releases before 1.1.6 exchange: dictionaries of the old form, the configuration and the list of roots in them.
pub fn text_config(data: &[u8]) -> bool {
    let dictionary = OldDictionary::parse(data);
    assert_eq!(OldDictionary::parse(&dictionary.write()), dictionary);
    // Whether it is signed is not the question.
    black_box(verify_dictionary(&dictionary).is_ok());
    if let Ok(membership) = CertificateOfMembership::parse_text(data) {
        let mut text = Vec::new();
        membership.write_text(&mut text);
        assert_eq!(CertificateOfMembership::parse_text(&text), Ok(membership));
    }
    let roots = RootTopology::parse(data);
    if let Ok(roots) = &roots {
        assert_eq!(RootTopology::parse(&roots.write()).as_ref(), Ok(roots));
    }
    let Ok(config) = TextConfig::from_dictionary(&dictionary) else {
        return roots.is_ok_and(|roots| !roots.roots.is_empty());
    };
    // what cannot be read is left out once; then nothing more gets lost
    let read = TextConfig::parse(&config.write());
    assert_eq!(read.as_ref().map(TextConfig::write), Ok(config.write()));
    true
}

/// The JSON file from which a planet or moon is generated.
pub fn world_description(data: &[u8]) -> bool {
    let Some(description) = str::from_utf8(data).ok().and_then(|text| text.parse::<WorldDescription>().ok())
    else {
        return false;
    };
    let written = description.to_json();
    let again: WorldDescription = written.parse().expect("it was just written");
    assert_eq!(*again.to_json(), *written);
    let world = description.sign(Timestamp(1));
    assert_eq!(verify_world(description.key.public(), &world), Ok(()));
    assert_eq!(again.sign(Timestamp(1)), world);
    true
}

/// The file of settings of the program.
pub fn settings_file(data: &[u8]) -> bool {
    const KEYS: [Key<'static>; 5] = [
        Key { name: "port", kind: Kind::Number },
        Key { name: "port-mapping", kind: Kind::Flag },
        Key { name: "bind", kind: Kind::Text },
        Key { name: "role", kind: Kind::List },
        Key { name: "home", kind: Kind::Never },
    ];
    let Ok(text) = str::from_utf8(data) else { return false };
    let (entries, faults) = settings_file::parse(text, &KEYS);
    let lines = 1 + text.matches('\n').count();
    let places = entries.iter().flat_map(|entry| &entry.values).map(|(_, place)| *place);
    for place in places.chain(faults.iter().map(|fault| fault.place)) {
        assert!((1..=lines).contains(&place.line) && place.column >= 1, "{place}");
    }
    for entry in &entries {
        let is_known = KEYS.iter().any(|key| key.name == entry.key && key.kind != Kind::Never);
        assert!(is_known, "{entry:?}");
    }
    faults.is_empty()
}
