use serde_json::Value;
use zt_proto::config::{NetworkConfig, Specialist};
use zt_proto::verb::error::{ErrorReply, NetworkError};
use zt_proto::verb::network_config::{ChunkPart, ConfigChunk};
use zt_proto::verb::network_config_request::RequestMetadata;
use zt_proto::verb::ok::OkReply;
use zt_proto::{Address, NetworkId, Timestamp};

use crate::vectors::{bytes, list, load, text, written};

#[test]
fn golden_configurations_are_written_back_byte_for_byte() {
    let mut count = 0;
    for (name, config) in golden("configs") {
        if config["dictHex"].is_null() {
            assert!(text(&config, "note").starts_with("dictionary omitted"));
            continue;
        }
        let dictionary = without_impossible_route(bytes(&config, "dictHex"));
        let parsed = NetworkConfig::parse(&dictionary).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(parsed.member.to_string(), text(&config, "to"));
        assert_eq!(String::from_utf8_lossy(&parsed.write()), String::from_utf8_lossy(&dictionary), "{name}");
        assert_eq!(parsed.write(), dictionary, "{name}");
        count += 1;
    }
    assert!(count > 116, "{count}");
}

#[test]
fn golden_packets_are_written_back_byte_for_byte() {
    let mut count = 0;
    for (name, packet) in golden("packets") {
        if packet["payloadHex"].is_null() {
            continue;
        }
        let payload = bytes(&packet, "payloadHex");
        let copy = match text(&packet, "verb") {
            "OK" => {
                let ok = OkReply::parse(&payload).unwrap();
                let chunk = ConfigChunk::parse(ok.payload).unwrap();
                assert_eq!(written(|out| chunk.write(out)), ok.payload);
                written(|out| ok.write(out))
            }
            "NETWORK_CONFIG" => written(|out| ConfigChunk::parse(&payload).unwrap().write(out)),
            "ERROR" => {
                let error = ErrorReply::parse(&payload).unwrap();
                let network = NetworkError::parse(error.payload).unwrap();
                let copy = written(|out| network.write(out));
                written(|out| ErrorReply { payload: &copy, ..error }.write(out))
            }
            _ => continue,
        };
        assert_eq!(copy, payload, "{name}");
        count += 1;
    }
    assert_eq!(count, 14 + 5);
}

#[test]
fn golden_requests_name_their_release() {
    let mut current = 0;
    for step in golden_steps().filter(|(_, step)| step["op"] == "request").map(|(_, step)| step) {
        let dictionary = bytes(&step, "metadataHex");
        let metadata = RequestMetadata::parse(&dictionary);
        if metadata.config_version == 7 && metadata.max_rules == 1024 {
            assert_eq!((metadata.rules_engine, metadata.vendor), (1, 1));
            current += 1;
        }
    }
    assert!(current > 20, "{current}");
}

#[test]
fn order_of_the_keys_does_not_matter() {
    let dictionary = bytes(&golden("configs").next().unwrap().1, "dictHex");
    let mut lines: Vec<&[u8]> = dictionary.split(|byte| *byte == b'\n').collect();
    lines.reverse();
    assert_eq!(NetworkConfig::parse(&lines.join(&b'\n')), NetworkConfig::parse(&dictionary));
}

#[test]
fn configuration_needs_version_network_and_member() {
    let parse = |text: &str| NetworkConfig::parse(text.as_bytes());
    assert!(parse("v=6\nnwid=1\nid=2").is_ok());
    assert!(parse("v=5\nnwid=1\nid=2").is_err());
    assert!(parse("nwid=1\nid=2").is_err());
    assert!(parse("v=7\nnwid=0\nid=2").is_err());
    assert!(parse("v=7\nnwid=1").is_err());
}

#[test]
fn what_is_missing_has_its_default_and_what_is_out_of_range_is_clamped() {
    let parse = |text: &str| NetworkConfig::parse(text.as_bytes()).unwrap();
    let config = parse("v=7\nnwid=8056c2e21c000001\nid=1122334455\nmtu=1");
    assert_eq!((config.network, config.member.to_u64()), (NetworkId(0x8056_c2e2_1c00_0001), 0x11_2233_4455));
    assert_eq!((config.mtu, config.private, config.multicast_limit), (NetworkConfig::MIN_MTU, true, 0));
    assert!(config.rules.is_empty() && config.membership.is_none());
    assert_eq!(parse("v=7\nnwid=1\nid=2").mtu, NetworkConfig::DEFAULT_MTU);
    assert_eq!(parse("v=7\nnwid=1\nid=2\nmtu=ffff").mtu, NetworkConfig::MAX_MTU);
    assert_eq!(parse("v=7\nnwid=1\nid=2\nml=100000020").multicast_limit, 32);
    assert!(!parse("v=7\nnwid=1\nid=2\nt=1").private);
}

