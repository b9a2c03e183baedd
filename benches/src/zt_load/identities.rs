//! Identities for the clients.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use benches::process::Result;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use zt_crypto::IdentitySecret;
use zt_crypto::signature::WorldKey;
use zt_proto::Address;

use crate::progress::Progress;

const THREADS: usize = 2;

/// Returns where things are kept that take long to make: `zt-load` in the folder of compiled programs.
pub(crate) fn cache() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let release = own.parent().ok_or("this program is in no folder")?;
    let folder = release.parent().unwrap_or(release).join("zt-load");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Returns the identity of controllers that are started here, always the same: networks are named after it.
pub(crate) fn controller() -> Result<IdentitySecret> {
    let path = cache()?.join("controller.secret");
    if !path.exists() {
        let secret = IdentitySecret::generate(&mut ChaCha20Rng::from_seed([1; 32]));
        fs::write(&path, secret.to_text().as_bytes())?;
    }
    Ok(fs::read_to_string(&path)?.parse()?)
}

/// Returns identities that every controller accepts. Making one takes half a second, so they are kept.
pub(crate) fn real(count: usize) -> Result<Vec<IdentitySecret>> {
    let path = cache()?.join("identities");
    let text = if path.exists() { fs::read_to_string(&path)? } else { String::new() };
    let mut found: Vec<_> =
        text.lines().take(count).map(str::parse).collect::<std::result::Result<_, _>>()?;
    let missing = count - found.len();
    if missing > 0 {
        let progress = Progress::new("identities", missing);
        let start = found.len();
        found.extend(in_parallel(missing, |n| {
            progress.advance(1);
            Ok(IdentitySecret::generate(&mut ChaCha20Rng::from_seed(seed(start + n, 2))))
        })?);
        append(&path, &found)?;
    }
    Ok(found)
}

/// Returns identities without the work in their addresses, from number `first` on: those of clients of controllers whose
/// database says that they were verified.
pub(crate) fn unproven(first: usize, count: usize) -> Result<Vec<IdentitySecret>> {
    let progress = Progress::new("identities", count);
    in_parallel(count, |n| {
        progress.advance(1);
        let n = first + n;
        let keys = WorldKey::generate(&mut ChaCha20Rng::from_seed(seed(n, 3))).to_bytes();
        let (public, secret) = keys.split_at(keys.len() / 2);
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        Ok(format!("{}:0:{}:{}", address(n), hex(public), hex(secret)).parse()?)
    })
}

/// Returns the address of member `n`, spread over all addresses as chance does.
pub(crate) fn address(n: usize) -> Address {
    Address::from_low_bits(1 + (n as u64).wrapping_mul(0x9e_3779_b97f) % 0xfe_ffff_ffff)
}

fn append(path: &Path, identities: &[IdentitySecret]) -> Result<()> {
    let text: String = identities.iter().map(|secret| format!("{}\n", *secret.to_text())).collect();
    Ok(fs::write(path, text)?)
}

fn seed(n: usize, purpose: u8) -> [u8; 32] {
    let mut seed = [purpose; 32];
    for (to, from) in seed.iter_mut().zip((n as u64).to_be_bytes()) {
        *to = from;
    }
    seed
}

/// Makes `count` things, in order, on all cores.
pub(crate) fn in_parallel<T: Send>(count: usize, make: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
    let share = count.div_ceil(THREADS).max(1);
    let make = &make;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .step_by(share)
            .map(|first| {
                scope.spawn(move || (first..count.min(first + share)).map(make).collect::<Result<Vec<_>>>())
            })
            .collect();
        let mut all = Vec::with_capacity(count);
        for thread in threads {
            all.extend(thread.join().map_err(|_| "a thread panicked")??);
        }
        Ok(all)
    })
}
