//! `ctl-bin webhook`: who is told over HTTP of what happens (`docs/api-v2.md`).

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use zt_proto::{NetworkId, Timestamp};

use super::args::ConnectArgs;
use super::table::{ATTENTION, BAD, Cell, GOOD, cell, counted, pairs, printable, show, styled, table};
use super::{CliError, Client, confirm, entries, flag, named, number, show_json, text, times};

const PATH: &str = "/api/v2/webhooks";

/// Works on the webhooks of a running controller: who is told over HTTP of what happens
///
/// Needs a token that may do everything.
///
/// Exit codes: 0 done, 1 refused or failed, 2 command line not understood, 4 no controller answers, 5 the token is refused,
/// 6 no such webhook.
#[derive(Debug, Subcommand)]
pub(crate) enum WebhookCommand {
    /// Lists the webhooks, and whether what they are told arrives
    #[command(visible_alias = "list")]
    Ls(ListArgs),
    /// Makes a webhook and prints its secret, which is shown nowhere else
    Create(CreateArgs),
    /// Sends something that did not happen, to see whether it arrives
    Test(OneArgs),
    /// Has what was given up tried again
    Retry(RetryArgs),
    /// Removes a webhook with what waits for it
    Delete(DeleteArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Prints the records as the API has them
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Where a POST goes, http:// or https://
    #[arg(value_name = "WEBHOOK-URL")]
    pub receiver: String,
    /// What it is told of, for example NETWORK_JOIN; may be repeated [default: everything]
    #[arg(long, value_name = "TYPE")]
    pub event: Vec<String>,
    /// Of this network alone
    #[arg(long, value_name = "ID")]
    pub network: Option<NetworkId>,
    /// For people
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub description: String,
    /// Prints the record as the API has it, with the secret
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct OneArgs {
    /// Id, or description if only one webhook has it
    #[arg(value_name = "WEBHOOK")]
    pub webhook: String,
    /// Prints the record as the API has it
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    #[command(flatten)]
    pub one: OneArgs,
    /// Only this delivery, by the number that --json shows [default: all that were given up]
    #[arg(long, value_name = "N")]
    pub delivery: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    #[command(flatten)]
    pub one: OneArgs,
    /// Does not ask
    #[arg(long)]
    pub yes: bool,
}

/// Does what the command says.
pub(crate) fn run(command: &WebhookCommand, now: Timestamp) -> Result<(), CliError> {
    match command {
        WebhookCommand::Ls(args) => list(args, now),
        WebhookCommand::Create(args) => create(args),
        WebhookCommand::Test(one) => {
            let (client, before) = find(one)?;
            let after = client.post(&format!("{}/test", path(&before)), &json!({}))?;
            tell(&after, one.json, "a test waits to be sent; see ctl-bin webhook ls");
            Ok(())
        }
        WebhookCommand::Retry(RetryArgs { one, delivery }) => {
            let (client, before) = find(one)?;
            let body = delivery.map_or_else(|| json!({}), |delivery| json!({ "delivery": delivery }));
            let after = client.post(&format!("{}/retry", path(&before)), &body)?;
            let count = entries(&before, "dead").len().saturating_sub(entries(&after, "dead").len());
            let left = match (delivery, entries(&after, "dead").len()) {
                (None, 1..) if count > 0 => ", and for the others there is no room yet",
                _ => "",
            };
            tell(&after, one.json, &format!("tried again: {}{left}", deliveries(count as u64)));
            Ok(())
        }
        WebhookCommand::Delete(DeleteArgs { one, yes }) => {
            let (client, before) = find(one)?;
            confirm(&format!("Delete the webhook {}?", label(&before)), *yes)?;
            client.delete(&path(&before))?;
            tell(&before, one.json, "deleted");
            Ok(())
        }
    }
}

fn list(args: &ListArgs, now: Timestamp) -> Result<(), CliError> {
    let list = Client::new(&args.connect)?.get(PATH)?;
    if args.json {
        show_json(&list.get("data").cloned().unwrap_or_default());
        return Ok(());
    }
    let rows = entries(&list, "data").iter().map(|hook| {
        vec![
            cell(text(hook, "id")),
            cell(text(hook, "description")),
            cell(text(hook, "url")),
            state(hook),
            cell(times::ago(now, number(hook, "lastDelivered"))),
            cell(number(hook, "waiting").to_string()),
            cell(entries(hook, "dead").len().to_string()),
        ]
    });
    show(&table(&["ID", "DESCRIPTION", "URL", "STATE", "ARRIVED", "WAITING", "GIVEN UP"], rows.collect()));
    Ok(())
}

fn state(hook: &Value) -> Cell {
    if !flag(hook, "enabled") {
        return styled("off", ATTENTION);
    }
    match text(hook, "lastFailure") {
        "" => styled("well", GOOD),
        failure => styled(failure, BAD),
    }
}

fn create(args: &CreateArgs) -> Result<(), CliError> {
    let CreateArgs { receiver, event, network, description, json, connect } = args;
    let network = network.map(|network| network.to_string());
    let body = json!({ "url": receiver, "events": event, "network": network, "description": description });
    let made = Client::new(connect)?.post(PATH, &body)?;
    if *json {
        show_json(&made);
    } else {
        show(&pairs(vec![("id", cell(text(&made, "id"))), ("secret", cell(text(&made, "secret")))]));
    }
    Ok(())
}

/// Finds a webhook by its id or its description.
fn find(args: &OneArgs) -> Result<(Client, Value), CliError> {
    let client = Client::new(&args.connect)?;
    let (list, name) = (client.get(PATH)?, args.webhook.as_str());
    let hooks = entries(&list, "data");
    let by_id = hooks.iter().find(|hook| text(hook, "id") == name);
    let found = match by_id {
        Some(hook) => Some(hook),
        None => named(hooks.iter(), ("description", name), "webhooks", "id")?,
    };
    let hook = found.cloned().ok_or_else(|| CliError::NoWebhook { name: name.to_owned() })?;
    Ok((client, hook))
}

fn path(hook: &Value) -> String {
    format!("{PATH}/{}", text(hook, "id"))
}

fn label(hook: &Value) -> String {
    let (id, description) = (text(hook, "id"), printable(text(hook, "description")));
    if description.is_empty() { id.to_owned() } else { format!("{id} ({description})") }
}

fn tell(hook: &Value, json: bool, done: &str) {
    if json {
        show_json(hook);
    } else {
        show(&format!("{}: {done}", label(hook)));
    }
}

fn deliveries(count: u64) -> String {
    match count {
        0 => "nothing, as nothing was given up".to_owned(),
        count => counted(count, "delivery"),
    }
}
