//! The API of a controller, here or elsewhere, as its commands need it.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use ureq::http::{Request, Uri};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Error};
use zeroize::Zeroizing;

use super::args::ConnectArgs;
use crate::server::home::Home;

use super::CliError;

/// Names the token without putting it where other users of the machine see it.
const TOKEN_VARIABLE: &str = "CTL_TOKEN";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A list of 100,000 members over a slow line.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
/// The longest answer in bytes: some million members.
const MAX_ANSWER: u64 = 1 << 30;
/// The longest text of an answer that an error repeats, in characters.
const MAX_QUOTED: usize = 400;

/// A connection to one controller.
pub(crate) struct Client {
    agent: Agent,
    /// Without a slash at the end.
    url: String,
    token: Option<Zeroizing<String>>,
    /// Where the token comes from, for a message that says that it is wrong.
    token_origin: String,
}

/// What a change rests on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Condition<'t> {
    None,
    /// There is no such record.
    New,
    /// The record is of the version of this tag.
    Same(&'t str),
}

struct Reply {
    status: u16,
    /// Of the version of the record; empty if there is none.
    tag: String,
    text: Vec<u8>,
}

impl Client {
    /// Finds the controller and its token as the command line says.
    pub(crate) fn new(args: &ConnectArgs) -> Result<Self, CliError> {
        let mut client = Self::without_token(args)?;
        let is_elsewhere = args.url.is_some();
        let (token, origin) = if let Some(path) = &args.token_file {
            (read_token(path)?, path.display().to_string())
        } else if let Some(token) = std::env::var(TOKEN_VARIABLE).ok().filter(|token| !token.is_empty()) {
            (Zeroizing::new(token), format!("the variable {TOKEN_VARIABLE}"))
        } else if is_elsewhere {
            // The token of the home is for the controller of the home, and nobody else's to see.
            return Err(CliError::NoToken { url: client.url });
        } else {
            let path = Home::look(&args.home.home)?.token_file();
            (read_token(&path)?, path.display().to_string())
        };
        client.token = Some(token);
        client.token_origin = origin;
        Ok(client)
    }

    /// Finds the controller, for what needs no token.
    pub(crate) fn without_token(args: &ConnectArgs) -> Result<Self, CliError> {
        let url = match &args.url {
            Some(url) => url.clone(),
            None => {
                let home = Home::look(&args.home.home)?;
                home.api_url()?.ok_or_else(|| CliError::NeverStarted { home: home.path().to_owned() })?
            }
        };
        Self::at(&url, args.ca.as_deref(), args.insecure)
    }

    /// Connects to the controller that runs in a home.
    pub(crate) fn of_home(home: &Home, url: &str, ca: Option<&Path>) -> Result<Self, CliError> {
        let path = home.token_file();
        let client = Self::at(url, ca, false)?;
        Ok(Self { token: Some(read_token(&path)?), token_origin: path.display().to_string(), ..client })
    }

    fn at(url: &str, ca: Option<&Path>, insecure: bool) -> Result<Self, CliError> {
        let invalid = || CliError::Url { url: url.to_owned() };
        let parsed: Uri = url.parse().map_err(|_| invalid())?;
        let (Some(scheme), Some(host)) = (parsed.scheme_str(), parsed.host()) else {
            return Err(invalid());
        };
        let is_here = is_loopback(host);
        match scheme {
            "https" => {}
            "http" if is_here || insecure => {}
            "http" => return Err(CliError::Unencrypted { url: url.to_owned() }),
            _ => return Err(invalid()),
        }
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            // The token is for the named address alone.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("ctl-bin/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(ANSWER_TIMEOUT));
        if is_here {
            config = config.proxy(None);
        }
        if scheme == "https" {
            config = config.tls_config(trust(ca)?);
        }
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self { agent: config.build().into(), url, token: None, token_origin: String::new() })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn get(&self, path: &str) -> Result<Value, CliError> {
        self.send("GET", path, None)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, CliError> {
        self.send("POST", path, Some(body))
    }

    pub(crate) fn put(&self, path: &str, body: &Value) -> Result<Value, CliError> {
        self.send("PUT", path, Some(body))
    }

    pub(crate) fn delete(&self, path: &str) -> Result<Value, CliError> {
        self.send("DELETE", path, None)
    }

    /// Returns a record of `/api/v2`, and the tag of its version.
    pub(crate) fn record(&self, path: &str) -> Result<(Value, String), CliError> {
        let reply = self.ask("GET", path, None, Condition::None)?;
        let tag = reply.tag.clone();
        Ok((self.judge(path, reply)?, tag))
    }

    /// Changes a record of `/api/v2` if it is what `condition` says; returns it with the tag of its new version.
    pub(crate) fn conditional(
        &self,
        method: &str,
        path: &str,
        body: &Value,
        condition: Condition<'_>,
    ) -> Result<(Value, String), CliError> {
        let reply = self.ask(method, path, Some(body).filter(|body| !body.is_null()), condition)?;
        let tag = reply.tag.clone();
        Ok((self.judge(path, reply)?, tag))
    }

    /// Sends one request, and judges the answer.
    fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, CliError> {
        self.judge(path, self.ask(method, path, body, Condition::None)?)
    }

    fn judge(&self, path: &str, reply: Reply) -> Result<Value, CliError> {
        let Reply { status, text, .. } = reply;
        let parsed: Option<Value> = serde_json::from_slice(&text).ok();
        let says = || quoted(parsed.as_ref(), &text);
        match status {
            200..=299 if text.is_empty() => Ok(Value::Null),
            200..=299 => parsed.ok_or_else(|| CliError::NoController { url: self.url.clone() }),
            401 => {
                let (url, origin) = (self.url.clone(), self.token_origin.clone());
                Err(CliError::Unauthorized { url, origin })
            }
            403 => Err(CliError::Forbidden { origin: self.token_origin.clone(), says: says() }),
            404 => Err(CliError::NotFound { what: path.to_owned() }),
            412 => Err(CliError::Changed { what: path.to_owned() }),
            500.. => Err(CliError::Failed { status, says: says() }),
            _ => Err(CliError::Refused { status, says: says() }),
        }
    }

    /// Asks without judging; returns the status and what came with it.
    pub(crate) fn exchange(&self, path: &str) -> Result<(u16, Vec<u8>), CliError> {
        let reply = self.ask("GET", path, None, Condition::None)?;
        Ok((reply.status, reply.text))
    }

    /// Sends one request.
    fn ask(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        condition: Condition<'_>,
    ) -> Result<Reply, CliError> {
        let failed = |error| self.explain(error);
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.header("X-ZT1-Auth", token.as_str());
        }
        request = match condition {
            Condition::None => request,
            Condition::New => request.header("If-None-Match", "*"),
            Condition::Same(tag) => request.header("If-Match", tag),
        };
        let invalid = |_| CliError::Url { url: self.url.clone() };
        let response = if let Some(body) = body {
            let request = request.header("Content-Type", "application/json");
            self.agent.run(request.body(body.to_string()).map_err(invalid)?)
        } else {
            self.agent.run(request.body(()).map_err(invalid)?)
        };
        let mut response = response.map_err(failed)?;
        let tag = response.headers().get("etag").and_then(|tag| tag.to_str().ok());
        let tag = tag.unwrap_or_default().to_owned();
        let text = response.body_mut().with_config().limit(MAX_ANSWER).read_to_vec().map_err(failed)?;
        Ok(Reply { status: response.status().as_u16(), tag, text })
    }

