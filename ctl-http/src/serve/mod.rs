//! Connections: how many, how long each may take, TLS, and their end.

mod body;
mod limits;
mod places;
mod stall;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tracing::{debug, warn};

use crate::gate::Gate;
use body::TimedBody;
use places::Places;
use stall::Stalling;

pub(crate) use body::BodyTimedOut;
pub use limits::Limits;
pub(crate) use places::network as source_of;

/// How often it is saved when tokens were last used.
const SAVE_USES_EVERY: Duration = Duration::from_secs(5);
/// How long nothing is accepted after that failed, which mostly means that there are no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// How the API is served.
#[derive(Debug, Clone, Default)]
pub struct Serving {
    pub limits: Limits,
    /// With it, connections have to be TLS. A new configuration holds for connections from then on.
    pub tls: Option<watch::Receiver<Arc<ServerConfig>>>,
}

/// Serves the connections of `listener` until `shutdown` completes, then finishes the open requests, but no longer than
/// the limits say.
pub(crate) async fn run(
    gate: Gate,
    listener: TcpListener,
    serving: Serving,
    shutdown: impl Future<Output = ()>,
) {
    let gate = Arc::new(gate);
    let (stop, stopped) = watch::channel(false);
    let places = Arc::new(Places::new(&serving.limits));
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    let mut save = interval(SAVE_USES_EVERY);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => continue,
            _ = save.tick() => {
                save_uses(&gate).await;
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        let (stream, remote) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(reason = %error, "no connection to the API can be accepted");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(place) = places.take(remote.ip(), |ip| gate.answers(ip)) else {
            debug!(%remote, "connection closed, there are too many");
            continue;
        };
        let connection = Connection {
            gate: Arc::clone(&gate),
            serving: serving.clone(),
            remote,
            stopped: stopped.clone(),
        };
        connections.spawn(async move {
            if let Err(reason) = connection.run(stream).await {
                debug!(%remote, %reason, "connection ended early");
            }
            drop(place);
        });
    }
    drop(listener);
    stop.send_replace(true);
    gate.end_events();
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if timeout(serving.limits.shutdown, all_ended).await.is_err() {
        warn!("some API requests were still open");
    }
    save_uses(&gate).await;
}

async fn save_uses(gate: &Gate) {
    if let Err(error) = gate.save_uses().await {
        // They are noted anew when the tokens are used again.
        debug!(reason = %error, "when tokens were last used was not saved");
    }
}

/// An accepted connection.
struct Connection {
    gate: Arc<Gate>,
    serving: Serving,
    remote: SocketAddr,
    stopped: watch::Receiver<bool>,
}

impl Connection {
    async fn run(self, stream: TcpStream) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        stream.set_nodelay(true)?;
        let limits = self.serving.limits;
        let stream = Stalling::new(stream, limits.write_stall);
        let Some(tls) = &self.serving.tls else { return Ok(self.serve(stream).await?) };
        let acceptor = TlsAcceptor::from(Arc::clone(&tls.borrow()));
        let stream =
            timeout(limits.handshake, acceptor.accept(stream)).await.map_err(|_| handshake_timed_out())??;
        Ok(self.serve(stream).await?)
    }

    async fn serve(mut self, stream: impl AsyncRead + AsyncWrite + Unpin + Send) -> Result<(), hyper::Error> {
        let limits = self.serving.limits;
        let (gate, remote) = (Arc::clone(&self.gate), self.remote);
        let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let gate = Arc::clone(&gate);
            async move {
                let request = request.map(|body| TimedBody::new(body, limits.body_read));
                Ok::<_, Infallible>(gate.answer(Some(remote.ip()), request).await)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_read)
            .max_header_size(limits.header_bytes)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => return ended,
            // An error would mean that the sender is gone, which is an end as well.
            _ = self.stopped.wait_for(|stopped| *stopped) => {}
        }
        connection.as_mut().graceful_shutdown();
        connection.await
    }
}

fn handshake_timed_out() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the TLS handshake took too long")
}
