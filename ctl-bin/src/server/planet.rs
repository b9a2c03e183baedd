//! `ctl-bin planet`: the roots that clients know instead of the public ones (`vl1.md` §15, §16.7).

use rand_core::CryptoRng;
use serde_json::{Map, Value};
use zt_proto::Timestamp;
use zt_proto::world::{World, WorldKind};

use super::announce::{say, say_json};
use super::world_args::{PlanetCommand, PlanetShowArgs};
use super::world_maker::{self, WorldError};
use super::{share, world_file};

/// Does what the command says.
pub(crate) fn run(
    command: &PlanetCommand,
    now: Timestamp,
    rng: &mut impl CryptoRng,
) -> Result<(), WorldError> {
    match command {
        PlanetCommand::Create(args) => {
            let planet = world_maker::create(WorldKind::Planet, args, now, rng)?;
            if args.json {
                say_json(&shared(&planet).into());
                return Ok(());
            }
            let out = args.out.display();
            say(&format!(
                "planet: {} bytes in {out}, {}\n\
                 next: put this file as `planet` into the home directory of each client (on Linux\n\
                \x20     /var/lib/zerotier-one), then restart the client; for phones: planet show --qr {out}\n\
                 A controller that runs on this home takes it up by itself, unless --planet names another.",
                world_file::to_bytes(&planet).len(),
                roots(&planet)
            ));
        }
        PlanetCommand::Roll(args) => {
            let planet = world_maker::roll(WorldKind::Planet, args, now, rng)?;
            if args.json {
                say_json(&shared(&planet).into());
                return Ok(());
            }
            say(&format!(
                "planet: version {}, {}\n\
                 A root that runs on this home hands it out within seconds; clients ask for it with their next HELLO, at\n\
                 the latest after four minutes. Leave old addresses in use until then.",
                planet.timestamp.0,
                roots(&planet)
            ));
        }
        PlanetCommand::Show(args) => show(args)?,
        PlanetCommand::Verify(args) => world_maker::verify(WorldKind::Planet, args)?,
    }
    Ok(())
}

/// Returns a planet with what phones take of it.
fn shared(planet: &World) -> Map<String, Value> {
    let bytes = world_file::to_bytes(planet);
    let mut fields = world_file::to_json(planet);
    fields.insert("base64".to_owned(), share::base64(&bytes).into());
    fields.insert("link".to_owned(), share::link(&bytes).into());
    fields
}

fn roots(world: &World) -> String {
    let addresses: Vec<_> = world.roots.iter().map(|root| root.identity.address.to_string()).collect();
    format!("{} {}", if addresses.len() == 1 { "root" } else { "roots" }, addresses.join(", "))
}

fn show(args: &PlanetShowArgs) -> Result<(), WorldError> {
    let planet = world_file::read(&args.file, Some(WorldKind::Planet))?;
    let bytes = world_file::to_bytes(&planet);
    let link = share::link(&bytes);
    if let Some(file) = &args.qr_png {
        world_maker::write(file, &share::picture(&link)?)?;
    }
    if args.base64 {
        say(&share::base64(&bytes));
    } else if args.link {
        say(&link);
    } else if args.qr {
        say(&share::terminal(&link)?);
    } else if args.json {
        say_json(&shared(&planet).into());
    } else if args.qr_png.is_none() {
        say(world_file::describe(&planet).trim_end());
    }
    Ok(())
}
