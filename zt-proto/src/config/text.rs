//! The configuration as text, for clients of 1.0.0 to 1.1.4 (`vl2.md` §8.2).

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::{NetworkConfig, Specialist};
use crate::address::{Address, Mac, MulticastGroup, NetworkId};
use crate::codec::DecodeError;
use crate::credential::CertificateOfMembership;
use crate::dictionary::OldDictionary;
use crate::hex;
use crate::inet::{EndpointText, IpPrefix};
use crate::time::Timestamp;

/// What a member of 1.0.0 to 1.1.4 is told about its network.
///
/// [`TextConfig::to_dictionary`] and [`TextConfig::from_dictionary`] are its wire form; a signature is put on and
/// looked at there. Clients do not check it: the packet is authentic anyway.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TextConfig {
    /// Never zero.
    pub network: NetworkId,
    /// When it was issued.
    pub timestamp: Timestamp,
    /// 1 if it is missing. Clients tell it when they ask again.
    pub revision: u64,
    /// For whom it is; never zero.
    pub member: Address,
    /// Raw bytes, at most [`NetworkConfig::MAX_NAME_LEN`]; clients take no configuration with a longer one.
    pub name: Vec<u8>,
    /// Whether members need a certificate of membership to talk.
    pub private: bool,
    /// Whether Ethernet broadcast is enabled.
    pub broadcast: bool,
    /// Whether nodes behind members may be reached.
    pub passive_bridging: bool,
    /// Ethernet types that may pass; 0 stands for all. If there is none, nothing passes.
    pub ether_types: Vec<u16>,
    /// Recipients per multicast; 0 stands for 32.
    pub multicast_limit: u32,
    /// Addresses of the member, and, from 1.0.4, routes on the virtual segment: those whose host bits are zero.
    pub addresses: Vec<IpPrefix>,
    /// Private networks need one.
    pub membership: Option<CertificateOfMembership>,
    /// Nodes that may bridge.
    pub bridges: Vec<Address>,
    /// Relays that the network prefers (from 1.0.3; 1.1.0 must not get any).
    pub relays: Vec<Relay>,
    /// Default gateways (1.0.4 to 1.1.4); no client used them.
    pub gateways: Vec<Gateway>,
    /// How fast members may send multicasts (up to 1.0.3).
    pub multicast_rates: Vec<MulticastRate>,
    /// For people; empty if there is none.
    pub description: Vec<u8>,
}

/// A relay, and where it can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Relay {
    /// The relay.
    pub address: Address,
    /// Controllers of 1.1.6 and later leave it out.
    pub endpoint: Option<SocketAddr>,
}

/// A default gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Gateway {
    /// Address of the gateway.
    pub ip: IpAddr,
    /// Of two gateways the lower one counts.
    pub metric: u16,
}

/// A budget in bytes for the multicasts of one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MulticastRate {
    /// Whose multicasts the budget is for; the group of zeros is every other.
    pub group: MulticastGroup,
    /// Budget at the start, in bytes.
    pub preload: u32,
    /// Most that can be saved up, in bytes.
    pub max: u32,
    /// Per second.
    pub accrual: u32,
}

impl TextConfig {
    /// In [`TextConfig::ether_types`]: everything may pass.
    pub const EVERY_ETHER_TYPE: u16 = 0;
    /// What a multicast limit of 0 stands for.
    pub const DEFAULT_MULTICAST_LIMIT: u32 = 32;
    /// Longest dictionary that these clients take: it comes in one packet of four datagrams.
    pub const MAX_LEN: usize = NetworkConfig::MAX_LEN_BEFORE_1_2_0;

    /// Returns what an old member of the same network is to be told.
    ///
    /// `ether_types` is [`TextConfig::EVERY_ETHER_TYPE`] or what [`rules::ether_types`](crate::rules::ether_types)
    /// makes of the rules. Routes on the virtual segment are put in if `with_routes`, which only 1.0.4 and later
    /// know to be routes. Relays are left out.
    pub fn of(config: &NetworkConfig, ether_types: Vec<u16>, with_routes: bool) -> Self {
        let routes = config.routes.iter().filter(|route| with_routes && route.via.is_none());
        let bridges = config.specialists.iter().filter(|node| node.roles & Specialist::ACTIVE_BRIDGE != 0);
        Self {
            network: config.network,
            timestamp: config.timestamp,
            revision: config.revision,
            member: config.member,
            name: config.name.clone(),
            private: config.private,
            broadcast: config.flags & NetworkConfig::BROADCAST != 0,
            passive_bridging: config.flags & NetworkConfig::PASSIVE_BRIDGING != 0,
            ether_types,
            multicast_limit: config.multicast_limit,
            addresses: routes
                .map(|route| route.target.network())
                .chain(config.addresses.iter().copied())
                .collect(),
            membership: config.membership.clone(),
            bridges: bridges.map(|node| node.address).collect(),
            relays: Vec::new(),
            gateways: Vec::new(),
            multicast_rates: Vec::new(),
            description: Vec::new(),
        }
    }

