//! REMOTE_TRACE (verb 0x15): diagnostic data of a member (`vl1.md` §10.17).

use crate::dictionary::Dictionary;

/// Longest trace; it would not fit into a packet anyway.
pub const MAX_LEN: usize = 10_000;

/// Reads the traces: dictionaries with a zero behind each. Empty and too long ones are left out.
pub fn parse(payload: &[u8]) -> impl Iterator<Item = Dictionary<'_>> {
    payload.split(|byte| *byte == 0).filter(|trace| (1..=MAX_LEN).contains(&trace.len())).map(Dictionary::new)
}

/// Writes traces, dictionaries without zeros. Empty and too long ones are left out.
pub fn write<'a>(traces: impl IntoIterator<Item = &'a [u8]>, out: &mut Vec<u8>) {
    for trace in traces.into_iter().filter(|trace| (1..=MAX_LEN).contains(&trace.len())) {
        out.extend_from_slice(trace);
        out.push(0);
    }
}
