//! A network namespace of its own, in which every address of 10/8 is local: each client gets an address, and nothing
//! leaves the machine.

use std::env;
use std::process::{Command, ExitStatus};

use crate::process::Result;

/// Set in the process that runs inside.
const INSIDE: &str = "CTL_BENCH_NAMESPACE";

/// Says whether this process runs inside already.
pub fn is_inside() -> bool {
    env::var_os(INSIDE).is_some()
}

/// Starts this program again with the same arguments, inside; returns how it ended.
///
/// # Errors
/// Without `unshare`, or without the right to use it.
pub fn run_inside() -> Result<ExitStatus> {
    let mut command = Command::new("unshare");
    // Root needs no user namespace, in which files would belong to somebody else.
    command.arg("-n").arg(env::current_exe()?).args(env::args_os().skip(1)).env(INSIDE, "1");
    Ok(command.status().map_err(|error| format!("needs root, unshare and iproute2: {error}"))?)
}

/// Makes all of 10/8 local. To be called inside.
pub fn set_up() -> Result<()> {
    for arguments in ["link set lo up", "route add local 10.0.0.0/8 dev lo"] {
        let done = Command::new("ip").args(arguments.split(' ')).status()?;
        if !done.success() {
            return Err(format!("ip {arguments}: {done}").into());
        }
    }
    Ok(())
}
