//! Saves what a source gives, and keeps the book.

use std::collections::BTreeMap;
use std::fmt;
use std::mem;

use ctl_core::member::ClientVersion;
use ctl_core::record::{Reading, entry_version, write_member, write_network};
use ctl_core::{Change, Member, Network};
use serde_json::{Map, Value};
use zt_crypto::VerifiedIdentity;
use zt_proto::inet::EndpointText;
use zt_proto::{Address, NetworkId, PublicIdentity, Timestamp};

use super::report::{NoteKind, Report};
use super::{ImportError, Options, Progress};
use crate::sighting::{Client, MAX_SIGHTINGS, Sighting};
use crate::{Store, StoreError, Tx};

/// Members that are saved in one transaction: enough that the disk is not waited for, few enough to hold.
const BATCH: usize = 2_000;
/// Networks that are saved in one transaction.
const NETWORK_BATCH: usize = 200;

/// A record, and which of its times are only those of the import.
pub(super) struct Found<T> {
    pub(super) reading: Reading<T>,
    pub(super) undated: Undated,
}

/// Times that a source does not say. A record that is there already keeps its own.
#[derive(Clone, Copy, Default)]
pub(super) struct Undated {
    pub(super) created: bool,
    pub(super) last_authorized: bool,
}

/// What became of a record.
enum Outcome {
    Added,
    Unchanged,
    Kept { fields: String },
    Replaced { fields: String },
}

/// The networks and members of an import, on their way into the store.
pub(super) struct Writer<'a> {
    store: &'a Store,
    options: Options,
    progress: &'a mut dyn FnMut(Progress),
    networks: Vec<Found<Network>>,
    members: Vec<Found<Member>>,
    /// The network of the last member that was saved, for its routes.
    current: Option<Network>,
    /// Identities that are known from elsewhere.
    known: BTreeMap<Address, PublicIdentity>,
    report: Report,
}

impl<'a> Writer<'a> {
    pub(super) fn new(store: &'a Store, options: Options, progress: &'a mut dyn FnMut(Progress)) -> Self {
        let (networks, members, report) = (Vec::new(), Vec::new(), Report::default());
        Self { store, options, progress, networks, members, current: None, known: BTreeMap::new(), report }
    }

    pub(super) fn options(&self) -> &Options {
        &self.options
    }

    /// Says what the source is.
    pub(super) fn name(&mut self, source: impl Into<String>) {
        self.report.source = source.into();
    }

    /// Takes identities for members whose record has none.
    pub(super) fn know(&mut self, identities: BTreeMap<Address, PublicIdentity>) {
        self.known = identities;
    }

    pub(super) fn note(&mut self, kind: NoteKind, place: impl fmt::Display, message: impl fmt::Display) {
        self.report.note(kind, place, message);
    }

    /// Notes a network that is in the source and cannot be imported.
    pub(super) fn skip_network(&mut self, place: impl fmt::Display, message: impl fmt::Display) {
        self.report.networks.found += 1;
        self.report.networks.skipped += 1;
        self.note(NoteKind::Skipped, place, message);
    }

    /// Notes `count` members that are in the source and cannot be imported.
    pub(super) fn skip_members(&mut self, count: u64, place: impl fmt::Display, message: impl fmt::Display) {
        self.report.members.found += count;
        self.report.members.skipped += count;
        self.note(NoteKind::Skipped, place, message);
    }

    /// Takes a network. Its members come after [`Self::flush`].
    pub(super) fn network(&mut self, found: Found<Network>) -> Result<(), ImportError> {
        let network = &found.reading.record;
        let place = NetworkName(network.id);
        self.report.networks.found += 1;
        account(&mut self.report, "network", &place, &found.reading);
        if let Some(controller) = self.options.controller.filter(|own| *own != network.id.controller()) {
            let message = format!(
                "it belongs to controller {}, and this one is {controller}: it cannot be served from here",
                network.id.controller()
            );
            self.note(NoteKind::Suspicious, place, message);
        }
        self.networks.push(found);
        if self.networks.len() >= NETWORK_BATCH { self.flush() } else { Ok(()) }
    }

