//! A controller of our own to put under load: its home, filled through the store.

use std::fs::{self, File, Permissions};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use benches::process::Result;
use ctl_core::member::ClientVersion;
use ctl_core::network::{CapabilityDefinition, Pool, Route, TagDefinition, V4Assign};
use ctl_core::{Member, Network};
use ctl_store::{Store, StoreError};
use tempfile::TempDir;
use zt_crypto::IdentitySecret;
use zt_proto::rules::{Rule, RuleBody};
use zt_proto::{Address, NetworkId, PublicIdentity, Timestamp};

use crate::identities::{address, cache};
use crate::progress::Progress;

const NOW: Timestamp = Timestamp(1_795_356_830_104);
/// Members that are written in one transaction.
const AT_ONCE: usize = 10_000;
/// The rule of each capability.
const ACCEPT: Rule = Rule { not: false, or: false, body: RuleBody::Accept };
/// The network that strangers join.
pub(crate) const OPEN_NETWORK: u32 = 0x00ff_fffe;

/// What a database is filled with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Networks, numbered from 1.
    pub networks: usize,
    /// Members of each.
    pub members: usize,
    /// Members of all networks together that are clients; the n-th is in network 1 + n mod `networks`.
    pub clients: usize,
    /// Tags and capabilities of each member: each has a signature of its own in a configuration.
    pub tags: u32,
    pub capabilities: u32,
}

impl Size {
    /// Returns what is known of a controller that runs already: one network of its clients.
    pub(crate) fn of_clients(clients: usize) -> Self {
        Self { networks: 1, members: clients, clients, tags: 0, capabilities: 0 }
    }

    /// Returns the network of a client.
    pub(crate) fn network_of(&self, client: usize, controller: Address) -> NetworkId {
        NetworkId::of_controller(controller, u32::try_from(1 + client % self.networks).unwrap_or(1))
    }
}

/// Makes a home with the identity of [`crate::identities::controller`], in which the clients are known.
///
/// A database of the same size is kept and copied.
pub(crate) fn make(size: Size, clients: &[IdentitySecret], controller: &IdentitySecret) -> Result<TempDir> {
    let Size { networks, members, clients: count, tags, capabilities } = size;
    let credentials = match (tags, capabilities) {
        (0, 0) => String::new(),
        (tags, capabilities) => format!("-{tags}-tags-{capabilities}-capabilities"),
    };
    let kept =
        cache()?.join(format!("{networks}-networks-{members}-members-{count}-clients{credentials}.db"));
    if !kept.exists() {
        let unfinished = kept.with_extension("new");
        remove(&unfinished)?;
        fill(&unfinished, size, clients, controller.address())?;
        fs::rename(&unfinished, &kept)?;
    }
    let private = Permissions::from_mode(0o700);
    let home = tempfile::Builder::new().prefix("zt-load-").permissions(private).tempdir()?;
    let (secret, database) = (home.path().join("identity.secret"), home.path().join("controller.db"));
    fs::write(&secret, controller.to_text().as_bytes())?;
    fs::copy(&kept, &database)?;
    for path in [secret, database] {
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        // Or the controller would pay for it with its first checkpoint.
        File::open(path)?.sync_all()?;
    }
    Ok(home)
}

fn remove(database: &Path) -> Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let mut path = database.as_os_str().to_owned();
        path.push(suffix);
        let path = PathBuf::from(path);
        if path.exists() {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn fill(path: &Path, size: Size, clients: &[IdentitySecret], controller: Address) -> Result<()> {
    let store = Store::open(path)?;
    let open =
        Network { private: false, ..network(NetworkId::of_controller(controller, OPEN_NETWORK), size) };
    store.write(|tx| tx.networks().put(&open))?;
    let total = size.networks * size.members;
    let progress = Progress::new("members", total);
    for number in 0..size.networks {
        let id = size.network_of(number, controller);
        store.write(|tx| tx.networks().put(&network(id, size)))?;
        // The clients of this network, and then others.
        let own = (number..size.clients).step_by(size.networks);
        let fillers = size.clients + number * size.members..;
        let all: Vec<_> = own.chain(fillers).take(size.members).collect();
        for (batch, first) in all.chunks(AT_ONCE).zip((0..).step_by(AT_ONCE)) {
            store.write(|tx| {
                for (place, n) in (first..).zip(batch) {
                    let identity = clients.get(*n).map(|secret| *secret.public());
                    let identity =
                        identity.unwrap_or_else(|| PublicIdentity { address: address(*n), key: [7; 64] });
                    tx.members().put(&member(id, identity, place, size))?;
                    if clients.get(*n).is_some() {
                        tx.verified_identities().put(&identity, NOW)?;
                    }
                }
                Ok::<_, StoreError>(())
            })?;
            progress.advance(batch.len());
        }
    }
    Ok(())
}

/// A private network with one pool.
fn network(id: NetworkId, size: Size) -> Network {
    let mut network = Network::new(id, NOW);
    network.tags = (0..size.tags).map(|id| TagDefinition { id, default: None }).collect();
    network.capabilities = (0..size.capabilities)
        .map(|id| CapabilityDefinition { id, default: false, rules: vec![ACCEPT] })
        .collect();
    network.name = "load".into();
    network.v4_assign = V4Assign { pool: true };
    network.pools = vec![Pool { first: ip(0), last: ip(0xff_fff0) }];
    network.routes = "10.0.0.0/8".parse().map(|target| Route { target, via: None }).into_iter().collect();
    network
}

fn member(network: NetworkId, identity: PublicIdentity, place: u32, size: Size) -> Member {
    Member {
        revision: 1,
        authorized: true,
        identity: Some(identity),
        ip_assignments: vec![ip(place)],
        tags: (0..size.tags).map(|id| (id, id)).collect(),
        capabilities: (0..size.capabilities).collect(),
        version: Some(ClientVersion { major: 1, minor: 14, revision: 1, protocol: 12 }),
        ..Member::new(network, identity.address, NOW)
    }
}

fn ip(host: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x0a00_0001 + host).into()
}
