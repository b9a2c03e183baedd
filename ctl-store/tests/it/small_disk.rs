//! A small disk for one test alone, which it may fill. The tests of `ctl-bin` have this file too.

use std::env;
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;

/// Where the disk is mounted; set while a test runs again on it.
const PLACE: &str = "CTL_TEST_SMALL_DISK";

/// Mounts a tmpfs of so many MiB, runs the test of this name again in a process that alone sees it, and there the scenario
/// with the path of it. Says so and passes where that takes rights that are not there.
///
/// # Panics
/// If the test fails, or there is none of this name.
pub(crate) fn on_small_disk(mebibytes: u32, test: &str, scenario: fn(&Path)) {
    if let Some(place) = env::var_os(PLACE) {
        return scenario(Path::new(&place));
    }
    let place = tempfile::tempdir().unwrap();
    let script =
        format!("mount -t tmpfs -o size={mebibytes}m,mode=0700 none \"${PLACE}\" || exit 77; exec \"$@\"");
    let child = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", &script, "sh"])
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(PLACE, place.path())
        .output();
    match child {
        // What a test that fails ends with, and one that ran none.
        Ok(output) if matches!(output.status.code(), Some(0 | 101)) => {
            let stdout = String::from_utf8_lossy(&output.stdout);
            let has_passed = output.status.success() && stdout.contains("test result: ok. 1 passed");
            assert!(has_passed, "{test}: {stdout}{}", String::from_utf8_lossy(&output.stderr));
        }
        // Not captured, so that nobody takes this for a pass.
        refused => {
            let line = "NOT RUN: the test on a full tmpfs needs root and mount namespaces (unshare --mount)";
            io::stderr().write_all(format!("{line}: {refused:?}\n").as_bytes()).unwrap();
        }
    }
}
