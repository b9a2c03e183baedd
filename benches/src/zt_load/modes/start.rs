//! A controller that starts again, as after a crash, under clients that know nothing of it.

use std::time::{Duration, Instant};

use benches::process::Result;
use benches::wall::now;

use super::TICK;
use crate::load::Event;
use crate::progress::Progress;
use crate::{Cli, Stage};

/// What was noted about members is saved after this.
const SAVED_AFTER: Duration = Duration::from_secs(7);
/// A client that got no answer says HELLO and asks again.
const AGAIN: Duration = Duration::from_millis(1_050);
/// Clients take an answer however late it comes.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);
/// How often the first client asks while the controller starts.
const KNOCK: Duration = Duration::from_millis(20);

/// All members say HELLO and ask at once when the controller is there again.
pub(super) fn reconnect_storm(cli: &Cli, stage: &mut Stage) -> Result<()> {
    stage.meet_all(cli)?;
    stage.request_all(cli.window)?;
    stage.wait(SAVED_AFTER)?;
    stage.start_again()?;
    let count = stage.load.clients.len();
    let progress = Progress::new("reconnect", count);
    let (before, started) = (stage.usage()?, now());
    let mut configured: Vec<Option<Duration>> = vec![None; count];
    let mut left = count;
    let mut next = started;
    let mut turn = 0..0;
    while left > 0 {
        if turn.is_empty() && next <= now() {
            (turn, next) = (0..count, now() + AGAIN);
        }
        // Those who wait for nothing read what comes meanwhile.
        for client in turn.by_ref().take(32) {
            if configured.get(client).is_some_and(Option::is_none) {
                stage.load.hello(client)?;
                stage.load.request(client)?;
            }
        }
        let patience = if turn.is_empty() { TICK } else { Duration::ZERO };
        for event in stage.load.receive(patience)? {
            if let Event::Configured { client, .. } | Event::Pushed { client } = event
                && let Some(configured) = configured.get_mut(client).filter(|known| known.is_none())
            {
                *configured = Some(started.elapsed());
                left -= 1;
                progress.advance(1);
            }
        }
        stage.load.give_up(FORGOTTEN_AFTER);
    }
    stage.report_replies("since the start: ", before, configured.into_iter().flatten().collect())?;
    stage.report_end()
}

/// How long it takes from the start of the process to the first answer.
pub(super) fn restart(cli: &Cli, stage: &mut Stage) -> Result<()> {
    stage.meet_all(cli)?;
    stage.request_all(cli.window)?;
    stage.wait(SAVED_AFTER)?;
    let started = now();
    stage.start_again()?;
    let mut next = Instant::clone(&started);
    loop {
        if next <= now() {
            next = now() + KNOCK;
            stage.load.hello(0)?;
            stage.load.request(0)?;
        }
        let events = stage.load.receive(TICK)?;
        if events
            .iter()
            .any(|event| matches!(event, Event::Configured { client: 0, .. } | Event::Pushed { client: 0 }))
        {
            break;
        }
    }
    stage.report.figure("process start to first answer, ms", started.elapsed().as_secs_f64() * 1e3);
    stage.report_end()
}
