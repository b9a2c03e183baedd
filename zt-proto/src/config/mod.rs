//! The configuration that a member receives: a dictionary of version 7 (`vl2.md` §5), of version 6 (§8.3), or, as
//! [`TextConfig`], in the form before (§8.2).

mod certificates;
mod text;
mod version_6;

use std::net::IpAddr;

pub use certificates::Certificates;
pub use text::{Gateway, MulticastRate, Relay, TextConfig};

use crate::address::{Address, NetworkId};
use crate::codec::{DecodeError, Reader};
use crate::credential::{Capability, CertificateOfMembership, CertificateOfOwnership, Tag};
use crate::dictionary::{Dictionary, DictionaryWriter};
use crate::inet::{self, IpPrefix};
use crate::rules::{self, Rule};
use crate::time::Timestamp;

/// What one member is told about its network. Lists keep their order on the wire.
#[doc(alias = "network_configuration")]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NetworkConfig {
    /// Never zero.
    pub network: NetworkId,
    /// When it was issued; no credential in it is later.
    pub timestamp: Timestamp,
    /// How far apart the timestamps of two members' credentials may be, in milliseconds.
    pub credential_window: u64,
    /// Counts up with each change of the network.
    pub revision: u64,
    /// For whom it is; never zero.
    pub member: Address,
    /// To whom the member sends remote traces; zero: nobody.
    pub trace_target: Address,
    /// 0 normal, 10 verbose, 15 rules, 20 debug, 30 insane.
    pub trace_level: u64,
    /// See the constants, for example [`NetworkConfig::BROADCAST`].
    pub flags: u64,
    /// Recipients per multicast; 0 switches multicast and broadcast off.
    pub multicast_limit: u32,
    /// Whether members need a certificate of membership to talk.
    pub private: bool,
    /// Raw bytes, at most [`NetworkConfig::MAX_NAME_LEN`].
    pub name: Vec<u8>,
    /// Bytes, [`NetworkConfig::MIN_MTU`] to [`NetworkConfig::MAX_MTU`].
    pub mtu: u16,
    /// For whom it is issued; private networks need one.
    pub membership: Option<CertificateOfMembership>,
    /// At most [`NetworkConfig::MAX_CAPABILITIES`].
    pub capabilities: Vec<Capability>,
    /// At most [`NetworkConfig::MAX_TAGS`].
    pub tags: Vec<Tag>,
    /// At most [`NetworkConfig::MAX_OWNERSHIPS`].
    pub ownerships: Vec<CertificateOfOwnership>,
    /// At most [`NetworkConfig::MAX_SPECIALISTS`], each node once.
    pub specialists: Vec<Specialist>,
    /// At most [`NetworkConfig::MAX_ROUTES`].
    pub routes: Vec<ConfigRoute>,
    /// Addresses of the member with the prefix length of their route; at most [`NetworkConfig::MAX_ADDRESSES`].
    pub addresses: Vec<IpPrefix>,
    /// At most [`crate::rules::MAX_RULES`]; empty drops everything that no capability allows.
    pub rules: Vec<Rule>,
    /// Name servers that members use for a domain.
    pub dns: ConfigDns,
    /// Whether and where the member must log in.
    pub sso: Sso,
}

/// A node with special roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Specialist {
    /// The node that has the roles.
    pub address: Address,
    /// See the constants; only the upper 24 bits count.
    pub roles: u64,
}

impl Specialist {
    /// Relay that the network prefers (1.1.6 to 1.2.x only).
    pub const PREFERRED_RELAY: u64 = 0x0000_0100_0000_0000;
    /// Receives frames for unknown MAC addresses.
    pub const ACTIVE_BRIDGE: u64 = 0x0000_0200_0000_0000;
    /// A node with which members keep contact.
    pub const ANCHOR: u64 = 0x0000_0400_0000_0000;
    /// Passes multicasts on.
    pub const MULTICAST_REPLICATOR: u64 = 0x0000_0800_0000_0000;
}

/// A route that members install.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConfigRoute {
    /// Which addresses are reached by it.
    pub target: IpPrefix,
    /// The gateway; `None` on the virtual segment.
    pub via: Option<IpAddr>,
    /// None is defined.
    pub flags: u16,
    /// Of two routes to the same target the lower one counts.
    pub metric: u16,
}

