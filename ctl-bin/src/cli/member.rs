//! `ctl-bin member`: the members of a network.

use serde_json::{Map, Value, json};
use zt_proto::{Address, NetworkId, Timestamp};

use super::args::{
    MemberCommand, MemberDeleteArgs, MemberListArgs, MemberLsArgs, MemberSetArgs, MemberShowArgs, TagArg,
    TagFilter, as_address, listed,
};
use super::progress::Progress;
use super::table::{ATTENTION, BAD, GOOD, PLAIN, cell, counted, paint, pairs, show, styled, table};
use super::{
    CliError, Client, confirm, entries, flag, named, network, number, show_json, text, times, yes_or_no,
};

/// Does what the command says.
pub(crate) fn run(command: &MemberCommand, now: Timestamp) -> Result<(), CliError> {
    match command {
        MemberCommand::Ls(args) => list(args, now),
        MemberCommand::Show(args) => show_one(args, now),
        MemberCommand::Authorize(args) => {
            each(args, "authorized", |place| place.client.post(&place.path(), &json!({ "authorized": true })))
        }
        MemberCommand::Deauthorize(args) => each(args, "deauthorized", |place| {
            place.existing()?;
            place.client.post(&place.path(), &json!({ "authorized": false }))
        }),
        MemberCommand::Set(args) => set(args, now),
        MemberCommand::Delete(args) => delete(args),
    }
}

/// A member of a network, by its address.
struct Place<'c> {
    client: &'c Client,
    network: NetworkId,
    member: Address,
}

impl<'c> Place<'c> {
    /// Finds a member by its address or its name.
    fn find(client: &'c Client, network: NetworkId, name: &str) -> Result<Self, CliError> {
        let no_member = || CliError::NoMember { network: network.to_string(), name: name.to_owned() };
        if let Some(member) = as_address(name) {
            return Ok(Self { client, network, member });
        }
        let all = all(client, network)?;
        let found = named(all.iter(), ("name", name), "members", "address")?;
        let member = found.and_then(|member| as_address(text(member, "id"))).ok_or_else(no_member)?;
        Ok(Self { client, network, member })
    }

    fn path(&self) -> String {
        format!("{}/member/{}", network::path(self.network), self.member)
    }

    /// Returns the member if it is there; a request to change it would make it.
    fn existing(&self) -> Result<Value, CliError> {
        let (network, name) = (self.network.to_string(), self.member.to_string());
        let missing = || CliError::NoMember { network, name };
        self.client.get(&self.path()).map_err(|error| error.or_missing(missing))
    }
}

/// Returns all members of a network in full.
fn all(client: &Client, id: NetworkId) -> Result<Vec<Value>, CliError> {
    let list = client.get(&format!("/unstable{}/member", network::path(id))).map_err(network::missing(id))?;
    let data = list.get("data").and_then(Value::as_array).cloned();
    data.ok_or_else(|| CliError::NoController { url: client.url().to_owned() })
}

/// Entries of a page of the API.
const PAGE: usize = 1000;

fn list(args: &MemberLsArgs, now: Timestamp) -> Result<(), CliError> {
    let client = Client::new(&args.connect)?;
    let network = network::find(&client, &args.network)?;
    let wanted = args.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let path =
        format!("/api/v2{}/member?{}", network::path(network).trim_start_matches("/controller"), query(args));
    // The controller searches, and hands out no more than a page at once, however many there are.
    let shown = Progress::unknown("reading members", args.progress);
    let members = pages(&client, &path, wanted).map_err(network::missing(network))?;
    drop(shown);
    if args.json {
        show_json(&Value::Array(members));
        return Ok(());
    }
    let rows = members.iter().map(|member| {
        vec![
            cell(text(member, "address")),
            cell(text(member, "name")),
            authorized(member),
            if flag(member, "online") { styled("online", GOOD) } else { cell("offline") },
            cell(ips(member).join(", ")),
            cell(times::ago(now, number(member, "lastSeen"))),
            cell(member.get("version").and_then(Value::as_str).unwrap_or("unknown")),
            cell(text(member, "physicalAddress")),
        ]
    });
    let heads = ["ADDRESS", "NAME", "AUTHORIZED", "STATE", "IP ADDRESSES", "LAST SEEN", "VERSION", "FROM"];
    show(&table(&heads, rows.collect()));
    Ok(())
}

