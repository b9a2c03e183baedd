//! Any table has a source, which compiles back to the same bytes.

use ctl_core::network::{CapabilityDefinition, TagDefinition};
use ctl_core::rules::decompile::{DecompileError, Names, decompile};
use ctl_core::rules::{Compiled, compile, format};
use proptest::collection::vec;
use proptest::prelude::*;
use zt_proto::rules::{MAX_CAPABILITY_RULES, MAX_RULES, Rule, RuleBody, parse_table, write_table};

use crate::arbitrary;
use crate::json::{text, vectors};

fn written(rules: &[Rule]) -> Vec<u8> {
    let mut out = Vec::new();
    write_table(rules, &mut out);
    out
}

fn compiled(source: &str) -> Compiled {
    compile(source).unwrap_or_else(|errors| panic!("{errors}\n{source}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn tables_survive_their_source(
        rules in vec(arbitrary::rule(), 0..30),
        capabilities in arbitrary::capabilities(),
        tags in arbitrary::tags(),
        names in arbitrary::names(),
    ) {
        let source = decompile(&rules, &capabilities, &tags, &names).unwrap();
        let back = compiled(&source);
        prop_assert_eq!(written(&back.base.rules), written(&rules), "{}", source);
        prop_assert_eq!(&back.base.rules, &rules);
        prop_assert_eq!(&back.capability_definitions(), &capabilities, "{}", source);
        prop_assert_eq!(back.tag_definitions(), tags, "{}", source);
        // Names that the language takes come back, and a layout of its own changes nothing.
        let again = compiled(&format(&source).unwrap());
        prop_assert_eq!(&again.base.rules, &back.base.rules);
        prop_assert_eq!(again.capability_definitions(), capabilities);
        prop_assert_eq!(again.tags, back.tags);
    }

    #[test]
    fn tables_from_the_wire_survive_their_source(bytes in vec(any::<u8>(), 0..200)) {
        let Ok(rules) = parse_table(&bytes) else { return Ok(()) };
        match decompile(&rules, &[], &[], &Names::default()) {
            Ok(source) => prop_assert_eq!(written(&compiled(&source).base.rules), written(&rules), "{}", source),
            Err(error) => prop_assert!(false, "{}: {:?}", error, rules),
        }
    }

    #[test]
    fn compiled_sources_fit_on_the_wire(source in arbitrary::source()) {
        if let Ok(compiled) = compile(&source) {
            prop_assert!(compiled.base.rules.len() <= MAX_RULES);
            prop_assert_eq!(parse_table(&written(&compiled.base.rules)).unwrap(), compiled.base.rules.clone());
            let ids = compiled.capability_definitions();
            prop_assert_eq!(ids.len(), compiled.capabilities.len(), "each id once");
            prop_assert_eq!(compiled.tag_definitions().len(), compiled.tags.len(), "each id once");
            for capability in ids {
                prop_assert!(capability.rules.len() <= MAX_CAPABILITY_RULES);
                prop_assert_eq!(parse_table(&written(&capability.rules)).unwrap(), capability.rules);
            }
        }
    }
}

#[test]
fn sources_of_the_vectors_survive() {
    let mut survived = 0;
    for vector in vectors(include_str!("../../testdata/rules/compile.json")) {
        let Ok(first) = compile(text(&vector, "source")) else { continue };
        let names = Names { tags: first.tags.clone(), capabilities: first.capability_names() };
        let (capabilities, tags) = (first.capability_definitions(), first.tag_definitions());
        let source = decompile(&first.base.rules, &capabilities, &tags, &names).unwrap();
        let again = compiled(&source);
        assert_eq!(again.base.rules, first.base.rules, "{source}");
        assert_eq!(again.capability_definitions(), capabilities, "{source}");
        assert!(!source.contains("tag_") && !source.contains("cap_") && !source.contains("raw"), "{source}");
        let mut sorted = first.tags.clone();
        sorted.sort_by_key(|tag| tag.id);
        // Enums come before flags, each in their order; a flag without bits has no form.
        assert_eq!(again.tags, sorted, "{source}");
        survived += 1;
    }
    assert_eq!(survived, 202);
}

#[test]
fn imported_rules_are_readable() {
    let source = "tag role id 7 enum 0 guest enum 1 staff default guest;
        cap admin id 3 default accept; ;
        tee 128 deadbeef11 chr inbound and ipprotocol tcp;
        drop not ethertype ipv4 and not ethertype arp or not teq role staff;
        accept random 0.1 or dport 80-90 or icmp 8 -1 or macsrc 02:00:5e:10:00:01;
        break;";
    let first = compiled(source);
    let names = Names { tags: first.tags.clone(), capabilities: first.capability_names() };
    let (capabilities, tags) = (first.capability_definitions(), first.tag_definitions());
    let text = decompile(&first.base.rules, &capabilities, &tags, &names).unwrap();
    let expected = "\
tag role
  id 7
  enum 0 guest
  enum 1 staff
  default guest
;

cap admin
  id 3
  default
  accept;
;

tee 128 deadbeef11
  chr inbound
  and ipprotocol tcp
;
drop
  not ethertype ipv4
  and not ethertype arp
  or not teq role staff
;
accept
  random 0.1
  or dport 80-90
  or icmp 8 -1
  or macsrc 02:00:5e:10:00:01
;
break;
";
    assert_eq!(text, expected);
}

#[test]
fn what_the_language_lacks_is_written_by_its_bytes() {
    let rule = |not, or, body| Rule { not, or, body };
    let rules = [
        rule(false, true, RuleBody::EtherType(0x0800)),
        rule(true, false, RuleBody::Ipv4Source { ip: "10.1.2.3".parse().unwrap(), bits: 24 }),
        rule(false, false, RuleBody::IpDestPortRange { start: 90, end: 80 }),
        rule(false, false, RuleBody::Unknown { kind: 60, field: vec![] }),
        rule(
            false,
            false,
            RuleBody::IntegerRange { start: 1, end: 2, index: 9, little_endian: true, bits: 12 },
        ),
        rule(true, false, RuleBody::Accept),
        rule(false, false, RuleBody::EtherType(0x0806)),
    ];
    let text = decompile(&rules, &[], &[], &Names::default()).unwrap();
    let expected = "\
raw 0x81 -
  raw 0x65 0800 # or ethertype ipv4
  raw 0x9f 0a01020318 # not 10.1.2.3/24
  raw 0x28 005a0050
  raw 0x3c -
  and intrange 9 12 le 1-2
;
dangling
  ethertype arp
;
";
    assert_eq!(text, expected);
}

#[test]
fn rules_that_no_network_can_have_are_refused() {
    let none = Names::default();
    let many = vec![Rule::ACCEPT; MAX_RULES + 1];
    let got = decompile(&many, &[], &[], &none);
    assert_eq!(got, Err(DecompileError::TooManyRules { max: MAX_RULES, got: MAX_RULES + 1 }));
    let capability =
        |rules: usize| CapabilityDefinition { id: 5, default: false, rules: vec![Rule::ACCEPT; rules] };
    let got = decompile(&[], &[capability(65)], &[], &none);
    assert_eq!(got, Err(DecompileError::TooManyCapabilityRules { id: 5, max: 64, got: 65 }));
    let got = decompile(&[], &[capability(1), capability(2)], &[], &none);
    assert_eq!(got, Err(DecompileError::CapabilityTwice(5)));
    let tag = TagDefinition { id: 9, default: None };
    assert_eq!(decompile(&[], &[], &[tag, tag], &none), Err(DecompileError::TagTwice(9)));
    // A type that is known, with a field that is too short for it: no client reads that.
    let short = Rule { not: false, or: false, body: RuleBody::Unknown { kind: 24, field: vec![1] } };
    assert_eq!(decompile(&[short], &[], &[], &none), Err(DecompileError::Field(24)));
}
