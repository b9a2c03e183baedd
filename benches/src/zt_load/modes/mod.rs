//! What the clients do in each mode, and what is measured meanwhile.

mod api;
mod ask;
mod change;
mod hostile;
mod lists;
mod start;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use benches::process::{Api, Cpu, Result};
use benches::wall::now;
use zt_proto::NetworkId;

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
        Mode::Saturate => ask::saturate(cli, stage),
        Mode::Steady => ask::steady(cli, stage),
        Mode::Hostile => hostile::hostile(cli, stage),
        Mode::Idle => ask::idle(cli, stage),
        Mode::JoinStorm => ask::join_storm(cli, stage),
        Mode::ReconnectStorm => start::reconnect_storm(cli, stage),
        Mode::Restart => start::restart(cli, stage),
        Mode::FanOut => change::fan_out(cli, stage),
        Mode::Deauth => change::deauth(cli, stage),
        Mode::Authorize => change::authorize(cli, stage),
        Mode::Api => api::run(cli, stage),
        Mode::Lists => lists::run(cli, stage),
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

    /// Lets the clients answer, and no more.
    fn wait(&mut self, duration: Duration) -> Result<()> {
        let started = now();
        while started.elapsed() < duration {
            self.load.receive(TICK)?;
        }
        Ok(())
    }

    fn network_of(&self, client: usize) -> Result<NetworkId> {
        Ok(self.load.clients.get(client).ok_or("no client")?.network)
    }

    fn api(&self) -> Result<Api> {
        let (address, token) = self.api.as_ref().ok_or("needs --api and --token")?;
        Api::connect(*address, token)
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
        let pace = cli.hello_pace();
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
}
