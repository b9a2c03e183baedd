//! Networks as they were last rendered: as long as nothing is written, whoever asks again is answered without the database
//! and without another thread.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use zt_proto::NetworkId;

/// Bytes of all that are kept; past it, all are rendered again.
const MAX_BYTES: usize = 16 << 20;
/// About what a network takes beside its text.
const ENTRY_BYTES: usize = 128;

/// What of a network was rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Rendering {
    pub(crate) network: NetworkId,
    /// Whether it is for those who see its join tokens.
    pub(crate) has_secrets: bool,
}

/// The networks, each as it was at a generation of all writes.
#[derive(Debug, Default)]
pub(crate) struct Rendered(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    networks: HashMap<Rendering, (u64, Bytes)>,
    size_bytes: usize,
}

impl Rendered {
    /// Returns the network if it was rendered at this generation.
    pub(crate) fn find(&self, network: Rendering, generation: u64) -> Option<Bytes> {
        let state = self.lock();
        state
            .networks
            .get(&network)
            .filter(|(rendered, _)| *rendered == generation)
            .map(|(_, text)| text.clone())
    }

    /// Keeps what was rendered. The generation must have been settled before and after it was read.
    pub(crate) fn keep(&self, network: Rendering, generation: u64, text: &Bytes) {
        let added = text.len() + ENTRY_BYTES;
        if added > MAX_BYTES {
            return;
        }
        let mut state = self.lock();
        if let Some((_, replaced)) = state.networks.remove(&network) {
            state.size_bytes -= replaced.len() + ENTRY_BYTES;
        }
        if state.size_bytes + added > MAX_BYTES {
            *state = State::default();
        }
        state.size_bytes += added;
        state.networks.insert(network, (generation, text.clone()));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in a change can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(number: u64) -> Rendering {
        Rendering { network: NetworkId(number), has_secrets: true }
    }

    #[test]
    fn a_network_is_found_until_something_is_written() {
        let rendered = Rendered::default();
        let text = Bytes::from_static(b"{}");
        rendered.keep(whole(1), 7, &text);
        assert_eq!(rendered.find(whole(1), 7), Some(text.clone()));
        assert_eq!((rendered.find(whole(1), 8), rendered.find(whole(2), 7)), (None, None));
        let for_others = Rendering { has_secrets: false, ..whole(1) };
        assert_eq!(rendered.find(for_others, 7), None, "it has what others may not see");
        rendered.keep(whole(1), 8, &text);
        assert_eq!(rendered.find(whole(1), 7), None);
    }

    /// `known-flaws.md` row 7.
    #[test]
    fn what_is_kept_is_bounded_and_counted_right() {
        let rendered = Rendered::default();
        let text = Bytes::from(vec![b'x'; 100_000]);
        for number in 0..1_000_u64 {
            // First the same ones again and again, then more than there is room for.
            rendered.keep(whole(number % if number < 500 { 100 } else { 400 }), number, &text);
            let state = rendered.lock();
            let size: usize = state.networks.values().map(|(_, text)| text.len() + ENTRY_BYTES).sum();
            assert_eq!(state.size_bytes, size);
            assert!(size <= MAX_BYTES);
        }
        rendered.keep(whole(9_999), 1, &Bytes::from(vec![b'x'; MAX_BYTES]));
        assert_eq!(rendered.find(whole(9_999), 1), None, "one alone is too large");
    }
}
