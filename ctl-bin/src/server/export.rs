//! `ctl-bin export`: moves out (`docs/migration.md`).

use ctl_store::export::{ExportError, Exported, Format, export};
use ctl_store::{Store, StoreError};
use serde_json::json;

use super::announce::{say, say_json};
use super::config::{ExportArgs, ExportFormat};
use super::home::HomeError;
use super::owner;
use crate::cli::progress::Progress;
use crate::cli::table::counted;

/// Why nothing was exported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MoveOutError {
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error(transparent)]
    Export(#[from] ExportError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Exports what is in the home, beside a controller that may be running.
pub(crate) fn run(args: &ExportArgs) -> Result<(), MoveOutError> {
    let home = owner::open_existing(&args.home.home)?;
    let store = Store::open_read_only(&home.database())?;
    let format = match args.format {
        ExportFormat::ControllerD => Format::ControllerD,
        ExportFormat::Json => Format::Json,
    };
    let shown = Progress::unknown("exporting", args.progress);
    let exported = export(&store, format, &args.path, args.force, &mut |records| {
        shown.say(|| format!("{records} records"));
    });
    drop(shown);
    let Exported { networks, members, warnings } = exported?;
    if args.json {
        let warnings = if format == Format::ControllerD { warnings } else { Vec::new() };
        say_json(
            &json!({ "path": args.path, "networks": networks, "members": members, "warnings": warnings }),
        );
        return Ok(());
    }
    for warning in warnings.iter().filter(|_| format == Format::ControllerD) {
        say(&format!("warning: {warning}"));
    }
    let (networks, members) = (counted(networks, "network"), counted(members, "member"));
    say(&format!("exported: {networks} and {members} to {}", args.path.display()));
    if format == Format::ControllerD {
        say(&format!(
            "next: stop this controller; then put the directory as controller.d, and identity.secret of {}, into the \
             home of the official one",
            home.path().display()
        ));
    }
    Ok(())
}
