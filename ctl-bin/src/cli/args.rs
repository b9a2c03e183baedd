//! The command line of what works through the API.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgAction, Args, Subcommand};
use zt_proto::{Address, IpPrefix, NetworkId};

use super::progress::ProgressArgs;
use crate::server::config::HomeArgs;

/// What an option that takes a list takes to empty it.
const NOTHING: &str = "none";

/// Which controller to talk to, and how.
#[derive(Debug, Args)]
pub(crate) struct ConnectArgs {
    #[command(flatten)]
    pub home: HomeArgs,
    /// Address of the API, for a controller elsewhere [default: the one of the home]
    #[arg(long, value_name = "URL", env = "CTL_URL")]
    pub url: Option<String>,
    /// File with the token [default: the variable CTL_TOKEN; without --url the token of the home]
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Certificates in PEM to trust for https, in the place of those of this machine
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Sends the token over http to another machine although everybody on the way can read it
    #[arg(long)]
    pub insecure: bool,
}

/// Works on the networks of a running controller, here or elsewhere
///
/// Exit codes: 0 done, 1 refused or failed, 2 command line not understood, 4 no controller answers, 5 the token is refused,
/// 6 no such network or member.
#[derive(Debug, Subcommand)]
pub(crate) enum NetworkCommand {
    /// Lists the networks
    #[command(visible_alias = "list")]
    Ls(NetworkLsArgs),
    /// Makes a network and prints it
    Create(NetworkCreateArgs),
    /// Shows a network
    Show(NetworkShowArgs),
    /// Changes settings of a network
    Set(NetworkSetArgs),
    /// Deletes a network with all its members
    Delete(NetworkDeleteArgs),
}

/// Works on the members of a network of a running controller, here or elsewhere
///
/// Exit codes: 0 done, 1 refused or failed, 2 command line not understood, 4 no controller answers, 5 the token is refused,
/// 6 no such network or member.
#[derive(Debug, Subcommand)]
pub(crate) enum MemberCommand {
    /// Lists the members of a network
    #[command(visible_alias = "list")]
    Ls(MemberLsArgs),
    /// Shows a member
    Show(MemberShowArgs),
    /// Lets members in, also some that have not asked yet
    Authorize(MemberListArgs),
    /// Puts members out; what they were is kept
    Deauthorize(MemberListArgs),
    /// Changes settings of a member
    Set(MemberSetArgs),
    /// Forgets members; one that asks again is a stranger
    Delete(MemberDeleteArgs),
}

