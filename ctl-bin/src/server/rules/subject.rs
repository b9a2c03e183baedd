//! The network that rules are tried with, and its members: those of the home, or of a controller elsewhere.

use ctl_core::record::{member, network};
use ctl_core::{Member, Network};
use ctl_store::Store;
use serde_json::{Map, Value};
use zt_proto::{NetworkId, Timestamp};

use super::RulesError;
use crate::cli::args::ConnectArgs;
use crate::cli::{CliError, Client};
use crate::server::config::HomeArgs;
use crate::server::owner;

/// Reads a network with its members: over the API if that is named, else in the database of the home.
pub(super) fn load(connect: &ConnectArgs, id: NetworkId) -> Result<(Network, Vec<Member>), RulesError> {
    if connect.url.is_some() { of_controller(connect, id) } else { of_home(&connect.home, id) }
}

fn of_home(args: &HomeArgs, id: NetworkId) -> Result<(Network, Vec<Member>), RulesError> {
    let no_database = || RulesError::NoDatabase { path: args.home.display().to_string() };
    if !args.home.exists() {
        return Err(no_database()); // opening it would make one
    }
    let home = owner::open(&args.home)?;
    if !home.database().exists() {
        return Err(no_database());
    }
    // A controller of another release may be running, whose database must not change.
    Store::open_read_only(&home.database())?.read(|tx| match tx.networks().get(id)? {
        Some(network) => Ok((network, tx.members().list(id)?)),
        None => {
            let ids: Vec<_> = tx.networks().list()?.iter().map(NetworkId::to_string).collect();
            let ids = if ids.is_empty() { "none".to_owned() } else { ids.join(", ") };
            Err(RulesError::NoNetwork(id, ids))
        }
    })
}

/// Takes the records apart as a controller does that is sent them, so that both say the same of a packet.
fn of_controller(connect: &ConnectArgs, id: NetworkId) -> Result<(Network, Vec<Member>), RulesError> {
    let client = Client::new(connect)?;
    let unreadable = |reason: String| RulesError::Record { url: client.url().to_owned(), reason };
    let missing = |error| {
        let is_missing = matches!(error, CliError::NotFound { .. });
        if is_missing { CliError::NoNetwork { name: id.to_string() } } else { error }
    };
    let path = format!("/controller/network/{id}");
    let record = client.get(&path).map_err(missing)?;
    let mut found = Network::new(id, Timestamp(0));
    let fields = |record: &Value| record.as_object().cloned().unwrap_or_default();
    network::apply(&fields(&record), &mut found).map_err(|error| unreadable(error.to_string()))?;
    // The official controller keeps no tests, and does not know this path.
    let rules = match client.get(&format!("/api/v2/network/{id}/rules")) {
        Ok(rules) => rules,
        Err(CliError::NotFound { .. }) => Value::Null,
        Err(error) => return Err(error.into()),
    };
    found.rule_tests = rules.get("tests").and_then(Value::as_str).unwrap_or_default().to_owned();
    let list = client.get(&format!("/unstable{path}/member")).map_err(missing)?;
    let entries = list.get("data").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let members = entries.iter().map(|entry| read_member(id, &fields(entry)).map_err(unreadable));
    Ok((found, members.collect::<Result<_, _>>()?))
}

fn read_member(network: NetworkId, fields: &Map<String, Value>) -> Result<Member, String> {
    let address = fields.get("address").and_then(Value::as_str).unwrap_or_default();
    let address = address.parse().map_err(|_| format!("a member has the address {address:?}"))?;
    let mut found = Member::new(network, address, Timestamp(0));
    member::apply(fields, &mut found, Timestamp(0)).map_err(|error| format!("member {address}: {error}"))?;
    Ok(found)
}
