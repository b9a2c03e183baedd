//! `ctl-bin completions` and `ctl-bin man`: what shells and `man` know of the command line.

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::config::Cli;

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Shell to write for
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Directory to write to, for example /usr/local/share/man/man1; made if it is not there
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}

/// Why the manual was not written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the manual to {}: {source}; name another directory", dir.display())]
pub(crate) struct ManError {
    dir: PathBuf,
    source: io::Error,
}

/// Prints what the shell is to read at its start.
pub(crate) fn completions(args: &CompletionsArgs) {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "ctl-bin", &mut script);
    let mut script = String::from_utf8_lossy(&script).into_owned();
    if args.shell == Shell::Bash {
        // clap_complete 4.6 writes a hyphen in the name of the program in two ways, so that nothing below it is found.
        script = script.replace("ctl__subcmd__bin", "ctl__bin");
    }
    super::announce::say(script.trim_end());
}

/// Writes a page for each command.
pub(crate) fn man(args: &ManArgs) -> Result<(), ManError> {
    let failed = |source| ManError { dir: args.dir.clone(), source };
    fs::create_dir_all(&args.dir).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), &args.dir).map_err(failed)
}