#[derive(Debug, Args)]
pub(crate) struct NetworkLsArgs {
    /// Only networks whose id or name contains this, in whatever case
    #[arg(long, value_name = "TEXT")]
    pub search: Option<String>,
    /// Prints the records as the API has them
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct NetworkCreateArgs {
    /// Id to give it, which begins with the address of the controller [default: one that is free]
    #[arg(long, value_name = "ID")]
    pub id: Option<NetworkId>,
    #[command(flatten)]
    pub settings: NetworkSettings,
    /// Prints the record as the API has it
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct NetworkShowArgs {
    /// Id, or name if only one network has it
    #[arg(value_name = "NETWORK")]
    pub network: String,
    /// Prints the record as the API has it
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct NetworkSetArgs {
    /// Id, or name if only one network has it
    #[arg(value_name = "NETWORK")]
    pub network: String,
    #[command(flatten)]
    pub settings: NetworkSettings,
    /// Prints the record as the API has it
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct NetworkDeleteArgs {
    /// Id, or name if only one network has it
    #[arg(value_name = "NETWORK")]
    pub network: String,
    /// Does not ask
    #[arg(long)]
    pub yes: bool,
    /// Prints the record that was deleted, as the API had it
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// Settings of a network; what is not named stays.
#[derive(Debug, Default, Args)]
pub(crate) struct NetworkSettings {
    /// Name
    #[arg(long)]
    pub name: Option<String>,
    /// Whether members have to be authorized
    #[arg(long, value_name = "BOOL", action = ArgAction::Set)]
    pub private: Option<bool>,
    /// Gives members addresses of this range: sets route, pool and automatic assignment at once
    #[arg(long, value_name = "PREFIX", conflicts_with_all = ["pool", "route"])]
    pub subnet: Option<IpPrefix>,
    /// Addresses to assign, in the place of all pools; may be repeated; none removes them
    #[arg(long, value_name = "FIRST-LAST")]
    pub pool: Vec<OrNone<PoolArg>>,
    /// Route, in the place of all routes; may be repeated; none removes them
    #[arg(long, value_name = "PREFIX[=VIA]")]
    pub route: Vec<OrNone<RouteArg>>,
    /// Whether members get IPv4 addresses from the pools
    #[arg(long, value_name = "BOOL", action = ArgAction::Set)]
    pub assign_v4: Option<bool>,
    /// Which IPv6 addresses members get: pool, rfc4193, 6plane, or none
    #[arg(long, value_name = "MODE", value_delimiter = ',')]
    pub assign_v6: Vec<OrNone<V6Mode>>,
    /// Domain for which members ask the name servers
    #[arg(long, value_name = "DOMAIN")]
    pub dns_domain: Option<String>,
    /// Name server, in the place of all; may be repeated; none removes them
    #[arg(long, value_name = "IP")]
    pub dns_server: Vec<OrNone<IpAddr>>,
    /// Whether members may send to ff:ff:ff:ff:ff:ff
    #[arg(long, value_name = "BOOL", action = ArgAction::Set)]
    pub broadcast: Option<bool>,
    /// Largest packet in bytes
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u16).range(1280..=10000))]
    pub mtu: Option<u16>,
    /// To how many members a multicast goes
    #[arg(long, value_name = "N")]
    pub multicast_limit: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct MemberLsArgs {
    /// Id of the network, or its name if only one has it
    #[arg(value_name = "NETWORK")]
    pub network: String,
    /// Only members that are let in
    #[arg(long, conflicts_with = "waiting")]
    pub authorized: bool,
    /// Only members that are not
    #[arg(long)]
    pub waiting: bool,
    /// Only members that are online
    #[arg(long, conflicts_with = "offline")]
    pub online: bool,
    /// Only members that are not
    #[arg(long)]
    pub offline: bool,
    /// Only members whose name contains this, in whatever case, whose address begins with it, or that have this IP address
    /// or one of this range
    #[arg(long, value_name = "TEXT")]
    pub search: Option<String>,
    /// Only members with this tag, as numbers; without a value, with any
    #[arg(long, value_name = "ID[=VALUE]")]
    pub tag: Option<TagFilter>,
    /// Only members with this capability, as a number
    #[arg(long, value_name = "ID")]
    pub capability: Option<u32>,
    /// Order: address, name, lastSeen or created; the other way round with - before it
    #[arg(long, value_name = "ORDER", default_value = "address", allow_hyphen_values = true,
          value_parser = ["address", "-address", "name", "-name", "lastSeen", "-lastSeen", "created", "-created"])]
    pub sort: String,
    /// Only so many, the first in that order
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
    /// Prints the records as the API has them
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub progress: ProgressArgs,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct MemberShowArgs {
    /// Id of the network, or its name if only one has it
    #[arg(value_name = "NETWORK")]
    pub network: String,
    /// Address, or name if only one member has it
    #[arg(value_name = "MEMBER")]
    pub member: String,
    /// Prints the record as the API has it
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct MemberListArgs {
    /// Id of the network, or its name if only one has it
    #[arg(value_name = "NETWORK")]
    pub network: String,
    /// Addresses, or names that only one member has
    #[arg(value_name = "MEMBER", required = true)]
    pub members: Vec<String>,
    /// Prints the records as the API has them; of what could not be done, the reason
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub progress: ProgressArgs,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct MemberDeleteArgs {
    #[command(flatten)]
    pub list: MemberListArgs,
    /// Does not ask
    #[arg(long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MemberSetArgs {
    /// Id of the network, or its name if only one has it
    #[arg(value_name = "NETWORK")]
    pub network: String,
    /// Address, or name if only one member has it
    #[arg(value_name = "MEMBER")]
    pub member: String,
    /// Name
    #[arg(long)]
    pub name: Option<String>,
    /// Whether it is let in
    #[arg(long, value_name = "BOOL", action = ArgAction::Set)]
    pub authorized: Option<bool>,
    /// IP address, in the place of all that it has; may be repeated; none removes them
    #[arg(long, value_name = "IP")]
    pub ip: Vec<OrNone<IpAddr>>,
    /// Whether it gets addresses from the pools
    #[arg(long, value_name = "BOOL", action = ArgAction::Set)]
    pub auto_assign: Option<bool>,
    /// Whether it may bridge other devices into the network
    #[arg(long, value_name = "BOOL", action = ArgAction::Set)]
    pub bridge: Option<bool>,
    /// Tag, as numbers, in the place of all; may be repeated; none removes them
    #[arg(long, value_name = "ID=VALUE")]
    pub tag: Vec<OrNone<TagArg>>,
    /// Capability, as a number, in the place of all; may be repeated; none removes them
    #[arg(long, value_name = "ID")]
    pub capability: Vec<OrNone<u32>>,
    /// Prints the record as the API has it
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// An entry of a list, or the word that empties it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OrNone<T> {
    None,
    Some(T),
}

impl<T: FromStr<Err: ToString>> FromStr for OrNone<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == NOTHING {
            return Ok(Self::None);
        }
        text.parse().map(Self::Some).map_err(|error: T::Err| error.to_string())
    }
}

/// Returns the list that such options make: nothing if there are none, so that the list stays as it is.
pub(crate) fn listed<T>(options: &[OrNone<T>]) -> Option<Vec<&T>> {
    let entries = options.iter().filter_map(|option| match option {
        OrNone::None => None,
        OrNone::Some(entry) => Some(entry),
    });
    (!options.is_empty()).then(|| entries.collect())
}

/// `FIRST-LAST`: the ends of a pool, of one family and in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PoolArg {
    pub first: IpAddr,
    pub last: IpAddr,
}

impl FromStr for PoolArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || {
            format!(
                "expected FIRST-LAST, two IP addresses of one kind with the lower one first, not {text:?}"
            )
        };
        let (first, last) = text.split_once('-').ok_or_else(expected)?;
        let (first, last): (IpAddr, IpAddr) =
            (first.trim().parse().map_err(|_| expected())?, last.trim().parse().map_err(|_| expected())?);
        if first.is_ipv4() != last.is_ipv4() || first > last {
            return Err(expected());
        }
        Ok(Self { first, last })
    }
}

