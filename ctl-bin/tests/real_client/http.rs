//! As much of an HTTP/1.1 client as talking to one's own controller takes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

const TIME_LIMIT: Duration = Duration::from_secs(10);

/// Sends one request and returns status and body; a body that is not JSON comes back as text.
pub(crate) fn request(
    to: SocketAddr,
    method: &str,
    path: &str,
    token: &str,
    body: Option<&Value>,
) -> (u16, Value) {
    exchange(to, method, path, token, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
}

fn exchange(
    to: SocketAddr,
    method: &str,
    path: &str,
    token: &str,
    body: Option<&Value>,
) -> Result<(u16, Value), Box<dyn std::error::Error>> {
    let mut stream = TcpStream::connect_timeout(&to, TIME_LIMIT)?;
    stream.set_read_timeout(Some(TIME_LIMIT))?;
    let body = body.map(Value::to_string).unwrap_or_default();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {to}\r\nX-ZT1-Auth: {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("the answer has no end of header")?;
    let status = head.split(' ').nth(1).ok_or("the answer has no status")?.parse()?;
    let body = serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.to_owned()));
    Ok((status, body))
}
