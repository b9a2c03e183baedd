//! Backups: made now, listed, fetched and removed. Only a token that may do everything gets here, since whoever has a
//! backup that is not encrypted has the identity of the controller.

use std::io::Read;

use bytes::Bytes;
use ctl_store::{AuditEntry, StoreError};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use tokio::task::spawn_blocking;
use tracing::error;
use warp::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH};

use super::problem::Problem;
use super::request::{Answer, Request};
use super::strict::{Fields, parse_object};
use crate::State;
use crate::backups::{Backup, BackupContent, BackupError};
use crate::streamed::{self, BrokenOff, ChunkSender, Chunks};

pub(crate) const MEDIA_TYPE: &str = "application/octet-stream";

const NO_BACKUP: &str = "there is no backup with this name";
/// Bytes that are read, and sent, at once.
const CHUNK: usize = 256 << 10;

/// The backups that are kept, the newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct BackupList {
    data: Vec<BackupView>,
}

/// A backup.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Backup")]
pub(crate) struct BackupView {
    /// Also the name of the file.
    name: String,
    /// Milliseconds since 1970.
    created: u64,
    size_bytes: u64,
    encrypted: bool,
}

impl From<&Backup> for BackupView {
    fn from(backup: &Backup) -> Self {
        Self {
            name: backup.name.clone(),
            created: backup.created.0,
            size_bytes: backup.size_bytes,
            encrypted: backup.encrypted,
        }
    }
}

impl From<BackupError> for Problem {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::Runs(detail) => Self::conflict(detail),
            BackupError::Failed(detail) => {
                error!(reason = detail, "a request for a backup failed");
                Self::unavailable("backup-failed", "the backup cannot be made, read or removed", detail)
            }
        }
    }
}

/// `GET /api/v2/backups`: the backups that are kept, the newest first.
pub(crate) fn list(state: &State, _: Request) -> Result<Answer, Problem> {
    let data = state.api.backups.list()?.iter().map(BackupView::from).collect();
    Answer::ok(&BackupList { data })
}

/// `POST /api/v2/backups`: makes one, and answers when it is complete and was read back.
pub(crate) fn make(state: &State, mut request: Request) -> Result<Answer, Problem> {
    Fields::new(&parse_object(&request.take_body()?)?).finish()?;
    let backup = state.api.backups.make(state.now())?;
    note(state, "backup.create", &backup.name)?;
    let path = format!("/api/v2/backups/{}", backup.name);
    Ok(Answer::ok(&BackupView::from(&backup))?.created(path))
}

/// `GET /api/v2/backups/{backup}`: the file itself.
pub(crate) fn fetch(state: &State, request: Request) -> Result<Answer, Problem> {
    let name: String = request.segment(0, NO_BACKUP)?;
    let found = state.api.backups.open(&name)?;
    let (backup, content) = found.ok_or_else(|| Problem::not_found(NO_BACKUP))?;
    // Whoever has it can be this controller, so it is written down before anything leaves.
    note(state, "backup.fetch", &backup.name)?;
    let (chunks, body) = Chunks::new();
    tokio::spawn(feed(content, chunks));
    let answer = Answer::stream(MEDIA_TYPE, body)
        .with(CONTENT_LENGTH, backup.size_bytes.to_string())
        .with(CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", backup.name));
    Ok(answer)
}

/// `DELETE /api/v2/backups/{backup}`: removes one.
pub(crate) fn remove(state: &State, request: Request) -> Result<Answer, Problem> {
    let name: String = request.segment(0, NO_BACKUP)?;
    if !state.api.backups.remove(&name)? {
        return Err(Problem::not_found(NO_BACKUP));
    }
    note(state, "backup.remove", &name)?;
    Ok(Answer::done())
}

fn note(state: &State, action: &'static str, name: &str) -> Result<(), StoreError> {
    let text = Some(json!({ "name": name }).to_string());
    let (before, after) = if action == "backup.create" { (None, text) } else { (text, None) };
    let actor = state.caller.name.clone();
    let entry = AuditEntry { time: state.now(), actor, action, network: None, member: None, before, after };
    state.api.store.write(|tx| tx.audit().add(&entry)).map(drop)
}

/// Reads the next part whenever the one before was taken.
async fn feed(mut content: BackupContent, chunks: ChunkSender) {
    while let Ok(permit) = chunks.reserve().await {
        let read = spawn_blocking(move || {
            let mut part = Vec::with_capacity(CHUNK);
            (&mut content).take(CHUNK as u64).read_to_end(&mut part).map(|_| (content, part))
        });
        match read.await {
            Ok(Ok((_, part))) if part.is_empty() => return streamed::finish(&chunks).await,
            Ok(Ok((rest, part))) => {
                permit.send(Ok(Bytes::from(part)));
                content = rest;
            }
            Ok(Err(reason)) => {
                error!(%reason, "a backup could not be read to its end");
                return permit.send(Err(BrokenOff));
            }
            Err(_) => return permit.send(Err(BrokenOff)),
        }
    }
}
