//! `ctl-bin moon`: roots beside those of the planet (`vl1.md` §15.8).

use rand_core::CryptoRng;
use serde_json::{Map, Value};
use zt_proto::Timestamp;
use zt_proto::world::{World, WorldKind};

use super::announce::{say, say_json};
use super::world_args::MoonCommand;
use super::world_file;
use super::world_maker::{self, WorldError};

/// Does what the command says.
pub(crate) fn run(command: &MoonCommand, now: Timestamp, rng: &mut impl CryptoRng) -> Result<(), WorldError> {
    match command {
        MoonCommand::Create(args) => {
            let moon = world_maker::create(WorldKind::Moon, args, now, rng)?;
            if args.json {
                say_json(&to_orbit(&moon).into());
                return Ok(());
            }
            say(&format!(
                "moon: {} bytes in {}\n{}",
                world_file::to_bytes(&moon).len(),
                args.out.display(),
                orbit(&moon)
            ));
        }
        MoonCommand::Roll(args) => {
            let moon = world_maker::roll(WorldKind::Moon, args, now, rng)?;
            if args.json {
                say_json(&to_orbit(&moon).into());
                return Ok(());
            }
            say(&format!(
                "moon: version {}\nIts roots that have this file hand it out to the clients that orbit it.",
                moon.timestamp.0
            ));
        }
        MoonCommand::Show(args) => {
            let moon = world_file::read(&args.file, Some(WorldKind::Moon))?;
            if args.json {
                say_json(&to_orbit(&moon).into());
                return Ok(());
            }
            say(&format!("{}{}", world_file::describe(&moon), orbit(&moon)));
        }
        MoonCommand::Verify(args) => world_maker::verify(WorldKind::Moon, args)?,
    }
    Ok(())
}

/// Returns a moon with what to type at a client.
fn to_orbit(moon: &World) -> Map<String, Value> {
    let mut fields = world_file::to_json(moon);
    fields.insert("orbit".to_owned(), orbit_commands(moon).collect());
    fields
}

/// Returns what to type, for each root one command of which one is enough.
fn orbit_commands(moon: &World) -> impl Iterator<Item = String> {
    moon.roots.iter().map(|root| format!("zerotier-cli orbit {:010x} {}", moon.id, root.identity.address))
}

/// Says what to type at a client, which asks one of the roots for the moon.
fn orbit(moon: &World) -> String {
    let seeds = orbit_commands(moon).map(|command| format!("\x20     {command}"));
    format!(
        "next: at each client, any one of these; or put the file as moons.d/{:016x}.moon into its home and restart it\n{}",
        moon.id,
        seeds.collect::<Vec<_>>().join("\n")
    )
}