/// Name servers for one domain.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ConfigDns {
    /// Raw bytes without zeros, at most [`ConfigDns::MAX_DOMAIN_LEN`].
    pub domain: Vec<u8>,
    /// At most [`ConfigDns::MAX_SERVERS`].
    pub servers: Vec<IpAddr>,
}

impl ConfigDns {
    /// Longest domain in bytes.
    pub const MAX_DOMAIN_LEN: usize = 127;
    /// Most servers.
    pub const MAX_SERVERS: usize = 4;
}

/// How a member logs in elsewhere, if it must. Texts are raw bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Sso {
    /// 0: an URL; 1: OpenID Connect.
    pub version: u64,
    /// Whether the member must log in.
    pub enabled: bool,
    /// Version 0, if enabled: where to log in.
    pub url: Vec<u8>,
    /// Version 0, if enabled: when the present login ends.
    pub expiry: Timestamp,
    /// Version 1 only.
    pub open_id: OpenId,
}

/// What a member needs for a login by OpenID Connect. Clients cut what is longer than the limits below.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct OpenId {
    /// URL of the issuer.
    pub issuer_url: Vec<u8>,
    /// URL of the central endpoint.
    pub central_url: Vec<u8>,
    /// Random; comes back in what the issuer signs.
    pub nonce: Vec<u8>,
    /// Random; comes back with the login.
    pub state: Vec<u8>,
    /// Who asks, as the issuer knows it.
    pub client_id: Vec<u8>,
    /// `default`, or a name that clients know.
    pub provider: Vec<u8>,
}

impl OpenId {
    /// Longest URL in bytes.
    pub const MAX_URL_LEN: usize = 2047;
    /// Longest nonce in bytes.
    pub const MAX_NONCE_LEN: usize = 127;
    /// Longest state in bytes.
    pub const MAX_STATE_LEN: usize = 255;
    /// Longest client id in bytes.
    pub const MAX_CLIENT_ID_LEN: usize = 255;
    /// Longest provider in bytes.
    pub const MAX_PROVIDER_LEN: usize = 63;
}

impl NetworkConfig {
    /// Flag: passive bridging is allowed (only 1.1.6 to 1.2.4 look at it).
    pub const PASSIVE_BRIDGING: u64 = 0x01;
    /// Flag: Ethernet broadcast is enabled.
    pub const BROADCAST: u64 = 0x02;
    /// Flag: answer neighbour discovery for RFC4193 and 6PLANE addresses.
    pub const NDP_EMULATION: u64 = 0x04;
    /// Flag: a match that a member does not know counts as matching.
    pub const UNKNOWN_MATCHES: u64 = 0x08;
    /// Flag: members should not compress frames.
    pub const NO_COMPRESSION: u64 = 0x10;

    /// Smallest MTU; a smaller one is read as this.
    pub const MIN_MTU: u16 = 1280;
    /// Largest MTU; a larger one is read as this.
    pub const MAX_MTU: u16 = 10_000;
    /// MTU of a dictionary that names none.
    pub const DEFAULT_MTU: u16 = 2800;
    /// Longest name in bytes.
    pub const MAX_NAME_LEN: usize = 127;
    /// Most capabilities that clients take.
    pub const MAX_CAPABILITIES: usize = 128;
    /// Most tags that clients take.
    pub const MAX_TAGS: usize = 128;
    /// Most certificates of ownership that clients take.
    pub const MAX_OWNERSHIPS: usize = 4;
    /// Most specialists that clients take.
    pub const MAX_SPECIALISTS: usize = 256;
    /// Clients before 1.8.5 use the first 32.
    pub const MAX_ROUTES: usize = 128;
    /// Clients before 1.8.5 use the first 16.
    pub const MAX_ADDRESSES: usize = 32;
    /// Longest dictionary that clients take (1.14, 64 bits).
    pub const MAX_LEN: usize = 484_519;

    /// Room for the own entries of most members, the last of them doubled by escapes. Allocators have more than this only for
    /// one thread at a time.
    const USUAL_LEN: usize = 1024;

    /// The version of the dictionary, for clients from 1.2.0.
    const VERSION: u64 = 7;
    /// Versions from this one on have the keys of this module.
    const FIRST_MODERN_VERSION: u64 = 6;

