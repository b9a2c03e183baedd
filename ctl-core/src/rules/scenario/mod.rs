//! Packets, members and tests to try rules with.
//!
//! Tests are text, in the rules source or apart from it; `docs/rules.md` describes them:
//!
//! ```text
//! test "web" {
//!   member server ip 10.0.0.1 tag role=server;
//!   from laptop to server tcp 443 expect accept;
//! }
//! ```

mod budget;
mod members;
mod packet;
mod read;
mod run;
mod words;

pub(crate) use budget::{Budget, shortened};
pub use budget::{MAX_FIXTURE_ADDRESSES, MAX_FIXTURES, MAX_TEST_STEPS};
pub use members::{RuleSet, Selector, World, WorldMember, source_fits};
pub use packet::{Built, Packet, PacketError};
pub(crate) use read::read;
pub use read::{Case, Expectation, Fixture, Knowledge, Test, parse_tests};
pub(crate) use run::draws;
pub use run::{CaseReport, Fate, Mismatch, TestReport, describe, fate_of, run};
