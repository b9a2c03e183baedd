//! Rules as JSON, which the vectors are written in (`vl2.md` §6.2).

use serde_json::Value;
use zt_proto::IpPrefix;
use zt_proto::rules::{Rule, RuleBody, TagMatch};

/// Reads a vector file.
pub(crate) fn vectors(text: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(text).unwrap();
    file["vectors"].as_array().unwrap().clone()
}

pub(crate) fn rules(entries: &Value) -> Vec<Rule> {
    entries.as_array().unwrap().iter().map(rule).collect()
}

pub(crate) fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_else(|| panic!("{field} in {value}"))
}

fn number<T: TryFrom<u64>>(entry: &Value, field: &str) -> T {
    let value = entry[field].as_i64().unwrap_or_else(|| panic!("{field} in {entry}"));
    // -1 stands for "everything", which is 65535.
    let value = if value == -1 { 0xffff } else { u64::try_from(value).unwrap() };
    T::try_from(value).ok().unwrap_or_else(|| panic!("{field} in {entry}"))
}

fn mac(entry: &Value) -> zt_proto::Mac {
    mac_of(text(entry, "mac"))
}

pub(crate) fn mac_of(text: &str) -> zt_proto::Mac {
    let octets: Vec<u8> = text.split(':').map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
    zt_proto::Mac(octets.try_into().unwrap())
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn rule(entry: &Value) -> Rule {
    let flag = |name: &str| entry[name].as_bool().unwrap_or(false);
    let tag = || TagMatch { id: number(entry, "id"), value: number(entry, "value") };
    let zt = || text(entry, "zt").parse().unwrap();
    let address = || text(entry, "address").parse().unwrap();
    let ip = || {
        let prefix: IpPrefix = text(entry, "ip").parse().unwrap();
        (prefix.ip(), prefix.bits())
    };
    let v4 = || match ip() {
        (std::net::IpAddr::V4(ip), bits) => (ip, bits),
        other => panic!("{other:?}"),
    };
    let v6 = || match ip() {
        (std::net::IpAddr::V6(ip), bits) => (ip, bits),
        other => panic!("{other:?}"),
    };
    let (start, end) = (|| number(entry, "start"), || number(entry, "end"));
    let forward_flags = entry["flags"].as_u64().unwrap_or(0).try_into().unwrap();
    let body = match text(entry, "type") {
        "ACTION_DROP" => RuleBody::Drop,
        "ACTION_ACCEPT" => RuleBody::Accept,
        "ACTION_BREAK" => RuleBody::Break,
        "ACTION_TEE" => {
            RuleBody::Tee { address: address(), flags: forward_flags, length: number(entry, "length") }
        }
        "ACTION_WATCH" => {
            RuleBody::Watch { address: address(), flags: forward_flags, length: number(entry, "length") }
        }
        "ACTION_REDIRECT" => RuleBody::Redirect { address: address(), flags: forward_flags },
        "MATCH_SOURCE_ZEROTIER_ADDRESS" => RuleBody::SourceAddress(zt()),
        "MATCH_DEST_ZEROTIER_ADDRESS" => RuleBody::DestAddress(zt()),
        "MATCH_VLAN_ID" => RuleBody::VlanId(number(entry, "vlanId")),
        "MATCH_VLAN_PCP" => RuleBody::VlanPcp(number(entry, "vlanPcp")),
        "MATCH_VLAN_DEI" => RuleBody::VlanDei(number(entry, "vlanDei")),
        "MATCH_MAC_SOURCE" => RuleBody::MacSource(mac(entry)),
        "MATCH_MAC_DEST" => RuleBody::MacDest(mac(entry)),
        "MATCH_IPV4_SOURCE" => {
            let (ip, bits) = v4();
            RuleBody::Ipv4Source { ip, bits }
        }
        "MATCH_IPV4_DEST" => {
            let (ip, bits) = v4();
            RuleBody::Ipv4Dest { ip, bits }
        }
        "MATCH_IPV6_SOURCE" => {
            let (ip, bits) = v6();
            RuleBody::Ipv6Source { ip, bits }
        }
        "MATCH_IPV6_DEST" => {
            let (ip, bits) = v6();
            RuleBody::Ipv6Dest { ip, bits }
        }
        "MATCH_IP_TOS" => RuleBody::IpTos {
            mask: number(entry, "mask"),
            start: number(entry, "start"),
            end: number(entry, "end"),
        },
        "MATCH_IP_PROTOCOL" => RuleBody::IpProtocol(number(entry, "ipProtocol")),
        "MATCH_ETHERTYPE" => RuleBody::EtherType(number(entry, "etherType")),
        "MATCH_ICMP" => {
            let code = (!entry["icmpCode"].is_null()).then(|| number(entry, "icmpCode"));
            RuleBody::Icmp { kind: number(entry, "icmpType"), code }
        }
        "MATCH_IP_SOURCE_PORT_RANGE" => RuleBody::IpSourcePortRange { start: start(), end: end() },
        "MATCH_IP_DEST_PORT_RANGE" => RuleBody::IpDestPortRange { start: start(), end: end() },
        "MATCH_FRAME_SIZE_RANGE" => RuleBody::FrameSizeRange { start: start(), end: end() },
        "MATCH_CHARACTERISTICS" => {
            RuleBody::Characteristics(u64::from_str_radix(text(entry, "mask"), 16).unwrap())
        }
        "MATCH_RANDOM" => RuleBody::Random(number(entry, "probability")),
        "MATCH_TAGS_DIFFERENCE" => RuleBody::TagsDifference(tag()),
        "MATCH_TAGS_BITWISE_AND" => RuleBody::TagsBitwiseAnd(tag()),
        "MATCH_TAGS_BITWISE_OR" => RuleBody::TagsBitwiseOr(tag()),
        "MATCH_TAGS_BITWISE_XOR" => RuleBody::TagsBitwiseXor(tag()),
        "MATCH_TAGS_EQUAL" => RuleBody::TagsEqual(tag()),
        "MATCH_TAG_SENDER" => RuleBody::TagSender(tag()),
        "MATCH_TAG_RECEIVER" => RuleBody::TagReceiver(tag()),
        other => panic!("{other}"),
    };
    Rule { not: flag("not"), or: flag("or"), body }
}