    /// Writes the dictionary, with the keys in the order of `vl2.md` §5. Lists, the name and the DNS domain are
    /// cut to what clients take.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        SharedEntries::new(&self.routes, &self.rules, &self.dns).with(&self.write_own())
    }

    /// Writes all entries but routes, rules and name servers.
    pub fn write_own(&self) -> OwnEntries {
        let mut writer = Self::beginning(DictionaryWriter::with_capacity(Self::USUAL_LEN), self.network)
            .hex(key::TIMESTAMP, self.timestamp.0)
            .hex(key::CREDENTIAL_WINDOW, self.credential_window)
            .hex(key::REVISION, self.revision)
            .address(key::MEMBER, self.member)
            .address(key::TRACE_TARGET, self.trace_target)
            .hex(key::TRACE_LEVEL, self.trace_level)
            .hex(key::FLAGS, self.flags)
            .hex(key::MULTICAST_LIMIT, self.multicast_limit.into())
            .hex(key::PUBLIC, (!self.private).into())
            .bytes(key::NAME, cut(&self.name, Self::MAX_NAME_LEN))
            .hex(key::MTU, self.mtu.into());
        if let Some(membership) = &self.membership {
            let mut bytes = Vec::with_capacity(USUAL_LIST_LEN);
            membership.write(&mut bytes);
            writer = writer.bytes(key::MEMBERSHIP, &bytes);
        }
        writer = write_list(
            writer,
            key::CAPABILITIES,
            &self.capabilities,
            Self::MAX_CAPABILITIES,
            Capability::write,
        );
        writer = write_list(writer, key::TAGS, &self.tags, Self::MAX_TAGS, Tag::write);
        writer = write_list(
            writer,
            key::OWNERSHIPS,
            &self.ownerships,
            Self::MAX_OWNERSHIPS,
            CertificateOfOwnership::write,
        );
        writer =
            write_list(writer, key::SPECIALISTS, &self.specialists, Self::MAX_SPECIALISTS, Specialist::write);
        let list = DictionaryWriter::new;
        let addresses =
            write_list(list(), key::ADDRESSES, &self.addresses, Self::MAX_ADDRESSES, |prefix, out| {
                prefix.write(out);
            });
        OwnEntries {
            head: writer.finish(),
            addresses: addresses.finish(),
            login: self.sso.write(list()).finish(),
        }
    }

    fn beginning(empty: DictionaryWriter, network: NetworkId) -> DictionaryWriter {
        empty.hex(key::VERSION, Self::VERSION).hex(key::NETWORK, network.0)
    }

    /// Returns what stands before the 16 digits of the time of issue.
    #[must_use]
    pub fn before_timestamp(network: NetworkId) -> Vec<u8> {
        Self::beginning(DictionaryWriter::new(), network).bytes(key::TIMESTAMP, &[]).finish()
    }

    /// Reads a dictionary of version 6 or later; the order of the keys does not matter.
    ///
    /// Routes and addresses with an impossible prefix length, which the reference passes on, are left out.
    ///
    /// # Errors
    /// [`DecodeError::Invalid`] for an old version or without network or member; [`DecodeError::TooLong`] above
    /// [`NetworkConfig::MAX_LEN`] and for a list with more entries than clients take; whatever is wrong inside a
    /// binary value.
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > Self::MAX_LEN {
            let (field, max) = ("configuration", Self::MAX_LEN);
            return Err(DecodeError::TooLong { field, max, got: bytes.len() });
        }
        let dictionary = Dictionary::new(bytes);
        let number = |key| dictionary.hex(key).unwrap_or(0);
        let version = number(key::VERSION);
        if version < Self::FIRST_MODERN_VERSION {
            return Err(DecodeError::Invalid { field: "configuration version", value: version });
        }
        let network = NetworkId(number(key::NETWORK));
        let member = dictionary.address(key::MEMBER).unwrap_or_default();
        if network.0 == 0 || member == Address::NONE {
            return Err(DecodeError::Invalid { field: "configuration network or member", value: 0 });
        }
        let Certificates { membership, capabilities, tags, ownerships } = Certificates::of(dictionary)?;
        let mut name = dictionary.bytes(key::NAME).unwrap_or_default().into_owned();
        name.truncate(Self::MAX_NAME_LEN);
        let mtu = dictionary.hex(key::MTU).unwrap_or(Self::DEFAULT_MTU.into());
        let mtu = mtu.clamp(Self::MIN_MTU.into(), Self::MAX_MTU.into());
        Ok(Self {
            network,
            timestamp: Timestamp(number(key::TIMESTAMP)),
            credential_window: number(key::CREDENTIAL_WINDOW),
            revision: number(key::REVISION),
            member,
            trace_target: dictionary.address(key::TRACE_TARGET).unwrap_or_default(),
            trace_level: number(key::TRACE_LEVEL),
            flags: number(key::FLAGS),
            multicast_limit: low_u32(number(key::MULTICAST_LIMIT)),
            private: number(key::PUBLIC) == 0,
            name,
            mtu: u16::try_from(mtu).unwrap_or(Self::MAX_MTU),
            membership,
            capabilities,
            tags,
            ownerships,
            specialists: parse_list(dictionary, key::SPECIALISTS, Self::MAX_SPECIALISTS, Specialist::parse)?,
            routes: parse_list(dictionary, key::ROUTES, Self::MAX_ROUTES, ConfigRoute::parse)?
                .into_iter()
                .flatten()
                .collect(),
            addresses: parse_list(dictionary, key::ADDRESSES, Self::MAX_ADDRESSES, parse_prefix)?
                .into_iter()
                .flatten()
                .collect(),
            rules: rules::parse_table(&dictionary.bytes(key::RULES).unwrap_or_default())?,
            dns: match dictionary.bytes(key::DNS) {
                Some(bytes) if !bytes.is_empty() => ConfigDns::parse(&mut Reader::new(&bytes))?,
                _ => ConfigDns::default(),
            },
            sso: Sso::parse(dictionary),
        })
    }
}

