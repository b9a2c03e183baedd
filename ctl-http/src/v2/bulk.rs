//! Many members in one transaction: all or none.

use ctl_core::Member;
use ctl_core::record::FieldError;
use ctl_store::{StoreError, Tx};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zt_proto::NetworkId;

use super::change::Object;
use super::member_record::MemberChange;
use super::network::require;
use super::problem::{Invalid, MAX_ERRORS, Problem};
use super::request::{Answer, Request};
use super::text::Node;
use crate::State;
use crate::edit::Edit;

/// Most members that one request changes: others who write wait meanwhile.
const MAX_ENTRIES: usize = 1000;

/// What is to be done to members. Each member once.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bulk {
    #[schemars(length(max = 1000))]
    entries: Vec<Object<Entry>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "BulkEntry")]
struct Entry {
    address: Node,
    action: Action,
    /// What to change, for the action `change`.
    #[serde(default)]
    change: Option<Object<MemberChange>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "BulkAction")]
enum Action {
    /// Adds the member if it is not there.
    Authorize,
    Deauthorize,
    Remove,
    /// Merges `change` into the member.
    Change,
}

/// What was done, entry by entry.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct BulkAnswer {
    data: Vec<Done>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "BulkOutcome")]
struct Done {
    address: Node,
    outcome: Outcome,
    /// Of the member as it is now; null if it was removed.
    revision: Option<u64>,
}

#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "BulkOutcomeKind")]
enum Outcome {
    Created,
    Changed,
    Unchanged,
    Removed,
}

/// `POST /api/v2/network/{network}/member/bulk`: changes up to 1,000 members in one transaction, all or none.
pub(crate) fn change(state: &State, mut request: Request) -> Result<Answer, Problem> {
    let id = request.network()?;
    let bulk: Bulk = request.read_body()?;
    let invalid = bulk.invalid();
    if !invalid.is_empty() {
        return Err(Problem::fields(invalid));
    }
    state.write(|tx| {
        require(tx, id)?;
        let (mut data, mut edits, mut invalid) = (Vec::new(), Vec::new(), Vec::new());
        for (index, Object(entry)) in bulk.entries.into_iter().enumerate() {
            match entry.apply(state, tx, id)? {
                Ok((done, edit)) => {
                    data.push(done);
                    edits.extend(edit);
                }
                Err(error) if invalid.len() < MAX_ERRORS => {
                    invalid.push(Invalid::from(&error.at(index).within("entries")));
                }
                Err(_) => {}
            }
        }
        if invalid.is_empty() {
            Ok((Answer::ok(&BulkAnswer { data })?, edits))
        } else {
            Err(Problem::fields(invalid))
        }
    })
}

impl Bulk {
    /// Returns what is wrong with the entries whatever members there are.
    fn invalid(&self) -> Vec<Invalid> {
        if self.entries.len() > MAX_ENTRIES {
            let detail = format!("expected at most {MAX_ENTRIES} entries, got {}", self.entries.len());
            return vec![Invalid::new("/entries", detail)];
        }
        let mut invalid = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        for (index, Object(Entry { address, action, change })) in self.entries.iter().enumerate() {
            let at = |name: &str| format!("/entries/{index}/{name}");
            if address.0.is_reserved() {
                invalid.push(Invalid::new(at("address"), "expected the address of a node"));
            } else if !seen.insert(address.0) {
                invalid.push(Invalid::new(at("address"), "expected each member once, got this one again"));
            }
            match (action, change) {
                (Action::Change, None) => {
                    invalid.push(Invalid::new(at("change"), "expected an object, got nothing"));
                }
                (Action::Change, Some(Object(change))) => {
                    invalid.extend(change.invalid(&at("change")));
                    invalid.extend(change.without_read_only(&at("change")));
                }
                (Action::Authorize | Action::Deauthorize | Action::Remove, None) => {}
                (Action::Authorize | Action::Deauthorize | Action::Remove, Some(_)) => {
                    invalid.push(Invalid::new(at("change"), "expected nothing beside this action"));
                }
            }
        }
        invalid.truncate(MAX_ERRORS);
        invalid
    }
}

impl Entry {
    /// Does what the entry says. The inner error is of the entry, the outer one of the database.
    fn apply(
        self,
        state: &State,
        tx: &Tx<'_>,
        network: NetworkId,
    ) -> Result<Result<(Done, Option<Edit>), FieldError>, Problem> {
        let address = self.address.0;
        let now = (state.api.now)();
        let stored = tx.members().get(network, address)?;
        let change = match self.action {
            Action::Remove => {
                if stored.is_none() {
                    return Ok(Err(no_member()));
                }
                tx.members().remove(network, address)?;
                let done = Done { address: self.address, outcome: Outcome::Removed, revision: None };
                return Ok(Ok((done, Edit::of_member(stored.as_ref(), None))));
            }
            Action::Authorize => MemberChange::authorization(true),
            Action::Deauthorize | Action::Change if stored.is_none() => return Ok(Err(no_member())),
            Action::Deauthorize => MemberChange::authorization(false),
            Action::Change => self.change.unwrap_or_default().0,
        };
        let mut member = stored.clone().unwrap_or_else(|| Member::new(network, address, now));
        if let Err(error) = change.apply(&mut member, now) {
            return Ok(Err(error.within("change")));
        }
        let outcome = if stored.is_none() {
            Outcome::Created
        } else if stored.as_ref() == Some(&member) {
            Outcome::Unchanged
        } else {
            Outcome::Changed
        };
        if member.revise(stored.as_ref()) {
            match tx.members().put(&member) {
                Ok(()) => {}
                Err(StoreError::AddressTaken { ip, holder, .. }) => {
                    let problem = format!("{ip} is an address of member {holder}");
                    return Ok(Err(FieldError::new("ipAssignments", problem).within("change")));
                }
                Err(error) => return Err(error.into()),
            }
        }
        let edit = Edit::of_member(stored.as_ref(), Some(&member));
        Ok(Ok((Done { address: self.address, outcome, revision: Some(member.revision) }, edit)))
    }
}

fn no_member() -> FieldError {
    FieldError::new("address", "the network has no member with this address".to_owned())
}
