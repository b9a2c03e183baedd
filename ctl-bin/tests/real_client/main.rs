//! The controller in front of a ZeroTier client that somebody else wrote.
//!
//! The client is the one in the Python package `libzt` (version and hash are pinned in `ztclient.py`). It is
//! fetched by pip into the target folder when the tests run, and never becomes part of the repository. Each
//! test runs in a network namespace of its own, in which the controller is the clients' only root, so that the
//! tests neither reach the outside nor each other.
//!
//! Needs python3 with pip, a C compiler called `cc`, x86-64 Linux and permission to make namespaces.
//! The tests behind NATs need root and iproute2 as well, the one of changing interfaces iproute2; without them they say so and
//! are skipped.
//! `CTL_SKIP_REAL_CLIENT=1` skips these tests, and says so.

#[cfg(test)]
mod changes;
#[cfg(test)]
mod client;
#[cfg(test)]
mod controller;
#[cfg(test)]
mod http;
#[cfg(test)]
mod interfaces;
#[cfg(test)]
mod moons;
#[cfg(test)]
mod namespace;
#[cfg(test)]
mod nat;
#[cfg(test)]
mod process;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod standby;
#[cfg(test)]
mod worlds;
