//! The test equipment: the client's package, and a private network for each test.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::{env, fs, io, process};

/// The only address of the private network; controller and clients differ by port.
pub(crate) const ADDRESS: &str = "10.99.0.1";

/// Set for the copy of a test that runs in the private network.
const INSIDE: &str = "CTL_REAL_CLIENT_INSIDE";
const SKIP: &str = "CTL_SKIP_REAL_CLIENT";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real_client/ztclient.py");

/// Runs `scenario`, which is all that the test called `test` does, in a private network.
///
/// This test binary is run again in there, for this one test, so that everything the scenario starts or
/// connects to is inside as well.
pub(crate) fn in_private_network(test: &str, scenario: fn()) {
    in_private_network_of(&[ADDRESS], test, scenario);
}

/// [`in_private_network`] whose one device has these addresses.
pub(crate) fn in_private_network_of(addresses: &[&str], test: &str, scenario: fn()) {
    if env::var_os(INSIDE).is_some() {
        return scenario();
    }
    if skipped(test) {
        return;
    }
    wheel();
    let output = python()
        .arg("netns")
        .args(addresses.iter().flat_map(|address| ["-a", address]))
        .arg("--")
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--include-ignored"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    // A name that is not there would run nothing, and pass.
    let passed = output.status.success() && text(&output.stdout).contains("test result: ok. 1 passed");
    for line in text(&output.stdout).lines().chain(text(&output.stderr).lines()) {
        println!("| {line}");
        if passed && line.starts_with(MEASURED) {
            say(line);
        }
    }
    assert!(
        passed,
        "{test} failed in its private network ({}); if that could not be made, allow user namespaces or set {SKIP}=1",
        output.status
    );
}

/// Says whether a test is to be skipped; otherwise what it needs is there.
pub(crate) fn skipped(test: &str) -> bool {
    let is_skipped = env::var_os(SKIP).is_some_and(|value| value == "1");
    if is_skipped {
        say(&format!("skipped because {SKIP}=1: {test}"));
    } else {
        check_equipment();
    }
    is_skipped
}

const MEASURED: &str = "measured: ";

/// Reports a number that is worth seeing even when everything passes.
pub(crate) fn measured(what: &str, value: impl std::fmt::Debug) {
    println!("{MEASURED}{what}: {value:.2?}");
}

/// The script that drives the client.
pub(crate) fn python() -> Command {
    let mut command = Command::new("python3");
    command.arg(SCRIPT);
    command
}

/// The folder of the unpacked client; fetched if it is not there.
pub(crate) fn wheel() -> &'static Path {
    static WHEEL: OnceLock<PathBuf> = OnceLock::new();
    WHEEL.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let wheel = target.join("libzt");
        if !wheel.exists() {
            // Fetched beside and renamed, so that whoever finds the folder finds all of it.
            let unfinished = target.join(format!("libzt.{}", process::id()));
            let fetched = python().arg("fetch").arg(&unfinished).output().unwrap();
            assert!(
                fetched.status.success(),
                "cannot fetch the real client; check that pip can install packages, or set {SKIP}=1: {}",
                text(&fetched.stderr)
            );
            if fs::rename(&unfinished, &wheel).is_err() {
                assert!(wheel.exists(), "cannot make {}", wheel.display());
                fs::remove_dir_all(&unfinished).unwrap();
            }
        }
        wheel
    })
}

fn check_equipment() {
    for (program, arguments, install) in [
        ("python3", &["--version"][..], "python3 (3.9 or later)"),
        ("python3", &["-m", "pip", "--version"], "pip for python3 (package python3-pip)"),
        ("cc", &["--version"], "a C compiler called cc (package gcc)"),
    ] {
        let works = Command::new(program)
            .args(arguments)
            .output()
            .is_ok_and(|Output { status, .. }| status.success());
        assert!(
            works,
            "the tests with a real client need {install}: install it or set {SKIP}=1 to skip them"
        );
    }
}

/// Past the test runner, which keeps what a passing test prints to itself.
pub(crate) fn say(line: &str) {
    // Nowhere to say it is no reason to fail.
    drop(writeln!(io::stderr(), "real client: {line}"));
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}
