//! Doing what a plan says, record by record; what was changed by somebody else meanwhile stays as he left it.

use serde_json::{Value, json};

use super::plan::{NetworkPlan, Plan, Removal, Step};
use crate::cli::client::{Client, Condition};
use crate::cli::progress::{Progress, ProgressArgs};
use crate::cli::{CliError, text};

/// Does everything; stops at the first thing that cannot be done. Done again, it goes on from there.
pub(super) fn apply(client: &Client, plan: &Plan, progress: ProgressArgs) -> Result<(), CliError> {
    let progress = Progress::new("applying", plan.size(), progress);
    for network in &plan.networks {
        apply_network(client, network, &progress)?;
    }
    for network in &plan.removed {
        remove(client, network)?;
        progress.advance();
    }
    Ok(())
}

fn apply_network(client: &Client, plan: &NetworkPlan, progress: &Progress) -> Result<(), CliError> {
    let (id, tag) = match &plan.step {
        Step::Create { body } => {
            let (network, tag) = match plan.id {
                Some(id) => {
                    client.conditional("PUT", &format!("/api/v2/network/{id}"), body, Condition::New)?
                }
                None => client.conditional("POST", "/api/v2/network", body, Condition::None)?,
            };
            (text(&network, "id").to_owned(), tag)
        }
        Step::Change { tag, body, .. } => {
            let id = plan.id.map(|id| id.to_string()).unwrap_or_default();
            let path = format!("/api/v2/network/{id}");
            let (_, tag) = client.conditional("PATCH", &path, body, Condition::Same(tag))?;
            (id, tag)
        }
        Step::Keep { tag } => (plan.id.map(|id| id.to_string()).unwrap_or_default(), tag.clone()),
    };
    progress.advance();
    let path = format!("/api/v2/network/{id}");
    if let Some(source) = &plan.rules {
        let body = json!({ "source": source });
        client.conditional("PUT", &format!("{path}/rules"), &body, Condition::Same(&tag))?;
    }
    for member in &plan.members {
        let path = format!("{path}/member/{}", member.address);
        match &member.step {
            Step::Keep { .. } => {}
            Step::Create { body } => {
                client.conditional("PUT", &path, body, Condition::New)?;
            }
            Step::Change { tag, body, .. } => {
                client.conditional("PATCH", &path, body, Condition::Same(tag))?;
            }
        }
        progress.advance();
    }
    for member in &plan.removed_members {
        remove(client, member)?;
        progress.advance();
    }
    Ok(())
}

fn remove(client: &Client, removal: &Removal) -> Result<(), CliError> {
    client.conditional("DELETE", &removal.path, &Value::Null, Condition::Same(&removal.tag)).map(drop)
}
