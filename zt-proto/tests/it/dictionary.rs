use zt_proto::Address;
use zt_proto::dictionary::{Dictionary, DictionaryWriter};

use crate::vectors::{bytes, from_hex, list, load, text};

#[test]
fn entries_are_written_as_recorded() {
    for case in list(&load("vl2/dictionaries.json"), "write") {
        let mut writer = DictionaryWriter::new();
        for entry in list(case, "entries") {
            let (key, value) = (entry[0].as_str().unwrap(), &entry[2]);
            writer = match entry[1].as_str().unwrap() {
                "bytes" => writer.bytes(key, &from_hex(value.as_str().unwrap())),
                "str" => writer.text(key, value.as_str().unwrap()),
                "bool" => writer.boolean(key, value.as_bool().unwrap()),
                "uint" | "addr" => writer.hex(key, value.as_u64().unwrap()),
                // The reference loses the sign of negative numbers.
                "int" => writer.hex(key, value.as_i64().unwrap().unsigned_abs()),
                other => panic!("{other} is no type"),
            };
        }
        assert_eq!(writer.finish(), bytes(case, "serializedHex"));
    }
}

#[test]
fn values_are_read_as_recorded() {
    for case in list(&load("vl2/dictionaries.json"), "read") {
        let mut input = bytes(case, "hex");
        input.truncate(1023); // what the reference keeps of it
        let dictionary = Dictionary::new(&input);
        for result in list(case, "results") {
            let key = text(result, "key");
            let value = dictionary.bytes(key);
            assert_eq!(value.is_some(), result["found"].as_bool().unwrap(), "{key}");
            let Some(value) = value else { continue };
            assert_eq!(value, bytes(result, "valueHex"), "{key}");
            assert_eq!(dictionary.hex(key).unwrap_or(999), result["asUint"].as_u64().unwrap(), "{key}");
            assert_eq!(
                dictionary.boolean(key).unwrap_or(false),
                result["asBool"].as_bool().unwrap(),
                "{key}"
            );
        }
    }
}

#[test]
fn value_without_escape_is_borrowed() {
    let dictionary = Dictionary::new(b"a=plain\nb=esc\\n");
    assert!(matches!(dictionary.bytes("a"), Some(std::borrow::Cow::Borrowed(b"plain"))));
    assert_eq!(dictionary.bytes("b").unwrap(), &b"esc\n"[..]);
}

#[test]
fn numbers_saturate_and_addresses_keep_their_low_bits() {
    let dictionary = Dictionary::new(b"big=fffffffffffffffff\nid=00000011223344556677\nempty=\nneg=-0x10\n");
    assert_eq!(dictionary.hex("big"), Some(u64::MAX));
    assert_eq!(dictionary.address("id"), Address::from_u64(0x33_4455_6677));
    assert_eq!((dictionary.hex("empty"), dictionary.boolean("empty")), (None, None));
    assert_eq!(dictionary.hex("neg"), Some(0x10_u64.wrapping_neg()));
}
