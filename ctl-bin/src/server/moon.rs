//! `ctl-bin moon`: roots beside those of the planet (`vl1.md` §15.8).

use rand_core::CryptoRng;
use zt_proto::Timestamp;
use zt_proto::world::{World, WorldKind};

use super::announce::say;
use super::world_args::MoonCommand;
use super::world_file;
use super::world_maker::{self, WorldError};

/// Does what the command says.
pub(crate) fn run(command: &MoonCommand, now: Timestamp, rng: &mut impl CryptoRng) -> Result<(), WorldError> {
    match command {
        MoonCommand::Create(args) => {
            let moon = world_maker::create(WorldKind::Moon, args, now, rng)?;
            say(&format!(
                "moon: {} bytes in {}\n{}",
                world_file::to_bytes(&moon).len(),
                args.out.display(),
                orbit(&moon)
            ));
        }
        MoonCommand::Roll(args) => {
            let moon = world_maker::roll(WorldKind::Moon, args, now, rng)?;
            say(&format!(
                "moon: version {}\nIts roots that have this file hand it out to the clients that orbit it.",
                moon.timestamp.0
            ));
        }
        MoonCommand::Show(args) => {
            let moon = world_file::read(&args.file, Some(WorldKind::Moon))?;
            say(&format!("{}{}", world_file::describe(&moon), orbit(&moon)));
        }
        MoonCommand::Verify(args) => say(&world_maker::verify(WorldKind::Moon, args)?),
    }
    Ok(())
}

/// Says what to type at a client, which asks one of the roots for the moon.
fn orbit(moon: &World) -> String {
    let seeds = moon
        .roots
        .iter()
        .map(|root| format!("\x20     zerotier-cli orbit {:010x} {}", moon.id, root.identity.address));
    format!(
        "next: at each client, any one of these; or put the file as moons.d/{:016x}.moon into its home and restart it\n{}",
        moon.id,
        seeds.collect::<Vec<_>>().join("\n")
    )
}
