//! `ctl-bin apply`: makes networks, members and rules what a file says (`docs/apply.md`).
//!
//! What is there is read first; each change is then made on the condition that nobody changed the record meanwhile.

mod act;
mod file;
mod plan;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::args::ConnectArgs;
use super::progress::{Progress, ProgressArgs};
use super::table::show;
use super::{CliError, Client, confirm, show_json};

/// With --plan: there is something to do.
const EXIT_CHANGES: u8 = 2;

/// Makes networks, members and rules what a file says
///
/// What the file does not name stays as it is, unless --prune is given. Says first what it would do, and asks.
///
/// Exit codes: 0 everything is as the file says, 1 refused or failed, 4 no controller answers, 5 the token is refused; with
/// --plan 0 nothing is to be done, 2 something is.
#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// TOML, as docs/apply.md describes it
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Changes nothing, and says what would be done
    #[arg(long, conflicts_with = "yes")]
    pub plan: bool,
    /// Does not ask
    #[arg(long)]
    pub yes: bool,
    /// Removes networks that the file does not name, and members that it does not name of networks for which it names some
    #[arg(long)]
    pub prune: bool,
    /// Prints what is done as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub progress: ProgressArgs,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// Does what the command says.
pub(crate) fn run(args: &ApplyArgs) -> Result<ExitCode, CliError> {
    let wanted = file::read(&args.file)?;
    let client = Client::new(&args.connect)?;
    let shown = Progress::unknown("comparing", args.progress);
    let plan = plan::make(&client, wanted, args.prune)?;
    drop(shown);
    if args.json {
        show_json(&plan.to_json());
    } else {
        show(&plan.to_text());
    }
    if plan.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    if args.plan {
        return Ok(ExitCode::from(EXIT_CHANGES));
    }
    confirm(&plan.question(), args.yes).map_err(|_| CliError::NotApplied)?;
    act::apply(&client, &plan, args.progress)?;
    if !args.json {
        show("done");
    }
    Ok(ExitCode::SUCCESS)
}
