//! The command line of `planet` and `moon`.

use std::fs;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};
use zt_proto::inet::EndpointText;
use zt_proto::{Address, PublicIdentity};

use super::config::HomeArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum PlanetCommand {
    /// Writes a signed planet file that names this controller as a root
    Create(WorldCreateArgs),
    /// Signs a later version, with other endpoints or roots; connected clients take it by themselves
    Roll(WorldRollArgs),
    /// Says what a planet contains, and writes it as base64, link and QR code for phones
    Show(PlanetShowArgs),
    /// Checks a planet; exit code 1 if clients would stumble over it
    Verify(WorldVerifyArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum MoonCommand {
    /// Writes a signed moon file that names this node as a root beside those of the planet
    Create(WorldCreateArgs),
    /// Signs a later version, with other endpoints or roots; connected clients take it by themselves
    Roll(WorldRollArgs),
    /// Says what a moon contains, and what to type at the clients
    Show(MoonShowArgs),
    /// Checks a moon; exit code 1 if clients would stumble over it
    Verify(WorldVerifyArgs),
}

#[derive(Debug, Args)]
pub(crate) struct WorldCreateArgs {
    #[command(flatten)]
    pub home: HomeArgs,
    /// Address at which clients reach this node, for example 203.0.113.1/9993; at most 32. Without any, this node is
    /// not one of the roots
    #[arg(long = "endpoint", value_name = "IP/PORT", required_unless_present = "roots")]
    pub endpoints: Vec<EndpointText>,
    /// Another root: its identity.public, or the text in it, and where clients reach it; at most 4 roots in all
    #[arg(long = "root", value_name = "IDENTITY@IP/PORT[,IP/PORT...]")]
    pub roots: Vec<RootArg>,
    /// Ten hexadecimal digits [default: the address of this node]
    #[arg(long, value_name = "ID")]
    pub id: Option<Address>,
    /// File to write for the clients; the node's own copy goes to its home
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Prints as JSON what is otherwise said in words
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct WorldRollArgs {
    #[command(flatten)]
    pub home: HomeArgs,
    /// New addresses of this node, in the place of all that it had
    #[arg(long = "endpoint", value_name = "IP/PORT")]
    pub endpoints: Vec<EndpointText>,
    /// A root that is new, or has new addresses
    #[arg(long = "root", value_name = "IDENTITY@IP/PORT[,IP/PORT...]")]
    pub roots: Vec<RootArg>,
    /// Address of a root that is none any more
    #[arg(long = "remove", value_name = "ADDRESS")]
    pub removed: Vec<Address>,
    /// File to write for clients to come
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Prints as JSON what is otherwise said in words
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PlanetShowArgs {
    /// Planet; - is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Prints the base64 that mobile clients take in their settings, and nothing else
    #[arg(long, group = "form")]
    pub base64: bool,
    /// Prints the link that mobile clients open, and nothing else
    #[arg(long, group = "form")]
    pub link: bool,
    /// Prints the link as a QR code
    #[arg(long, group = "form")]
    pub qr: bool,
    /// Writes the link as a QR code into a picture
    #[arg(long, value_name = "FILE.png")]
    pub qr_png: Option<PathBuf>,
    /// Prints as JSON what it contains, with base64 and link
    #[arg(long, group = "form")]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MoonShowArgs {
    /// Moon; - is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Prints as JSON what is otherwise said in words
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct WorldVerifyArgs {
    /// File to check; - is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The version that clients have: says whether they take FILE as the next one
    #[arg(long, value_name = "OLD")]
    pub after: Option<PathBuf>,
    /// Prints as JSON what is otherwise said in words
    #[arg(long)]
    pub json: bool,
}

/// A root as the command line names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RootArg {
    pub identity: PublicIdentity,
    pub endpoints: Vec<EndpointText>,
}

impl FromStr for RootArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (identity, endpoints) = text
            .rsplit_once('@')
            .ok_or("expected IDENTITY@IP/PORT, for example identity.public@203.0.113.1/9993")?;
        let identity = match identity.parse() {
            Ok(identity) => identity,
            Err(error) if identity.contains(':') => return Err(format!("the identity: {error}")),
            Err(_) => {
                let content = fs::read_to_string(identity)
                    .map_err(|error| format!("cannot read {identity}: {error}"))?;
                content.trim().parse().map_err(|error| format!("{identity}: {error}"))?
            }
        };
        let endpoints = endpoints
            .split(',')
            .map(|endpoint| endpoint.parse().map_err(|error| format!("{endpoint}: {error}")));
        Ok(Self { identity, endpoints: endpoints.collect::<Result<_, _>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: &str = "778cde7190:0:3f6681a99e5ad1895e9fba33e6212d4454e168bcec7112101bf000956ed8e92e\
                            42892cb6f2ec410881a84ab19da50e1287ba3d926c3a1f755cccf299a1207055";

    #[test]
    fn a_root_is_an_identity_or_its_file_with_endpoints() {
        let root: RootArg = format!("{IDENTITY}@203.0.113.1/9993,fd00::1/1").parse().unwrap();
        assert_eq!(root.identity.address.to_string(), "778cde7190");
        assert_eq!(root.endpoints.len(), 2);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("identity.public");
        fs::write(&file, format!("{IDENTITY}\n")).unwrap();
        let same: RootArg = format!("{}@203.0.113.1/9993,fd00::1/1", file.display()).parse().unwrap();
        assert_eq!(same, root);
    }

    #[test]
    fn what_is_wrong_with_a_root_is_named() {
        let error = |text: &str| text.parse::<RootArg>().unwrap_err();
        assert!(error("778cde7190").contains("IDENTITY@IP/PORT"));
        assert!(error("778cde7190:0:3f@203.0.113.1/9993").contains("the identity"));
        assert!(error("nowhere@203.0.113.1/9993").contains("cannot read nowhere"));
        assert!(error(&format!("{IDENTITY}@203.0.113.1")).contains("203.0.113.1: expected IP/PORT"));
    }
}