/// The entries of a dictionary that are long and the same for all members of a network, written once for all.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SharedEntries {
    routes: Box<[u8]>,
    rules: Box<[u8]>,
    dns: Box<[u8]>,
}

/// The other entries, in three pieces between which those stand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct OwnEntries {
    /// Up to the specialists.
    pub head: Vec<u8>,
    /// The addresses of the member; empty if it has none.
    pub addresses: Vec<u8>,
    /// What the user has to log in with; empty if nothing.
    pub login: Vec<u8>,
}

impl SharedEntries {
    /// Writes them; lists and the domain are cut to what clients take.
    pub fn new(routes: &[ConfigRoute], rules: &[Rule], dns: &ConfigDns) -> Self {
        let list = DictionaryWriter::new;
        let mut dns_bytes = Vec::new();
        dns.write(&mut dns_bytes);
        Self {
            routes: write_list(list(), key::ROUTES, routes, NetworkConfig::MAX_ROUTES, ConfigRoute::write)
                .finish()
                .into(),
            rules: write_list(list(), key::RULES, rules, rules::MAX_RULES, Rule::write).finish().into(),
            dns: list().bytes(key::DNS, &dns_bytes).finish().into(),
        }
    }

    /// Returns the pieces of a whole dictionary in their order, those of a member between these; a line end stands between
    /// two that are not empty.
    pub fn between<'a>(&'a self, own: &'a OwnEntries) -> [&'a [u8]; 6] {
        [&own.head, &self.routes, &own.addresses, &self.rules, &self.dns, &own.login]
    }

    /// Returns the whole dictionary of a member.
    pub fn with(&self, own: &OwnEntries) -> Vec<u8> {
        self.between(own).into_iter().fold(DictionaryWriter::new(), DictionaryWriter::entries).finish()
    }

    /// Returns how many bytes they take.
    pub fn size_bytes(&self) -> usize {
        self.routes.len() + self.rules.len() + self.dns.len()
    }
}

impl Specialist {
    fn parse(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let value = reader.u64("specialist")?;
        Ok(Self { address: Address::from_low_bits(value), roles: value & !Address::MASK })
    }

    fn write(&self, out: &mut Vec<u8>) {
        let value = self.roles & !Address::MASK | self.address.to_u64();
        out.extend_from_slice(&value.to_be_bytes());
    }
}

