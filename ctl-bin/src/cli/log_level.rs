//! `ctl-bin log-level`: what a running controller logs.

use clap::Args;
use serde_json::json;

use super::args::ConnectArgs;
use super::table::{printable, show};
use super::{CliError, Client, show_json, text};

const PATH: &str = "/api/v2/log-level";

/// Shows or changes what a running controller logs, until it reads its settings again
///
/// Needs a token that may do everything.
///
/// Exit codes: 0 done, 1 refused or failed, 2 command line not understood, 4 no controller answers, 5 the token is refused.
#[derive(Debug, Args)]
pub(crate) struct LogLevelArgs {
    /// What to log from now on: error, warn, info, debug, trace or off, and the same for modules, for example
    /// info,ctl_bin::vl1=debug [default: leaves it, and shows what it is]
    #[arg(value_name = "LEVELS")]
    pub levels: Option<String>,
    /// Prints what the API answers
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// Does what the command says.
pub(crate) fn run(args: &LogLevelArgs) -> Result<(), CliError> {
    let client = Client::new(&args.connect)?;
    let answer = match &args.levels {
        None => client.get(PATH)?,
        Some(levels) => client.put(PATH, &json!({ "levels": levels }))?,
    };
    if args.json {
        show_json(&answer);
    } else {
        show(&printable(text(&answer, "levels")));
    }
    Ok(())
}
