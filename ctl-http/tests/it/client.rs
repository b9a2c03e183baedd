//! A client that sends exactly the bytes it is told to, one connection a request.

use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

/// An answer: status, headers with lower-case names, body.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, String::from_utf8_lossy(&self.body))
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|(key, value)| (key == name).then_some(value.as_str()))
    }

    /// Returns the body as JSON, null if it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Returns the description of a well-formed error body.
    pub(crate) fn error(&self) -> Option<String> {
        let json = self.json();
        let fits = json["error"] == self.status && json.as_object()?.len() == 2;
        fits.then(|| json["description"].as_str().map(str::to_owned)).flatten()
    }
}

/// Sends one request and reads its answer. `Content-Length` is added unless `headers` name the framing.
pub(crate) fn send(
    to: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> Answer {
    let mut head = format!("{method} {path} HTTP/1.1\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let framed = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("transfer-encoding"));
    if let Some(body) = body.filter(|_| !framed) {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    let mut request = (head + "\r\n").into_bytes();
    request.extend_from_slice(body.unwrap_or_default());
    exchange(to, &request, method == "HEAD")
}

/// Sends `request` as it is and reads the final answer.
pub(crate) fn exchange(to: SocketAddr, request: &[u8], head_only: bool) -> Answer {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.write_all(request).unwrap();
    let mut reader = BufReader::new(stream);
    loop {
        let answer = read(&mut reader, head_only);
        if answer.status >= 200 {
            return answer;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>, head_only: bool) -> Answer {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim_end().is_empty() {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let status = lines[0].split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines[1..].iter().map(|line| line.split_once(':').unwrap());
    let headers: Vec<_> =
        headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    let mut answer = Answer { status, headers, body: Vec::new() };
    let has_body = !matches!(status, 204 | 304);
    if status >= 200 && !head_only && has_body {
        if answer.header("transfer-encoding") == Some("chunked") {
            answer.body = read_chunks(reader);
            return answer;
        }
        // The original never sends chunked answers; neither does this but for very long ones (`http-api.md` §2.1).
        let length = answer.header("content-length").expect("answer without Content-Length").parse().unwrap();
        answer.body.resize(length, 0);
        reader.read_exact(&mut answer.body).unwrap();
    }
    answer
}

fn read_chunks(reader: &mut BufReader<TcpStream>) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let length = usize::from_str_radix(line.trim_end(), 16).unwrap();
        let mut chunk = vec![0; length + 2];
        reader.read_exact(&mut chunk).unwrap();
        if length == 0 {
            return body;
        }
        body.extend_from_slice(&chunk[..length]);
    }
}
