//! How fast the machine is, by what no controller can do without: figures of different machines are compared by these.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use benches::process::Result;
use nix::time::ClockId;
use zt_crypto::IdentitySecret;

use crate::identities;
use crate::report::Report;

/// Rounds of which the median counts, as others may use the machine.
const ROUNDS: usize = 31;
const SIGNATURES: u32 = 100;
const DATAGRAMS: u32 = 500;
/// About an answer of one chunk, in octets.
const DATAGRAM_LEN: usize = 600;

/// Reports what one signature and one datagram, sent and received over loopback, take here: CPU time, in microseconds.
pub(crate) fn measure(report: &mut Report) -> Result<()> {
    let identity = identities::controller()?;
    report.figure("machine: a signature, µs", median(|| sign(&identity))?);
    let (from, to) = (UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?, UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?);
    from.connect(to.local_addr()?)?;
    to.set_read_timeout(Some(Duration::from_secs(1)))?;
    report.figure("machine: a datagram sent and received, µs", median(|| pass(&from, &to))?);
    Ok(())
}

/// Returns the microseconds of one of the things that each round does so many of, in the median round.
fn median(mut round: impl FnMut() -> Result<u32>) -> Result<f64> {
    let mut times = (0..ROUNDS)
        .map(|_| {
            let before = thread_time()?;
            let count = round()?;
            Ok((thread_time()? - before).as_secs_f64() * 1e6 / f64::from(count))
        })
        .collect::<Result<Vec<_>>>()?;
    times.sort_unstable_by(f64::total_cmp);
    times.get(ROUNDS / 2).copied().ok_or_else(|| "no rounds".into())
}

fn thread_time() -> Result<Duration> {
    Ok(ClockId::CLOCK_THREAD_CPUTIME_ID.now()?.into())
}

fn sign(identity: &IdentitySecret) -> Result<u32> {
    for n in 0..SIGNATURES {
        std::hint::black_box(identity.sign(&n.to_be_bytes()));
    }
    Ok(SIGNATURES)
}

fn pass(from: &UdpSocket, to: &UdpSocket) -> Result<u32> {
    let mut datagram = [0; DATAGRAM_LEN];
    for _ in 0..DATAGRAMS {
        from.send(&datagram)?;
        to.recv(&mut datagram)?;
    }
    Ok(DATAGRAMS)
}
