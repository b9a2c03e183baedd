//! Starting, stopping and failing to start: what somebody sees who runs the program.

#[cfg(test)]
mod activation;
#[cfg(test)]
mod apply;
#[cfg(test)]
mod backup;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod complaints;
#[cfg(test)]
mod configuration;
#[cfg(test)]
mod containers;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod figures;
#[cfg(test)]
mod full_disk;
#[cfg(test)]
#[path = "../real_client/http.rs"]
mod http;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod lease;
#[cfg(test)]
mod litestream;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod machine;
#[cfg(test)]
#[path = "../real_client/process.rs"]
#[expect(dead_code, reason = "the tests with real clients need more of it")]
mod process;
#[cfg(test)]
mod program;
#[cfg(test)]
mod progress;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod security;
#[cfg(test)]
mod service;
#[cfg(test)]
mod serving;
#[cfg(test)]
#[path = "../../../ctl-store/tests/it/small_disk.rs"]
mod small_disk;
#[cfg(test)]
mod snapshot;
#[cfg(test)]
mod transfer;
#[cfg(test)]
mod verify;
#[cfg(test)]
mod webhooks;
#[cfg(test)]
mod worlds;
