//! From rules, capabilities and tags back to a source that compiles to the same bytes.
//!
//! What the language has no words for is written by its bytes with `raw`, which is not in the original language:
//! types that are unknown, numbers over the limits of the language, ranges that are reversed, networks with host
//! bits, flags on actions, an OR that stands first.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use zt_proto::rules::{MAX_CAPABILITY_RULES, MAX_RULES, Rule, RuleBody, TagMatch};

use super::compile::NamedTag;
use super::values;
use super::vocabulary::{CHARACTERISTICS, ETHER_TYPES, IP_PROTOCOLS, is_reserved, name_of};
use crate::network::{CapabilityDefinition, TagDefinition};

/// Names of tags and capabilities, as rule editors keep them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names {
    /// Entries of `tagsByName`; their defaults do not count.
    pub tags: Vec<NamedTag>,
    /// Entries of `capabilitiesByName`.
    pub capabilities: Vec<(String, u32)>,
}

/// Why rules have no source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecompileError {
    #[error("the table has {got} entries, clients take {max}")]
    TooManyRules { max: usize, got: usize },
    #[error("the capability {id} has {got} entries, clients take {max}")]
    TooManyCapabilityRules { id: u32, max: usize, got: usize },
    #[error("two capabilities have the id {0}")]
    CapabilityTwice(u32),
    #[error("two tags have the id {0}")]
    TagTwice(u32),
    #[error("an entry of type {0} has a field that is too short or not written as clients read it")]
    Field(u8),
}

/// Writes a source.
///
/// Names that are none in the language, or that several have, are replaced by `tag_ID` and `cap_ID`.
///
/// # Errors
/// If the rules cannot be those of a network: too many, an id twice, a field that does not read back.
pub fn decompile(
    rules: &[Rule],
    capabilities: &[CapabilityDefinition],
    tags: &[TagDefinition],
    names: &Names,
) -> Result<String, DecompileError> {
    if rules.len() > MAX_RULES {
        return Err(DecompileError::TooManyRules { max: MAX_RULES, got: rules.len() });
    }
    let tags = named_tags(tags, &names.tags)?;
    let mut out = String::new();
    for tag in tags.values() {
        put_tag(&mut out, tag);
    }
    let wanted = names.capabilities.iter().map(|(name, id)| (*id, name.as_str())).collect();
    let ids: Vec<u32> = capabilities.iter().map(|capability| capability.id).collect();
    let mut capability_names = unique_names(&ids, &wanted, "cap");
    for capability in capabilities {
        let CapabilityDefinition { id, default, rules } = capability;
        let name = capability_names.remove(id).ok_or(DecompileError::CapabilityTwice(*id))?;
        if rules.len() > MAX_CAPABILITY_RULES {
            let (max, got) = (MAX_CAPABILITY_RULES, rules.len());
            return Err(DecompileError::TooManyCapabilityRules { id: *id, max, got });
        }
        let default = if *default { "\n  default" } else { "" };
        put(&mut out, format_args!("cap {name}\n  id {id}{default}\n"));
        put_table(&mut out, rules, &tags, "  ")?;
        out.push_str(";\n\n");
    }
    put_table(&mut out, rules, &tags, "")?;
    Ok(out)
}

/// Returns one rule as it stands in a source, without its `not` and `or` if `raw` has them.
pub fn rule_text(rule: &Rule, tags: &BTreeMap<u32, NamedTag>) -> String {
    let mut text = String::new();
    if rule.body.is_action() {
        return action_text(rule).unwrap_or_else(|| raw(rule));
    }
    match match_text(&rule.body, tags) {
        Some(body) => {
            if rule.or {
                text.push_str("or ");
            }
            if rule.not {
                text.push_str("not ");
            }
            text + &body
        }
        None => raw(rule),
    }
}

fn put_table(
    out: &mut String,
    rules: &[Rule],
    tags: &BTreeMap<u32, NamedTag>,
    indent: &str,
) -> Result<(), DecompileError> {
    let mut start = 0;
    for (index, rule) in rules.iter().enumerate() {
        let (kind, field) = values::raw_text(rule);
        if values::raw(&kind, &field).as_ref() != Some(rule) {
            let kind = values::u8(&kind).unwrap_or_default() & 0x3f;
            return Err(DecompileError::Field(kind));
        }
        if rule.body.is_action() {
            let action = action_text(rule).unwrap_or_else(|| raw(rule));
            put_statement(out, &action, rules.get(start..index).unwrap_or_default(), tags, indent);
            start = index + 1;
        }
    }
    let rest = rules.get(start..).unwrap_or_default();
    if !rest.is_empty() {
        put_statement(out, "dangling", rest, tags, indent);
    }
    Ok(())
}