    /// Reads the text form, as [`TextConfig::from_dictionary`] does.
    ///
    /// # Errors
    /// As [`TextConfig::from_dictionary`].
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::from_dictionary(&OldDictionary::parse(bytes))
    }

    /// Returns the text form, without a signature.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        self.to_dictionary().write()
    }

    /// Reads a dictionary. Entries of a list that cannot be understood are left out, as clients do.
    ///
    /// # Errors
    /// [`DecodeError::Invalid`] without network or member, and for a certificate that is malformed;
    /// [`DecodeError::TooLong`] for a longer name than clients take.
    pub fn from_dictionary(dictionary: &OldDictionary) -> Result<Self, DecodeError> {
        let network = NetworkId(dictionary.hex(key::NETWORK).unwrap_or(0));
        let member = dictionary.address(key::MEMBER).unwrap_or_default();
        if network.0 == 0 || member == Address::NONE {
            return Err(DecodeError::Invalid { field: "configuration network or member", value: 0 });
        }
        let name = dictionary.bytes(key::NAME).unwrap_or_default().to_vec();
        let max = NetworkConfig::MAX_NAME_LEN;
        if name.len() > max {
            return Err(DecodeError::TooLong { field: "network name", max, got: name.len() });
        }
        let membership = match dictionary.bytes(key::MEMBERSHIP) {
            None | Some([]) => None,
            Some(text) => Some(CertificateOfMembership::parse_text(text)?),
        };
        let mut addresses: Vec<IpPrefix> = list(dictionary, key::IPV4, |text| text.parse().ok());
        addresses.extend(list(dictionary, key::IPV6, |text| IpPrefix::from_str(text).ok()));
        Ok(Self {
            network,
            timestamp: Timestamp(dictionary.hex(key::TIMESTAMP).unwrap_or(0)),
            revision: dictionary.hex(key::REVISION).unwrap_or(1),
            member,
            name,
            private: dictionary.boolean(key::PRIVATE).unwrap_or(true),
            broadcast: dictionary.boolean(key::BROADCAST).unwrap_or(true),
            passive_bridging: dictionary.boolean(key::PASSIVE_BRIDGING).unwrap_or(false),
            ether_types: list(dictionary, key::ETHER_TYPES, |text| u16::from_str_radix(text, 16).ok()),
            multicast_limit: super::low_u32(dictionary.hex(key::MULTICAST_LIMIT).unwrap_or(0)),
            addresses,
            membership,
            bridges: list(dictionary, key::BRIDGES, |text| text.parse().ok()),
            relays: list(dictionary, key::RELAYS, Relay::parse),
            gateways: list(dictionary, key::GATEWAYS, Gateway::parse),
            multicast_rates: OldDictionary::parse(dictionary.bytes(key::RATES).unwrap_or_default())
                .entries()
                .filter_map(|(group, rate)| MulticastRate::parse(group, rate))
                .collect(),
            description: dictionary.bytes(key::DESCRIPTION).unwrap_or_default().to_vec(),
        })
    }

    /// Returns the dictionary. A long name is cut; what is empty is left out, except the name and the Ethernet
    /// types, which clients insist on.
    pub fn to_dictionary(&self) -> OldDictionary {
        let ether_types = join(self.ether_types.iter().copied(), |ether_type| match ether_type {
            Self::EVERY_ETHER_TYPE => "0".to_owned(),
            ether_type => format!("{ether_type:04x}"),
        });
        let mut dictionary = OldDictionary::new()
            .with_hex(key::NETWORK, self.network.0)
            .with_hex(key::TIMESTAMP, self.timestamp.0)
            .with_hex(key::REVISION, self.revision)
            .with_address(key::MEMBER, self.member)
            .with_bytes(key::NAME, super::cut(&self.name, NetworkConfig::MAX_NAME_LEN))
            .with_boolean(key::PRIVATE, self.private)
            .with_boolean(key::BROADCAST, self.broadcast)
            .with_boolean(key::PASSIVE_BRIDGING, self.passive_bridging)
            .with_text(key::ETHER_TYPES, &ether_types)
            .with_short_hex(key::MULTICAST_LIMIT, self.multicast_limit.into());
        let mut add = |key, text: Vec<u8>| {
            if !text.is_empty() {
                dictionary = std::mem::take(&mut dictionary).with_bytes(key, &text);
            }
        };
        let of_family = |is_ipv4| {
            let addresses = self.addresses.iter().filter(|prefix| prefix.ip().is_ipv4() == is_ipv4);
            join(addresses, |prefix| full_text(*prefix)).into_bytes()
        };
        add(key::IPV4, of_family(true));
        add(key::IPV6, of_family(false));
        if let Some(membership) = &self.membership {
            let mut text = Vec::new();
            membership.write_text(&mut text);
            add(key::MEMBERSHIP, text);
        }
        add(key::BRIDGES, join(&self.bridges, |bridge| bridge.to_string()).into_bytes());
        add(key::RELAYS, join(&self.relays, Relay::text).into_bytes());
        let gateway = |gateway: &Gateway| format!("{}/{}", gateway.ip, gateway.metric);
        add(key::GATEWAYS, join(&self.gateways, gateway).into_bytes());
        let rates = self.multicast_rates.iter().fold(OldDictionary::new(), |rates, rate| {
            let (group, rate) = rate.texts();
            rates.with_text(&group, &rate)
        });
        add(key::RATES, rates.write());
        add(key::DESCRIPTION, self.description.clone());
        dictionary
    }
}

