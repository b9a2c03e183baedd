//! Where a page ended, as a text that only this API reads.
//!
//! It says which entry was the last, not how many there were before: pages neither skip nor repeat an entry when others
//! come and go.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use super::request::Query;

/// Longest cursor that is read.
const MAX_TEXT: usize = 4096;

/// The last entry of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor<T> {
    /// The order of the pages: a cursor of another one means nothing.
    pub(crate) order: String,
    pub(crate) last: T,
}

impl<T> Cursor<T> {
    pub(crate) fn new(order: &str, last: T) -> Self {
        Self { order: order.to_owned(), last }
    }
}

impl<T: Serialize + DeserializeOwned> Cursor<T> {
    pub(crate) fn to_text(&self) -> String {
        // Texts and numbers can always be written.
        let json = serde_json::to_vec(&(&self.order, &self.last)).unwrap_or_default();
        URL_SAFE_NO_PAD.encode(json)
    }

    /// Reads the parameter `cursor`.
    ///
    /// # Errors
    /// 422 if it is not one of ours, or of another order than `order`.
    pub(crate) fn of(query: &Query, order: &str) -> Result<Option<Self>, Problem> {
        let read = |text: &str| {
            let json = URL_SAFE_NO_PAD.decode(text).ok().filter(|_| text.len() <= MAX_TEXT)?;
            let (of, last): (String, T) = serde_json::from_slice(&json).ok()?;
            (of == order).then_some(Self { order: of, last })
        };
        query.parsed("cursor", "what an answer with the same order had as next", read)
    }
}
