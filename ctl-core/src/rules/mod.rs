//! Flow rules people can read, test and trust (`rules-language.md`, `docs/rules.md`).
//!
//! | module | content | source |
//! |---|---|---|
//! | [`lexer`], [`ast`] | a source as words and as a tree, with comments and places | §1–3 |
//! | [`diagnostic`] | errors and warnings with their places | §12 |
//! | [`mod@compile`] | source to rules, capabilities, tags and names | §4–11, §13 |
//! | [`mod@decompile`] | back to a source | §13 |
//! | [`mod@format`] | one way to lay out a source | |
//! | [`evaluate`] | what clients do with a frame | §14–19 |
//! | [`scenario`] | packets and members to try rules on; tests | |
//! | [`mod@explain`] | why a packet passes or not, rule by rule | §17–18 |
//! | [`impact`] | who can no longer reach whom after a change | |
//! | [`json`] | rules as JSON, read and written | `vl2.md` §6.2 |

pub mod ast;
pub mod compile;
pub mod decompile;
pub mod diagnostic;
pub mod evaluate;
pub mod explain;
pub mod format;
pub mod impact;
pub mod json;
pub mod lexer;
mod parser;
pub mod scenario;
mod terms;
mod values;
mod vocabulary;

pub use compile::{Compiled, Errors, NamedCapability, NamedTag, Origin, Table, compile};
pub use decompile::{DecompileError, decompile};
pub use diagnostic::{Diagnostic, Severity, Span};
pub use explain::{Explanation, explain};
pub use format::format;
pub use parser::MAX_SOURCE_LEN;
pub use scenario::{Test, TestReport};
pub use vocabulary::ActionKind;