impl Relay {
    /// Reads `address` or `address;ip/port`.
    fn parse(text: &str) -> Option<Self> {
        let (address, endpoint) = match text.split_once(';') {
            Some((address, endpoint)) => (address, Some(endpoint.parse::<EndpointText>().ok()?.0)),
            None => (text, None),
        };
        Some(Self { address: address.parse().ok()?, endpoint })
    }

    fn text(&self) -> String {
        match self.endpoint {
            Some(endpoint) => format!("{};{}", self.address, EndpointText(endpoint)),
            None => self.address.to_string(),
        }
    }
}

impl Gateway {
    /// Reads `ip/metric`.
    fn parse(text: &str) -> Option<Self> {
        let EndpointText(pair) = text.parse().ok()?;
        Some(Self { ip: pair.ip(), metric: pair.port() })
    }
}

impl MulticastRate {
    /// Reads `mac/adi` and `preload,max,accrual`, all hexadecimal.
    fn parse(group: &[u8], rate: &[u8]) -> Option<Self> {
        let (mac, adi) = std::str::from_utf8(group).ok()?.split_once('/')?;
        let mac = Mac(hex::parse(mac.as_bytes(), "multicast MAC").ok()?.try_into().ok()?);
        let number = |text: &str| u32::from_str_radix(text, 16).ok();
        let mut numbers = std::str::from_utf8(rate).ok()?.split(',').map(number);
        let mut next = || numbers.next().flatten();
        let group = MulticastGroup { mac, adi: number(adi)? };
        Some(Self { group, preload: next()?, max: next()?, accrual: next()? })
    }

    fn texts(&self) -> (String, String) {
        let [a, b, c, d, e, f] = self.group.mac.0;
        let group = format!("{a:02x}{b:02x}{c:02x}{d:02x}{e:02x}{f:02x}/{:x}", self.group.adi);
        (group, format!("{:x},{:x},{:x}", self.preload, self.max, self.accrual))
    }
}

/// Keys of the dictionary.
mod key {
    pub(super) const NETWORK: &str = "nwid";
    pub(super) const TIMESTAMP: &str = "ts";
    pub(super) const REVISION: &str = "r";
    pub(super) const MEMBER: &str = "id";
    pub(super) const NAME: &str = "n";
    pub(super) const PRIVATE: &str = "p";
    pub(super) const BROADCAST: &str = "eb";
    pub(super) const PASSIVE_BRIDGING: &str = "pb";
    pub(super) const ETHER_TYPES: &str = "et";
    pub(super) const MULTICAST_LIMIT: &str = "ml";
    pub(super) const IPV4: &str = "v4s";
    pub(super) const IPV6: &str = "v6s";
    pub(super) const MEMBERSHIP: &str = "com";
    pub(super) const BRIDGES: &str = "ab";
    pub(super) const RELAYS: &str = "rl";
    pub(super) const GATEWAYS: &str = "gw";
    pub(super) const RATES: &str = "mr";
    pub(super) const DESCRIPTION: &str = "d";
}

/// Reads a list that is separated by commas; what cannot be read is left out.
fn list<T>(dictionary: &OldDictionary, key: &str, parse: impl Fn(&str) -> Option<T>) -> Vec<T> {
    let text = dictionary.text(key).unwrap_or_default();
    text.split(',').filter_map(|item| parse(item.trim())).collect()
}

fn join<T>(items: impl IntoIterator<Item = T>, text: impl Fn(T) -> String) -> String {
    items.into_iter().map(text).collect::<Vec<_>>().join(",")
}

/// Returns `ip/bits`, with an IPv6 address in all its digits as controllers of that time wrote it.
fn full_text(prefix: IpPrefix) -> String {
    match prefix.ip() {
        IpAddr::V4(ip) => format!("{ip}/{}", prefix.bits()),
        IpAddr::V6(ip) => format!("{}/{}", full_ipv6(ip), prefix.bits()),
    }
}

fn full_ipv6(ip: Ipv6Addr) -> String {
    join(ip.segments(), |segment| format!("{segment:04x}")).replace(',', ":")
}
