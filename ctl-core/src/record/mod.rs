//! Networks and members as JSON records: what the API takes and shows, and what `controller.d` keeps (`vl2.md` §9, §12).
//!
//! [`network`] and [`member`] are what the API shows and changes; [`read_network`], [`write_network`] and the like are
//! whole records, of other controllers and for them.
//!
//! Writing goes through structs whose fields stand in the order of the original's keys; reading goes through
//! [`serde_json::Value`], because almost no value is of a wrong type (`http-api.md` §5).

mod document;
mod field_error;
mod history;
mod legacy;
pub(crate) mod lenient;
pub mod member;
pub mod network;
mod read;
mod special;

use serde_json::{Map, Value};

use crate::network::RemoteTrace;

pub use document::{unknown_to_the_original, write_member, write_network};
pub use field_error::{FieldError, cut, cut_to};
pub use history::{History, entry_version, parse_recent_history, parse_version};
pub use legacy::pool_of_subnet;
pub use member::{MemberConfig, MemberRecord};
pub use network::NetworkRecord;
pub use read::{Reading, read_member, read_network};
pub use special::relay as read_relay;

/// Reads the two remote trace fields. A level that is absent stays (`http-api.md` §20, item 6).
fn apply_remote_trace(body: &Map<String, Value>, trace: &mut RemoteTrace) {
    if let Some(value) = body.get("remoteTraceTarget") {
        const ADDRESS_DIGITS: usize = 10;
        trace.target = Some(lenient::text(value)).filter(|text| text.len() == ADDRESS_DIGITS);
    }
    if let Some(value) = body.get("remoteTraceLevel") {
        trace.level = lenient::integer(value, 0);
    }
}
