//! Two controllers that see one database.

use std::fs;
use std::io::Read;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::Connection;
use tempfile::TempDir;

use crate::process::{Process, pause};
use crate::program::{command, fail, free_port, home, moved_in, refused, serve};

/// Waiting for the end of a lease takes 20 s.
const LEASE_LIMIT: Duration = Duration::from_secs(60);

/// A second home of the same controller whose database is that of the first: what another machine sees that mounts the
/// same disk. Its lock is another file, as it would be there.
fn second_home(folder: &TempDir, first: &Path) -> PathBuf {
    let second = folder.path().join("second");
    fs::create_dir(&second).unwrap();
    fs::set_permissions(&second, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    for name in ["identity.secret", "identity.public", "authtoken.secret"] {
        fs::copy(first.join(name), second.join(name)).unwrap();
    }
    std::os::unix::fs::symlink(first.join("controller.db"), second.join("controller.db")).unwrap();
    second
}

fn start(home: &Path, arguments: &[&str]) -> Process {
    Process::spawn("second", command(home, free_port()).args(arguments))
}

fn wait_for(process: &Process, words: &str) {
    process.wait_for(0, LEASE_LIMIT, words, |line| line.text.contains(words).then_some(()));
}

#[test]
fn a_second_controller_on_the_same_database_is_refused_and_may_take_over_by_force() {
    let (folder, home) = home();
    let (first, _) = serve(&home, free_port());
    let second = second_home(&folder, &home);
    let error = fail(&second, free_port());
    assert!(error.contains("another controller serves with this database: process "), "{error}");
    assert!(error.contains("--take-over") && error.contains(home.to_str().unwrap()), "{error}");
    assert!(first.lines_since(0).iter().all(|line| !line.text.contains("error")));

    let second = start(&second, &["--take-over"]);
    wait_for(&second, "ready:");
    wait_for(&first, "error: another controller has taken over this database: process ");
}

/// Has another controller, which renews its lease, serve with a database while `f` runs.
fn while_served<T>(database: &Path, f: impl FnOnce() -> T) -> T {
    let connection = Connection::open(database).unwrap();
    connection.busy_timeout(Duration::from_secs(5)).unwrap();
    renew(&connection);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let stop = &stop;
        scope.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                thread::park_timeout(Duration::from_millis(200));
                renew(&connection);
            }
        });
        let result = panic::catch_unwind(AssertUnwindSafe(f));
        stop.store(true, Ordering::Relaxed);
        result.unwrap_or_else(|panic| panic::resume_unwind(panic))
    })
}

fn renew(connection: &Connection) {
    #[expect(clippy::disallowed_methods, reason = "the program compares with the clock of the machine")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let until = i64::try_from(now.as_millis()).unwrap() + 20_000;
    let sql = "INSERT INTO lease VALUES (1, 'elsewhere', 'process 7 on other', ?1) \
               ON CONFLICT (id) DO UPDATE SET holder = excluded.holder, hint = excluded.hint, until = ?1";
    connection.execute(sql, [until]).unwrap();
}

/// Makes a home whose database is of an earlier release, and of this controller, which would not serve those of another one.
fn older_home() -> (TempDir, PathBuf, PathBuf) {
    let (folder, home) = home();
    let own = served(&home);
    let database = older_database(&home, &own);
    (folder, home, database)
}

/// Starts and ends a controller, and returns its address.
fn served(home: &Path) -> String {
    let (mut process, _) = serve(home, free_port());
    process.kill();
    fs::read_to_string(home.join("identity.public")).unwrap()[..10].to_owned()
}

/// Puts one of an earlier release in the place of the database.
fn older_database(home: &Path, controller: &str) -> PathBuf {
    let database = home.join("controller.db");
    for suffix in ["", "-wal", "-shm"] {
        // The last two may be gone already.
        fs::remove_file(format!("{}{suffix}", database.display())).unwrap_or(());
    }
    let connection = Connection::open(&database).unwrap();
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    let content = include_str!("../../../ctl-store/testdata/v5.sql").replace("8056c2e21c", controller);
    connection.execute_batch(&content.replace("8056C2E21C", &controller.to_uppercase())).unwrap();
    connection.execute_batch("DELETE FROM lease; PRAGMA journal_mode = WAL").unwrap();
    database
}

