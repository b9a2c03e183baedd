//! A thread for what strangers make this program compute: of the lowest priority, so that it takes only what nobody else
//! wants, and one alone, so that it is one core at the most.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::{io, thread};

use tokio::sync::{mpsc, oneshot};
use tracing::debug;

type Job = Box<dyn FnOnce() + Send>;

/// The lowest priority that there is.
const NICENESS: i32 = 19;

/// The thread; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Background {
    jobs: mpsc::Sender<Job>,
}

impl Background {
    /// # Errors
    /// What the operating system says about another thread.
    pub(super) fn start() -> io::Result<Self> {
        let (jobs, mut queue) = mpsc::channel::<Job>(1);
        let work = move || {
            // On Linux this concerns the calling thread alone.
            if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
                debug!(%error, "identities are verified at ordinary priority");
            }
            while let Some(job) = queue.blocking_recv() {
                // The job is gone with what it had, so nothing is left half done; the panic itself was printed.
                drop(catch_unwind(AssertUnwindSafe(job)));
            }
        };
        thread::Builder::new().name("background".to_owned()).spawn(work)?;
        Ok(Self { jobs })
    }

    /// Says whether the thread is gone, so that no job will be done any more.
    pub(super) fn has_ended(&self) -> bool {
        self.jobs.is_closed()
    }

    /// One whose thread is gone.
    #[cfg(test)]
    pub(super) fn ended() -> Self {
        Self { jobs: mpsc::channel(1).0 }
    }

    /// Runs a job after those that were handed in before; `None` if it did not end.
    pub(super) async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        // Whoever asked may be gone.
        let job = move || drop(answer.send(job()));
        self.jobs.send(Box::new(job)).await.ok()?;
        answered.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::getpriority_process;

    use super::*;

    #[tokio::test]
    async fn jobs_run_one_after_the_other_at_the_lowest_priority() {
        let background = Background::start().unwrap();
        let priority = background.run(|| getpriority_process(None).unwrap()).await;
        assert_eq!(priority, Some(NICENESS));
        assert_ne!(getpriority_process(None).unwrap(), NICENESS, "the other threads keep theirs");
        assert_eq!(background.run(|| panic!("a fault in a job")).await, None::<()>);
        assert!(!background.has_ended() && Background::ended().has_ended());
        assert_eq!(
            background.run(|| thread::current().name().map(str::to_owned)).await,
            Some(Some("background".into()))
        );
    }
}
