//! Answers that are known to be right without a look at the database.
//!
//! Most members ask once a minute, and most of the time nothing has changed. What a member was given last is then given
//! again, as long as no decision could be another one: it shows the same identity and says the same about itself, the
//! database is of the same generation ([`Store::generation`](ctl_store::Store::generation)), and what was issued is
//! fresh enough to be sent again. Whoever is not found here is decided about anew.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Weak};

use ctl_core::{ConfigRequest, Issued, Network, memo};
use ctl_store::Common;
use zt_proto::{Address, NetworkId, Timestamp};

/// Members whose last answer is known; past it, all are forgotten, and decided about once more.
const MAX_READY: usize = 1 << 20;

/// Networks that are kept as they were last read; past it, all are read again.
const MAX_COMMONS: usize = 256;

/// The last answers.
#[derive(Debug, Default)]
pub(super) struct ReadyAnswers {
    entries: HashMap<(NetworkId, Address), Entry>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Entry {
    generation: u64,
    /// Hash of the identity and of what the client said, under a secret key.
    asker: u64,
    until: Timestamp,
    /// Lives as long as the memo keeps it.
    issued: Weak<Issued>,
}

impl ReadyAnswers {
    /// Returns what was issued to whoever asks, if it is still right at `generation`.
    pub(super) fn find(
        &self,
        request: &ConfigRequest,
        generation: u64,
        now: Timestamp,
    ) -> Option<Arc<Issued>> {
        let entry = self.entries.get(&(request.network, request.identity.address))?;
        let is_right = entry.generation == generation
            && now <= entry.until
            && entry.asker == self.hasher.hash_one((&request.identity, &request.metadata));
        if is_right { entry.issued.upgrade() } else { None }
    }

    /// Keeps what was decided at a generation that was asked for before anything was read. A session of single sign-on
    /// ends by itself, so what is decided in such networks is not kept.
    pub(super) fn keep(
        &mut self,
        request: &ConfigRequest,
        network: &Network,
        generation: u64,
        issued: &Arc<Issued>,
    ) {
        if network.sso_enabled {
            return;
        }
        if self.entries.len() >= MAX_READY {
            self.entries.clear();
        }
        let asker = self.hasher.hash_one((&request.identity, &request.metadata));
        let until = issued.timestamp().plus_millis(memo::reusable_for(network));
        let entry = Entry { generation, asker, until, issued: Arc::downgrade(issued) };
        self.entries.insert((network.id, request.identity.address), entry);
    }
}

/// Networks as they were last read.
#[derive(Debug, Default)]
pub(super) struct Commons(HashMap<NetworkId, (u64, Common)>);

impl Commons {
    /// Returns the network if it was read at this generation.
    pub(super) fn find(&self, network: NetworkId, generation: u64) -> Option<Common> {
        self.0.get(&network).filter(|(read, _)| *read == generation).map(|(_, common)| common.clone())
    }

    /// Keeps what was read. The generation must have been settled both before and after the transaction first read.
    pub(super) fn keep(&mut self, common: &Common, generation: u64) {
        if self.0.get(&common.network.id).is_some_and(|(read, _)| *read == generation) {
            return;
        }
        if self.0.len() >= MAX_COMMONS {
            self.0.clear();
        }
        self.0.insert(common.network.id, (generation, common.clone()));
    }
}