fn schema_version(database: &Path) -> i64 {
    Connection::open(database).unwrap().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

/// What an update would do to the database of a controller that is still running.
#[test]
fn a_database_that_somebody_else_serves_with_is_not_brought_to_a_new_version() {
    let (_folder, home, database) = older_home();
    let error = while_served(&database, || fail(&home, free_port()));
    assert!(error.contains("another controller serves with this database: process 7 on other"), "{error}");
    assert_unchanged(&database);
    // Once nobody does any more, it is.
    Connection::open(&database).unwrap().execute("DELETE FROM lease", []).unwrap();
    let (_process, _) = serve(&home, free_port());
    assert!(schema_version(&database) > 5);
}

/// Asserts that a database is of the earlier release still.
fn assert_unchanged(database: &Path) {
    assert_eq!(schema_version(database), 5);
    let names = crate::backup::names(database.parent().unwrap());
    assert!(names.iter().all(|name| !name.contains("before-v")), "{names:?}");
}

/// Whoever put it here by mistake can put it back, and who serves with it goes on.
#[test]
fn a_database_of_another_identity_keeps_its_lease_and_its_version_even_from_force() {
    let (_folder, home) = home();
    served(&home);
    let database = older_database(&home, "8056c2e21c");
    let connection = Connection::open(&database).unwrap();
    renew(&connection);
    for more in [&[][..], &["--take-over"]] {
        let error = refused(command(&home, free_port()).args(more).output().unwrap());
        assert!(error.contains("of another controller") && error.contains("8056c2e21c"), "{error}");
        assert_unchanged(&database);
        let holder = connection.query_row("SELECT holder FROM lease", [], |row| row.get::<_, String>(0));
        assert_eq!(holder.unwrap(), "elsewhere", "{more:?}");
    }
}

#[test]
fn nothing_is_imported_into_a_database_that_somebody_else_serves_with() {
    let (_folder, home, database) = older_home();
    let source = home.with_file_name("controller.d");
    fs::create_dir_all(source.join("network")).unwrap();
    let network = "f59381cf73000001";
    let record = format!("{{\"id\":\"{network}\",\"nwid\":\"{network}\",\"objtype\":\"network\"}}");
    fs::write(source.join(format!("network/{network}.json")), record).unwrap();
    for more in [&[][..], &["--dry-run"]] {
        let error = while_served(&database, || moved_in(&source, &home, more));
        assert_eq!(error.status.code(), Some(1), "{error:?}");
        let said = String::from_utf8_lossy(&error.stderr);
        assert!(said.contains("a controller serves with this database: process 7 on other"), "{said}");
        let sql = "SELECT count(*) FROM network WHERE hex(id) = 'F59381CF73000001'";
        let imported: i64 =
            Connection::open(&database).unwrap().query_row(sql, [], |row| row.get(0)).unwrap();
        assert_eq!((schema_version(&database), imported), (5, 0), "{more:?}");
    }
}

/// Neither a port that is taken nor anything else on the way keeps the next start waiting.
#[test]
fn a_start_that_fails_leaves_no_lease() {
    let (folder, home) = home();
    let (mut first, _) = serve(&home, free_port());
    first.kill();
    let database = home.join("controller.db");
    let lease = || {
        let sql = "SELECT count(*) FROM lease";
        Connection::open(&database).unwrap().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    Connection::open(&database).unwrap().execute("DELETE FROM lease", []).unwrap();
    let port = free_port();
    let taken = std::net::UdpSocket::bind(("0.0.0.0", port)).unwrap();
    let error = fail(&home, port);
    assert!(error.contains("is in use by another program"), "{error}");
    assert_eq!(lease(), 0);
    drop(taken);
    // Another machine that serves keeps its lease, even from somebody who would take it.
    let second = second_home(&folder, &home);
    let (first, _) = serve(&home, free_port());
    let taken = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let failed = command(&second, port).arg("--take-over").output().unwrap();
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    drop(taken);
    assert_eq!(lease(), 1);
    assert!(first.lines_since(0).iter().all(|line| !line.text.contains("error")));
}

#[test]
fn a_controller_that_was_killed_is_replaced_at_once_at_home_and_after_its_lease_elsewhere() {
    let (folder, home) = home();
    let (mut first, _) = serve(&home, free_port());
    let second = second_home(&folder, &home);
    first.kill();
    let (mut first, _) = serve(&home, free_port());
    assert!(first.lines_since(0).iter().all(|line| !line.text.contains("another controller may be serving")));
    first.kill();
    let mut second = start(&second, &[]);
    wait_for(&second, "another controller may be serving");
    wait_for(&second, "ready:");
    second.kill();
}

/// With a code of its own, so that nobody starts it again on what is there now.
#[test]
fn a_controller_whose_database_is_gone_or_replaced_ends_and_stays_so() {
    const EXIT_DISPLACED: i32 = 7;
    for replaced_by in [None, Some("copy.db")] {
        let (_folder, home) = home();
        let (mut first, _) = serve(&home, free_port());
        let database = home.join("controller.db");
        fs::copy(&database, home.join("copy.db")).unwrap();
        match replaced_by {
            None => fs::rename(&database, home.join("elsewhere.db")).unwrap(),
            Some(other) => fs::rename(home.join(other), &database).unwrap(),
        }
        wait_for(&first, "error: the database is not in its place any more");
        let code = loop {
            match first.ended() {
                Some(status) => break status.code(),
                None => pause(Duration::from_millis(20)),
            }
        };
        assert_eq!(code, Some(EXIT_DISPLACED));
    }
    let unit = include_str!("../../../dist/systemd/ctl-bin.service");
    let prevented = unit.lines().find_map(|line| line.strip_prefix("RestartPreventExitStatus=")).unwrap();
    assert!(prevented.split(' ').any(|code| code == EXIT_DISPLACED.to_string()), "{prevented}");
}

#[test]
fn a_controller_that_was_stopped_leaves_no_lease() {
    let (folder, home) = home();
    let mut first = command(&home, free_port()).stdout(Stdio::piped()).spawn().unwrap();
    first.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap(); // "ready:"
    let second = second_home(&folder, &home);
    assert!(Command::new("kill").args(["-TERM", &first.id().to_string()]).status().unwrap().success());
    assert_eq!(first.wait().unwrap().code(), Some(0));
    let second = start(&second, &[]);
    wait_for(&second, "ready:");
    assert!(
        second.lines_since(0).iter().all(|line| !line.text.contains("another controller may be serving"))
    );
}
