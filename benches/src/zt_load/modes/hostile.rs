//! What attackers send beside members that ask steadily, all of it from addresses of 10/8 of their own.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use benches::process::Result;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use zt_proto::NetworkId;

use crate::load::Load;
use crate::report::float;
use crate::{Cli, Stage, identities, meet};

/// Identities that say HELLO in turn; no proof of work is in their addresses, which it takes milliseconds to see.
const FRESH: usize = 4_096;
/// Datagrams of garbage that are sent in turn.
const GARBAGE: usize = 1_024;
/// Requests of members that are sent again and again by somebody else.
const COPIES: usize = 1_024;
/// Most datagrams in a row, so that the clients get to read.
const BURST: u64 = 256;

/// Members ask steadily, first alone, then while a third of a flood are HELLOs of new identities, a third garbage that looks
/// like packets of members, and a third copies of what members sent.
pub(super) fn hostile(cli: &Cli, stage: &mut Stage) -> Result<()> {
    stage.meet_all(cli)?;
    stage.request_all(cli.window)?;
    let before = stage.usage()?;
    stage.load.keep_requests(COPIES);
    let times = stage.ask_steadily(cli, |_, _| Ok(()))?;
    stage.report_replies("calm: ", before, times)?;
    let mut flood = Flood::new(&mut stage.load)?;
    let (before, rate) = (stage.usage()?, f64::from(cli.hostile_rate));
    let times = stage.ask_steadily(cli, |load, elapsed| flood.go_on(load, rate, elapsed))?;
    stage.report.figure("flood: datagrams/s", float(flood.sent) / cli.duration().as_secs_f64());
    stage.report_replies("flood: ", before, times)?;
    stage.report_end()
}

/// What is sent, in turn.
struct Flood {
    datagrams: Vec<Vec<u8>>,
    sent: u64,
}

impl Flood {
    fn new(load: &mut Load) -> Result<Self> {
        let mut rng = ChaCha20Rng::from_seed([5; 32]);
        // Numbers that no member has.
        let secrets = identities::unproven(usize::MAX >> 32, FRESH)?;
        let hellos =
            meet(secrets, load.controller())?.into_iter().map(|node| node.hello(rng.next_u64(), load.target));
        let hellos: Vec<_> = hellos.collect();
        let copies = load.kept_requests();
        let mut garbage = Vec::with_capacity(GARBAGE);
        for n in 0..GARBAGE {
            let client = load.clients.get(n % load.clients.len()).ok_or("no clients")?;
            // Authentic but for one bit, so that everything has to be looked at.
            let mut packet = client.member.request(rng.next_u64(), NetworkId(rng.next_u64()));
            if let Some(last) = packet.last_mut() {
                *last ^= 1;
            }
            garbage.push(packet);
        }
        let turns = [hellos, garbage, copies];
        let longest = turns.iter().map(Vec::len).max().unwrap_or(0);
        let at = |n: usize| turns.iter().filter_map(move |turn| turn.get(n % turn.len().max(1)).cloned());
        Ok(Self { datagrams: (0..longest).flat_map(at).collect(), sent: 0 })
    }

    /// Sends what is due after so long.
    fn go_on(&mut self, load: &mut Load, rate: f64, elapsed: Duration) -> Result<()> {
        for _ in 0..BURST {
            if float(self.sent) >= rate * elapsed.as_secs_f64() {
                break;
            }
            let number = usize::try_from(self.sent)?;
            let Some(datagram) = self.datagrams.get(number % self.datagrams.len().max(1)) else { break };
            load.transmit_from(source(self.sent), datagram)?;
            self.sent += 1;
        }
        Ok(())
    }
}

/// Returns an address that no client has; neighbours are in different /24, 65,536 in all.
fn source(n: u64) -> IpAddr {
    let network = u32::try_from(n % 0x1_0000).unwrap_or(0);
    Ipv4Addr::from_bits(0x0a00_0000 | network << 8 | 250).into()
}
