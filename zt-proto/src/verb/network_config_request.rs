//! NETWORK_CONFIG_REQUEST (verb 0x0b): a node asks a controller for its configuration (`vl2.md` §3).

use crate::address::NetworkId;
use crate::codec::{DecodeError, Reader};
use crate::dictionary::{Dictionary, DictionaryWriter, lenient_hex};
use crate::time::Timestamp;

/// `network:8 [metadata_len:2 metadata [revision:8 [timestamp:8]]]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NetworkConfigRequest<'a> {
    /// The network that the asker wants to join, or is in.
    pub network: NetworkId,
    /// A dictionary, not yet read: see [`RequestMetadata::parse`]. At most 65535 bytes.
    pub metadata: &'a [u8],
    /// Revision of the configuration that the client has; 0: none.
    pub have_revision: u64,
    /// Time of issue of that configuration; 0: none.
    pub have_timestamp: Timestamp,
}

impl<'a> NetworkConfigRequest<'a> {
    /// # Errors
    /// [`DecodeError::Truncated`] if the metadata reaches past the end.
    pub fn parse(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let network = NetworkId::parse(&mut reader)?;
        let metadata = if reader.is_empty() {
            &[]
        } else {
            let length = reader.u16("metadata length")?;
            reader.bytes(length.into(), "metadata")?
        };
        let have_revision = reader.u64("revision").unwrap_or(0);
        let have_timestamp = Timestamp(reader.u64("timestamp").unwrap_or(0));
        Ok(Self { network, metadata, have_revision, have_timestamp })
    }

    /// Appends the payload as clients from 1.2.0 send it. Metadata above 65535 bytes is left out.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.network.write(out);
        let (length, metadata) = match u16::try_from(self.metadata.len()) {
            Ok(length) => (length, self.metadata),
            Err(_) => (0, [].as_slice()),
        };
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(metadata);
        out.extend_from_slice(&self.have_revision.to_be_bytes());
        out.extend_from_slice(&self.have_timestamp.0.to_be_bytes());
    }
}

/// What a client says about itself when it asks (`vl2.md` §3.1). A number that is missing is 0.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct RequestMetadata {
    /// Configuration version that the client understands: 0 old text only, 6, or 7 from 1.2.0.
    pub config_version: u64,
    /// Protocol version, `vl1.md` §11.
    pub protocol: u64,
    /// 1 is ZeroTier.
    pub vendor: u64,
    /// The release of the client.
    pub software: SoftwareVersion,
    /// Most rules that the client takes, 1024 in every release so far.
    pub max_rules: u64,
    /// Most capabilities that the client takes, 128 so far.
    pub max_capabilities: u64,
    /// Most rules in one capability that the client takes, 64 so far.
    pub max_capability_rules: u64,
    /// Most tags that the client takes, 128 so far.
    pub max_tags: u64,
    /// None is defined.
    pub flags: u64,
    /// Revision of the rules engine; 0: the client has none.
    pub rules_engine: u64,
    /// `platform/architecture`, for example `linux/x86_64`; empty before 1.14.1.
    pub platform: String,
    /// With what the client asks to be admitted; never empty.
    pub token: Option<String>,
}

/// The release of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SoftwareVersion {
    /// First number of the release.
    pub major: u64,
    /// Second number of the release.
    pub minor: u64,
    /// Third number of the release.
    pub revision: u64,
}

impl RequestMetadata {
    /// Only so many bytes of a request's metadata are looked at.
    pub const MAX_LEN: usize = 1023;
    /// Only so many bytes of the join authorization count, its prefix included.
    pub const MAX_AUTHORIZATION_LEN: usize = 511;

    const TOKEN_PREFIX: &'static [u8] = b"token:";

    /// Reads whatever is there: nothing in a metadata dictionary is an error.
    pub fn parse(metadata: &[u8]) -> Self {
        let dictionary = Dictionary::new(metadata.get(..Self::MAX_LEN).unwrap_or(metadata));
        let [platform, authorization, numbers @ ..] = dictionary.all([
            key::PLATFORM,
            key::AUTHORIZATION,
            key::CONFIG_VERSION,
            key::VENDOR,
            key::PROTOCOL,
            key::MAJOR,
            key::MINOR,
            key::REVISION,
            key::MAX_RULES,
            key::MAX_CAPABILITIES,
            key::MAX_CAPABILITY_RULES,
            key::MAX_TAGS,
            key::FLAGS,
            key::RULES_ENGINE,
        ]);
        let [
            config_version,
            vendor,
            protocol,
            major,
            minor,
            revision,
            max_rules,
            max_capabilities,
            max_capability_rules,
            max_tags,
            flags,
            rules_engine,
        ] = numbers.map(|value| value.map_or(0, |value| lenient_hex(&value)));
        Self {
            config_version,
            protocol,
            vendor,
            software: SoftwareVersion { major, minor, revision },
            max_rules,
            max_capabilities,
            max_capability_rules,
            max_tags,
            flags,
            rules_engine,
            platform: platform.map_or_else(String::new, |text| String::from_utf8_lossy(&text).into_owned()),
            token: authorization.and_then(|value| token(&value)),
        }
    }

    /// Returns the dictionary as a client of 1.14.1 sends it.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut writer = DictionaryWriter::new()
            .hex(key::CONFIG_VERSION, self.config_version)
            .hex(key::VENDOR, self.vendor)
            .hex(key::PROTOCOL, self.protocol)
            .hex(key::MAJOR, self.software.major)
            .hex(key::MINOR, self.software.minor)
            .hex(key::REVISION, self.software.revision)
            .hex(key::MAX_RULES, self.max_rules)
            .hex(key::MAX_CAPABILITIES, self.max_capabilities)
            .hex(key::MAX_CAPABILITY_RULES, self.max_capability_rules)
            .hex(key::MAX_TAGS, self.max_tags)
            .hex(key::FLAGS, self.flags)
            .hex(key::RULES_ENGINE, self.rules_engine);
        if !self.platform.is_empty() {
            writer = writer.text(key::PLATFORM, &self.platform);
        }
        if let Some(token) = &self.token {
            writer = writer.bytes(key::AUTHORIZATION, &[Self::TOKEN_PREFIX, token.as_bytes()].concat());
        }
        writer.finish()
    }
}

/// Returns the token in a join authorization. What is not text cannot be a token that was ever set.
fn token(authorization: &[u8]) -> Option<String> {
    let counted = authorization.get(..RequestMetadata::MAX_AUTHORIZATION_LEN).unwrap_or(authorization);
    let token = counted.strip_prefix(RequestMetadata::TOKEN_PREFIX)?;
    let token = std::str::from_utf8(token).ok()?;
    (!token.is_empty()).then(|| token.to_owned())
}

mod key {
    pub(super) const CONFIG_VERSION: &str = "v";
    pub(super) const VENDOR: &str = "vend";
    pub(super) const PROTOCOL: &str = "pv";
    pub(super) const MAJOR: &str = "majv";
    pub(super) const MINOR: &str = "minv";
    pub(super) const REVISION: &str = "revv";
    pub(super) const MAX_RULES: &str = "mr";
    pub(super) const MAX_CAPABILITIES: &str = "mc";
    pub(super) const MAX_CAPABILITY_RULES: &str = "mcr";
    pub(super) const MAX_TAGS: &str = "mt";
    pub(super) const FLAGS: &str = "f";
    pub(super) const RULES_ENGINE: &str = "revr";
    pub(super) const PLATFORM: &str = "o";
    pub(super) const AUTHORIZATION: &str = "a";
}
