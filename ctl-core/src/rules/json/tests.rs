//! The recorded conversions of the original, `testdata/vl2/rules.json`, and tables of any kind.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;
use zt_proto::rules::{Rule, RuleBody};

use super::*;

/// Inputs of which the API makes something else than the original, and why.
const API_DEVIATIONS: [(&str, &str, usize); 6] = [
    ("value", "the original reads 0, or cuts bits off: refused", 43),
    ("ip", "an address that cannot be read, or without bits, would match everything: refused", 8),
    ("type", "the original drops the entry, here the table is refused", 6),
    ("mask", "the original breaks off or reads 0, here the table is refused", 4),
    ("INTEGER_RANGE", "the original shows it, but drops it when it is sent: read", 1),
    ("", "alike", 63),
];

/// The same for imports: what the original took means the same here.
const IMPORT_DEVIATIONS: [(&str, &str, usize); 4] = [
    ("left out", "the original drops the entry too, but says nothing", 6),
    ("mask", "the original breaks off, here the entry is left out", 2),
    ("INTEGER_RANGE", "the original drops it; what an administrator wrote is kept", 3),
    ("", "alike", 114),
];

fn recorded() -> Value {
    serde_json::from_str(include_str!("../../../testdata/vl2/rules.json")).unwrap()
}

