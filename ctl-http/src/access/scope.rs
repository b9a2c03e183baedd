//! What a token may do.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use ctl_core::record::cut;
use zt_proto::NetworkId;

/// Most grants of a token.
pub const MAX_GRANTS: usize = 64;

/// What a grant allows, in all networks or in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// To see everything but secrets.
    Read,
    /// To let members that have asked in or out, and to see who waits.
    Authorize,
    /// Everything.
    Admin,
}

impl Level {
    const ALL: [Self; 3] = [Self::Read, Self::Authorize, Self::Admin];

    fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Authorize => "authorize",
            Self::Admin => "admin",
        }
    }
}

/// One thing that a token may do: `read`, or `read@8056c2e21c000001` for a single network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    pub level: Level,
    /// `None`: all networks, and what belongs to none.
    pub network: Option<NetworkId>,
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.level.word())?;
        self.network.map_or(Ok(()), |network| write!(f, "@{network}"))
    }
}

impl FromStr for Grant {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let unknown = || ScopeError::Grant(cut(text));
        let (word, network) = match text.split_once('@') {
            Some((word, network)) => (word, Some(network.parse().map_err(|_| unknown())?)),
            None => (text, None),
        };
        let level = Level::ALL.into_iter().find(|level| level.word() == word).ok_or_else(unknown)?;
        Ok(Self { level, network })
    }
}

/// What a token may do: the sum of its grants. As text they stand beside each other, with blanks between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope(BTreeSet<Grant>);

/// Why a scope cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    #[error(
        "expected read, authorize or admin, for one network with @ and its id (read@8056c2e21c000001), got {0}"
    )]
    Grant(String),
    #[error("expected at least one of read, authorize and admin, got none")]
    Empty,
    #[error("expected at most {MAX_GRANTS} grants, got {0}")]
    TooMany(usize),
}

impl Scope {
    /// Returns the scope of whoever may do everything.
    pub fn admin() -> Self {
        Self(BTreeSet::from([Grant { level: Level::Admin, network: None }]))
    }

    /// Puts grants together.
    ///
    /// # Errors
    /// If there are none, or more than [`MAX_GRANTS`].
    pub fn new(grants: impl IntoIterator<Item = Grant>) -> Result<Self, ScopeError> {
        let grants: BTreeSet<_> = grants.into_iter().collect();
        match grants.len() {
            0 => Err(ScopeError::Empty),
            1..=MAX_GRANTS => Ok(Self(grants)),
            count => Err(ScopeError::TooMany(count)),
        }
    }

    pub fn grants(&self) -> impl Iterator<Item = Grant> {
        self.0.iter().copied()
    }

    /// Says whether a grant of `level` or of admin covers `network`; `None` is what belongs to no network.
    pub(crate) fn allows(&self, level: Level, network: Option<NetworkId>) -> bool {
        self.0.iter().any(|grant| {
            (grant.level == level || grant.level == Level::Admin)
                && (grant.network.is_none() || grant.network == network)
        })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, grant) in self.0.iter().enumerate() {
            let blank = if index == 0 { "" } else { " " };
            write!(f, "{blank}{grant}")?;
        }
        Ok(())
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let words: Vec<_> = text.split_ascii_whitespace().take(MAX_GRANTS + 1).collect();
        Self::new(words.into_iter().map(Grant::from_str).collect::<Result<Vec<_>, _>>()?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ONE: NetworkId = NetworkId(0x8056_c2e2_1c00_0001);
    const OTHER: NetworkId = NetworkId(0x8056_c2e2_1c00_0002);

    fn scope(text: &str) -> Scope {
        text.parse().unwrap()
    }

    #[test]
    fn scope_of_one_network_says_nothing_about_another_and_about_what_is_of_none() {
        for level in Level::ALL {
            let of_one = Scope::new([Grant { level, network: Some(ONE) }]).unwrap();
            assert!(of_one.allows(level, Some(ONE)));
            assert!(!of_one.allows(level, Some(OTHER)) && !of_one.allows(level, None));
        }
    }

    #[test]
    fn levels_do_not_contain_each_other_but_for_admin() {
        for network in [None, Some(ONE)] {
            assert!(!scope("read").allows(Level::Authorize, network));
            assert!(!scope("authorize").allows(Level::Read, network));
            assert!(!scope("read authorize").allows(Level::Admin, network));
            for level in Level::ALL {
                assert!(scope("admin").allows(level, network));
            }
        }
        assert!(scope("admin@8056c2e21c000001").allows(Level::Authorize, Some(ONE)));
        assert!(!scope("admin@8056c2e21c000001").allows(Level::Admin, None));
    }

    #[test]
    fn grants_add_up() {
        let scope = scope("read authorize@8056c2e21c000001");
        assert!(scope.allows(Level::Read, Some(OTHER)) && scope.allows(Level::Authorize, Some(ONE)));
        assert!(!scope.allows(Level::Authorize, Some(OTHER)));
    }

    #[test]
    fn what_is_no_scope_is_refused_with_what_was_expected() {
        assert_eq!(" ".parse::<Scope>(), Err(ScopeError::Empty));
        for text in ["root", "Read", "read@", "read@8056c2e21c00000", "@8056c2e21c000001", "read,admin"] {
            let error = text.parse::<Scope>().unwrap_err().to_string();
            assert!(
                error.starts_with("expected read, authorize or admin") && error.contains("got "),
                "{error}"
            );
        }
        let many: Vec<_> = (0..=MAX_GRANTS).map(|number| format!("read@{number:016x}")).collect();
        assert_eq!(many.join(" ").parse::<Scope>(), Err(ScopeError::TooMany(MAX_GRANTS + 1)));
        assert!(many[1..].join(" ").parse::<Scope>().is_ok());
    }

    proptest! {
        #[test]
        fn scope_that_was_written_reads_back(
            grants in proptest::collection::vec((0_usize..3, proptest::option::of(any::<u64>())), 1..MAX_GRANTS),
        ) {
            let grants = grants.into_iter()
                .map(|(level, network)| Grant { level: Level::ALL[level], network: network.map(NetworkId) });
            let scope = Scope::new(grants).unwrap();
            prop_assert_eq!(scope.to_string().parse(), Ok(scope));
        }

        #[test]
        fn arbitrary_text_is_read_or_refused(text in ".*") {
            drop(text.parse::<Scope>());
        }
    }
}
