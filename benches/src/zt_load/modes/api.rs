//! The API under many connections.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use benches::process::{Api, Result};
use benches::wall::{now, pause};

use crate::progress::Progress;
use crate::report::float;
use crate::{Cli, Stage};

/// Connections, each of which asks as soon as it is answered.
const CONNECTIONS: usize = 64;

/// Reads a network, a page of members, and changes members: each for the given time.
pub(super) fn run(cli: &Cli, stage: &mut Stage) -> Result<()> {
    let network = stage.network_of(0)?;
    let members: Vec<_> = stage.load.clients.iter().map(|client| client.member.address()).collect();
    let base = format!("/controller/network/{network}");
    let member = |n: u64| members.get(usize::try_from(n).unwrap_or(0) % members.len().max(1)).copied();
    let path = |n: u64| format!("{base}/member/{}", member(n).unwrap_or_default());
    stage.hammer(cli, "GET network", |api, _| api.call("GET", &base, ""))?;
    stage.hammer(cli, "GET member", |api, n| api.call("GET", &path(n), ""))?;
    let page = format!("/api/v2/network/{network}/member?limit=100");
    if let Err(error) = stage.hammer(cli, "GET page of 100 members", |api, _| api.call("GET", &page, "")) {
        crate::report::say(&format!("no pages of members: {error}"));
    }
    // The name changes with each round over the members, so each call changes something.
    let body = |n: u64| format!("{{\"name\":\"{}\"}}", n / members.len().max(1) as u64);
    stage.hammer(cli, "POST member", |api, n| api.call("POST", &path(n), &body(n)))?;
    stage.report_end()
}

impl Stage {
    pub(super) fn hammer(
        &mut self,
        cli: &Cli,
        what: &'static str,
        call: impl Fn(&mut Api, u64) -> Result<String> + Sync,
    ) -> Result<()> {
        let connections = (0..CONNECTIONS).map(|_| self.api()).collect::<Result<Vec<_>>>()?;
        let (stop, calls) = (AtomicBool::new(false), AtomicU64::new(0));
        let progress = Progress::new(what, 1);
        let (before, started) = (self.usage()?, now());
        thread::scope(|scope| {
            let (stop, calls, call) = (&stop, &calls, &call);
            let threads: Vec<_> = connections
                .into_iter()
                .map(|mut api| {
                    scope.spawn(move || {
                        while !stop.load(Ordering::Relaxed) {
                            call(&mut api, calls.fetch_add(1, Ordering::Relaxed))?;
                        }
                        Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
                    })
                })
                .collect();
            pause(cli.duration());
            stop.store(true, Ordering::Relaxed);
            threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
        })?;
        drop(progress);
        let (calls, seconds) = (float(calls.into_inner()), started.elapsed().as_secs_f64());
        self.report.figure(format!("{what}: calls/s"), calls / seconds);
        if let (Some(after), Some(before)) = (self.usage()?.cpu, before.cpu) {
            let used = after.since(before).total();
            self.report.figure(format!("{what}: server µs per call"), used / calls * 1e6);
            self.report.figure(format!("{what}: calls/s on one core of the server"), calls / used);
        }
        Ok(())
    }
}