/// `PREFIX[=VIA]`: a route, to be reached through a member if that is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RouteArg {
    pub target: IpPrefix,
    pub via: Option<IpAddr>,
}

impl FromStr for RouteArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || {
            format!("expected PREFIX or PREFIX=VIA, like 10.1.0.0/16=10.147.17.5, of one kind, not {text:?}")
        };
        let (target, via) = text.split_once('=').map_or((text, None), |(target, via)| (target, Some(via)));
        let target: IpPrefix = target.trim().parse().map_err(|_| expected())?;
        let via: Option<IpAddr> = via.map(|via| via.trim().parse().map_err(|_| expected())).transpose()?;
        if via.is_some_and(|via| via.is_ipv4() != target.ip().is_ipv4()) {
            return Err(expected());
        }
        Ok(Self { target, via })
    }
}

/// A way in which members get IPv6 addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum V6Mode {
    Pool,
    Rfc4193,
    SixPlane,
}

impl FromStr for V6Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "pool" => Ok(Self::Pool),
            "rfc4193" => Ok(Self::Rfc4193),
            "6plane" => Ok(Self::SixPlane),
            _ => Err(format!("expected pool, rfc4193, 6plane or none, not {text:?}")),
        }
    }
}

/// `ID=VALUE`: a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TagArg {
    pub id: u32,
    pub value: u32,
}

impl FromStr for TagArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let filter: TagFilter = text.parse()?;
        let value = filter.value.ok_or_else(|| expected_tag(text))?;
        Ok(Self { id: filter.id, value })
    }
}

/// `ID[=VALUE]`: members with a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TagFilter {
    pub id: u32,
    pub value: Option<u32>,
}

impl FromStr for TagFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.trim().parse().map_err(|_| expected_tag(text));
        match text.split_once('=') {
            None => Ok(Self { id: number(text)?, value: None }),
            Some((id, value)) => Ok(Self { id: number(id)?, value: Some(number(value)?) }),
        }
    }
}

fn expected_tag(text: &str) -> String {
    format!("expected a tag like 1=100, numbers up to 4294967295, not {text:?}")
}

/// Reads what names a member by its address; a name is looked up elsewhere.
pub(crate) fn as_address(text: &str) -> Option<Address> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_and_routes_are_of_one_family_and_in_order() {
        assert!("10.0.0.1-10.0.0.9".parse::<PoolArg>().is_ok());
        for text in ["10.0.0.9-10.0.0.1", "10.0.0.1", "10.0.0.1-fd00::1", "a-b", ""] {
            assert!(text.parse::<PoolArg>().unwrap_err().contains("FIRST-LAST"), "{text}");
        }
        let route: RouteArg = "10.1.0.0/16=10.0.0.5".parse().unwrap();
        assert_eq!(route.via, Some("10.0.0.5".parse().unwrap()));
        for text in ["10.1.0.0/16=fd00::1", "10.1.0.0/33", "=10.0.0.1", ""] {
            assert!(text.parse::<RouteArg>().unwrap_err().contains("PREFIX"), "{text}");
        }
    }

    #[test]
    fn a_list_stays_is_emptied_or_replaced() {
        let parse = |text: &str| text.parse::<OrNone<TagArg>>().unwrap();
        assert_eq!(listed::<TagArg>(&[]), None);
        assert_eq!(listed(&[parse("none")]), Some(vec![]));
        assert_eq!(listed(&[parse("1=2")]), Some(vec![&TagArg { id: 1, value: 2 }]));
        assert!("1".parse::<OrNone<TagArg>>().unwrap_err().contains("1=100"));
    }
}