    /// Says why there was no answer.
    fn explain(&self, error: Error) -> CliError {
        let url = self.url.clone();
        let reason = error.to_string();
        let is_tls = matches!(&error, Error::Rustls(_) | Error::Tls(_) | Error::TlsRequired)
            || matches!(&error, Error::Io(error) if error.kind() == io::ErrorKind::InvalidData);
        if is_tls { CliError::Tls { url, reason } } else { CliError::Unreachable { url, reason } }
    }
}

/// Returns what an answer says about an error, cut, without anything that would move a terminal.
fn quoted(body: Option<&Value>, text: &[u8]) -> String {
    let fields = ["detail", "description", "error", "message"];
    let says = body.and_then(|body| fields.iter().find_map(|field| body.get(*field)?.as_str()));
    let says = says.map_or_else(|| String::from_utf8_lossy(text), Into::into);
    let says: String = super::table::printable(&says).chars().take(MAX_QUOTED).collect();
    if says.is_empty() { "without a reason".to_owned() } else { says }
}

fn is_loopback(host: &str) -> bool {
    let ip: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    host == "localhost" || ip.is_some_and(|ip| ip.to_canonical().is_loopback())
}

fn read_token(path: &Path) -> Result<Zeroizing<String>, CliError> {
    let failed = |source| CliError::TokenFile { path: path.to_owned(), source };
    let text = Zeroizing::new(fs::read_to_string(path).map_err(failed)?);
    let token = text.trim();
    if token.is_empty() || token.contains(|c: char| c.is_control()) {
        return Err(CliError::TokenText { path: path.to_owned() });
    }
    Ok(Zeroizing::new(token.to_owned()))
}

/// Returns whom to trust: the authorities in `ca`, else those of this machine.
fn trust(ca: Option<&Path>) -> Result<TlsConfig, CliError> {
    let certificates: Vec<Certificate<'static>> = if let Some(path) = ca {
        let failed = |reason: String| CliError::Authorities { path: path.to_owned(), reason };
        let text = fs::read(path).map_err(|error| failed(error.to_string()))?;
        let mut certificates = Vec::new();
        for item in parse_pem(&text) {
            if let PemItem::Certificate(certificate) = item.map_err(|error| failed(error.to_string()))? {
                certificates.push(certificate);
            }
        }
        if certificates.is_empty() {
            return Err(failed("it has no certificate in PEM".to_owned()));
        }
        certificates
    } else {
        return Ok(native_tls());
    };
    Ok(trusting(&certificates))
}

/// Returns what trusts the authorities of the system.
pub(crate) fn native_tls() -> TlsConfig {
    // Files that cannot be read are as if they were not there: the handshake then says what is missing.
    let found = rustls_native_certs::load_native_certs().certs;
    let certificates: Vec<_> =
        found.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect();
    trusting(&certificates)
}

fn trusting(certificates: &[Certificate<'static>]) -> TlsConfig {
    let provider = rustls::crypto::ring::default_provider();
    TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(certificates))
        .unversioned_rustls_crypto_provider(std::sync::Arc::new(provider))
        .build()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn this_machine_is_known_in_every_spelling() {
        for host in ["localhost", "127.0.0.1", "127.9.9.9", "[::1]", "[::ffff:127.0.0.1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["example.org", "10.0.0.1", "[fd00::1]", "localhost.example.org", ""] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn what_an_answer_says_is_quoted_from_either_kind_of_error_and_moves_no_terminal() {
        let quote = |value: Value| quoted(Some(&value), value.to_string().as_bytes());
        assert_eq!(quote(json!({ "error": 400, "description": "no" })), "no");
        assert_eq!(quote(json!({ "title": "t", "detail": "d\u{1b}[2J" })), "d\u{fffd}[2J");
        assert_eq!(quoted(None, b"<html>"), "<html>");
        assert_eq!(quoted(None, b""), "without a reason");
        assert_eq!(quoted(None, &[b'x'; 10_000]).len(), MAX_QUOTED);
    }
}