fn hex(rules: &[Rule]) -> String {
    let mut binary = Vec::new();
    rules.iter().for_each(|rule| rule.write(&mut binary));
    binary.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_integer_range(rules: &[Rule]) -> bool {
    matches!(rules, [Rule { body: RuleBody::IntegerRange { .. }, .. }])
}

/// Compares what was read with what the original made of it; its second reading, as it loses `not` and `or` of actions.
fn check_alike(case: &Value, rules: &[Rule]) {
    assert_eq!(render_table(rules), [case["rendered"].clone()], "{}", case["input"]);
    assert_eq!(case["renderedBinaryHex"], hex(rules), "{}", case["input"]);
}

fn counts(deviations: &[(&'static str, &str, usize)]) -> BTreeMap<&'static str, usize> {
    deviations.iter().map(|(kind, _, count)| (*kind, *count)).collect()
}

#[test]
fn api_reads_recorded_rules_as_the_original_but_for_the_deviations() {
    let mut found = BTreeMap::new();
    for case in recorded()["fromJson"].as_array().unwrap() {
        let kind = match parse_table(std::slice::from_ref(&case["input"]), 1) {
            Ok(rules) if is_integer_range(&rules) => "INTEGER_RANGE",
            Ok(rules) => {
                check_alike(case, &rules);
                ""
            }
            Err(error) => {
                let place = error.place();
                let field = place.strip_prefix("[0].").unwrap();
                API_DEVIATIONS.iter().map(|(kind, ..)| *kind).find(|kind| *kind == field).unwrap_or("value")
            }
        };
        *found.entry(kind).or_default() += 1;
    }
    assert_eq!(found, counts(&API_DEVIATIONS));
}

#[test]
fn import_reads_recorded_rules_as_the_original_and_says_what_it_changed() {
    let mut found = BTreeMap::new();
    let mut warned = 0;
    for case in recorded()["fromJson"].as_array().unwrap() {
        let (input, mut warnings) = (&case["input"], Vec::new());
        let rules = read_table(std::slice::from_ref(input), &mut warnings);
        let kind = match (rules.as_slice(), warnings.first()) {
            ([], Some(warning)) if warning.place() == "[0].mask" => "mask",
            ([], Some(_)) => "left out",
            (rules, _) if is_integer_range(rules) => "INTEGER_RANGE",
            (rules, _) => {
                check_alike(case, rules);
                ""
            }
        };
        *found.entry(kind).or_default() += 1;
        let is_exact = parse_table_strictly(std::slice::from_ref(input), 1).is_ok();
        assert_eq!(warnings.is_empty(), is_exact, "{input}: {warnings:?}");
        warned += usize::from(!is_exact);
    }
    assert_eq!(found, counts(&IMPORT_DEVIATIONS));
    assert_eq!(warned, 70);
}

#[test]
fn strict_reader_takes_nothing_that_the_original_reads_otherwise() {
    let mut taken = 0;
    for case in recorded()["fromJson"].as_array().unwrap() {
        let Ok(rules) = parse_table_strictly(std::slice::from_ref(&case["input"]), 1) else { continue };
        if !is_integer_range(&rules) {
            check_alike(case, &rules);
        }
        taken += 1;
    }
    assert_eq!(taken, 55);
}

#[test]
fn what_the_import_changes_is_named_with_its_index_and_what_became_of_it() {
    let table = json!([
        { "type": "ACTION_ACCEPT" },
        { "type": "MATCH_IPV4_SOURCE", "ip": "10.1.2.3" },
        { "type": "MATCH_VLAN_ID", "vlanId": 70_000 },
        { "type": "ACTION_PRIORITY", "qosBucket": 3 },
        7,
    ]);
    let mut warnings = Vec::new();
    let rules = read_table(table.as_array().unwrap(), &mut warnings);
    assert_eq!(hex(&rules), "01001f050a010203001a021170");
    let texts: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 4, "{texts:?}");
    assert!(texts[0].starts_with("[1].ip: expected an IPv4 ADDRESS/BITS"), "{texts:?}");
    assert!(texts[0].contains("10.1.2.3/0"), "{texts:?}");
    assert!(
        texts[1].starts_with("[2].vlanId: expected a whole number from 0 to 65535, got 70000; read as {"),
        "{texts:?}"
    );
    assert!(texts[2].starts_with("[3].type: unknown rule type \"ACTION_PRIORITY\""), "{texts:?}");
    assert!(
        texts[2].ends_with("left out, as the original did") && texts[3].starts_with("[4]: "),
        "{texts:?}"
    );
}

#[test]
fn binary_rules_are_shown_as_by_the_original() {
    for case in recorded()["fromBinary"].as_array().unwrap().iter().filter(|case| case["exception"].is_null())
    {
        let hex = case["binaryHex"].as_str().unwrap().as_bytes().chunks(2);
        let binary: Vec<u8> =
            hex.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect();
        let rules = zt_proto::rules::parse_table(&binary).unwrap();
        // The original shows what has no JSON form as an object without a type, which it then cannot read.
        let mut shown = render_table(&rules);
        shown.iter_mut().filter(|rule| rule["type"] == RAW).for_each(|rule| *rule = json!({}));
        assert_eq!(Value::from(shown), case["rendered"], "{case}");
    }
}

#[test]
fn entry_that_is_not_understood_is_named() {
    let cases = [
        (
            json!([{ "type": "ACTION_ACCEPT" }, { "type": "MATCH_FOO" }]),
            "[1].type: unknown rule type \"MATCH_FOO\"",
        ),
        (json!([{ "type": 5 }]), "[0].type: expected the name of a rule type, got 5"),
        (json!([{}]), "[0].type: expected the name of a rule type, got nothing"),
        (json!(["accept"]), "[0]: expected an object with a type, got \"accept\""),
        (
            json!([{ "type": "MATCH_IPV4_SOURCE", "ip": "10.1.2.3" }]),
            "[0].ip: expected an IPv4 ADDRESS/BITS, for example 10.0.0.0/8, got \"10.1.2.3\"",
        ),
        (
            json!([{ "type": "MATCH_CHARACTERISTICS", "mask": null }]),
            "[0].mask: expected hexadecimal digits as text, or a number, got null",
        ),
        (
            json!([{ "type": "INTEGER_RANGE", "start": 0, "end": 1, "idx": 0, "bits": 65 }]),
            "[0].bits: expected 1 to 64, got 65",
        ),
        (
            json!([{ "type": "MATCH_ETHERTYPE", "etherType": "0x86dd" }]),
            "[0].etherType: expected a whole number from 0 to 65535, got \"0x86dd\"",
        ),
        (
            json!([{ "type": "MATCH_ETHERTYPE", "etherType": 99_999 }]),
            "[0].etherType: expected a whole number from 0 to 65535, got 99999",
        ),
        (
            json!([{ "action": "drop", "etherType": "ipv6" }]),
            "[0].etherType: expected a whole number from 0 to 65535, got \"ipv6\"",
        ),
    ];
    for (table, expected) in cases {
        let error = parse_table(table.as_array().unwrap(), 1024).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn value_that_decides_what_a_rule_matches_is_understood_or_refused() {
    for (kind, field, refused, taken) in [
        (
            "MATCH_ETHERTYPE",
            "etherType",
            json!(["0x86dd", "ipv6", "", 65_536, -1, 1.5, true, null]),
            json!([34_525, "34525", 34_525.0]),
        ),
        ("MATCH_IP_PROTOCOL", "ipProtocol", json!(["tcp", 256, "6 ", "80-90"]), json!([6, "6"])),
        ("MATCH_IP_DEST_PORT_RANGE", "start", json!(["http", 65_536]), json!([80, "80"])),
        (
            "MATCH_SOURCE_ZEROTIER_ADDRESS",
            "zt",
            json!(["nope", "", "deadbeef0102", "abc,def", null]),
            json!(["deadbeef01", "DEADBEEF01", "abc", 5]),
        ),
        (
            "MATCH_MAC_DEST",
            "mac",
            json!(["nope", "aabb", "0:1:2:3:4:5", "02:11:22:33:44:55:66", null]),
            json!(["02:11:22:33:44:55", "0211-2233-4455", "021122334455"]),
        ),
        (
            "MATCH_CHARACTERISTICS",
            "mask",
            json!(["inbound", "", -1, 1.5]),
            json!([2, "0x10", "8000000000000000"]),
        ),
        ("MATCH_RANDOM", "probability", json!([4_294_967_296_u64, -1]), json!([2_147_483_648_u64])),
        ("ACTION_TEE", "address", json!(["nope", {}]), json!(["deadbeef01"])),
        ("MATCH_VLAN_DEI", "vlanDei", json!(["on"]), json!([1])),
    ] {
        let read = |value: Option<&Value>| {
            let mut entry = json!({ "type": kind });
            value.into_iter().for_each(|value| entry[field] = value.clone());
            parse_table(&[entry], 1)
        };
        for value in refused.as_array().unwrap().iter().map(Some).chain([None]) {
            let error = read(value).expect_err(&format!("{kind} {value:?}"));
            assert_eq!(error.place(), format!("[0].{field}"));
        }
        for value in taken.as_array().unwrap() {
            assert!(read(Some(value)).is_ok(), "{kind} {value}");
        }
    }
    let tee = json!({ "type": "ACTION_TEE", "address": "deadbeef01", "length": -1 });
    let Ok([Rule { body: RuleBody::Tee { length: u16::MAX, .. }, .. }]) = parse_table(&[tee], 1).as_deref()
    else {
        panic!("a whole frame is copied");
    };
}

#[test]
fn strict_reader_misses_nothing_but_what_may_be_missing() {
    for (entry, place) in [
        (json!({ "type": "MATCH_ETHERTYPE" }), "[0].etherType"),
        (json!({ "type": "MATCH_IP_PROTOCOL", "ipProtocol": -1 }), "[0].ipProtocol"),
        (json!({ "type": "MATCH_IP_TOS", "mask": 1, "start": 2 }), "[0].end"),
        (json!({ "type": "ACTION_TEE", "address": "deadbeef01" }), "[0].length"),
        (json!({ "type": "ACTION_REDIRECT" }), "[0].address"),
        (json!({ "type": "INTEGER_RANGE", "start": 1, "end": 2, "idx": 3 }), "[0].bits"),
    ] {
        assert_eq!(parse_table_strictly(&[entry], 1).unwrap_err().place(), place);
    }
    for entry in [
        json!({ "type": "MATCH_IP_DEST_PORT_RANGE", "start": 443 }),
        json!({ "type": "MATCH_ICMP", "icmpType": 8 }),
        json!({ "type": "ACTION_TEE", "address": "deadbeef01", "length": -1 }),
        json!({ "type": "ACTION_ACCEPT" }),
    ] {
        assert!(parse_table_strictly(std::slice::from_ref(&entry), 1).is_ok(), "{entry}");
    }
}

#[test]
fn table_that_is_too_long_is_refused() {
    let rules = vec![json!({ "type": "ACTION_ACCEPT" }); 3];
    assert_eq!(parse_table(&rules, 3).unwrap().len(), 3);
    assert_eq!(parse_table(&rules, 2).unwrap_err().to_string(), ": expected at most 2 rules, got 3");
}

proptest! {
    #[test]
    fn rule_that_was_shown_is_read_back(binary in proptest::collection::vec(any::<u8>(), 0..200)) {
        let from_wire = zt_proto::rules::parse_table(&binary).unwrap_or_default();
        let mut shown = render_table(&from_wire);
        prop_assert_eq!(shown.len(), from_wire.len());
        if shown.iter().any(|rule| rule["type"] == RAW) {
            prop_assert!(parse_table(&shown, 1024).unwrap_err().to_string().contains("/api/v2/"));
            shown.retain(|rule| rule["type"] != RAW);
        }
        // On the wire a prefix may be longer than its address; the first reading ends that.
        let rules = parse_table(&shown, 1024).unwrap();
        prop_assert_eq!(&parse_table(&render_table(&rules), 1024).unwrap(), &rules);
    }

    #[test]
    fn what_is_shown_exactly_is_read_back_by_imports_and_the_strict_reader(
        binary in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let from_wire = zt_proto::rules::parse_table(&binary).unwrap_or_default();
        let shown: Vec<_> = from_wire.iter().map(render_exactly).collect();
        let mut warnings = Vec::new();
        prop_assert_eq!(&read_table(&shown, &mut warnings), &from_wire);
        prop_assert_eq!(warnings, []);
        prop_assert_eq!(parse_table_strictly(&shown, 1024), Ok(from_wire));
    }
}
