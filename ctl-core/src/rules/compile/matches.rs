//! The matches with their arguments (`rules-language.md` §4, §6, with the limits of §13).

use std::net::IpAddr;

use zt_proto::rules::{Rule, RuleBody, TagMatch};
use zt_proto::{Address, Mac};

use super::Compiler;
use super::statements::{Argument, Scope};
use crate::rules::diagnostic::{Diagnostic, Severity};
use crate::rules::values::{self, PrefixError, RangeError};
use crate::rules::vocabulary::{CHARACTERISTICS, ETHER_TYPES, IP_PROTOCOLS, MatchKind, closest, symbol};

/// Largest VLAN id that is none: twelve bits of ones.
const MAX_VLAN: u16 = 4095;
const MAX_VLAN_PRIORITY: u8 = 7;

/// A refusal: what is wrong, and a guess.
type Refused = (String, Option<String>);

impl Compiler<'_> {
    /// Compiles a match; `None` if it was refused, which is reported.
    pub(super) fn match_body(
        &mut self,
        kind: MatchKind,
        arguments: &[Argument],
        scope: &Scope,
    ) -> Option<RuleBody> {
        match arguments {
            [only] => self.unary(kind, only, scope),
            [tag, value] if kind.is_tag() => self.tag_match(kind, tag, value, scope),
            [mask, range] if kind == MatchKind::IpTos => {
                let mask = values::u8(&mask.text).or_else(|| {
                    self.refuse("tos_mask_invalid", mask, scope, expected("a mask from 0 to 255", mask))
                });
                let range = self.range("tos_range_invalid", range, u8::MAX.into(), scope);
                let ((start, end), mask) = (range?, mask?);
                Some(RuleBody::IpTos { mask, start: start.try_into().ok()?, end: end.try_into().ok()? })
            }
            [number, code] if kind == MatchKind::Icmp => self.icmp(number, code, scope),
            [index, bits, order, range] if kind == MatchKind::IntegerRange => {
                self.integer_range(index, bits, order, range, scope)
            }
            _ => None,
        }
    }

    pub(super) fn raw_match(&mut self, arguments: &[Argument], scope: &Scope) -> Option<Rule> {
        let [kind, field] = arguments else { return None };
        let rule = values::raw(&kind.text, &field.text).filter(|rule| !rule.body.is_action());
        rule.or_else(|| {
            let message = "expected the type byte of a match and its field".to_owned();
            self.refuse("raw_invalid", kind, scope, (message, None))
        })
    }

    fn unary(&mut self, kind: MatchKind, argument: &Argument, scope: &Scope) -> Option<RuleBody> {
        let text = argument.text.as_str();
        let number = "number_invalid";
        Some(match kind {
            MatchKind::SourceAddress => RuleBody::SourceAddress(self.address(argument, scope)?),
            MatchKind::DestAddress => RuleBody::DestAddress(self.address(argument, scope)?),
            MatchKind::MacSource => RuleBody::MacSource(self.mac(argument, scope)?),
            MatchKind::MacDest => RuleBody::MacDest(self.mac(argument, scope)?),
            MatchKind::VlanId => RuleBody::VlanId(match values::u16(text).filter(|&id| id <= MAX_VLAN) {
                Some(id) => id,
                None => {
                    self.refuse(number, argument, scope, expected("a number from 0 to 4095", argument))?
                }
            }),
            MatchKind::VlanPcp => {
                RuleBody::VlanPcp(match values::u8(text).filter(|&pcp| pcp <= MAX_VLAN_PRIORITY) {
                    Some(pcp) => pcp,
                    None => {
                        self.refuse(number, argument, scope, expected("a number from 0 to 7", argument))?
                    }
                })
            }
            MatchKind::VlanDei => RuleBody::VlanDei(match values::u8(text).filter(|&dei| dei <= 1) {
                Some(dei) => dei,
                None => self.refuse(number, argument, scope, expected("0 or 1", argument))?,
            }),
            MatchKind::EtherType => {
                RuleBody::EtherType(match symbol(&ETHER_TYPES, text).or_else(|| values::u16(text)) {
                    Some(ether_type) => ether_type,
                    None => {
                        let (message, _) =
                            expected("ipv4, ipv6, arp, … or a number from 0 to 65535", argument);
                        let guess = closest(text, ETHER_TYPES.iter().map(|&(name, _)| name));
                        self.refuse(number, argument, scope, (message, guess.map(str::to_owned)))?
                    }
                })
            }
            MatchKind::IpProtocol => {
                RuleBody::IpProtocol(match symbol(&IP_PROTOCOLS, text).or_else(|| values::u8(text)) {
                    Some(protocol) => protocol,
                    None => {
                        let (message, _) = expected("tcp, udp, icmp, … or a number from 0 to 255", argument);
                        let guess = closest(text, IP_PROTOCOLS.iter().map(|&(name, _)| name));
                        self.refuse(number, argument, scope, (message, guess.map(str::to_owned)))?
                    }
                })
            }
            MatchKind::IpSource => match self.network(argument, scope)? {
                (IpAddr::V4(ip), bits) => RuleBody::Ipv4Source { ip, bits },
                (IpAddr::V6(ip), bits) => RuleBody::Ipv6Source { ip, bits },
            },
            MatchKind::IpDest => match self.network(argument, scope)? {
                (IpAddr::V4(ip), bits) => RuleBody::Ipv4Dest { ip, bits },
                (IpAddr::V6(ip), bits) => RuleBody::Ipv6Dest { ip, bits },
            },
            MatchKind::SourcePort => {
                let (start, end) = self.range_u16(argument, scope)?;
                RuleBody::IpSourcePortRange { start, end }
            }
            MatchKind::DestPort => {
                let (start, end) = self.range_u16(argument, scope)?;
                RuleBody::IpDestPortRange { start, end }
            }
            MatchKind::FrameSize => {
                let (start, end) = self.range_u16(argument, scope)?;
                RuleBody::FrameSizeRange { start, end }
            }
            MatchKind::Characteristics => RuleBody::Characteristics(match values::characteristics(text) {
                Ok(mask) => mask,
                Err(piece) => {
                    let guess = closest(piece, CHARACTERISTICS.iter().map(|&(name, _)| name));
                    let message = format!(
                        "expected names such as inbound or tcp_syn, or bits from 0 to 63, got {piece:?}"
                    );
                    self.refuse("chr_bit_invalid", argument, scope, (message, guess.map(str::to_owned)))?
                }
            }),
            MatchKind::Random => RuleBody::Random(match values::probability(text) {
                Some(probability) => probability,
                None => self.refuse(
                    "random_invalid",
                    argument,
                    scope,
                    expected("a fraction from 0 to 1", argument),
                )?,
            }),
            MatchKind::IpTos
            | MatchKind::Icmp
            | MatchKind::TagsDifference
            | MatchKind::TagsAnd
            | MatchKind::TagsOr
            | MatchKind::TagsXor
            | MatchKind::TagsEqual
            | MatchKind::TagSender
            | MatchKind::TagReceiver
            | MatchKind::IntegerRange
            | MatchKind::Raw => return None,
        })
    }

    fn icmp(&mut self, number: &Argument, code: &Argument, scope: &Scope) -> Option<RuleBody> {
        let kind = values::u8(&number.text).or_else(|| {
            self.refuse("icmp_type_invalid", number, scope, expected("an ICMP type from 0 to 255", number))
        });
        let code = if code.text == "-1" {
            Some(None)
        } else {
            let refusal = || expected("an ICMP code from 0 to 255, or -1 for any", code);
            let number = values::u8(&code.text);
            number.or_else(|| self.refuse("icmp_code_invalid", code, scope, refusal())).map(Some)
        };
        Some(RuleBody::Icmp { kind: kind?, code: code? })
    }

    fn integer_range(
        &mut self,
        index: &Argument,
        bits: &Argument,
        order: &Argument,
        range: &Argument,
        scope: &Scope,
    ) -> Option<RuleBody> {
        let number = "number_invalid";
        let at = values::u16(&index.text).or_else(|| {
            self.refuse(number, index, scope, expected("a place in the frame from 0 to 65535", index))
        });
        let width = values::u8(&bits.text).filter(|bits| (1..=64).contains(bits));
        let width =
            width.or_else(|| self.refuse(number, bits, scope, expected("a width from 1 to 64 bits", bits)));
        let little_endian = match order.text.to_ascii_lowercase().as_str() {
            "le" => Some(true),
            "be" => Some(false),
            _ => self.refuse(number, order, scope, expected("be (big-endian) or le (little-endian)", order)),
        };
        let (start, end) = self.range("range_invalid", range, u64::MAX, scope)?;
        Some(RuleBody::IntegerRange { start, end, index: at?, little_endian: little_endian?, bits: width? })
    }

    fn tag_match(
        &mut self,
        kind: MatchKind,
        tag: &Argument,
        value: &Argument,
        scope: &Scope,
    ) -> Option<RuleBody> {
        let name = tag.text.to_lowercase();
        let named = self.tags.get(&name).cloned();
        let number = "a number from 0 to 4294967295";
        let id = match &named {
            Some(named) => {
                self.used_tags.insert(name);
                Some(named.id)
            }
            None => values::u32(&tag.text).or_else(|| {
                let guess = closest(&tag.text, self.tags.keys().map(String::as_str)).map(str::to_owned);
                let (message, _) = expected(&format!("a tag of this source or {number}"), tag);
                self.refuse("tag_ref_invalid", tag, scope, (message, guess))
            }),
        };
        let known = named.as_ref().and_then(|named| named.value(&value.text.to_lowercase()));
        let number = known.or_else(|| values::u32(&value.text)).or_else(|| {
            let names = named.iter().flat_map(|named| named.flags.iter().chain(&named.enums));
            let guess = closest(&value.text, names.map(|(name, _)| name.as_str())).map(str::to_owned);
            let of = named.as_ref().map(|named| format!("an enum or flag of {} or ", named.name));
            let (message, _) = expected(&format!("{}{number}", of.unwrap_or_default()), value);
            self.refuse("tag_value_invalid", value, scope, (message, guess))
        });
        let operand = TagMatch { id: id?, value: number? };
        Some(match kind {
            MatchKind::TagsDifference => RuleBody::TagsDifference(operand),
            MatchKind::TagsAnd => RuleBody::TagsBitwiseAnd(operand),
            MatchKind::TagsOr => RuleBody::TagsBitwiseOr(operand),
            MatchKind::TagsXor => RuleBody::TagsBitwiseXor(operand),
            MatchKind::TagsEqual => RuleBody::TagsEqual(operand),
            MatchKind::TagSender => RuleBody::TagSender(operand),
            MatchKind::TagReceiver => RuleBody::TagReceiver(operand),
            MatchKind::SourceAddress
            | MatchKind::DestAddress
            | MatchKind::VlanId
            | MatchKind::VlanPcp
            | MatchKind::VlanDei
            | MatchKind::EtherType
            | MatchKind::MacSource
            | MatchKind::MacDest
            | MatchKind::IpSource
            | MatchKind::IpDest
            | MatchKind::IpTos
            | MatchKind::IpProtocol
            | MatchKind::Icmp
            | MatchKind::SourcePort
            | MatchKind::DestPort
            | MatchKind::Characteristics
            | MatchKind::FrameSize
            | MatchKind::Random
            | MatchKind::IntegerRange
            | MatchKind::Raw => return None,
        })
    }

    fn address(&mut self, argument: &Argument, scope: &Scope) -> Option<Address> {
        let refusal = || {
            let (message, _) = expected("a node address of 10 hexadecimal digits", argument);
            let digits: String = argument.text.chars().filter(char::is_ascii_hexdigit).collect();
            (message, digits.parse::<Address>().ok().map(|address| address.to_string()))
        };
        argument.text.parse().ok().or_else(|| self.refuse("zt_address_invalid", argument, scope, refusal()))
    }

    fn mac(&mut self, argument: &Argument, scope: &Scope) -> Option<Mac> {
        let refusal = || expected("a MAC address such as 02:00:5e:10:00:01", argument);
        values::mac(&argument.text).or_else(|| self.refuse("mac_invalid", argument, scope, refusal()))
    }

    /// Reads an IP network and clears its host bits: with them clients match nothing on IPv6.
    fn network(&mut self, argument: &Argument, scope: &Scope) -> Option<(IpAddr, u8)> {
        let prefix = match values::prefix(&argument.text) {
            Ok(prefix) => prefix,
            Err(problem) => {
                let (code, message) = match problem {
                    PrefixError::Missing => {
                        ("ip_prefix_missing", "a network ADDRESS/BITS, such as 10.0.0.0/8")
                    }
                    PrefixError::Unreadable => {
                        ("ip_invalid", "an IPv4 address and 0 to 32 bits, or an IPv6 address and 0 to 128")
                    }
                };
                let (message, _) = expected(message, argument);
                let single = argument.text.split('/').next().and_then(|ip| ip.parse::<IpAddr>().ok());
                let guess = single.map(|ip| format!("{ip}/{}", if ip.is_ipv4() { 32 } else { 128 }));
                return self.refuse(code, argument, scope, (message, guess));
            }
        };
        let network = prefix.network();
        if network != prefix {
            self.warn("host_bits_cleared", argument, scope, format!("{prefix} means the network {network}"));
        } else if prefix.bits() == 0 {
            let family = if prefix.ip().is_ipv4() { "IPv4" } else { "IPv6" };
            let message =
                format!("{prefix} matches every {family} frame; ethertype {} says so", family.to_lowercase());
            self.warn("prefix_matches_all", argument, scope, message);
        }
        if prefix.bits() == 0 && network != prefix {
            let message = format!("{prefix} has no bits to compare and matches everything");
            self.warn("prefix_matches_all", argument, scope, message);
        }
        Some((network.ip(), network.bits()))
    }

    fn range_u16(&mut self, argument: &Argument, scope: &Scope) -> Option<(u16, u16)> {
        let (start, end) = self.range("range_invalid", argument, u16::MAX.into(), scope)?;
        Some((start.try_into().ok()?, end.try_into().ok()?))
    }

    fn range(
        &mut self,
        code: &'static str,
        argument: &Argument,
        max: u64,
        scope: &Scope,
    ) -> Option<(u64, u64)> {
        match values::range(&argument.text, max) {
            Ok(range) => Some(range),
            Err(problem) => {
                let (message, _) = expected(&format!("A or A-B from 0 to {max}, A not above B"), argument);
                let guess = match problem {
                    RangeError::Reversed => argument.text.split_once('-').map(|(a, b)| format!("{b}-{a}")),
                    RangeError::Unreadable => {
                        let plain = argument.text.replace(['–', '—', ':'], "-");
                        values::range(&plain, max).is_ok().then_some(plain)
                    }
                };
                self.refuse(code, argument, scope, (message, guess))
            }
        }
    }

    fn refuse<T>(
        &mut self,
        code: &'static str,
        argument: &Argument,
        scope: &Scope,
        (message, suggestion): Refused,
    ) -> Option<T> {
        self.report(code, (&argument.text, argument.span), scope, message, suggestion);
        None
    }

    fn warn(&mut self, code: &'static str, argument: &Argument, scope: &Scope, message: String) {
        let at = (argument.text.as_str(), argument.span);
        let diagnostic = Diagnostic::new(Severity::Warning, code, at, message);
        self.sink.push(Diagnostic { included_at: scope.included_at, ..diagnostic });
    }
}

fn expected(what: &str, argument: &Argument) -> Refused {
    (format!("expected {what}, got {:?}", argument.text), None)
}