/// Returns what a list of `/api/v2` has, page by page, up to `wanted` entries.
pub(crate) fn pages(client: &Client, path: &str, wanted: usize) -> Result<Vec<Value>, CliError> {
    let separator = if path.contains('?') { '&' } else { '?' };
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let limit = PAGE.min(wanted.saturating_sub(all.len()));
        let page = client.get(&format!("{path}{separator}limit={limit}{cursor}"))?;
        all.extend_from_slice(entries(&page, "data"));
        match page.get("next").and_then(Value::as_str).filter(|_| all.len() < wanted) {
            Some(next) => cursor = format!("&cursor={}", encoded(next)),
            None => return Ok(all),
        }
    }
}

/// Returns what a request has to ask for.
fn query(args: &MemberLsArgs) -> String {
    let mut query = format!("sort={}", args.sort);
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            query.push_str(&format!("&{name}={}", encoded(&value)));
        }
    };
    let either = |yes: bool, no: bool| (yes || no).then(|| yes.to_string());
    add("authorized", either(args.authorized, args.waiting));
    add("online", either(args.online, args.offline));
    add("search", args.search.clone());
    add("capability", args.capability.map(|id| id.to_string()));
    let tag = |TagFilter { id, value }| value.map_or_else(|| id.to_string(), |value| format!("{id}:{value}"));
    add("tag", args.tag.map(tag));
    query
}

