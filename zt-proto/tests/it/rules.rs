use zt_proto::DecodeError;
use zt_proto::rules::{self, MAX_RULES, Rule, RuleBody};

use crate::vectors::{bytes, list, load, written};

#[test]
fn binary_rules_are_read_and_written_as_recorded() {
    for case in list(&load("vl2/rules.json"), "fromBinary") {
        let binary = bytes(case, "binaryHex");
        let result = rules::parse_table(&binary);
        assert_eq!(result.is_err(), case["exception"] == true, "{case}");
        if let Ok(table) = result {
            assert_eq!(case["count"].as_u64(), u64::try_from(table.len()).ok());
            assert_eq!(written(|out| rules::write_table(&table, out)), bytes(case, "reencodedHex"));
            for (rule, rendered) in table.iter().zip(list(case, "rendered")) {
                let is_action = rendered["type"].as_str().is_some_and(|name| name.starts_with("ACTION_"));
                assert!(!is_action || rule.body.is_action());
            }
        }
    }
}

#[test]
fn rules_made_from_json_are_read_and_written_back() {
    let mut count = 0;
    for case in list(&load("vl2/rules.json"), "fromJson") {
        for key in ["binaryHex", "renderedBinaryHex"] {
            if case[key].as_str().is_some_and(|hex| !hex.is_empty()) {
                let binary = bytes(case, key);
                let table = rules::parse_table(&binary).unwrap();
                assert_eq!(table.len(), 1);
                assert!(!matches!(table[0].body, RuleBody::Unknown { .. }));
                assert_eq!(written(|out| rules::write_table(&table, out)), binary);
                count += 1;
            }
        }
    }
    assert!(count > 100, "{count}");
}

#[test]
fn longer_field_is_legal_and_its_end_ignored() {
    let table = rules::parse_table(&[0x25, 4, 0x08, 0x00, 9, 9, 0x01, 0]).unwrap();
    let ether_type = Rule { not: false, or: false, body: RuleBody::EtherType(0x0800) };
    assert_eq!(table, [ether_type, Rule::ACCEPT]);
}

#[test]
fn unknown_rule_survives_with_its_field() {
    let binary = [0xd0, 3, 1, 2, 3, 0x01, 0];
    let table = rules::parse_table(&binary).unwrap();
    assert_eq!(
        table[0],
        Rule { not: true, or: true, body: RuleBody::Unknown { kind: 16, field: vec![1, 2, 3] } }
    );
    assert_eq!(written(|out| rules::write_table(&table, out)), binary);
}

#[test]
fn table_has_at_most_1024_rules() {
    let full = vec![Rule::ACCEPT; MAX_RULES + 1];
    let binary = written(|out| rules::write_table(&full, out));
    assert_eq!(rules::parse_table(&binary).unwrap().len(), MAX_RULES);
    let too_long = [&binary[..], &[1, 0]].concat();
    assert!(matches!(rules::parse_table(&too_long), Err(DecodeError::TooLong { max: 1024, .. })));
}