impl ConfigRoute {
    fn parse(reader: &mut Reader<'_>) -> Result<Option<Self>, DecodeError> {
        let target = parse_prefix(reader)?;
        let via = inet::parse_ip(reader, "route gateway")?;
        let flags = reader.u16("route flags")?;
        let metric = reader.u16("route metric")?;
        Ok(target.map(|target| Self { target, via, flags, metric }))
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.target.write(out);
        inet::write_ip(out, self.via);
        out.extend_from_slice(&self.flags.to_be_bytes());
        out.extend_from_slice(&self.metric.to_be_bytes());
    }
}

impl ConfigDns {
    /// The domain's place on the wire, with at least one zero at its end.
    const DOMAIN_FIELD_LEN: usize = Self::MAX_DOMAIN_LEN + 1;

    fn parse(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let field = reader.bytes(Self::DOMAIN_FIELD_LEN, "DNS domain")?;
        let domain = field.iter().copied().take(Self::MAX_DOMAIN_LEN).take_while(|byte| *byte != 0).collect();
        let servers = (0..Self::MAX_SERVERS)
            .filter_map(|_| inet::parse_ip(reader, "DNS server").transpose())
            .collect::<Result<_, _>>()?;
        Ok(Self { domain, servers })
    }

    fn write(&self, out: &mut Vec<u8>) {
        let end = out.len() + Self::DOMAIN_FIELD_LEN;
        out.extend(self.domain.iter().take(Self::MAX_DOMAIN_LEN));
        out.resize(end, 0);
        let servers = self.servers.iter().copied().map(Some).chain(std::iter::repeat(None));
        servers.take(Self::MAX_SERVERS).for_each(|server| inet::write_ip(out, server));
    }
}

impl Sso {
    /// Longest URL that clients take.
    pub const MAX_URL_LEN: usize = 2047;
    const URL_VERSION: u64 = 0;
    const OPEN_ID_VERSION: u64 = 1;

    fn parse(dictionary: Dictionary<'_>) -> Self {
        let text = |key, max| {
            let mut text = dictionary.bytes(key).unwrap_or_default().into_owned();
            text.truncate(max);
            text
        };
        let mut sso = Self {
            version: dictionary.hex(key::SSO_VERSION).unwrap_or(Self::URL_VERSION),
            enabled: dictionary.boolean(key::SSO_ENABLED).unwrap_or(false),
            ..Self::default()
        };
        match sso.version {
            Self::URL_VERSION if sso.enabled => {
                sso.url = text(key::SSO_URL, Self::MAX_URL_LEN);
                sso.expiry = Timestamp(dictionary.hex(key::SSO_EXPIRY).unwrap_or(0));
            }
            Self::OPEN_ID_VERSION => {
                sso.open_id = OpenId {
                    issuer_url: text(key::OPEN_ID_ISSUER_URL, OpenId::MAX_URL_LEN),
                    central_url: text(key::OPEN_ID_CENTRAL_URL, OpenId::MAX_URL_LEN),
                    nonce: text(key::OPEN_ID_NONCE, OpenId::MAX_NONCE_LEN),
                    state: text(key::OPEN_ID_STATE, OpenId::MAX_STATE_LEN),
                    client_id: text(key::OPEN_ID_CLIENT_ID, OpenId::MAX_CLIENT_ID_LEN),
                    provider: text(key::OPEN_ID_PROVIDER, OpenId::MAX_PROVIDER_LEN),
                }
            }
            _ => {}
        }
        sso
    }

    fn write(&self, mut writer: DictionaryWriter) -> DictionaryWriter {
        writer = writer.hex(key::SSO_VERSION, self.version).boolean(key::SSO_ENABLED, self.enabled);
        match self.version {
            Self::URL_VERSION if self.enabled => {
                if !self.url.is_empty() {
                    writer = writer.bytes(key::SSO_URL, cut(&self.url, Self::MAX_URL_LEN));
                }
                writer.hex(key::SSO_EXPIRY, self.expiry.0)
            }
            Self::OPEN_ID_VERSION => writer
                .bytes(key::OPEN_ID_ISSUER_URL, cut(&self.open_id.issuer_url, OpenId::MAX_URL_LEN))
                .bytes(key::OPEN_ID_CENTRAL_URL, cut(&self.open_id.central_url, OpenId::MAX_URL_LEN))
                .bytes(key::OPEN_ID_NONCE, cut(&self.open_id.nonce, OpenId::MAX_NONCE_LEN))
                .bytes(key::OPEN_ID_STATE, cut(&self.open_id.state, OpenId::MAX_STATE_LEN))
                .bytes(key::OPEN_ID_CLIENT_ID, cut(&self.open_id.client_id, OpenId::MAX_CLIENT_ID_LEN))
                .bytes(key::OPEN_ID_PROVIDER, cut(&self.open_id.provider, OpenId::MAX_PROVIDER_LEN)),
            _ => writer,
        }
    }
}

