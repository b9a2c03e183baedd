//! Members of networks, and who has which address.

mod narrow;
mod read;
mod session;
mod span;
mod write;

use crate::Tx;

pub use narrow::MemberCounts;
pub(crate) use read::version;
pub(crate) use span::{OfSpan, Span, TOGETHER};

/// The members of all networks, inside a transaction.
pub struct Members<'a> {
    pub(crate) tx: &'a Tx<'a>,
}
