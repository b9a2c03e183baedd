//! REMOTE_TRACE (verb 0x15): diagnostic data of a member (`vl1.md` §10.17).

use crate::dictionary::Dictionary;

/// Reads the traces: dictionaries with a zero behind each. Empty ones are left out.
pub fn parse(payload: &[u8]) -> impl Iterator<Item = Dictionary<'_>> {
    payload.split(|byte| *byte == 0).filter(|trace| !trace.is_empty()).map(Dictionary::new)
}

/// Writes traces, dictionaries without zeros.
pub fn write<'a>(traces: impl IntoIterator<Item = &'a [u8]>, out: &mut Vec<u8>) {
    for trace in traces {
        out.extend_from_slice(trace);
        out.push(0);
    }
}
