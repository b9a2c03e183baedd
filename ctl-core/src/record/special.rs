//! Fields that the original does not have, or does not take: what they hold is read strictly, as nobody depends on a
//! lenient reading of it.

use std::collections::BTreeSet;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use serde_json::{Value, json};
use zt_proto::config::Relay;
use zt_proto::inet::EndpointText;
use zt_proto::{Address, PublicIdentity};

use super::FieldError;
use crate::Network;
use crate::member::Fingerprint;

/// Reads a list of nodes, each of which may be there once; null is none.
pub(super) fn nodes<T>(
    name: &'static str,
    value: &Value,
    read: impl Fn(&Value) -> Result<T, FieldError>,
    address: impl Fn(&T) -> Address,
) -> Result<Vec<T>, FieldError> {
    if value.is_null() {
        return Ok(Vec::new());
    }
    let Some(entries) = value.as_array() else {
        return Err(FieldError::unexpected(name, "an array of nodes", Some(value)));
    };
    let max = Network::MAX_SPECIAL_NODES;
    if entries.len() > max {
        return Err(FieldError::new(name, format!("expected at most {max} nodes, got {}", entries.len())));
    }
    let mut seen = BTreeSet::new();
    let mut nodes = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let node = read(entry).map_err(|error| error.at(index).within(name))?;
        if !seen.insert(address(&node)) {
            let problem = format!("expected each node once, got {} again", address(&node));
            return Err(FieldError::new("", problem).at(index).within(name));
        }
        nodes.push(node);
    }
    Ok(nodes)
}

/// Reads `{"address":"ADDRESS","phyAddress":"IP/PORT"}` as of 2015; the second may be missing or null.
///
/// # Errors
/// What was expected, and what came.
pub fn relay(entry: &Value) -> Result<Relay, FieldError> {
    let endpoint = match entry.get("phyAddress").filter(|value| !value.is_null()) {
        None => None,
        Some(value) => {
            let read = value.as_str().and_then(|text| text.parse::<EndpointText>().ok());
            let read = read.filter(|endpoint| endpoint.0.port() != 0);
            let unexpected = || FieldError::unexpected("phyAddress", "IP/PORT or null", Some(value));
            Some(read.ok_or_else(unexpected)?.0)
        }
    };
    Ok(Relay { address: node_at("address", entry.get("address"))?, endpoint })
}

/// Reads the address of a node.
pub(super) fn node(entry: &Value) -> Result<Address, FieldError> {
    node_at("", Some(entry))
}

fn node_at(name: &str, value: Option<&Value>) -> Result<Address, FieldError> {
    let address = value.and_then(Value::as_str).and_then(|text| text.parse().ok());
    let address = address.filter(|address: &Address| !address.is_reserved());
    address
        .ok_or_else(|| FieldError::unexpected(name, "the address of a node, ten hexadecimal digits", value))
}

pub(super) fn render_relays(relays: &[Relay]) -> Option<Value> {
    let render = |relay: &Relay| {
        let endpoint = relay.endpoint.map(|endpoint| EndpointText(endpoint).to_string());
        json!({ "address": relay.address.to_string(), "phyAddress": endpoint })
    };
    (!relays.is_empty()).then(|| relays.iter().map(render).collect())
}

pub(super) fn render_nodes(nodes: &[Address]) -> Option<Value> {
    (!nodes.is_empty()).then(|| nodes.iter().map(ToString::to_string).collect())
}

/// Reads the credential window in milliseconds; null is the default.
pub(super) fn window(value: &Value) -> Result<Option<u64>, FieldError> {
    let (min, max) = (Network::MIN_CREDENTIAL_WINDOW, Network::MAX_CREDENTIAL_WINDOW);
    if value.is_null() {
        return Ok(None);
    }
    let window = value.as_u64().filter(|window| (min..=max).contains(window));
    let expected = format!("{min} to {max} milliseconds, or null");
    let unexpected = || FieldError::unexpected("certificateTimeoutWindowSize", &expected, Some(value));
    window.map(Some).ok_or_else(unexpected)
}

/// Reads the identity of a member that did not ask yet.
pub(super) fn identity(value: &Value, address: Address) -> Result<PublicIdentity, FieldError> {
    let identity = value.as_str().and_then(|text| text.parse().ok());
    let identity = identity.filter(|identity: &PublicIdentity| identity.address == address);
    let expected = format!("the public identity of {address} as text");
    identity.ok_or_else(|| FieldError::unexpected("identity", &expected, Some(value)))
}

/// Reads a fingerprint; null is none.
pub(super) fn fingerprint(value: &Value) -> Result<Option<Fingerprint>, FieldError> {
    if value.is_null() {
        return Ok(None);
    }
    let digits = value.as_str().map(str::as_bytes);
    let bytes = digits.and_then(|digits| HEXLOWER_PERMISSIVE.decode(digits).ok());
    let unexpected =
        || FieldError::unexpected("identityFingerprint", "96 hexadecimal digits, or null", Some(value));
    bytes.and_then(|bytes| bytes.try_into().ok()).map(Some).ok_or_else(unexpected)
}

pub(super) fn render_fingerprint(fingerprint: &Fingerprint) -> String {
    HEXLOWER.encode(fingerprint)
}
