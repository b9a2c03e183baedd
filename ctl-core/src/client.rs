//! What a client can take, as far as it says so with its request (`vl2.md` §3.1, §8.1).

use zt_proto::verb::network_config_request::{RequestMetadata, SoftwareVersion};

/// The generation of a client: in which form it gets its configuration, and in how large pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Client {
    /// 1.0.0 to 1.1.4, and whoever says nothing: text, in one packet.
    Text {
        /// From 1.0.4: in the list of addresses, one without host bits is a route.
        knows_routes: bool,
        /// All but 1.1.0, which misbehaves when it is told of a relay; those before 1.0.3 ignore them.
        takes_relays: bool,
    },
    /// 1.1.6 to 1.1.14: a dictionary of version 6, in one packet.
    Version6,
    /// 1.2.0 and later: a dictionary of version 7, in signed chunks.
    Modern {
        /// Whether it evaluates rules, tags and capabilities; all released ones do.
        rules_engine: bool,
        /// 1.2.x, whose packets are smaller, and which still uses the relays of a network.
        before_1_4: bool,
    },
}

impl Client {
    /// Up to this protocol version (1.2.x; 0 is a client that does not say) a client counts as one before 1.4.
    const LAST_PROTOCOL_BEFORE_1_4: u64 = 9;
    const FIRST_WITH_ROUTES: SoftwareVersion = SoftwareVersion { major: 1, minor: 0, revision: 4 };
    const MISBEHAVES_ON_RELAYS: SoftwareVersion = SoftwareVersion { major: 1, minor: 1, revision: 0 };

    pub fn of(metadata: &RequestMetadata) -> Self {
        match metadata.config_version {
            0..=5 => Self::Text {
                knows_routes: metadata.software >= Self::FIRST_WITH_ROUTES,
                takes_relays: metadata.software != Self::MISBEHAVES_ON_RELAYS,
            },
            6 => Self::Version6,
            7.. => Self::Modern {
                rules_engine: metadata.rules_engine > 0,
                before_1_4: metadata.protocol <= Self::LAST_PROTOCOL_BEFORE_1_4,
            },
        }
    }

    /// Says whether the client evaluates rules, tags and capabilities.
    pub fn has_rules_engine(self) -> bool {
        matches!(self, Self::Modern { rules_engine: true, .. })
    }

    /// Says whether the client is of 1.2.0 or later: takes chunks, pushed configurations and revocations.
    pub fn is_modern(self) -> bool {
        matches!(self, Self::Modern { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(text: &str) -> RequestMetadata {
        RequestMetadata::parse(text.as_bytes())
    }

    /// What each release sends (`vl2.md` §3.1).
    #[test]
    fn every_generation_is_told_by_what_it_sends() {
        let text = |knows_routes, takes_relays| Client::Text { knows_routes, takes_relays };
        let modern = |rules_engine, before_1_4| Client::Modern { rules_engine, before_1_4 };
        for (sent, client) in [
            ("", text(false, true)),
            ("majv=1\nminv=0\nrevv=4\n", text(true, true)),
            ("majv=1\nminv=0\nrevv=5\n", text(true, true)),
            ("majv=1\nminv=1\nrevv=0\n", text(true, false)),
            ("majv=1\nminv=1\nrevv=4\n", text(true, true)),
            ("v=6\npv=6\nmajv=1\nminv=1\nrevv=6", Client::Version6),
            ("v=6\npv=7\nmajv=1\nminv=1\nrevv=e", Client::Version6),
            ("v=7\nvend=1\npv=9\nmajv=1\nminv=2\nrevv=0\nrevr=1", modern(true, true)),
            ("v=7\nvend=1\npv=a\nmajv=1\nminv=4\nrevv=0\nrevr=1", modern(true, false)),
            ("v=7\nvend=1\npv=c\nmajv=1\nminv=e\nrevv=1\nrevr=1\no=linux/x86_64", modern(true, false)),
            ("v=7\npv=c", modern(false, false)),
            ("v=ffffffffffffffff\npv=ffffffffffffffff\nrevr=2", modern(true, false)),
        ] {
            assert_eq!(Client::of(&metadata(sent)), client, "{sent}");
        }
    }
}
