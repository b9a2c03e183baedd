//! JSON shapes of the API: the records of `ctl_core::record`, and what only the API has.

pub(crate) mod member;
pub(crate) mod network;
pub(crate) mod peer;
pub mod rule_tables;
pub mod rules_language;
pub(crate) mod status;