    /// Takes a member of a network that was taken before.
    pub(super) fn member(&mut self, mut found: Found<Member>) -> Result<(), ImportError> {
        let member = &mut found.reading.record;
        let place = MemberName(member.network, member.address);
        self.report.members.found += 1;
        if member.identity.is_none()
            && let Some(identity) = self.known.get(&member.address)
        {
            // Anybody can write such a file; only who has the keys can make the address fit.
            if VerifiedIdentity::verify(*identity).is_ok() {
                member.identity = Some(*identity);
                self.report.note(NoteKind::Remark, place, "its identity was taken from peers.d");
            } else {
                self.report.note(
                    NoteKind::Skipped,
                    place,
                    "the identity in peers.d does not fit its address",
                );
            }
        }
        account(&mut self.report, "member", &place, &found.reading);
        self.members.push(found);
        if self.members.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    /// Saves what was taken.
    pub(super) fn flush(&mut self) -> Result<(), ImportError> {
        let networks = mem::take(&mut self.networks);
        let members = mem::take(&mut self.members);
        let (store, options, report, current) =
            (self.store, &self.options, &mut self.report, &mut self.current);
        store.write(|tx| {
            for found in networks {
                save_network(tx, options, report, found)?;
            }
            for found in members {
                save_member(tx, options, report, current, found)?;
            }
            Ok::<_, StoreError>(())
        })?;
        let Report { networks, members, .. } = &self.report;
        (self.progress)(Progress { networks: networks.found, members: members.found });
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Report, ImportError> {
        self.flush()?;
        Ok(self.report)
    }
}

fn save_network(
    tx: &Tx<'_>,
    options: &Options,
    report: &mut Report,
    found: Found<Network>,
) -> Result<(), StoreError> {
    let Found { reading, undated } = found;
    let (mut network, extra) = (reading.record, reading.extra);
    let stored = tx.networks().get(network.id)?;
    let outcome = match stored {
        None => Outcome::Added,
        Some(stored) => {
            if undated.created {
                network.created = stored.created;
            }
            let stored = (&stored, tx.networks().extra(network.id)?);
            compare(
                options,
                || stored.0 == &network && stored.1 == extra,
                || (write_network(stored.0, &stored.1), write_network(&network, &extra)),
            )
        }
    };
    if matches!(outcome, Outcome::Added | Outcome::Replaced { .. }) {
        tx.networks().put(&network)?;
        tx.networks().put_extra(network.id, &extra)?;
    }
    let place = NetworkName(network.id);
    let notes = count(&mut report.networks, outcome);
    notes.into_iter().for_each(|(kind, message)| report.note(kind, place, message));
    Ok(())
}

fn save_member(
    tx: &Tx<'_>,
    options: &Options,
    report: &mut Report,
    current: &mut Option<Network>,
    found: Found<Member>,
) -> Result<(), StoreError> {
    let Found { reading, undated } = found;
    let (mut member, extra) = (reading.record, reading.extra);
    let (id, address) = (member.network, member.address);
    let place = MemberName(id, address);
    if current.as_ref().is_none_or(|network| network.id != id) {
        *current = tx.networks().get(id)?;
    }
    let Some(network) = current else {
        report.members.skipped += 1;
        report.note(NoteKind::Skipped, place, "its network is not there");
        return Ok(());
    };
    let stored = tx.members().get(id, address)?;
    let mut addresses = Vec::with_capacity(member.ip_assignments.len());
    for ip in member.ip_assignments {
        if let Some(holder) = tx.members().holder(id, ip)?.filter(|holder| *holder != address) {
            let message = format!("{ip} was left out, as member {holder} has it");
            report.note(NoteKind::Suspicious, place, message);
            continue;
        }
        if !network.routes.iter().any(|route| route.target.contains(ip)) {
            let message = format!("no route contains {ip}, so the member is not told that it has it");
            report.note(NoteKind::Suspicious, place, message);
        }
        addresses.push(ip);
    }
    member.ip_assignments = addresses;
    let outcome = match &stored {
        None => Outcome::Added,
        Some(stored) => {
            if undated.created {
                member.created = stored.created;
            }
            if undated.last_authorized && stored.authorized {
                member.last_authorized = stored.last_authorized;
            }
            let stored = (stored, tx.members().extra(id, address)?);
            compare(
                options,
                || stored.0 == &member && stored.1 == extra,
                || (write_member(stored.0, &stored.1), write_member(&member, &extra)),
            )
        }
    };
    if matches!(outcome, Outcome::Added | Outcome::Replaced { .. }) {
        tx.members().put(&member)?;
        tx.members().put_extra(id, address, &extra)?;
        let change = Change::of_member(stored.as_ref(), Some(&member));
        if change.is_some_and(|change| change.in_network(network).revoked(options.now).is_some()) {
            // Nobody serves meanwhile: the next start tells the others.
            tx.revoked().note(id, address, options.now)?;
        }
    }
    if matches!(outcome, Outcome::Added) {
        tx.sightings().put(id, address, &sightings(&extra, member.version))?;
    }
    let notes = count(&mut report.members, outcome);
    notes.into_iter().for_each(|(kind, message)| report.note(kind, place, message));
    Ok(())
}

/// Returns when and from where a member was heard, newest first, as far as its record said.
fn sightings(extra: &Map<String, Value>, version: Option<ClientVersion>) -> Vec<Sighting> {
    let Some(legacy) = extra.get("legacy") else { return Vec::new() };
    let wire = |address: Option<&Value>| {
        let endpoint = address.and_then(Value::as_str).and_then(|text| text.parse().ok());
        endpoint.map(|EndpointText(endpoint)| endpoint)
    };
    let sighting = |time: u64, address, version| {
        let client = Client { wire: wire(address), version, platform: String::new() };
        Sighting { first: Timestamp(time), last: Timestamp(time), client }
    };
    let log = legacy.get("recentLog").and_then(Value::as_array).map_or(&[] as &[Value], Vec::as_slice);
    let logged = log.iter().filter_map(|entry| {
        let entry = entry.as_object()?;
        Some(sighting(entry.get("ts")?.as_u64()?, entry.get("fromAddr"), entry_version(entry)))
    });
    let logged: Vec<_> = logged.take(MAX_SIGHTINGS).collect();
    if logged.is_empty() {
        let last_seen = legacy.get("lastSeen").and_then(Value::as_u64);
        return last_seen
            .map(|time| sighting(time, legacy.get("lastAddress"), version))
            .into_iter()
            .collect();
    }
    logged
}

/// Says what is to become of a record that is there already.
fn compare(
    options: &Options,
    is_same: impl FnOnce() -> bool,
    as_json: impl FnOnce() -> (Map<String, Value>, Map<String, Value>),
) -> Outcome {
    if is_same() {
        return Outcome::Unchanged;
    }
    let (ours, theirs) = as_json();
    let names = ours.keys().chain(theirs.keys().filter(|name| !ours.contains_key(*name)));
    let fields: Vec<_> = names.filter(|name| ours.get(*name) != theirs.get(*name)).cloned().collect();
    let fields = fields.join(", ");
    if options.overwrite { Outcome::Replaced { fields } } else { Outcome::Kept { fields } }
}

/// Counts an outcome and returns what there is to say about it.
fn count(tally: &mut super::Tally, outcome: Outcome) -> Option<(NoteKind, String)> {
    match outcome {
        Outcome::Added => {
            tally.added += 1;
            None
        }
        Outcome::Unchanged => {
            tally.unchanged += 1;
            None
        }
        Outcome::Kept { fields } => {
            tally.kept += 1;
            Some((NoteKind::Differs, fields))
        }
        Outcome::Replaced { fields } => {
            tally.replaced += 1;
            Some((NoteKind::Replaced, fields))
        }
    }
}

/// Takes over what reading a record came across.
fn account<T>(report: &mut Report, record: &str, place: &(impl fmt::Display + Copy), reading: &Reading<T>) {
    for name in &reading.missing {
        report.defaulted.entry(format!("{record}.{name}")).or_default().add(place);
    }
    for name in &reading.dropped {
        report.dropped.entry(format!("{record}.{name}")).or_default().add(place);
    }
    for name in reading.extra.keys() {
        report.carry(format!("{record}.{name}"), place);
    }
    for warning in &reading.warnings {
        report.note(NoteKind::Changed, place, warning);
    }
}

/// Names a network in a report.
#[derive(Clone, Copy)]
pub(super) struct NetworkName(pub(super) NetworkId);

impl fmt::Display for NetworkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "network {}", self.0)
    }
}

/// Names a member in a report.
#[derive(Clone, Copy)]
pub(super) struct MemberName(pub(super) NetworkId, pub(super) Address);

impl fmt::Display for MemberName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "member {} of network {}", self.1, self.0)
    }
}
