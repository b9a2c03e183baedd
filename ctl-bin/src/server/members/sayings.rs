//! What clients say of themselves, each once: there are few releases and platforms.

use std::collections::HashSet;
use std::sync::Arc;

use ctl_store::MAX_PLATFORM_BYTES;
use zt_proto::verb::network_config_request::RequestMetadata;

/// Different things that are kept once; what is beyond is kept for each client.
pub(super) const MAX_SAYINGS: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Sayings(HashSet<Arc<RequestMetadata>>);

impl Sayings {
    /// Returns what is said, as far as it is kept: without the token, which counts only in a request.
    pub(super) fn share(&mut self, metadata: &RequestMetadata) -> Arc<RequestMetadata> {
        if let Some(known) = self.0.get(metadata) {
            return Arc::clone(known);
        }
        let platform = &metadata.platform;
        let platform = platform.get(..platform.floor_char_boundary(MAX_PLATFORM_BYTES)).unwrap_or(platform);
        let kept = RequestMetadata { platform: platform.into(), token: None, ..*metadata };
        if let Some(known) = self.0.get(&kept) {
            return Arc::clone(known);
        }
        let kept = Arc::new(kept);
        if self.0.len() < MAX_SAYINGS {
            self.0.insert(Arc::clone(&kept));
        }
        kept
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
