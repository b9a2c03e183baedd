//! What controllers of 2015 and 2016 sent (`vl2.md` §2.2, §8).

use std::net::IpAddr;

use zt_proto::config::{NetworkConfig, Specialist, TextConfig};
use zt_proto::dictionary::OldDictionary;
use zt_proto::rules::{self, Rule, RuleBody};
use zt_proto::world::RootTopology;
use zt_proto::{NetworkId, PublicIdentity};

use crate::vectors::{bytes, list, load, text};

#[test]
fn old_dictionaries_are_written_back_byte_for_byte() {
    for (version, dictionary) in configurations() {
        if version == "1.1.14" {
            continue;
        }
        let read = OldDictionary::parse(&dictionary);
        assert_eq!(String::from_utf8(read.write()), String::from_utf8(dictionary), "{version}");
    }
}

#[test]
fn text_configurations_are_written_back_byte_for_byte() {
    let mut count = 0;
    for (version, dictionary) in configurations() {
        if version == "1.1.14" {
            continue;
        }
        let signed = OldDictionary::parse(&dictionary);
        let config = TextConfig::from_dictionary(&signed).unwrap();
        let copy = config
            .to_dictionary()
            .with_signer(&signed.signer().unwrap(), signed.signed_at().unwrap())
            .with_signature(&signed.signature().unwrap());
        assert_eq!(String::from_utf8(copy.write()), String::from_utf8(dictionary), "{version}");
        assert_eq!(signed.signed_at(), Some(config.timestamp));
        count += 1;
    }
    assert_eq!(count, 18);
}

#[test]
fn text_configuration_says_what_the_controller_was_told() {
    let (_, dictionary) = configurations().find(|(version, _)| version == "1.1.4").unwrap();
    let config = TextConfig::parse(&dictionary).unwrap();
    assert_eq!(config.network, NetworkId(0xf593_81cf_7300_0001));
    assert_eq!((config.name.as_slice(), config.revision), (&b"old net = \\ x"[..], 2));
    assert_eq!((config.private, config.broadcast, config.passive_bridging), (true, true, true));
    assert_eq!((config.ether_types.as_slice(), config.multicast_limit), (&[0x0800, 0x0806, 0x86dd][..], 64));
    assert_eq!(config.bridges, [config.member]);
    assert_eq!(config.relays.len(), 2);
    assert_eq!(config.relays[1].endpoint, Some("192.0.2.2:9993".parse().unwrap()));
    let addresses: Vec<_> = config.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["10.7.0.0/24", "10.7.0.118/24", "fdf5:9381:cf73:0:199:9397:f670:3e6c/88"]);
    assert_eq!(config.addresses[0].network(), config.addresses[0], "a route");
    let membership = config.membership.unwrap();
    assert_eq!((membership.qualifiers.len(), membership.signed_by), (3, config.network.controller()));
}

#[test]
fn configurations_of_version_6_are_written_back_byte_for_byte() {
    let mut count = 0;
    for (version, dictionary) in configurations().filter(|(version, _)| version == "1.1.14") {
        // one is for a client of 1.0.5: it has the keys of both forms
        if dictionary.windows(5).any(|part| part == b"\ncom=") {
            let text = TextConfig::parse(&dictionary).unwrap();
            let modern = NetworkConfig::parse(&dictionary).unwrap();
            assert_eq!((text.member, &text.membership), (modern.member, &modern.membership));
            assert_eq!(text.ether_types, rules::ether_types(&modern.rules));
            assert_eq!(text.relays.len(), 2);
            continue;
        }
        let config = NetworkConfig::parse(&dictionary).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&config.write_version_6()),
            String::from_utf8_lossy(&dictionary),
            "{version}"
        );
        count += 1;
    }
    assert_eq!(count, 7);
}

