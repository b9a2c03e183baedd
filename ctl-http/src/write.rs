//! How the API changes something: one transaction with all that belongs to the change, and who hears of it afterwards.

use std::sync::Arc;

use ctl_core::Change;
use ctl_store::{StoreError, Tx};
use tokio::sync::oneshot;

use crate::access::Forbidden;
use crate::edit::{Edit, EditKind};
use crate::error::ApiError;
use crate::outbox::Ticket;
use crate::{State, webhooks};

/// What a transaction has done, for those who hear of it once it is on the disk. Dropped, nobody does.
struct Made {
    kinds: Vec<EditKind>,
    tickets: Vec<Ticket>,
}

impl State {
    /// Runs `work` in a write transaction, writes the edits that it names into the audit log in the same one, and sends
    /// what members have to hear of. That a member was revoked is noted there as well: it must be told to others even if
    /// the controller ends before it could be. Who may not make one of these edits makes none, whatever led here.
    pub(crate) fn write<T, E: From<StoreError> + From<Forbidden>, Edits: IntoIterator<Item = Edit>>(
        &self,
        work: impl FnOnce(&Tx<'_>) -> Result<(T, Edits), E>,
    ) -> Result<T, E> {
        let (result, made) = self.api.store.write(|tx| self.make(tx, work))?;
        self.tell(made);
        Ok(result)
    }

    /// Does the same without a thread that waits: what is asked for often, and quick. `work` is done, and told to who has to
    /// hear of it, even if nobody awaits it any more.
    pub(crate) async fn write_soon<T, E, Edits: IntoIterator<Item = Edit>>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self, &Tx<'_>) -> Result<(T, Edits), E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + From<Forbidden> + From<ApiError> + Send + 'static,
    {
        let (sender, result) = oneshot::channel();
        let (maker, teller) = (Arc::clone(self), Arc::clone(self));
        let make = move |tx: &Tx<'_>| maker.make(tx, |tx| work(&maker, tx));
        let done = move |result: Result<(T, Made), E>| {
            let result = result.map(|(result, made)| {
                teller.tell(made);
                result
            });
            sender.send(result).unwrap_or_else(drop); // whoever asked has gone
        };
        if let Some(clerk) = self.api.store.write_then(make, done) {
            drop(tokio::task::spawn_blocking(|| clerk.work()));
        }
        result.await.unwrap_or_else(|_| Err(ApiError::BrokenOff.into()))
    }

    fn make<T, E: From<StoreError> + From<Forbidden>, Edits: IntoIterator<Item = Edit>>(
        &self,
        tx: &Tx<'_>,
        work: impl FnOnce(&Tx<'_>) -> Result<(T, Edits), E>,
    ) -> Result<(T, Made), E> {
        let now = (self.api.now)();
        let (result, edits) = work(tx)?;
        let (mut kinds, mut tickets, mut happened) = (Vec::new(), Vec::new(), Vec::new());
        for edit in edits {
            self.caller.check(&edit)?;
            let (mut change, events) = (edit.change, edit.events(now));
            if let Some(Change::SessionCutShort { network, .. }) = change
                && let Some(network) = tx.networks().get(network)?
            {
                change = change.map(|change| change.in_network(&network));
            }
            kinds.push(edit.kind);
            let entry = edit.into_entry(&self.caller.name, now);
            if self.caller.may_do_everything() {
                tx.audit().add(&entry)?;
            } else {
                tx.audit().add_limited(&entry)?;
            }
            if let Some((network, member)) = change.and_then(|change| change.revoked(now)) {
                tx.revoked().note(network, member, now)?;
            }
            happened.extend_from_slice(&events);
            tickets.push(self.outbox.enter(change, events));
        }
        if self.caller.may_do_everything() {
            webhooks::enqueue(tx, &happened)?;
        } else {
            webhooks::enqueue_limited(tx, &happened)?;
        }
        Ok((result, Made { kinds, tickets }))
    }

    fn tell(&self, made: Made) {
        for kind in made.kinds {
            match kind {
                EditKind::Network => self.api.metrics.changes.networks.inc(),
                EditKind::Member { was_authorized, is_authorized } => {
                    self.api.metrics.changes.count_member(was_authorized, is_authorized);
                }
            }
        }
        made.tickets.into_iter().for_each(Ticket::committed);
    }
}
