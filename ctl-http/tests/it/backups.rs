//! Backups over HTTP, with a shelf that keeps them in memory.

use std::io::{Cursor, Error, Read};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use ctl_http::backups::{Backup, BackupContent, BackupError, Backups};
use serde_json::{Value, json};
use zt_proto::Timestamp;

use crate::server::{Options, Server};

const BACKUPS: &str = "/api/v2/backups";
/// More than a part, and no multiple of one.
const LENGTH: usize = (1 << 20) + 7;

#[derive(Default)]
pub(crate) struct InMemory {
    kept: Mutex<Vec<Backup>>,
    error: Mutex<Option<BackupError>>,
    /// Whether what is kept ends in the middle.
    is_damaged: bool,
}

impl InMemory {
    fn check(&self) -> Result<(), BackupError> {
        self.error.lock().unwrap().clone().map_or(Ok(()), Err)
    }
}

impl Backups for InMemory {
    fn list(&self) -> Result<Vec<Backup>, BackupError> {
        self.check()?;
        Ok(self.kept.lock().unwrap().iter().rev().cloned().collect())
    }

    fn make(&self, now: Timestamp) -> Result<Backup, BackupError> {
        self.check()?;
        let mut kept = self.kept.lock().unwrap();
        let name = format!("backup-{}.tar.zst", kept.len() + 1);
        kept.push(Backup { name, created: now, size_bytes: LENGTH as u64, encrypted: false });
        Ok(kept.last().unwrap().clone())
    }

    fn open(&self, name: &str) -> Result<Option<(Backup, BackupContent)>, BackupError> {
        self.check()?;
        let kept = self.kept.lock().unwrap();
        let Some(backup) = kept.iter().find(|backup| backup.name == name) else { return Ok(None) };
        let length = if self.is_damaged { LENGTH / 2 } else { LENGTH };
        let content = Cursor::new(content(length));
        let content: BackupContent =
            if self.is_damaged { Box::new(content.chain(Damaged)) } else { Box::new(content) };
        Ok(Some((backup.clone(), content)))
    }

    fn remove(&self, name: &str) -> Result<bool, BackupError> {
        self.check()?;
        let mut kept = self.kept.lock().unwrap();
        let before = kept.len();
        kept.retain(|backup| backup.name != name);
        Ok(kept.len() < before)
    }
}

struct Damaged;

impl Read for Damaged {
    fn read(&mut self, _: &mut [u8]) -> Result<usize, Error> {
        Err(Error::other("a bad sector"))
    }
}

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect()
}

fn names(server: &Server) -> Vec<String> {
    let list = server.get(BACKUPS).json();
    list["data"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn backup_is_made_listed_fetched_and_removed_and_each_is_in_the_audit_log() {
    let server = Server::start();
    let answer = server.post(BACKUPS, &json!({}));
    let path = "/api/v2/backups/backup-1.tar.zst";
    assert_eq!((answer.status, answer.header("location")), (201, Some(path)), "{answer:?}");
    let created = answer.json()["created"].as_u64().unwrap();
    let expected =
        json!({ "name": "backup-1.tar.zst", "created": created, "sizeBytes": LENGTH, "encrypted": false });
    assert_eq!(answer.json(), expected);
    server.send("POST", BACKUPS, None);
    assert_eq!(names(&server), ["backup-2.tar.zst", "backup-1.tar.zst"]);
    let fetched = server.get(path);
    assert_eq!(fetched.header("content-type"), Some("application/octet-stream"));
    assert_eq!(fetched.header("content-disposition"), Some("attachment; filename=\"backup-1.tar.zst\""));
    assert_eq!((fetched.status, fetched.body), (200, content(LENGTH)));
    assert_eq!(server.send("DELETE", path, None).status, 204);
    for method in ["GET", "DELETE"] {
        assert_eq!(server.send(method, path, None).status, 404);
    }
    assert_eq!(names(&server), ["backup-2.tar.zst"]);
    let log = server.get("/api/v2/audit").json();
    let actions = log["entries"].as_array().unwrap().iter().map(|entry| &entry["action"]);
    let expected: Vec<Value> =
        ["backup.remove", "backup.fetch", "backup.create", "backup.create"].map(Value::from).to_vec();
    assert_eq!(actions.cloned().collect::<Vec<_>>(), expected);
}

#[test]
fn backup_that_cannot_be_made_is_refused_with_the_reason() {
    let backups = Arc::new(InMemory::default());
    let server = Server::with(Options { backups: Arc::<InMemory>::clone(&backups), ..Options::default() });
    assert_eq!(server.post(BACKUPS, &json!({ "to": "/etc" })).status, 422);
    for (error, status) in [
        (BackupError::Runs("another backup is being made".to_owned()), 409),
        (BackupError::Failed("the disk is full".to_owned()), 503),
    ] {
        *backups.error.lock().unwrap() = Some(error.clone());
        let path = format!("{BACKUPS}/backup-1.tar.zst");
        for (method, path) in [("POST", BACKUPS), ("GET", BACKUPS), ("GET", &path), ("DELETE", &path)] {
            let answer = server.send(method, path, None);
            assert_eq!((answer.status, answer.json()["detail"].clone()), (status, error.to_string().into()));
        }
    }
    assert_eq!(server.get("/api/v2/audit").json()["entries"], json!([]));
}

#[test]
fn half_of_a_backup_is_not_taken_for_the_whole() {
    let backups = Arc::new(InMemory { is_damaged: true, ..InMemory::default() });
    let server = Server::with(Options { backups, ..Options::default() });
    server.post(BACKUPS, &json!({}));
    let mut stream: TcpStream = server.begin(&format!("{BACKUPS}/backup-1.tar.zst"));
    let mut answer = Vec::new();
    // The connection is closed, or reset, before as much came as the header says.
    drop(stream.read_to_end(&mut answer));
    let text = String::from_utf8_lossy(&answer).into_owned();
    assert!(
        text.starts_with("HTTP/1.1 200") && text.contains(&format!("content-length: {LENGTH}\r\n")),
        "{text:.200}"
    );
    assert!(answer.len() < LENGTH);
}
