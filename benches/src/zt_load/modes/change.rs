//! Changes over the API, and when the clients notice them.

use std::time::{Duration, Instant};

use benches::process::Result;
use benches::wall::now;

use super::TICK;
use crate::load::Event;
use crate::progress::Progress;
use crate::report::float;
use crate::{Cli, Stage};

/// Whoever has noticed nothing by then, will not.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two changes, so that each is by itself.
const BETWEEN: Duration = Duration::from_millis(20);

/// One change of the network of the first client, until all its members have acknowledged it.
pub(super) fn fan_out(cli: &Cli, stage: &mut Stage) -> Result<()> {
    stage.get_online(cli)?;
    let network = stage.network_of(0)?;
    let concerned: Vec<_> = stage.load.clients.iter().map(|client| client.network == network).collect();
    let (before, started) = (stage.usage()?, now());
    let mut api = stage.api()?;
    api.call("POST", &format!("/controller/network/{network}"), "{\"name\":\"changed\"}")?;
    let times = stage.until_noticed(&concerned, started, |event| match event {
        Event::Pushed { client } => Some(client),
        Event::Met { .. }
        | Event::Configured { .. }
        | Event::Refused { .. }
        | Event::Expelled { .. }
        | Event::Credentials { .. } => None,
    })?;
    let pushes = float(times.len() as u64);
    stage
        .report
        .figure("members concerned", float(concerned.iter().filter(|concerned| **concerned).count() as u64));
    stage.report.figure("pushes received", pushes);
    stage.report.times("change to push: ", times);
    if let (Some(after), Some(before)) = (stage.usage()?.cpu, before.cpu) {
        stage.report.figure("server µs per push", after.since(before).total() / pushes * 1e6);
    }
    stage.report_end()
}

/// One member is de-authorized, until all others are told to distrust it.
pub(super) fn deauth(cli: &Cli, stage: &mut Stage) -> Result<()> {
    stage.get_online(cli)?;
    let network = stage.network_of(0)?;
    let concerned =
        stage.load.clients.iter().enumerate().map(|(n, client)| n > 0 && client.network == network);
    let concerned: Vec<_> = concerned.collect();
    let started = now();
    stage.set_authorized(0, false)?;
    let times = stage.until_noticed(&concerned, started, |event| match event {
        Event::Credentials { client } => Some(client),
        Event::Met { .. }
        | Event::Configured { .. }
        | Event::Refused { .. }
        | Event::Pushed { .. }
        | Event::Expelled { .. } => None,
    })?;
    stage.report.figure("members told", float(times.len() as u64));
    stage.report.times("change to revocation: ", times);
    stage.report_end()
}

/// Members are de-authorized and authorized again, one after the other, until each has noticed.
pub(super) fn authorize(cli: &Cli, stage: &mut Stage) -> Result<()> {
    stage.get_online(cli)?;
    let progress = Progress::new("authorize", cli.seconds.try_into()?);
    let begun = now();
    let (mut calls, mut told, mut configured, mut late) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for client in (0..stage.load.clients.len()).cycle() {
        if begun.elapsed() > cli.duration() {
            break;
        }
        for authorized in [false, true] {
            let started = now();
            stage.set_authorized(client, authorized)?;
            calls.push(started.elapsed());
            let awaited = if authorized { Event::Pushed { client } } else { Event::Expelled { client } };
            let noticed = loop {
                if stage.load.receive(TICK)?.contains(&awaited) {
                    break true;
                }
                if started.elapsed() > Duration::from_secs(2) {
                    break false;
                }
            };
            late += u64::from(!noticed);
            let times = if authorized { &mut configured } else { &mut told };
            times.extend(noticed.then(|| started.elapsed()));
            stage.wait(BETWEEN)?;
        }
        progress.at(usize::try_from(begun.elapsed().as_secs())?);
    }
    stage.report.figure("changes", float((told.len() + configured.len()) as u64));
    stage.report.figure("not noticed within 2 s", float(late));
    stage.report.times("of which the call of the API: ", calls);
    stage.report.times("deauthorize to told: ", told);
    stage.report.times("authorize to configured: ", configured);
    stage.report_end()
}

impl Stage {
    fn get_online(&mut self, cli: &Cli) -> Result<()> {
        self.meet_all(cli)?;
        self.request_all(cli.window)?;
        self.wait(Duration::from_secs(1))
    }

    fn set_authorized(&self, client: usize, authorized: bool) -> Result<()> {
        let network = self.network_of(client)?;
        let member = self.load.clients.get(client).ok_or("no client")?.member.address();
        let path = format!("/controller/network/{network}/member/{member}");
        self.api()?.call("POST", &path, &format!("{{\"authorized\":{authorized}}}"))?;
        Ok(())
    }

    /// Waits until all that are concerned have noticed; returns when each did.
    fn until_noticed(
        &mut self,
        concerned: &[bool],
        started: Instant,
        notices: impl Fn(Event) -> Option<usize>,
    ) -> Result<Vec<Duration>> {
        let mut left = concerned.to_vec();
        let total = left.iter().filter(|waits| **waits).count();
        let progress = Progress::new("noticed", total);
        let mut times = Vec::with_capacity(total);
        while times.len() < total && started.elapsed() < PATIENCE {
            for client in self.load.receive(TICK)?.into_iter().filter_map(&notices) {
                if let Some(waits) = left.get_mut(client).filter(|waits| **waits) {
                    *waits = false;
                    times.push(started.elapsed());
                }
            }
            progress.at(times.len());
        }
        Ok(times)
    }
}
