//! Lists of any length: written a page at a time, as fast as the client takes them, so that memory stays flat.
//!
//! Each page is read in a transaction of its own. What is there from the first page to the last is in the list exactly
//! once, and each record is shown as it was at one moment; a slow client holds no transaction open.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use ctl_store::StoreError;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use warp::http::StatusCode;
use warp::reply::Response;
use warp::{Reply, Stream};

use crate::error::ApiError;
use crate::extract::{self, JSON};
use crate::heavy::Heavy;

/// An answer up to this length is sent whole, with its length in the header as all others; a longer one in chunks.
const MAX_WHOLE: usize = 1 << 20;

/// The rest of a list.
pub(crate) trait Pages: Send + 'static {
    /// Appends the next page to `out`, the first one after what comes before the list and the last one before what
    /// follows it. May block.
    fn next(&mut self, out: &mut Vec<u8>) -> Result<Step, ApiError>;

    /// Returns where a page waits for its turn, if it takes much time.
    fn heavy(&self) -> Option<Heavy> {
        None
    }
}

/// Whether there is more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    More,
    Done,
}

/// Answers with a list as JSON.
pub(crate) async fn answer(mut pages: impl Pages) -> Response {
    let turn = match pages.heavy() {
        Some(heavy) => heavy.turn().await.map(Some),
        None => Ok(None),
    };
    let turn = match turn {
        Ok(turn) => turn,
        Err(error) => return ApiError::TooHeavy(error).into_response(),
    };
    let begun = spawn_blocking(move || {
        let _turn = turn;
        let mut text = Vec::new();
        while text.len() <= MAX_WHOLE {
            if pages.next(&mut text)? == Step::Done {
                return Ok((text, None));
            }
        }
        Ok((text, Some(pages)))
    });
    match begun.await.map_err(ApiError::Task).flatten() {
        Ok((text, None)) => extract::written(JSON, StatusCode::OK, text),
        Ok((text, Some(pages))) => {
            let (sender, chunks) = Chunks::new();
            tokio::spawn(feed(text, pages, sender));
            extract::of_type(JSON, chunks.into_response())
        }
        Err(error) => error.into_response(),
    }
}

/// Appends `value` as JSON, after a comma unless it is the first of a list.
pub(crate) fn append(out: &mut Vec<u8>, is_first: bool, value: &impl Serialize) -> Result<(), ApiError> {
    if !is_first {
        out.push(b',');
    }
    let fault = |error: serde_json::Error| ApiError::Store(StoreError::Internal { what: error.to_string() });
    serde_json::to_writer(out, value).map_err(fault) // only a map with keys other than text could fail
}

/// Writes the next page whenever the one before was taken.
async fn feed<P: Pages>(first: Vec<u8>, mut pages: P, chunks: ChunkSender) {
    if chunks.send(Ok(first.into())).await.is_err() {
        return; // the client is gone
    }
    while let Ok(permit) = chunks.reserve().await {
        let turn = match pages.heavy() {
            // A list that was begun is not broken off because others are busy.
            Some(heavy) => Some(heavy.turn_in_any_case().await),
            None => None,
        };
        let page = spawn_blocking(move || {
            let _turn = turn;
            let mut text = Vec::new();
            let step = pages.next(&mut text)?;
            Ok((pages, text, step))
        });
        match page.await.map_err(ApiError::Task).flatten() {
            Ok((rest, text, step)) => {
                if !text.is_empty() {
                    permit.send(Ok(text.into()));
                }
                if step == Step::Done {
                    return finish(&chunks).await;
                }
                pages = rest;
            }
            Err(error) => {
                error.log();
                permit.send(Err(BrokenOff)); // ends the connection, so that nobody takes the part for the whole
                return;
            }
        }
    }
}

/// Ends a body: without this it is broken off, as where the program stops meanwhile.
pub(crate) async fn finish(chunks: &ChunkSender) {
    // Who is gone needs no end.
    drop(chunks.send(Ok(Bytes::new())).await);
}

/// Where the parts of a body come from. None of them is empty but [`finish`]'s.
pub(crate) type ChunkSender = mpsc::Sender<Result<Bytes, BrokenOff>>;

/// A body that comes in parts, each made when the one before was taken.
#[derive(Debug)]
pub(crate) struct Chunks {
    parts: mpsc::Receiver<Result<Bytes, BrokenOff>>,
    /// Whether the last part came, or that it never will was said.
    has_ended: bool,
}

impl Chunks {
    pub(crate) fn new() -> (ChunkSender, Self) {
        let (sender, receiver) = mpsc::channel(1);
        (sender, Self { parts: receiver, has_ended: false })
    }

    /// Returns an answer with this body.
    pub(crate) fn into_response(self) -> Response {
        warp::reply::stream(self).into_response()
    }
}

impl Stream for Chunks {
    type Item = Result<Bytes, BrokenOff>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let part = ready!(self.parts.poll_recv(context));
        self.has_ended = match &part {
            Some(Ok(part)) => part.is_empty(),
            Some(Err(BrokenOff)) | None => true,
        };
        Poll::Ready(match part {
            Some(Ok(_)) if self.has_ended => None,
            // Whoever made the parts ended before their end.
            None => Some(Err(BrokenOff)),
            part @ Some(_) => part,
        })
    }
}

/// A part could not be made.
#[derive(Debug)]
pub(crate) struct BrokenOff;

impl fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer could not be read to its end")
    }
}

impl std::error::Error for BrokenOff {}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test]
    async fn body_whose_end_does_not_come_is_broken_off() {
        for is_whole in [true, false] {
            let (sender, mut chunks) = Chunks::new();
            let made = tokio::spawn(async move {
                sender.send(Ok("[1".into())).await.unwrap();
                if is_whole {
                    finish(&sender).await;
                }
            });
            let mut next = async || poll_fn(|context| Pin::new(&mut chunks).poll_next(context)).await;
            assert_eq!(next().await.unwrap().unwrap(), "[1");
            assert_eq!(next().await.is_none(), is_whole);
            assert!(next().await.is_none());
            made.await.unwrap();
        }
    }
}