fn put_statement(
    out: &mut String,
    action: &str,
    matches: &[Rule],
    tags: &BTreeMap<u32, NamedTag>,
    indent: &str,
) {
    put(out, format_args!("{indent}{action}"));
    for (index, rule) in matches.iter().enumerate() {
        let is_leading_or = index == 0 && rule.or;
        let text = if is_leading_or { None } else { match_text(&rule.body, tags) };
        let not = if rule.not { "not " } else { "" };
        match text {
            Some(text) if index == 0 => put(out, format_args!("\n{indent}  {not}{text}")),
            Some(text) => {
                let operator = if rule.or { "or" } else { "and" };
                put(out, format_args!("\n{indent}  {operator} {not}{text}"));
            }
            None => put(out, format_args!("\n{indent}  {}{}", raw(rule), remark(rule, tags))),
        }
    }
    out.push_str(if matches.is_empty() { ";\n" } else { "\n" });
    if !matches.is_empty() {
        put(out, format_args!("{indent};\n"));
    }
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String does not fail.
    let _infallible = out.write_fmt(text);
}

fn raw(rule: &Rule) -> String {
    let (kind, field) = values::raw_text(rule);
    format!("raw {kind} {field}")
}

/// Says in words what `raw` means, as far as there are words.
fn remark(rule: &Rule, tags: &BTreeMap<u32, NamedTag>) -> String {
    let or = if rule.or { "or " } else { "" };
    let not = if rule.not { "not " } else { "" };
    if let Some((ip, bits)) = values::network_of(&rule.body) {
        return format!(" # {or}{not}{ip}/{bits}");
    }
    match match_text(&rule.body, tags) {
        Some(text) => format!(" # {or}{not}{text}"),
        None => String::new(),
    }
}

/// Returns an action in words; `None` if only its bytes say it.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what has no words is written by its bytes, a new type too"
)]
fn action_text(rule: &Rule) -> Option<String> {
    if rule.not || rule.or {
        return None;
    }
    // The language has 0 and -1 for "everything", which are 0 and 65535 on the wire.
    let length = |length: u16| if length == u16::MAX { "-1".to_owned() } else { length.to_string() };
    match rule.body {
        RuleBody::Drop => Some("drop".to_owned()),
        RuleBody::Accept => Some("accept".to_owned()),
        RuleBody::Break => Some("break".to_owned()),
        RuleBody::Tee { address, flags: 0, length: bytes } => {
            Some(format!("tee {} {address}", length(bytes)))
        }
        RuleBody::Watch { address, flags: 0, length: bytes } => {
            Some(format!("watch {} {address}", length(bytes)))
        }
        RuleBody::Redirect { address, flags: 0 } => Some(format!("redirect {address}")),
        _ => None,
    }
}

/// Returns a match in words, without `not` and `or`; `None` if only its bytes say it.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what has no words is written by its bytes, a new type too"
)]
fn match_text(body: &RuleBody, tags: &BTreeMap<u32, NamedTag>) -> Option<String> {
    let tag = |name: &str, operand: &TagMatch| {
        let Some(named) = tags.get(&operand.id) else {
            return format!("{name} {} {}", operand.id, operand.value);
        };
        let value = value_name(named, operand.value).unwrap_or_else(|| operand.value.to_string());
        format!("{name} {} {value}", named.name)
    };
    let range = |name: &str, start: u16, end: u16| {
        if start == end {
            return Some(format!("{name} {start}"));
        }
        (start < end).then(|| format!("{name} {start}-{end}"))
    };
    if let Some((ip, bits)) = values::network_of(body) {
        let prefix = zt_proto::IpPrefix::new(ip, bits).ok().filter(|prefix| prefix.network() == *prefix)?;
        let is_source = matches!(body, RuleBody::Ipv4Source { .. } | RuleBody::Ipv6Source { .. });
        return Some(format!("{} {prefix}", if is_source { "ipsrc" } else { "ipdest" }));
    }
    Some(match *body {
        RuleBody::SourceAddress(address) => format!("ztsrc {address}"),
        RuleBody::DestAddress(address) => format!("ztdest {address}"),
        RuleBody::VlanId(id) if id <= 4095 => format!("vlan {id}"),
        RuleBody::VlanPcp(priority) if priority <= 7 => format!("vlanpcp {priority}"),
        RuleBody::VlanDei(eligible) if eligible <= 1 => format!("vlandei {eligible}"),
        RuleBody::MacSource(mac) => format!("macsrc {mac}"),
        RuleBody::MacDest(mac) => format!("macdest {mac}"),
        RuleBody::IpTos { mask, start, end } if start == end => format!("iptos {mask} {start}"),
        RuleBody::IpTos { mask, start, end } if start < end => format!("iptos {mask} {start}-{end}"),
        RuleBody::IpProtocol(protocol) => match name_of(&IP_PROTOCOLS, &protocol) {
            Some(name) => format!("ipprotocol {name}"),
            None => format!("ipprotocol {protocol}"),
        },
        RuleBody::EtherType(ether_type) => match name_of(&ETHER_TYPES, &ether_type) {
            Some(name) => format!("ethertype {name}"),
            None => format!("ethertype {ether_type:#06x}"),
        },
        RuleBody::Icmp { kind, code: Some(code) } => format!("icmp {kind} {code}"),
        RuleBody::Icmp { kind, code: None } => format!("icmp {kind} -1"),
        RuleBody::IpSourcePortRange { start, end } => range("sport", start, end)?,
        RuleBody::IpDestPortRange { start, end } => range("dport", start, end)?,
        RuleBody::FrameSizeRange { start, end } => range("framesize", start, end)?,
        RuleBody::Characteristics(mask) if mask != 0 => format!("chr {}", characteristics(mask)),
        RuleBody::Random(probability) => format!("random {}", values::probability_text(probability)),
        RuleBody::TagsDifference(ref operand) => tag("tdiff", operand),
        RuleBody::TagsBitwiseAnd(ref operand) => tag("tand", operand),
        RuleBody::TagsBitwiseOr(ref operand) => tag("tor", operand),
        RuleBody::TagsBitwiseXor(ref operand) => tag("txor", operand),
        RuleBody::TagsEqual(ref operand) => tag("teq", operand),
        RuleBody::TagSender(ref operand) => tag("tseq", operand),
        RuleBody::TagReceiver(ref operand) => tag("treq", operand),
        RuleBody::IntegerRange { start, end, index, little_endian, bits } if start <= end => {
            let order = if little_endian { "le" } else { "be" };
            format!("intrange {index} {bits} {order} {start}-{end}")
        }
        _ => return None,
    })
}

