//! Capabilities (`vl2.md` §7.3).

use super::{Signature, framed, parse_extension, write_extension};
use crate::address::{Address, NetworkId};
use crate::codec::{DecodeError, Reader};
use crate::rules::{MAX_CAPABILITY_RULES, Rule};
use crate::time::Timestamp;

/// Rules that a member may use in addition to the network's, with the chain of those who passed them on.
///
/// `network:8 timestamp:8 id:4 rule_count:2 rules max_custody_chain:1 (to:5 from:5 signature block:99)* 0:5 0:2`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Capability {
    /// The network in which the rules count.
    pub network: NetworkId,
    /// Time of issue.
    pub timestamp: Timestamp,
    /// The number that revocations name.
    pub id: u32,
    /// At most [`MAX_CAPABILITY_RULES`].
    pub rules: Vec<Rule>,
    /// 1 to [`Capability::MAX_CUSTODY_CHAIN`]; 1 means that the holder cannot pass it on.
    pub max_custody_chain: u8,
    /// From the controller's entry on; at most `max_custody_chain` entries.
    pub custody: Vec<Custody>,
}

/// One hand-over of a capability, signed by the one that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Custody {
    /// Never zero: that ends the list.
    pub to: Address,
    /// Who gave it: the controller in the first entry, then who had it before.
    pub from: Address,
    /// By `from`, of [`Capability::signed_bytes`].
    pub signature: Signature,
}

impl Capability {
    /// Longest chain that clients take.
    pub const MAX_CUSTODY_CHAIN: u8 = 7;

    /// # Errors
    /// [`DecodeError::TooLong`] for more rules than [`MAX_CAPABILITY_RULES`] or more custody entries than the
    /// chain's maximum; [`DecodeError::Invalid`] for a maximum outside of 1 to 7.
    pub fn parse(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let network = NetworkId::parse(reader)?;
        let timestamp = Timestamp(reader.u64("capability timestamp")?);
        let id = reader.u32("capability id")?;
        let count: usize = reader.u16("capability rule count")?.into();
        if count > MAX_CAPABILITY_RULES {
            let (field, max) = ("capability rules", MAX_CAPABILITY_RULES);
            return Err(DecodeError::TooLong { field, max, got: count });
        }
        let rules = (0..count).map(|_| Rule::parse(reader)).collect::<Result<_, _>>()?;
        let max_custody_chain = reader.u8("custody chain maximum")?;
        if !(1..=Self::MAX_CUSTODY_CHAIN).contains(&max_custody_chain) {
            let (field, value) = ("custody chain maximum", max_custody_chain.into());
            return Err(DecodeError::Invalid { field, value });
        }
        let mut custody = Vec::new();
        loop {
            let to = Address::parse(reader, "custody holder")?;
            if to == Address::NONE {
                break;
            }
            let max = max_custody_chain.into();
            if custody.len() == max {
                return Err(DecodeError::TooLong { field: "custody chain", max, got: max + 1 });
            }
            let from = Address::parse(reader, "custody giver")?;
            custody.push(Custody { to, from, signature: Signature::parse_block(reader)? });
        }
        parse_extension(reader)?;
        Ok(Self { network, timestamp, id, rules, max_custody_chain, custody })
    }

    /// Writes the capability: of more than [`MAX_CAPABILITY_RULES`] rules and of more custody entries than the
    /// maximum of the chain the first ones.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.write_fields(out);
        for entry in self.custody.iter().take(self.max_custody_chain.into()) {
            entry.to.write(out);
            entry.from.write(out);
            entry.signature.write_block(out);
        }
        Address::NONE.write(out);
        write_extension(out);
    }

    /// Returns what the giver of each custody entry signs: everything but the entries and the zero after them.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        framed(|out| self.write_fields(out))
    }

    fn write_fields(&self, out: &mut Vec<u8>) {
        self.network.write(out);
        out.extend_from_slice(&self.timestamp.0.to_be_bytes());
        out.extend_from_slice(&self.id.to_be_bytes());
        let rules = self.rules.iter().take(MAX_CAPABILITY_RULES);
        let count = u16::try_from(rules.len()).expect("at most 64");
        out.extend_from_slice(&count.to_be_bytes());
        rules.for_each(|rule| rule.write(out));
        out.push(self.max_custody_chain);
    }
}
