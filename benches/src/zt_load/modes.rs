//! What the clients do in each mode, and what is measured meanwhile.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use benches::process::{Cpu, Result};
use benches::wall::{now, pause};

use crate::load::{Counts, Event};
use crate::progress::Progress;
use crate::report::float;
use crate::{Cli, Mode, Stage};

/// Controllers answer a request of one client for one network no sooner after the last.
const REQUEST_INTERVAL: Duration = Duration::from_millis(1_050);
/// A request without an answer is lost.
const PATIENCE: Duration = Duration::from_millis(2_000);
/// A HELLO that led to nothing is repeated.
const HELLO_AGAIN: Duration = Duration::from_millis(1_000);
/// How long clients wait for datagrams at most when there is nothing to send.
const TICK: Duration = Duration::from_millis(1);
/// HELLOs on their way.
const MAX_HELLOS: usize = 256;

pub(crate) fn run(cli: &Cli, stage: &mut Stage) -> Result<()> {
    match cli.mode {
        Mode::Saturate => saturate(cli, stage),
        Mode::Steady => steady(cli, stage),
        Mode::Plot => Ok(()),
    }
}

/// What a controller used until some moment.
#[derive(Debug, Clone, Copy)]
struct Usage {
    at: Instant,
    cpu: Option<Cpu>,
    counts: Counts,
}

impl Stage {
    fn usage(&self) -> Result<Usage> {
        let cpu = self.process.map(|process| process.cpu()).transpose()?;
        Ok(Usage { at: now(), cpu, counts: self.load.counts })
    }

    /// Reports what was answered since `before`, and what it cost.
    fn report_replies(&mut self, prefix: &str, before: Usage, times: Vec<Duration>) -> Result<()> {
        let after = self.usage()?;
        let seconds = (after.at - before.at).as_secs_f64();
        let replies = float(times.len() as u64);
        let report = &mut self.report;
        report.figure(format!("{prefix}replies"), replies);
        report.figure(format!("{prefix}replies/s"), replies / seconds);
        report.times(prefix, times);
        report.figure(format!("{prefix}lost"), float(after.counts.lost - before.counts.lost));
        if let (Some(after), Some(before)) = (after.cpu, before.cpu) {
            let used = after.since(before);
            report.figure(format!("{prefix}server µs per reply"), used.total() / replies * 1e6);
            report.figure(format!("{prefix}of which in the kernel"), used.system / replies * 1e6);
            report.figure(format!("{prefix}server cores"), used.total() / seconds);
        }
        Ok(())
    }

    fn report_end(&mut self) -> Result<()> {
        let Counts { checked, forged, .. } = self.load.counts;
        self.report.figure("signatures checked", float(checked));
        self.report.figure("packets or signatures that were wrong", float(forged));
        self.report_memory("")
    }

    fn report_memory(&mut self, prefix: &str) -> Result<()> {
        if let Some(process) = self.process {
            self.report.figure(format!("{prefix}server RSS, KiB"), float(process.rss_kib()?));
        }
        Ok(())
    }

    /// Has all clients say HELLO until the controller knows them and a path to them.
    fn meet_all(&mut self, cli: &Cli) -> Result<()> {
        let count = self.load.clients.len();
        let progress = Progress::new("hello", count);
        let pace = Duration::from_secs(1) / cli.hello_rate.max(1);
        let mut met = vec![false; count];
        let (mut left, mut next) = (count, now());
        let mut ready: VecDeque<_> = (0..count).collect();
        let mut flying: VecDeque<(Instant, usize)> = VecDeque::new();
        while left > 0 {
            while flying.len() < MAX_HELLOS
                && next <= now()
                && let Some(client) = ready.pop_front()
            {
                self.load.hello(client)?;
                flying.push_back((now(), client));
                next = next.max(now() - Duration::from_millis(20)) + pace;
            }
            for event in self.load.receive(TICK)? {
                if let Event::Met { client } = event
                    && let Some(met) = met.get_mut(client).filter(|met| !**met)
                {
                    *met = true;
                    left -= 1;
                    progress.advance(1);
                }
            }
            flying.retain(|(since, client)| {
                let is_met = met.get(*client).copied().unwrap_or(true);
                if !is_met && since.elapsed() > HELLO_AGAIN {
                    ready.push_front(*client);
                    return false;
                }
                !is_met
            });
        }
        Ok(())
    }

    /// Has each client ask once, and again if nothing comes, with `window` requests on their way.
    fn request_all(&mut self, window: usize) -> Result<Vec<Duration>> {
        let count = self.load.clients.len();
        let progress = Progress::new("first", count);
        let mut ready: VecDeque<_> = (0..count).collect();
        let mut times = Vec::with_capacity(count);
        while times.len() < count {
            while self.load.in_flight() < window
                && let Some(client) = ready.pop_front()
            {
                self.load.request(client)?;
            }
            for event in self.load.receive(TICK)? {
                if let Event::Configured { after, .. } | Event::Refused { after, .. } = event {
                    times.push(after);
                }
            }
            progress.at(times.len());
            ready.extend(self.load.give_up(PATIENCE));
        }
        Ok(times)
    }

    /// Has the clients ask again and again, as often as each may, with `window` requests on their way.
    fn ask_again(&mut self, cli: &Cli) -> Result<Vec<Duration>> {
        let (started, progress) = (now(), Progress::new("asking", cli.seconds.try_into()?));
        let mut ready: VecDeque<_> = (0..self.load.clients.len()).map(|client| (started, client)).collect();
        let mut times = Vec::new();
        while started.elapsed() < cli.duration() || self.load.in_flight() > 0 {
            while started.elapsed() < cli.duration()
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
            progress.at(usize::try_from(started.elapsed().as_secs())?);
        }
        Ok(times)
    }
}

/// First the first request of each client, for which everything is to be signed; then one after the other as fast as answers
/// come.
fn saturate(cli: &Cli, stage: &mut Stage) -> Result<()> {
    stage.report_memory("before: ")?;
    stage.meet_all(cli)?;
    let before = stage.usage()?;
    let times = stage.request_all(cli.window)?;
    stage.report_replies("first: ", before, times)?;
    pause(REQUEST_INTERVAL);
    let (before, times) = (stage.usage()?, stage.ask_again(cli)?);
    stage.report_replies("", before, times)?;
    stage.report_end()
}

/// Every client asks once a minute, or as many times faster as the compression says, at times spread evenly.
fn steady(cli: &Cli, stage: &mut Stage) -> Result<()> {
    stage.meet_all(cli)?;
    stage.request_all(cli.window)?;
    let count = stage.load.clients.len();
    let interval = Duration::from_secs(60).div_f64(cli.compression).max(REQUEST_INTERVAL);
    let pace = interval.div_f64(float(count as u64));
    let progress = Progress::new("steady", cli.seconds.try_into()?);
    let (before, started) = (stage.usage()?, now());
    let (mut times, mut next, mut turn) = (Vec::new(), started + REQUEST_INTERVAL, 0..count);
    while started.elapsed() < cli.duration() + REQUEST_INTERVAL {
        while next <= now() {
            let client = turn.next().or_else(|| {
                turn = 0..count;
                turn.next()
            });
            stage.load.request(client.ok_or("no clients")?)?;
            next += pace;
        }
        let patience = next.saturating_duration_since(now()).min(TICK);
        for event in stage.load.receive(patience)? {
            if let Event::Configured { after, .. } = event {
                times.push(after);
            }
        }
        stage.load.give_up(PATIENCE);
        progress.at(usize::try_from(started.elapsed().as_secs())?);
    }
    stage.report_replies("", before, times)?;
    stage.report_end()
}