/// Writes a value so that it can stand in a query.
fn encoded(value: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    value
        .bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn show_one(args: &MemberShowArgs, now: Timestamp) -> Result<(), CliError> {
    let client = Client::new(&args.connect)?;
    let network = network::find(&client, &args.network)?;
    tell(&Place::find(&client, network, &args.member)?.existing()?, args.json, now);
    Ok(())
}

fn set(args: &MemberSetArgs, now: Timestamp) -> Result<(), CliError> {
    let body = body(args);
    if body.is_empty() {
        return Err(CliError::NothingToSet { command: "member set" });
    }
    let client = Client::new(&args.connect)?;
    let network = network::find(&client, &args.network)?;
    let place = Place::find(&client, network, &args.member)?;
    let member = client.post(&place.path(), &Value::Object(body)).map_err(network::missing(network))?;
    tell(&member, args.json, now);
    Ok(())
}

fn body(args: &MemberSetArgs) -> Map<String, Value> {
    let tags = |tags: Vec<&TagArg>| tags.iter().map(|tag| json!([tag.id, tag.value])).collect::<Value>();
    let ips = |ips: Vec<_>| ips.iter().map(ToString::to_string).collect::<Value>();
    let fields = [
        ("name", args.name.clone().map(Value::from)),
        ("authorized", args.authorized.map(Value::from)),
        ("ipAssignments", listed(&args.ip).map(ips)),
        ("noAutoAssignIps", args.auto_assign.map(|auto| Value::from(!auto))),
        ("activeBridge", args.bridge.map(Value::from)),
        ("tags", listed(&args.tag).map(tags)),
        ("capabilities", listed(&args.capability).map(|ids| ids.into_iter().copied().collect())),
    ];
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn delete(args: &MemberDeleteArgs) -> Result<(), CliError> {
    let MemberListArgs { network, members, .. } = &args.list;
    let what =
        if let [one] = members.as_slice() { one.clone() } else { counted(members.len() as u64, "member") };
    confirm(&format!("Delete {} of network {network}?", super::table::printable(&what)), args.yes)?;
    each(&args.list, "deleted", |place| {
        let member = place.existing()?;
        place.client.delete(&place.path()).map(|_| member)
    })
}

/// Does the same with each member, and says so; what fails with one does not keep the others from it.
fn each(
    args: &MemberListArgs,
    done: &str,
    work: impl Fn(&Place<'_>) -> Result<Value, CliError>,
) -> Result<(), CliError> {
    let client = Client::new(&args.connect)?;
    let network = network::find(&client, &args.network)?;
    client.get(&network::path(network)).map_err(network::missing(network))?;
    let (mut failures, mut records) = (Vec::new(), Vec::new());
    let shown = Progress::new("members", args.members.len() as u64, args.progress);
    for name in &args.members {
        let result =
            Place::find(&client, network, name).and_then(|place| work(&place).map(|member| (place, member)));
        match result {
            Ok((_, member)) if args.json => records.push(member),
            Ok((place, member)) => {
                shown.beside(|| show(&format!("{}: {}", paint(done, GOOD), title(&place, &member))));
            }
            Err(error) => {
                if args.json {
                    records.push(json!({ "member": name, "error": error.to_string() }));
                } else if args.members.len() > 1 {
                    shown.beside(|| show(&format!("{}: {error}", paint("failed", BAD))));
                }
                failures.push(error);
            }
        }
        shown.advance();
    }
    drop(shown);
    if args.json {
        show_json(&Value::Array(records));
    }
    let (failed, count) = (failures.len(), args.members.len());
    match (failures.pop(), count) {
        (None, _) => Ok(()),
        (Some(error), 1) => Err(error),
        (Some(last), _) => Err(CliError::SomeFailed { failed, count, first: Box::new(last) }),
    }
}

fn title(place: &Place<'_>, member: &Value) -> String {
    let name = super::table::printable(text(member, "name"));
    let name = if name.is_empty() { name } else { format!(" ({name})") };
    // Nothing is known of a node that never asked.
    let is_stranger = member.get("identity").is_none_or(Value::is_null);
    let remark = if is_stranger { ", which has not asked to join yet" } else { "" };
    format!("{}{name}{remark}", place.member)
}

/// Prints a member as asked for.
fn tell(member: &Value, json: bool, now: Timestamp) {
    if json {
        return show_json(member);
    }
    let time = |field| {
        let then = number(member, field);
        if then == 0 {
            "never".to_owned()
        } else {
            format!("{} ({})", times::date(then), times::ago(now, then))
        }
    };
    let numbers: Vec<_> = entries(member, "capabilities").iter().map(ToString::to_string).collect();
    let tags: Vec<_> = tags(member).into_iter().map(|(id, value)| format!("{id}={value}")).collect();
    show(&pairs(vec![
        ("address", cell(text(member, "address"))),
        ("name", cell(text(member, "name"))),
        ("network", cell(text(member, "nwid"))),
        ("authorized", authorized(member)),
        ("IP addresses", cell(or_none(&ips(member).join(", ")))),
        ("automatic addresses", cell(yes_or_no(!flag(member, "noAutoAssignIps")))),
        ("bridge", cell(yes_or_no(flag(member, "activeBridge")))),
        ("tags", cell(or_none(&tags.join(", ")))),
        ("capabilities", cell(or_none(&numbers.join(", ")))),
        ("state", if flag(member, "online") { styled("online", GOOD) } else { styled("offline", PLAIN) }),
        ("last seen", cell(time("lastSeen"))),
        ("from", cell(or_none(text(member, "physicalAddress")))),
        ("version", cell(version(member))),
        ("added", cell(time("creationTime"))),
        ("last authorized", cell(time("lastAuthorizedTime"))),
        ("last deauthorized", cell(time("lastDeauthorizedTime"))),
        ("identity", cell(or_none(text(member, "identity")))),
        ("revision", cell(number(member, "revision").to_string())),
    ]));
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}

fn authorized(member: &Value) -> super::table::Cell {
    if flag(member, "authorized") { styled("yes", GOOD) } else { styled("no", ATTENTION) }
}

fn ips(member: &Value) -> Vec<&str> {
    entries(member, "ipAssignments").iter().filter_map(Value::as_str).collect()
}

fn tags(member: &Value) -> Vec<(u64, u64)> {
    let pair = |tag: &Value| Some((tag.get(0)?.as_u64()?, tag.get(1)?.as_u64()?));
    entries(member, "tags").iter().filter_map(pair).collect()
}

fn version(member: &Value) -> String {
    let part = |field| member.get(field).and_then(Value::as_u64);
    match (part("vMajor"), part("vMinor"), part("vRev")) {
        (Some(major), Some(minor), Some(revision)) => format!("{major}.{minor}.{revision}"),
        _ => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::server::config::{Cli, Command};

    fn asked(options: &[&str]) -> String {
        let arguments = [&["ctl-bin", "member", "ls", "n"], options].concat();
        let Some(Command::Member(MemberCommand::Ls(args))) = Cli::try_parse_from(arguments).unwrap().command
        else {
            panic!("not member ls");
        };
        query(&args)
    }

    #[test]
    fn the_controller_is_asked_for_what_meets_all_filters() {
        assert_eq!(asked(&[]), "sort=address");
        assert_eq!(asked(&["--authorized", "--offline"]), "sort=address&authorized=true&online=false");
        assert_eq!(asked(&["--waiting", "--sort", "-lastSeen"]), "sort=-lastSeen&authorized=false");
        assert_eq!(asked(&["--search", "Ann & Bö"]), "sort=address&search=Ann%20%26%20B%C3%B6");
        assert_eq!(asked(&["--tag", "1=100", "--capability", "5"]), "sort=address&capability=5&tag=1%3A100");
        assert_eq!(asked(&["--tag", "1"]), "sort=address&tag=1");
    }
}