#[test]
fn old_members_are_told_what_modern_ones_are() {
    let mut config = NetworkConfig::parse(b"v=7\nnwid=1\nid=2\nn=net\nml=20\nf=2\nt=1").unwrap();
    let member = config.member;
    config.addresses = vec!["10.0.0.5/8".parse().unwrap(), "fd00::5/64".parse().unwrap()];
    let route = |target: &str, via: Option<IpAddr>| zt_proto::config::ConfigRoute {
        target: target.parse().unwrap(),
        via,
        flags: 0,
        metric: 0,
    };
    config.routes = vec![route("10.0.0.1/8", None), route("10.9.0.0/16", Some("10.0.0.1".parse().unwrap()))];
    config.specialists = vec![Specialist { address: member, roles: Specialist::ACTIVE_BRIDGE }];
    let text = TextConfig::of(&config, vec![TextConfig::EVERY_ETHER_TYPE], true);
    let dictionary = text.to_dictionary();
    assert_eq!(dictionary.text("v4s").unwrap(), "10.0.0.0/8,10.0.0.5/8");
    assert_eq!(dictionary.text("v6s").unwrap(), "fd00:0000:0000:0000:0000:0000:0000:0005/64");
    assert_eq!(
        (dictionary.text("et").unwrap(), dictionary.text("ab").unwrap()),
        ("0".into(), "0000000002".into())
    );
    assert_eq!((dictionary.boolean("p"), dictionary.boolean("eb")), (Some(false), Some(true)));
    let without = TextConfig::of(&config, Vec::new(), false);
    assert_eq!(without.to_dictionary().text("v4s").unwrap(), "10.0.0.5/8");
    assert_eq!(without.to_dictionary().text("et").unwrap(), "", "nothing passes, and it has to be said");
}

#[test]
fn rules_that_version_6_would_misread_become_accept_everything() {
    let mut config = NetworkConfig::parse(b"v=7\nnwid=1\nid=2").unwrap();
    let rule = |body| Rule { not: false, or: false, body };
    config.rules = vec![rule(RuleBody::IpProtocol(6)), rule(RuleBody::Drop), Rule::ACCEPT];
    let read = NetworkConfig::parse(&config.write_version_6()).unwrap();
    assert_eq!(read.rules, [Rule::ACCEPT]);
    config.rules = vec![Rule { not: true, ..rule(RuleBody::EtherType(0x0800)) }, Rule::ACCEPT];
    assert_eq!(NetworkConfig::parse(&config.write_version_6()).unwrap().rules, [Rule::ACCEPT]);
    config.rules.clear();
    assert!(
        NetworkConfig::parse(&config.write_version_6()).unwrap().rules.is_empty(),
        "drops everything, still"
    );
}

#[test]
fn list_of_old_roots_is_nested_three_deep() {
    let identity: PublicIdentity =
        text(&load("vl1/identities.json")["valid_identities"][0], "public_string").parse().unwrap();
    let root = zt_proto::world::OldRoot {
        identity,
        endpoint: "192.0.2.1:9993".parse().unwrap(),
        description: b"a".to_vec(),
    };
    let written = RootTopology { roots: vec![root] }.write();
    // in the innermost dictionary one backslash, then two, then four
    let expected = format!(
        "rootservers={}\\=desc\\\\\\=a\\\\nid\\\\\\={identity}\\\\nudp\\\\\\=192.0.2.1/9993\\\\n\\n\n",
        identity.address
    );
    assert_eq!(String::from_utf8(written), Ok(expected));
}

#[test]
fn old_root_under_a_foreign_address_is_refused() {
    let identity = text(&load("vl1/identities.json")["valid_identities"][0], "public_string").to_owned();
    let entry = OldDictionary::new().with_text("id", &identity).with_text("udp", "192.0.2.1/9993");
    let topology = |address: &str, entry: &OldDictionary| {
        let roots = OldDictionary::new().with_bytes(address, &entry.write());
        RootTopology::parse(&OldDictionary::new().with_bytes("rootservers", &roots.write()).write())
    };
    assert!(topology(&identity[..10], &entry).is_ok());
    assert!(topology("0123456789", &entry).is_err());
    assert!(topology(&identity[..10], &entry.clone().with_text("udp", "example.com/9993")).is_err());
}

/// Returns the release of the controller and the dictionary of every configuration that was recorded.
fn configurations() -> impl Iterator<Item = (String, Vec<u8>)> {
    let versions = list(&load("vl2/legacy_controllers.json"), "versions").to_vec();
    versions.into_iter().flat_map(|version| {
        let name = text(&version, "version").to_owned();
        let steps = list(&version, "steps").to_vec();
        let recorded =
            steps.into_iter().filter(|step| step["dictHex"].as_str().is_some_and(|hex| !hex.is_empty()));
        recorded.map(move |step| (name.clone(), bytes(&step, "dictHex")))
    })
}