fn characteristics(mask: u64) -> String {
    let bits = (0..64_u8).rev().filter(|bit| mask >> bit & 1 == 1);
    let names = bits.map(|bit| match name_of(&CHARACTERISTICS, &bit) {
        Some(name) => name.to_owned(),
        None => bit.to_string(),
    });
    names.collect::<Vec<_>>().join(",")
}

/// Returns the name that a value has, if the compiler finds that value by it.
fn value_name(tag: &NamedTag, value: u32) -> Option<String> {
    let names = tag.enums.iter().chain(&tag.flags);
    let name = names.filter(|(_, known)| *known == value).map(|(name, _)| name);
    name.into_iter().find(|name| tag.value(name) == Some(value)).cloned()
}

fn put_tag(out: &mut String, tag: &NamedTag) {
    put(out, format_args!("tag {}\n  id {}\n", tag.name, tag.id));
    for (name, value) in &tag.enums {
        put(out, format_args!("  enum {value} {name}\n"));
    }
    for (name, value) in &tag.flags {
        let bits = (0..32).filter(|bit| value >> bit & 1 == 1).map(|bit: u32| bit.to_string());
        put(out, format_args!("  flag {} {name}\n", bits.collect::<Vec<_>>().join(",")));
    }
    if let Some(default) = tag.default {
        let name = value_name(tag, default).unwrap_or_else(|| default.to_string());
        put(out, format_args!("  default {name}\n"));
    }
    out.push_str(";\n\n");
}

/// Gives each tag a name, and the names of values that the language takes.
fn named_tags(tags: &[TagDefinition], names: &[NamedTag]) -> Result<BTreeMap<u32, NamedTag>, DecompileError> {
    let wanted = names.iter().map(|tag| (tag.id, tag.name.as_str())).collect();
    let ids: Vec<u32> = tags.iter().map(|tag| tag.id).collect();
    let mut unique = unique_names(&ids, &wanted, "tag");
    let mut named = BTreeMap::new();
    for &TagDefinition { id, default } in tags {
        let name = unique.remove(&id).ok_or(DecompileError::TagTwice(id))?;
        let known = names.iter().find(|known| known.id == id);
        let mut tag = NamedTag { name, id, default, enums: Vec::new(), flags: Vec::new() };
        for (name, value) in known.iter().flat_map(|known| &known.enums) {
            if is_value_name(name, &tag.enums) {
                tag.enums.push((name.clone(), *value));
            }
        }
        for (name, value) in known.iter().flat_map(|known| &known.flags) {
            let conflicts = tag.enums.iter().any(|(known, other)| known == name && other != value);
            // A flag without bits has no form in the language.
            if *value != 0 && is_value_name(name, &tag.flags) && !conflicts {
                tag.flags.push((name.clone(), *value));
            }
        }
        named.insert(id, tag);
    }
    Ok(named)
}

fn is_value_name(name: &str, known: &[(String, u32)]) -> bool {
    values::is_name(name) && name.to_lowercase() == name && known.iter().all(|(known, _)| known != name)
}

/// Returns a name for each id: the wanted one if it is a name and nobody else has it.
fn unique_names(ids: &[u32], wanted: &BTreeMap<u32, &str>, kind: &str) -> BTreeMap<u32, String> {
    let mut taken: Vec<String> = ids.iter().map(|id| format!("{kind}_{id}")).collect();
    let mut names = BTreeMap::new();
    for id in ids {
        let is_free = |name: &&&str| {
            values::is_name(name)
                && !is_reserved(name)
                && name.to_lowercase() == ***name
                && !taken.iter().any(|taken| taken == **name)
        };
        let name = wanted.get(id).filter(is_free).map(|&name| name.to_owned());
        taken.extend(name.clone());
        names.insert(*id, name.unwrap_or_else(|| format!("{kind}_{id}")));
    }
    names
}
