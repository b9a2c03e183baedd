//! A start on a disk that is full.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::backup::serve_network;
use crate::http::request;
use crate::process::{Process, pause};
use crate::program::{START_LIMIT, api, fail, free_port, serve};
use crate::small_disk::on_small_disk;

#[test]
fn a_controller_starts_on_a_full_disk_and_serves_who_is_known() {
    let name = "full_disk::a_controller_starts_on_a_full_disk_and_serves_who_is_known";
    on_small_disk(24, name, start_on_a_full_disk);
}

fn start_on_a_full_disk(place: &Path) {
    let (home, ballast) = (place.join("home"), place.join("ballast"));
    let (process, network) = serve_network(&home, free_port());
    let reserve = home.join("ctl-bin.reserve");
    let length = || fs::metadata(&reserve).map_or(0, |found| found.len());
    await_reserve(&reserve);
    let whole = length();
    end(process);

    // Again and again, as a supervisor would start it.
    for start in 0..2 {
        fill(&ballast);
        let port = free_port();
        let (process, _) = serve(&home, port);
        let said = process.lines_since(0);
        assert!(said.iter().any(|line| line.text.contains("the disk is full: this start uses")), "{said:?}");
        assert!(length() < whole, "start {start}");
        fill(&ballast);
        let token = fs::read_to_string(home.join("authtoken.secret")).unwrap();
        let ask = |method, path: &str, body: Option<&Value>| request(api(port), method, path, &token, body);
        let member = format!("{network}/member/1122334455");
        assert_eq!(ask("GET", &member, None).1["authorized"], true);
        assert_eq!(ask("GET", "/health/ready", None).0, 200);
        let empty = json!({});
        let join = |number: u32| ask("POST", &format!("{network}/member/22222{number:05x}"), Some(&empty)).0;
        assert_eq!((0..500).map(join).find(|status| *status != 200), Some(507));
        end(process);
    }

    // A home that has nothing laid by, as of an earlier release.
    fs::write(&reserve, "").unwrap();
    fill(&ballast);
    let error = fail(&home, free_port());
    assert!(error.contains("the disk of") && error.contains("controller.db is full"), "{error}");
    assert!(error.contains("free 1 MiB"), "{error}");

    fs::remove_file(&ballast).unwrap();
    let (process, _) = serve(&home, free_port());
    await_reserve(&reserve);
    assert_eq!(length(), whole);
    end(process);
}

fn end(mut process: Process) {
    process.terminate();
    while process.ended().is_none() {
        pause(Duration::from_millis(20));
    }
}

/// Leaves no room on the disk.
fn fill(ballast: &Path) {
    let mut file = File::options().create(true).append(true).open(ballast).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
}

/// Waits until the controller has laid by what it wants.
fn await_reserve(reserve: &Path) {
    let deadline = crate::process::now() + START_LIMIT;
    while fs::metadata(reserve).map_or(0, |found| found.len()) < 1 << 20 {
        assert!(crate::process::now() < deadline, "nothing is laid by");
        pause(Duration::from_millis(20));
    }
}
