//! What the fuzz targets do with their input.
//!
//! Each body returns whether the input made sense, so that `cargo test -p fuzz`, which replays the seeds of
//! `corpus/` on stable, notices seeds that have become junk. The seeds are cut from the test vectors of the other
//! crates. A target is a file of `targets/`, a `[[bin]]`, an entry of [`TARGETS`] and a folder of `corpus/`.

mod credentials;
mod http;
mod node;
mod packet;
mod record;
mod text;
mod verb;

pub use credentials::{credentials, rules, world};
pub use http::{local_conf, origin, scope};
pub use node::node_datagram;
pub use packet::{extended_armor, fragment, packet};
pub use record::{recent_history, record, rules_json};
pub use text::{dictionary, identity, network_config, settings_file, text_config, world_description};
pub use verb::{circuit_test, hello, message, network_config_request};

/// What a target does with an input; returns whether that made sense.
pub type Body = fn(&[u8]) -> bool;

/// All targets by name.
pub const TARGETS: [(&str, Body); 23] = [
    ("circuit_test", circuit_test),
    ("credentials", credentials),
    ("dictionary", dictionary),
    ("extended_armor", extended_armor),
    ("fragment", fragment),
    ("hello", hello),
    ("identity", identity),
    ("local_conf", local_conf),
    ("message", message),
    ("network_config", network_config),
    ("network_config_request", network_config_request),
    ("node_datagram", node_datagram),
    ("origin", origin),
    ("packet", packet),
    ("recent_history", recent_history),
    ("record", record),
    ("rules", rules),
    ("rules_json", rules_json),
    ("scope", scope),
    ("settings_file", settings_file),
    ("text_config", text_config),
    ("world", world),
    ("world_description", world_description),
];

/// Asserts that a value that was read is still the same after it was written and read again.
macro_rules! assert_survives_writing {
    ($value:expr, $parse:expr) => {{
        let value = $value;
        let mut bytes = Vec::new();
        value.write(&mut bytes);
        assert_eq!($parse(&bytes).as_ref(), Ok(&value));
    }};
}
pub(crate) use assert_survives_writing;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    /// `known-flaws.md` row 11: each parser of foreign bytes has a target.
    #[test]
    fn seeds_break_nothing_and_make_sense_to_their_target() {
        for (name, body) in TARGETS {
            let seeds = files(&format!("corpus/{name}"));
            let accepted = seeds.iter().filter(|seed| {
                println!("{}", seed.display());
                body(&fs::read(seed).unwrap())
            });
            assert!(2 * accepted.count() >= seeds.len(), "most seeds of {name} are junk to it");
            assert!(!seeds.is_empty(), "{name} has no seeds");
        }
    }

    #[test]
    fn every_target_is_listed_built_and_seeded() {
        let listed = TARGETS.map(|(name, _)| name.to_owned()).into();
        let stems = |folder: &str| -> BTreeSet<String> {
            files(folder).iter().map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
        };
        assert_eq!(stems("targets"), listed);
        assert_eq!(stems("corpus"), listed);
        let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
        let built: BTreeSet<String> = manifest
            .lines()
            .filter_map(|line| {
                Some(line.strip_prefix("path = \"targets/")?.strip_suffix(".rs\"")?.to_owned())
            })
            .collect();
        assert_eq!(built, listed);
    }

    fn files(folder: &str) -> Vec<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let mut files: Vec<_> = fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        files
    }
}
