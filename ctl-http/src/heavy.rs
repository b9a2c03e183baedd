//! What takes much time or memory: a few such requests at once, so that they starve nobody.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Requests that read a whole network, or compile rules, at the same time: fewer than the API has readers of the database.
pub(crate) const MAX_HEAVY: usize = 2;
/// How long another one waits for its turn.
const TURN_WAIT: Duration = Duration::from_secs(10);

/// The places for such requests. Who waits for one holds neither a thread nor a reader of the database.
#[derive(Debug, Clone)]
pub(crate) struct Heavy {
    places: Arc<Semaphore>,
    wait: Duration,
}

/// A place, free again when this is dropped: to be kept until the work ends, even if nobody waits for it any more.
#[derive(Debug)]
pub(crate) struct Turn {
    _place: OwnedSemaphorePermit,
}

/// No place became free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{MAX_HEAVY} requests that take long are being answered, and others wait; send the request again later"
)]
pub(crate) struct TooHeavy;

impl Default for Heavy {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(MAX_HEAVY)), wait: TURN_WAIT }
    }
}

impl Heavy {
    /// Waits for a place.
    ///
    /// # Errors
    /// If that takes too long.
    pub(crate) async fn turn(&self) -> Result<Turn, TooHeavy> {
        let place = timeout(self.wait, Arc::clone(&self.places).acquire_owned()).await;
        // Nobody closes the semaphore.
        place.ok().and_then(Result::ok).map(|place| Turn { _place: place }).ok_or(TooHeavy)
    }

    /// Waits for a place as long as it takes: for what was begun.
    pub(crate) async fn turn_in_any_case(&self) -> Turn {
        loop {
            // Nobody closes the semaphore.
            if let Ok(place) = Arc::clone(&self.places).acquire_owned().await {
                return Turn { _place: place };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `known-flaws.md` row 7.
    #[tokio::test]
    async fn a_few_go_on_and_the_others_wait_but_not_for_ever() {
        let heavy = Heavy::default();
        let held = [heavy.turn().await.unwrap(), heavy.turn().await.unwrap()];
        let impatient = Heavy { wait: Duration::ZERO, ..heavy.clone() };
        assert_eq!(impatient.turn().await.unwrap_err(), TooHeavy);
        let waiting = tokio::spawn({
            let heavy = heavy.clone();
            async move { heavy.turn().await.map(drop) }
        });
        tokio::task::yield_now().await;
        drop(held);
        assert_eq!(waiting.await.unwrap(), Ok(()));
        assert_eq!(heavy.places.available_permits(), MAX_HEAVY);
    }
}
