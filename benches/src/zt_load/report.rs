//! What was measured, for people and for programs.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use benches::process::Result;
use clap::ValueEnum;
use serde_json::{Map, Value, json};

use crate::Cli;
use crate::home::Size;

/// Percentiles that are kept for the plot.
const PERCENTILES: [f64; 12] = [1.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.9, 100.0];

/// The figures of one run, in the order in which they were taken.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report {
    pub mode: String,
    /// How the load was made.
    pub parameters: Vec<(String, f64)>,
    pub figures: Vec<(String, f64)>,
    /// Percentile and milliseconds, of the last load.
    pub latencies: Vec<(f64, f64)>,
}

impl Report {
    pub(crate) fn new(cli: &Cli, size: Size) -> Self {
        let mode = cli.mode.to_possible_value().map_or_else(String::new, |mode| mode.get_name().to_owned());
        let parameters =
            [("networks", size.networks), ("members of each", size.members), ("clients", size.clients)];
        let parameters = parameters.map(|(name, value)| (name.to_owned(), float(value as u64)));
        let credentials = [("tags of each member", size.tags), ("capabilities", size.capabilities)];
        let credentials = credentials.into_iter().filter(|(_, count)| *count > 0);
        let credentials = credentials.map(|(name, count)| (name.to_owned(), count.into()));
        Self { mode, parameters: parameters.into_iter().chain(credentials).collect(), ..Self::default() }
    }

    pub(crate) fn figure(&mut self, name: impl Into<String>, value: f64) {
        self.figures.push((name.into(), value));
    }

    /// Takes how long each answer took.
    pub(crate) fn times(&mut self, prefix: &str, mut times: Vec<Duration>) {
        times.sort_unstable();
        let at = |percent: f64| {
            let place = (percent / 100.0 * float(times.len() as u64)).ceil();
            let found = times.iter().enumerate().find(|(n, _)| float(*n as u64 + 1) >= place);
            found.map_or(f64::NAN, |(_, time)| time.as_secs_f64() * 1e3)
        };
        for (name, percent) in [("p50", 50.0), ("p99", 99.0), ("p99.9", 99.9), ("max", 100.0)] {
            self.figure(format!("{prefix}{name}, ms"), at(percent));
        }
        self.latencies = PERCENTILES.map(|percent| (percent, at(percent))).into();
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<f64> {
        self.parameters.iter().chain(&self.figures).find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// Returns a table.
    pub(crate) fn markdown(&self) -> String {
        let parameters: Vec<_> =
            self.parameters.iter().map(|(name, value)| format!("{} {name}", short(*value))).collect();
        let mut text = format!("\n| {}: {} | |\n|---|---:|\n", self.mode, parameters.join(", "));
        for (name, value) in &self.figures {
            // Writing to a string cannot fail.
            writeln!(text, "| {name} | {} |", short(*value)).unwrap_or(());
        }
        text
    }

    pub(crate) fn json(&self) -> String {
        let object = |pairs: &[(String, f64)]| {
            Value::Object(
                pairs.iter().map(|(name, value)| (name.clone(), json!(value))).collect::<Map<_, _>>(),
            )
        };
        let value = json!({
            "mode": self.mode,
            "parameters": object(&self.parameters),
            "figures": object(&self.figures),
            "latencies": self.latencies,
        });
        format!("{value:#}\n")
    }

    pub(crate) fn read(path: &Path) -> Result<Self> {
        let value: Value = serde_json::from_str(&fs::read_to_string(path)?)?;
        let pairs = |name: &str| -> Vec<(String, f64)> {
            let object = value.get(name).and_then(Value::as_object);
            object
                .into_iter()
                .flatten()
                .filter_map(|(name, value)| Some((name.clone(), value.as_f64()?)))
                .collect()
        };
        let mode = value.get("mode").and_then(Value::as_str).unwrap_or_default().to_owned();
        let latencies = value.get("latencies").and_then(Value::as_array).into_iter().flatten();
        let latencies = latencies.filter_map(|pair| Some((pair.get(0)?.as_f64()?, pair.get(1)?.as_f64()?)));
        Ok(Self {
            mode,
            parameters: pairs("parameters"),
            figures: pairs("figures"),
            latencies: latencies.collect(),
        })
    }
}

/// Returns a number with as many digits as mean something.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 1000.0 || size.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "no count here is near 2^52")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

/// Prints a line.
pub(crate) fn say(line: &str) {
    // Nobody reads any more: then there is nothing to do about it.
    writeln!(io::stdout(), "{line}").unwrap_or(());
}
