//! Lists of members: pages in every order and with every kind of filter, and all members at once.

use benches::process::Result;
use benches::wall::now;
use serde_json::{Value, json};

use crate::report::float;
use crate::{Cli, Stage};

/// How often each whole list is read.
const ROUNDS: u32 = 3;

/// Reads pages of 100 members over many connections, then whole lists over one.
pub(super) fn run(cli: &Cli, stage: &mut Stage) -> Result<()> {
    let network = stage.network_of(0)?;
    stage.name_all(&format!("/api/v2/network/{network}/member"))?;
    let page = format!("/api/v2/network/{network}/member?limit=100");
    for (what, more) in [
        ("page of 100", ""),
        ("page of 100, sort=name", "&sort=name"),
        ("page of 100, sort=-created", "&sort=-created"),
        ("page of 100, sort=-lastSeen", "&sort=-lastSeen"),
        ("page of 100, authorized=true", "&authorized=true"),
        ("page of 100, authorized=false", "&authorized=false"),
        ("page of 100, online=true", "&online=true"),
        ("page of 100, search=beginning of an address", "&search=8056c"),
        ("page of 100, search=part of a name", "&search=top-77"),
        ("page of 100, search=a name that nobody has", "&search=nobody"),
        ("page of 100, search=IP address", "&search=10.0.3.7"),
        ("page of 100, tag", "&tag=1"),
    ] {
        let path = format!("{page}{more}");
        stage.hammer(cli, what, |api, _| api.call("GET", &path, ""))?;
    }
    for (what, path) in [
        ("list of 1.14", format!("/controller/network/{network}/member")),
        ("list in full", format!("/unstable/controller/network/{network}/member")),
        ("list of the hosted service", format!("/api/v1/network/{network}/member")),
    ] {
        stage.whole(what, &path)?;
    }
    stage.report_end()
}

impl Stage {
    /// Gives every member a name and a tag, as an administrator does.
    fn name_all(&mut self, members: &str) -> Result<()> {
        let (mut api, mut cursor, mut number) = (self.api()?, String::new(), 0_u64);
        loop {
            let page: Value =
                serde_json::from_str(&api.call("GET", &format!("{members}?limit=1000{cursor}"), "")?)?;
            let found = page.get("data").and_then(Value::as_array).ok_or("no page of members")?;
            let entries = found.iter().map(|member| {
                number += 1;
                let tags = json!([{ "id": 1, "value": number % 10 }]);
                let change = json!({ "name": format!("laptop-{number}"), "tags": tags });
                json!({ "address": member.get("address"), "action": "change", "change": change })
            });
            let entries: Vec<_> = entries.collect();
            api.call("POST", &format!("{members}/bulk"), &json!({ "entries": entries }).to_string())?;
            let Some(next) = page.get("next").and_then(Value::as_str) else { return Ok(()) };
            cursor = format!("&cursor={next}");
        }
    }

    /// Reads a list of all members a few times, one after the other.
    fn whole(&mut self, what: &str, path: &str) -> Result<()> {
        let mut api = self.api()?;
        let rss_before = self.process.map(|process| process.forget_peak()).transpose()?;
        let (before, started, mut bytes) = (self.usage()?, now(), 0);
        for _ in 0..ROUNDS {
            bytes = api.call("GET", path, "")?.len();
        }
        let rounds = f64::from(ROUNDS);
        self.report.figure(format!("{what}: MB"), float(bytes as u64) / 1e6);
        self.report.figure(format!("{what}: ms"), started.elapsed().as_secs_f64() * 1e3 / rounds);
        if let (Some(after), Some(before)) = (self.usage()?.cpu, before.cpu) {
            self.report.figure(format!("{what}: server ms"), after.since(before).total() * 1e3 / rounds);
        }
        if let (Some(process), Some(rss_before)) = (self.process, rss_before) {
            self.report.figure(format!("{what}: server MiB before"), float(rss_before) / 1024.0);
            self.report.figure(format!("{what}: server MiB at most"), float(process.peak_kib()?) / 1024.0);
        }
        Ok(())
    }
}