/// Keys of the dictionary, in the order in which they are written.
mod key {
    pub(super) const VERSION: &str = "v";
    pub(super) const NETWORK: &str = "nwid";
    pub(super) const TIMESTAMP: &str = "ts";
    pub(super) const CREDENTIAL_WINDOW: &str = "ctmd";
    pub(super) const REVISION: &str = "r";
    pub(super) const MEMBER: &str = "id";
    pub(super) const TRACE_TARGET: &str = "tt";
    pub(super) const TRACE_LEVEL: &str = "tl";
    pub(super) const FLAGS: &str = "f";
    pub(super) const MULTICAST_LIMIT: &str = "ml";
    pub(super) const PUBLIC: &str = "t";
    pub(super) const NAME: &str = "n";
    pub(super) const MTU: &str = "mtu";
    pub(super) const MEMBERSHIP: &str = "C";
    pub(super) const CAPABILITIES: &str = "CAP";
    pub(super) const TAGS: &str = "TAG";
    pub(super) const OWNERSHIPS: &str = "COO";
    pub(super) const SPECIALISTS: &str = "S";
    pub(super) const ROUTES: &str = "RT";
    pub(super) const ADDRESSES: &str = "I";
    pub(super) const RULES: &str = "R";
    pub(super) const DNS: &str = "DNS";
    pub(super) const SSO_VERSION: &str = "ssov";
    pub(super) const SSO_ENABLED: &str = "ssoe";
    pub(super) const SSO_URL: &str = "aurl";
    pub(super) const SSO_EXPIRY: &str = "aexpt";
    pub(super) const OPEN_ID_ISSUER_URL: &str = "iurl";
    pub(super) const OPEN_ID_CENTRAL_URL: &str = "ssoce";
    pub(super) const OPEN_ID_NONCE: &str = "sson";
    pub(super) const OPEN_ID_STATE: &str = "ssos";
    pub(super) const OPEN_ID_CLIENT_ID: &str = "ssocid";
    pub(super) const OPEN_ID_PROVIDER: &str = "ssop";
}

/// Room for the value of most entries that are not a number.
const USUAL_LIST_LEN: usize = 320;

/// Adds the concatenated first `max` items, or nothing if there is none.
fn write_list<T>(
    writer: DictionaryWriter,
    key: &str,
    items: &[T],
    max: usize,
    write: impl Fn(&T, &mut Vec<u8>),
) -> DictionaryWriter {
    if items.is_empty() {
        return writer;
    }
    let mut bytes = Vec::with_capacity(USUAL_LIST_LEN);
    items.iter().take(max).for_each(|item| write(item, &mut bytes));
    writer.bytes(key, &bytes)
}

fn parse_list<T>(
    dictionary: Dictionary<'_>,
    key: &'static str,
    max: usize,
    parse: impl Fn(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let bytes = dictionary.bytes(key).unwrap_or_default();
    let mut reader = Reader::new(&bytes);
    let mut items = Vec::new();
    while !reader.is_empty() {
        if items.len() == max {
            return Err(DecodeError::TooLong { field: key, max, got: max + 1 });
        }
        items.push(parse(&mut reader)?);
    }
    Ok(items)
}

/// Returns the first `max` bytes, or all if there are less.
fn cut(bytes: &[u8], max: usize) -> &[u8] {
    bytes.get(..max).unwrap_or(bytes)
}

/// Reads an address with a prefix length; `None` if there is none, or if the length is impossible.
fn parse_prefix(reader: &mut Reader<'_>) -> Result<Option<IpPrefix>, DecodeError> {
    let Some(pair) = inet::parse_endpoint(reader, "IP prefix")? else { return Ok(None) };
    Ok(u8::try_from(pair.port()).ok().and_then(|bits| IpPrefix::new(pair.ip(), bits).ok()))
}

fn low_u32(value: u64) -> u32 {
    let [_, _, _, _, low @ ..] = value.to_be_bytes();
    u32::from_be_bytes(low)
}
