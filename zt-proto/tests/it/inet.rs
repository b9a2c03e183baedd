use std::net::IpAddr;

use zt_proto::address::MulticastGroup;
use zt_proto::codec::Reader;
use zt_proto::inet::{EndpointText, Scope, is_usable_path, parse_endpoint, write_endpoint};
use zt_proto::{Address, IpPrefix, Mac, NetworkId};

use crate::vectors::{bytes, list, load, text, written};

#[test]
fn endpoints_have_the_recorded_form_scope_and_use() {
    for case in list(&load("vl1/inetaddress.json"), "cases") {
        let name = text(case, "text");
        let serialized = bytes(case, "serialized");
        let mut reader = Reader::new(&serialized);
        let endpoint = parse_endpoint(&mut reader, "endpoint").unwrap();
        assert!(reader.is_empty(), "{name}");
        assert_eq!(written(|out| write_endpoint(out, endpoint)), serialized, "{name}");
        let Some(endpoint) = endpoint else {
            assert_eq!(name, "");
            continue;
        };
        assert_eq!(EndpointText(endpoint).to_string(), name);
        assert_eq!(name.parse(), Ok(EndpointText(endpoint)));
        assert_eq!(Scope::of(endpoint.ip()) as u64, case["scope"].as_u64().unwrap(), "{name}");
        assert_eq!(is_usable_path(endpoint.ip()), case["valid_for_path"].as_bool().unwrap(), "{name}");
    }
}

#[test]
fn unused_kinds_of_address_count_as_none_and_unknown_ones_fail() {
    for case in list(&load("vl1/inetaddress.json"), "decode_only") {
        let name = text(case, "name");
        let serialized = bytes(case, "bytes");
        let mut reader = Reader::new(&serialized);
        let result = parse_endpoint(&mut reader, "endpoint");
        if case["error"] == true {
            assert!(result.is_err(), "{name}");
        } else {
            assert_eq!(result, Ok(None), "{name}");
            let consumed = serialized.len() - reader.remaining();
            assert_eq!(case["consumed"].as_u64(), u64::try_from(consumed).ok(), "{name}");
        }
    }
}

#[test]
fn mac_addresses_are_read_as_they_are_written() {
    let mac = Mac([0x32, 0xa7, 0xdd, 0x06, 0xd8, 0xf8]);
    assert_eq!(mac.to_string().parse(), Ok(mac));
    assert_eq!("32:A7:dd:06:D8:f8".parse(), Ok(mac));
    for text in [
        "",
        "32:a7:dd:06:d8",
        "32:a7:dd:06:d8:f8:",
        "32:a7:dd:06:d8:+8",
        "32-a7-dd-06-d8-f8",
        "2:a7:dd:06:d8:f8",
    ] {
        assert!(text.parse::<Mac>().is_err(), "{text}");
    }
}

#[test]
fn mac_addresses_follow_from_network_and_member_and_lead_back() {
    for case in list(&load("vl1/mac.json"), "cases") {
        let network: NetworkId = text(case, "network_id").parse().unwrap();
        let member: Address = text(case, "address").parse().unwrap();
        let mac = Mac::of_member(network, member);
        assert_eq!(mac.to_string(), text(case, "mac"));
        assert_eq!(mac.member(network).to_string(), text(case, "back_to_address"));
    }
}

#[test]
fn resolution_groups_follow_from_the_ip_address() {
    for case in list(&load("vl1/mac.json"), "address_resolution_groups") {
        let ip: IpAddr = text(case, "ip").parse().unwrap();
        let group = MulticastGroup::resolving(ip);
        assert_eq!(group.mac.to_string(), text(case, "mac"));
        assert_eq!(format!("{:08x}", group.adi), text(case, "adi"));
    }
}

/// The reference takes any text; here one that it would misread is refused (`vl2.md` §1).
#[test]
fn prefixes_are_read_as_recorded_or_refused() {
    let mut accepted = 0;
    for case in list(&load("vl2/addresses.json"), "parse") {
        let name = text(case, "text");
        let Ok(prefix) = name.parse::<IpPrefix>() else {
            let is_plain = case["bitsValid"] == true && text(case, "full") == name;
            assert!(!is_plain, "{name} means what it says");
            continue;
        };
        assert_eq!(text(case, "full"), prefix.to_string());
        assert_eq!(written(|out| prefix.write(out)), bytes(case, "serializedHex"), "{name}");
        let serialized = bytes(case, "serializedHex");
        assert_eq!(IpPrefix::parse(&mut Reader::new(&serialized), "prefix"), Ok(Some(prefix)));
        accepted += 1;
    }
    assert!(accepted > 3, "{accepted}");
}

/// IPv6 networks with host bits are the exception: the reference finds nothing in them, which is a fault.
#[test]
fn prefixes_contain_what_is_recorded() {
    for case in list(&load("vl2/addresses.json"), "contains") {
        let network = text(case, "network");
        let Ok(prefix) = network.parse::<IpPrefix>() else { continue };
        let expected = if network.contains(':') && prefix != prefix.network() {
            true
        } else {
            case["result"].as_bool().unwrap()
        };
        assert_eq!(prefix.contains(text(case, "address").parse().unwrap()), expected, "{network}");
    }
}
