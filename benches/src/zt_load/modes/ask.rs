//! Clients that ask: as fast as possible, steadily, for the first time; and those that do nothing.

use std::collections::VecDeque;
use std::time::Duration;

use benches::process::Result;
use benches::wall::{now, pause};
use zt_proto::NetworkId;

use super::{PATIENCE, REQUEST_INTERVAL, TICK};
use crate::home::OPEN_NETWORK;
use crate::load::{Event, Load};
use crate::progress::Progress;
use crate::report::float;
use crate::{Cli, Stage};

/// What follows an answer, such as the saving of notes, is over after this.
const REST: Duration = Duration::from_secs(6);

impl Stage {
    /// Has the clients ask again and again, as often as each may, with `window` requests on their way: for the time that was
    /// asked for, or until there were so many `replies`.
    fn ask_again(&mut self, cli: &Cli, replies: Option<usize>) -> Result<Vec<Duration>> {
        let total = replies.map_or_else(|| cli.seconds.try_into(), Ok)?;
        let (started, progress) = (now(), Progress::new("asking", total));
        let goes_on =
            |got: usize| replies.map_or_else(|| started.elapsed() < cli.duration(), |total| got < total);
        let mut ready: VecDeque<_> = (0..self.load.clients.len()).map(|client| (started, client)).collect();
        let mut times = Vec::new();
        while goes_on(times.len()) || self.load.in_flight() > 0 {
            while goes_on(times.len())
                && self.load.in_flight() < cli.window
                && let Some((_, client)) = ready.pop_front_if(|(due, _)| *due <= now())
            {
                self.load.request(client)?;
                ready.push_back((now() + REQUEST_INTERVAL, client));
            }
            for event in self.load.receive(TICK / 4)? {
                if let Event::Configured { after, .. } = event {
                    times.push(after);
                }
            }
            self.load.give_up(PATIENCE);
            let done =
                if replies.is_some() { times.len() } else { started.elapsed().as_secs().try_into()? };
            progress.at(done);
        }
        Ok(times)
    }
}

/// First the first request of each client, for which everything is to be signed; then one after the other as fast as answers
/// come. With a number of requests, the memory after a tenth of them and at the end shows whether it grows.
pub(super) fn saturate(cli: &Cli, stage: &mut Stage) -> Result<()> {
    stage.report_memory("before: ")?;
    stage.meet_all(cli)?;
    let before = stage.usage()?;
    let times = stage.request_all(cli.window)?;
    stage.report_replies("first: ", before, times)?;
    pause(REQUEST_INTERVAL);
    if let Some(requests) = cli.requests {
        stage.ask_again(cli, Some(requests / 10))?;
        stage.report_memory("after a tenth: ")?;
    }
    let rest = cli.requests.map(|requests| requests - requests / 10);
    let (before, times) = (stage.usage()?, stage.ask_again(cli, rest)?);
    stage.report_replies("", before, times)?;
    stage.report_end()
}

impl Stage {
    /// Has every client ask once a minute, or as many times faster as the compression says, at times spread evenly;
    /// `meanwhile` is called again and again with how long that has been so.
    pub(super) fn ask_steadily(
        &mut self,
        cli: &Cli,
        mut meanwhile: impl FnMut(&mut Load, Duration) -> Result<()>,
    ) -> Result<Vec<Duration>> {
        let count = self.load.clients.len();
        let interval = Duration::from_secs(60).div_f64(cli.compression).max(REQUEST_INTERVAL);
        let pace = interval.div_f64(float(count as u64));
        let progress = Progress::new("steady", cli.seconds.try_into()?);
        let started = now();
        let (mut times, mut next, mut turn) = (Vec::new(), started + REQUEST_INTERVAL, 0..count);
        while started.elapsed() < cli.duration() + REQUEST_INTERVAL {
            while next <= now() {
                let client = turn.next().or_else(|| {
                    turn = 0..count;
                    turn.next()
                });
                self.load.request(client.ok_or("no clients")?)?;
                next += pace;
            }
            meanwhile(&mut self.load, started.elapsed())?;
            let patience = next.saturating_duration_since(now()).min(TICK);
            for event in self.load.receive(patience)? {
                if let Event::Configured { after, .. } = event {
                    times.push(after);
                }
            }
            self.load.give_up(PATIENCE);
            progress.at(usize::try_from(started.elapsed().as_secs())?);
        }
        Ok(times)
    }
}

/// Every client asks once a minute, or as many times faster as the compression says.
pub(super) fn steady(cli: &Cli, stage: &mut Stage) -> Result<()> {
    stage.meet_all(cli)?;
    stage.request_all(cli.window)?;
    let before = stage.usage()?;
    let times = stage.ask_steadily(cli, |_, _| Ok(()))?;
    stage.report_replies("", before, times)?;
    stage.report_end()
}

/// Known nodes, each of which joins another network, a public one: the address that it gets is on the disk before it is told.
pub(super) fn join_storm(cli: &Cli, stage: &mut Stage) -> Result<()> {
    stage.meet_all(cli)?;
    for client in &mut stage.load.clients {
        client.network = NetworkId::of_controller(client.network.controller(), OPEN_NETWORK);
    }
    let before = stage.usage()?;
    let times = stage.request_all(cli.window)?;
    stage.report_replies("", before, times)?;
    stage.report_end()
}

/// Members that are online and do nothing but answer.
pub(super) fn idle(cli: &Cli, stage: &mut Stage) -> Result<()> {
    stage.report_memory("before: ")?;
    stage.meet_all(cli)?;
    stage.request_all(cli.window)?;
    stage.wait(REST)?;
    let before = stage.usage()?;
    stage.wait(cli.duration())?;
    let after = stage.usage()?;
    if let (Some(after), Some(before)) = (after.cpu, before.cpu) {
        let share = after.since(before).total() / cli.duration().as_secs_f64();
        stage.report.figure("share of a core, %", share * 100.0);
    }
    let datagrams = after.counts.datagrams_received - before.counts.datagrams_received;
    stage.report.figure("datagrams to clients", float(datagrams));
    stage.report_end()
}
