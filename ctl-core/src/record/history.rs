//! When a member was last heard, as controllers of 2015 and 2016 noted it (`vl2.md` §14.1, §15.2).

use serde_json::{Map, Value};

use crate::member::ClientVersion;

/// Entries of a history that are read; the original keeps eight.
const MAX_ENTRIES: usize = 64;

/// What a controller of that time says of the last requests of a member.
#[derive(Debug, Default, PartialEq)]
pub struct History {
    pub last_seen: Option<u64>,
    pub last_address: Option<String>,
    pub version: Option<ClientVersion>,
    /// Newest first, as they were.
    pub entries: Vec<Map<String, Value>>,
    /// How many entries could not be read.
    pub unreadable: usize,
}

impl History {
    /// Returns the fields of an export, none if nothing is known.
    pub fn to_extra(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        if self.last_seen.is_some() || self.last_address.is_some() {
            fields.insert("lastSeen".to_owned(), self.last_seen.into());
            fields.insert("lastAddress".to_owned(), self.last_address.clone().into());
        }
        if !self.entries.is_empty() {
            fields.insert("recentLog".to_owned(), self.entries.iter().cloned().map(Value::from).collect());
        }
        fields
    }
}

/// Reads a `recentHistory`: JSON objects, each ended by a NUL byte, the newest first.
pub fn parse_recent_history(blob: &[u8]) -> History {
    let mut history = History::default();
    for text in blob.split(|byte| *byte == 0).filter(|text| !text.is_empty()).take(MAX_ENTRIES) {
        match serde_json::from_slice::<Map<String, Value>>(text) {
            Ok(entry) => history.entries.push(entry),
            Err(_) => history.unreadable += 1,
        }
    }
    if let Some(newest) = history.entries.first() {
        history.last_seen = newest.get("ts").and_then(Value::as_u64);
        history.last_address = newest.get("fromAddr").and_then(Value::as_str).map(str::to_owned);
        history.version = entry_version(newest);
    }
    history
}

/// Returns the version that an entry of a history has, if it has all of it.
pub fn entry_version(entry: &Map<String, Value>) -> Option<ClientVersion> {
    let part = |name: &str| entry.get(name).and_then(Value::as_u64);
    let [Some(major), Some(minor), Some(revision)] =
        ["clientMajorVersion", "clientMinorVersion", "clientRevision"].map(part)
    else {
        return None;
    };
    Some(ClientVersion { major, minor, revision, protocol: 0 })
}

/// Reads a version of the request log: `1.0.4`.
pub fn parse_version(text: &str) -> Option<ClientVersion> {
    let mut parts = text.split('.').map(|part| part.parse().ok());
    let (major, minor, revision) = (parts.next()??, parts.next()??, parts.next()??);
    parts.next().is_none().then_some(ClientVersion { major, minor, revision, protocol: 0 })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn newest_entry_says_version_and_address() {
        let blob = b"{\"ts\":9,\"clientMajorVersion\":1,\"clientMinorVersion\":1,\"clientRevision\":14,\
                     \"fromAddr\":\"192.0.2.1\\/9993\"}\0junk\0{\"ts\":8}\0";
        let history = parse_recent_history(blob);
        assert_eq!((history.last_seen, history.entries.len(), history.unreadable), (Some(9), 2, 1));
        assert_eq!(history.last_address.as_deref(), Some("192.0.2.1/9993"));
        assert_eq!(history.version.map(|version| version.revision), Some(14));
        assert_eq!(history.to_extra()["recentLog"][1], json!({ "ts": 8 }));
    }

    #[test]
    fn only_three_numbers_are_a_version() {
        assert_eq!(parse_version("1.0.4").map(|version| version.revision), Some(4));
        for text in ["", "1.0", "1.0.4.1", "a.b.c", "1..4", "-1.0.4"] {
            assert_eq!(parse_version(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_blob_is_read(blob in proptest::collection::vec(any::<u8>(), 0..300), text in ".*") {
            let history = parse_recent_history(&blob);
            prop_assert!(history.entries.len() + history.unreadable <= MAX_ENTRIES);
            prop_assert!(parse_version(&text).is_none_or(|version| version.protocol == 0));
        }
    }
}