#[test]
fn lists_are_cut_to_what_clients_take() {
    let mut config = NetworkConfig::parse(b"v=7\nnwid=1\nid=2").unwrap();
    config.name = vec![b'n'; 200];
    config.dns.domain = vec![b'd'; 200];
    config.dns.servers = vec!["10.0.0.1".parse().unwrap(); 5];
    config.addresses = vec!["10.0.0.1/8".parse().unwrap(); 33];
    config.specialists = vec![Specialist { address: Address::NONE, roles: Specialist::ACTIVE_BRIDGE }; 257];
    let cut = NetworkConfig::parse(&config.write()).unwrap();
    assert_eq!((cut.name.len(), cut.dns.domain.len(), cut.dns.servers.len()), (127, 127, 4));
    assert_eq!((cut.addresses.len(), cut.specialists.len()), (32, 256));
}

#[test]
fn roles_never_reach_into_the_address() {
    let mut config = NetworkConfig::parse(b"v=7\nnwid=1\nid=2").unwrap();
    let address = Address::from_low_bits(0x11_2233_4455);
    config.specialists = vec![Specialist { address, roles: Specialist::ANCHOR | 0xff }];
    let read = NetworkConfig::parse(&config.write()).unwrap();
    assert_eq!(read.specialists, [Specialist { address, roles: Specialist::ANCHOR }]);
}

#[test]
fn chunk_without_signature_is_the_old_form() {
    let chunk = ConfigChunk { network: NetworkId(1), data: b"v=6", part: None };
    let payload = written(|out| chunk.write(out));
    assert_eq!(payload.len(), 13);
    assert_eq!(ConfigChunk::parse(&payload), Ok(chunk));
}

#[test]
fn chunk_that_reaches_past_the_total_is_refused() {
    let chunk = |index, total| {
        let signature = zt_proto::credential::Signature::NONE;
        let part = ChunkPart { flags: 0, update_id: 9, total, index, signature };
        let payload =
            written(|out| ConfigChunk { network: NetworkId(1), data: b"abc", part: Some(part) }.write(out));
        ConfigChunk::parse(&payload).map(|_| ())
    };
    assert!(chunk(0, 3).is_ok() && chunk(7, 10).is_ok());
    assert!(chunk(8, 10).is_err() && chunk(u32::MAX, u32::MAX).is_err());
}

#[test]
fn only_the_first_1023_bytes_of_metadata_are_looked_at() {
    let metadata = |padding: usize| format!("x={}\nv=7", "-".repeat(padding));
    assert_eq!(RequestMetadata::parse(metadata(1023 - 6).as_bytes()).config_version, 7);
    assert_eq!(RequestMetadata::parse(metadata(1023 - 5).as_bytes()).config_version, 0);
}

#[test]
fn join_token_follows_its_prefix_and_has_at_most_505_bytes() {
    let token = |value: &str| RequestMetadata::parse(format!("v=7\na={value}").as_bytes()).token;
    assert_eq!(token("token:secret").as_deref(), Some("secret"));
    assert_eq!(token("token:"), None);
    assert_eq!(token("other:secret"), None);
    assert_eq!(token(&format!("token:{}", "t".repeat(600))).unwrap().len(), 505);
}

#[test]
fn sso_details_are_written_for_their_version_only() {
    let mut config = NetworkConfig::parse(b"v=7\nnwid=1\nid=2").unwrap();
    config.sso.url = b"https://login.example".to_vec();
    config.sso.expiry = Timestamp(5);
    assert!(!config.write().windows(4).any(|window| window == b"aurl"));
    config.sso.enabled = true;
    let read = NetworkConfig::parse(&config.write()).unwrap();
    assert_eq!(read.sso, config.sso);
    config.sso.version = 1;
    config.sso.open_id.issuer_url = b"https://issuer.example/?a=b".to_vec();
    let read = NetworkConfig::parse(&config.write()).unwrap();
    assert_eq!((read.sso.url, read.sso.open_id), (Vec::new(), config.sso.open_id));
}

/// Takes out the route to 10.9.0.0/99 that the reference passes on and no type of this crate can hold.
fn without_impossible_route(mut dictionary: Vec<u8>) -> Vec<u8> {
    let route = b"\x04\\n\x09\\0\\0\\0c\\0\\0\\0\\0\\0";
    if let Some(start) = dictionary.windows(route.len()).position(|window| window == route) {
        let before = NetworkConfig::parse(&dictionary).unwrap();
        dictionary.drain(start..start + route.len());
        assert_eq!(NetworkConfig::parse(&dictionary), Ok(before));
    }
    dictionary
}

/// Returns the steps of all golden cases with the name of their case.
fn golden_steps() -> impl Iterator<Item = (String, Value)> {
    ["vl2/golden_policy.json", "vl2/golden_max_sizes.json"].into_iter().flat_map(|file| {
        let cases = list(&load(file), "cases").to_vec();
        cases.into_iter().flat_map(|case| {
            let name = text(&case, "name").to_owned();
            let steps = list(&case, "steps").to_vec();
            steps.into_iter().map(move |step| (name.clone(), step))
        })
    })
}

/// Returns what is listed under `key` in the results of all golden steps.
fn golden(key: &'static str) -> impl Iterator<Item = (String, Value)> {
    golden_steps().flat_map(move |(name, step)| {
        let items = step["result"][key].as_array().cloned().unwrap_or_default();
        items.into_iter().map(move |item| (name.clone(), item))
    })
}
