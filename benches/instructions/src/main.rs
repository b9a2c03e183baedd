//! Guards the path of an answer against getting slower: counts the instructions of its functions under valgrind, which
//! are the same however busy the machine is, and compares them with `baseline.json`.
//!
//! `cargo run --profile instructions -p instructions` fails if one takes 3 % more or less; with `--save` it writes what
//! it counted, for a change that is meant. Counts of another compiler are shown and not judged.

mod hot;
mod node;

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::{env, fs, io};

use serde_json::json;

use hot::FUNCTIONS;

/// What a function may differ from its baseline, in percent.
const TOLERANCE: f64 = 3.0;
/// Calls before those that are counted: tables grow and choices between kinds of instructions are made.
const WARM_UP: u32 = 8;

type Result<T> = std::result::Result<T, Box<dyn Error>>;
/// Instructions of one call, by the name of the function.
type Counts = BTreeMap<String, u64>;

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--run", name, calls] => run(name, calls),
        ["--save"] => save(),
        [] => check(),
        _ => Err("expected nothing, or --save".into()),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            say(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn say(line: &str) {
    // Nobody reads it if the pipe is closed.
    drop(writeln!(io::stdout(), "{line}"));
}

/// Calls a function, in the process that is counted.
fn run(name: &str, calls: &str) -> Result<ExitCode> {
    let (_, function, _) = FUNCTIONS.iter().find(|(known, _, _)| *known == name).ok_or("no such function")?;
    function(calls.parse()?);
    Ok(ExitCode::SUCCESS)
}

fn save() -> Result<ExitCode> {
    let baseline = json!({ "compiler": compiler()?, "instructions": count_all()? });
    fs::write(baseline_file(), format!("{baseline:#}\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn check() -> Result<ExitCode> {
    let baseline: serde_json::Value = serde_json::from_slice(&fs::read(baseline_file())?)?;
    let known = baseline.get("instructions").ok_or("the baseline has no instructions")?;
    let mut differ = 0;
    for (name, count) in count_all()? {
        let before = known.get(&name).and_then(serde_json::Value::as_u64).unwrap_or(0);
        let percent = (float(count) / float(before) - 1.0) * 100.0;
        let is_same = percent.abs() <= TOLERANCE;
        differ += u32::from(!is_same);
        let mark = if is_same { "" } else { "  <-- differs" };
        say(&format!("{name:<28} {before:>8} -> {count:>8} {percent:>+7.1} %{mark}"));
    }
    let (of, ours) = (baseline.get("compiler").and_then(serde_json::Value::as_str), compiler()?);
    if of != Some(&ours) {
        let of = of.unwrap_or("an unknown compiler");
        say(&format!("NOT CHECKED: the baseline is of {of}, and this is {ours}: save it anew with --save"));
        return Ok(ExitCode::SUCCESS);
    }
    if differ > 0 {
        say(&format!(
            "{differ} of them differ by more than {TOLERANCE} %; if that is meant, run this with --save"
        ));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn count_all() -> Result<Counts> {
    FUNCTIONS.iter().map(|(name, _, calls)| Ok(((*name).to_owned(), count(name, *calls)?))).collect()
}

/// Counts what `calls` calls take beyond those before them, and returns the share of one.
fn count(name: &str, calls: u32) -> Result<u64> {
    let (before, after) = (total(name, WARM_UP)?, total(name, WARM_UP + calls)?);
    Ok(after.saturating_sub(before) / u64::from(calls))
}

/// Counts all instructions of a process that calls a function.
fn total(name: &str, calls: u32) -> Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe()?)
        .args(["--run", name, &calls.to_string()])
        .output()
        .map_err(|error| format!("valgrind does not run: {error}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let collected = text.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    collected
        .filter(|_| output.status.success())
        .ok_or_else(|| format!("{name} under valgrind: {text}").into())
}

fn compiler() -> Result<String> {
    let output =
        Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())).arg("--version").output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn baseline_file() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("baseline.json")
}

fn float(count: u64) -> f64 {
    // Exact below 2^53.
    u32::try_from(count).map_or(f64::MAX, f64::from)
}
