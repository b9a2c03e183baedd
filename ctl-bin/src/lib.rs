//! A ZeroTier network controller.
//!
//! [`vl1`] is the protocol node without I/O; `server` (a default feature) is everything that touches the operating
//! system. `vl1` names nothing of this crate outside itself but [`dense`] and `room`.

#[cfg(feature = "server")]
mod cli;
pub mod dense;
mod room;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "server")]
#[cfg(test)]
#[path = "../../ctl-store/tests/it/small_disk.rs"]
mod small_disk;
pub mod vl1;

/// Runs the program with the arguments of the process, and returns its exit code: 0, 1 for what it could not do, 2 for
/// a command line that it does not understand, 3 for an import whose report somebody should read, 4 if no controller
/// answers, 5 if it refuses the token, 6 if it knows no such network or member.
#[cfg(feature = "server")]
pub fn main() -> std::process::ExitCode {
    server::main()
}
