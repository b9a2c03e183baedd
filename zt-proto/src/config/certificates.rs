//! The certificates in a configuration.

use super::{NetworkConfig, key, parse_list};
use crate::codec::{DecodeError, Reader};
use crate::credential::{Capability, CertificateOfMembership, CertificateOfOwnership, Tag};
use crate::dictionary::Dictionary;

/// What a controller signs of a configuration, apart from the way in which it is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Certificates {
    /// Of the member; clients before 1.2.0 know no other.
    pub membership: Option<CertificateOfMembership>,
    /// In the order in which they are issued.
    pub capabilities: Vec<Capability>,
    /// Ascending by id.
    pub tags: Vec<Tag>,
    /// Of the addresses of the member.
    pub ownerships: Vec<CertificateOfOwnership>,
}

impl Certificates {
    /// Reads them from a dictionary of version 6 or later, and nothing else of it.
    ///
    /// # Errors
    /// What is wrong with one of them, as for [`NetworkConfig::parse`].
    pub fn parse(dictionary: &[u8]) -> Result<Self, DecodeError> {
        Self::of(Dictionary::new(dictionary))
    }

    pub(super) fn of(dictionary: Dictionary<'_>) -> Result<Self, DecodeError> {
        let (capabilities, tags) = (NetworkConfig::MAX_CAPABILITIES, NetworkConfig::MAX_TAGS);
        let ownerships = NetworkConfig::MAX_OWNERSHIPS;
        let membership = match dictionary.bytes(key::MEMBERSHIP) {
            Some(bytes) if !bytes.is_empty() => {
                Some(CertificateOfMembership::parse(&mut Reader::new(&bytes))?)
            }
            _ => None,
        };
        Ok(Self {
            membership,
            capabilities: parse_list(dictionary, key::CAPABILITIES, capabilities, Capability::parse)?,
            tags: parse_list(dictionary, key::TAGS, tags, Tag::parse)?,
            ownerships: parse_list(dictionary, key::OWNERSHIPS, ownerships, CertificateOfOwnership::parse)?,
        })
    }
}
