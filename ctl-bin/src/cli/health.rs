//! `ctl-bin health`: whether the controller serves, for what watches containers.

use clap::Args;
use serde_json::Value;

use super::args::ConnectArgs;
use super::table::show;
use super::{CliError, Client};

/// Says whether the controller is ready to serve; needs no token
///
/// Exit codes: 0 it is, 1 it is not, 4 no controller answers.
#[derive(Debug, Args)]
pub(crate) struct HealthArgs {
    /// Prints what the API answers
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// Asks, and says the answer.
pub(crate) fn run(args: &HealthArgs) -> Result<(), CliError> {
    let client = Client::without_token(&args.connect)?;
    let (status, body) = client.exchange("/health/ready")?;
    let body: Option<Value> = serde_json::from_slice(&body).ok();
    match (status, body) {
        (200, Some(body)) if super::flag(&body, "ready") => {
            if args.json {
                super::show_json(&body);
            } else {
                show("ready");
            }
            Ok(())
        }
        (503, Some(body)) => Err(CliError::NotReady { says: super::table::printable(&body.to_string()) }),
        _ => Err(CliError::NoController { url: client.url().to_owned() }),
    }
}
