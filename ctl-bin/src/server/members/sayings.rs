//! What clients say of themselves, each once: there are few releases and platforms.

use std::collections::HashSet;
use std::sync::Arc;

use zt_proto::verb::network_config_request::RequestMetadata;

/// Different things that are kept once; what is beyond is kept for each client.
pub(super) const MAX_SAYINGS: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Sayings(HashSet<Arc<RequestMetadata>>);

impl Sayings {
    /// Returns what is said, without the token, which counts only in a request.
    pub(super) fn share(&mut self, metadata: RequestMetadata) -> Arc<RequestMetadata> {
        let metadata = RequestMetadata { token: None, ..metadata };
        if let Some(known) = self.0.get(&metadata) {
            return Arc::clone(known);
        }
        let metadata = Arc::new(metadata);
        if self.0.len() < MAX_SAYINGS {
            self.0.insert(Arc::clone(&metadata));
        }
        metadata
    }

    /// Forgets what nobody says any more.
    pub(super) fn sweep(&mut self) {
        self.0.retain(|metadata| Arc::strong_count(metadata) > 1);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
