//! What the API shows of the node's peers: the loop of the node is asked when somebody wants to see it, so that it costs
//! nothing while nobody looks.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ctl_http::{NodeEnded, PathStatus, PeerRole, PeerStatus, Peers};
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use zt_proto::{Address, Timestamp};

use super::clock;
use super::udp::Command;
use crate::vl1::{Node, Now, PeerView};

/// How often a list that is kept is made anew.
const INTERVAL: Duration = Duration::from_secs(1);
/// But each page of it at least once in so many intervals.
const MAX_INTERVALS: u32 = 10;
/// Peers that are described at once, which takes some 100 µs.
const PAGE: usize = 256;
/// Between two pages, while nobody waits for the list.
const PAGE_PAUSE: Duration = Duration::from_millis(10);
/// Whoever looks single peers up more often than this in one interval is served from a list: to ask the loop takes two
/// changes of threads each time.
const MAX_LOOKS: u32 = 32;
/// A list that nobody used for so long is dropped.
const KEEP_FOR: Duration = Duration::from_secs(60);

/// The peers of a node, as the API sees them.
#[derive(Debug)]
pub(super) struct KnownPeers {
    node: mpsc::Sender<Command>,
    kept: Mutex<Kept>,
    /// Held by whoever makes the first list, so that others wait for that one.
    making: Mutex<()>,
}

/// The list of all peers, while somebody wants it.
#[derive(Debug, Default)]
struct Kept {
    list: Option<List>,
    /// Looks at some peers since the last interval began.
    looks: u32,
}

#[derive(Debug)]
struct List {
    peers: BTreeMap<Address, PeerStatus>,
    last_use: Instant,
}

impl List {
    /// Returns those that follow `last`, at most `limit`.
    fn after(&self, last: Option<Address>, limit: usize) -> Vec<PeerStatus> {
        let from = (last.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        self.peers.range(from).take(limit).map(|(_, peer)| peer.clone()).collect()
    }

    /// Puts a page in the place of what follows one address and goes up to another, or to the end.
    fn replace(&mut self, after: Option<Address>, last: Option<Address>, page: Vec<PeerStatus>) {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let to = last.map_or(Bound::Unbounded, Bound::Included);
        // Whatever is between an address and itself is nothing, but no range.
        if last.is_none() || after < last {
            let gone: Vec<_> = self.peers.range((from, to)).map(|(address, _)| *address).collect();
            gone.iter().for_each(|address| drop(self.peers.remove(address)));
        }
        self.peers.extend(page.into_iter().map(|peer| (peer.address, peer)));
    }
}

/// What is to be done in an interval.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Nothing,
    First,
    Renewal,
}

impl Kept {
    /// Begins an interval, and drops a list that nobody wants any more.
    fn begin_interval(&mut self, now: Instant) -> Wanted {
        let is_busy = std::mem::take(&mut self.looks) > MAX_LOOKS;
        match &mut self.list {
            None if is_busy => return Wanted::First,
            None => return Wanted::Nothing,
            Some(list) if is_busy => list.last_use = now,
            Some(list) if now.saturating_duration_since(list.last_use) < KEEP_FOR => {}
            list @ Some(_) => {
                *list = None;
                return Wanted::Nothing;
            }
        }
        Wanted::Renewal
    }

    /// Says whether there is a list, for somebody who wants all of it.
    fn is_kept(&mut self, now: Instant) -> bool {
        self.list.as_mut().map(|list| list.last_use = now).is_some()
    }

    /// Returns the list, if there is one, for somebody who wants a part of it, and notes that.
    fn look(&mut self) -> Option<&List> {
        self.looks = self.looks.saturating_add(1);
        self.list.as_ref()
    }
}

impl KnownPeers {
    pub(super) fn new(node: mpsc::Sender<Command>) -> Self {
        Self { node, kept: Mutex::default(), making: Mutex::default() }
    }

    /// Keeps the list up to date while somebody wants it. Ends with the node.
    pub(super) async fn tend(self: Arc<Self>) {
        let mut intervals = 1;
        while !self.node.is_closed() {
            sleep(INTERVAL * intervals).await;
            let wanted = self.lock().begin_interval(clock::now().mono);
            match wanted {
                Wanted::Nothing => {}
                Wanted::First => {
                    let peers = Arc::clone(&self);
                    // One that panics would do so again.
                    if !matches!(spawn_blocking(move || peers.keep()).await, Ok(Ok(()))) {
                        return;
                    }
                }
                Wanted::Renewal => self.renew().await,
            }
            let pages = self.lock().list.as_ref().map_or(0, |list| list.peers.len() / PAGE);
            intervals = u32::try_from(pages).unwrap_or(u32::MAX).clamp(1, MAX_INTERVALS);
        }
    }

    /// Makes the list anew, for nobody who waits for it.
    ///
    /// The loop of the node describes a page of peers at a time, and does something else for a hundred times as long between
    /// two of them. Each takes the place of what was shown of its peers before, so that all are in memory once.
    async fn renew(&self) {
        let mut after = None;
        loop {
            let (command, answered) = question(move |node, now| node.peers_after(now, after, PAGE));
            if self.node.send(command).await.is_err() {
                return;
            }
            let Ok(seen) = answered.await else { return };
            let page = seen.describe();
            let last = page.last().map(|peer| peer.address).filter(|_| page.len() >= PAGE);
            if let Some(list) = &mut self.lock().list {
                list.replace(after, last, page);
            }
            after = last;
            if after.is_none() {
                return;
            }
            sleep(PAGE_PAUSE).await;
        }
    }

    /// Asks the loop of the node, and waits for it.
    fn ask(
        &self,
        look: impl FnOnce(&Node, Now) -> Vec<PeerView> + Send + 'static,
    ) -> Result<Vec<PeerStatus>, NodeEnded> {
        let (command, answered) = question(look);
        self.node.blocking_send(command).map_err(|_| NodeEnded)?;
        Ok(answered.blocking_recv().map_err(|_| NodeEnded)?.describe())
    }

    /// Makes the list, unless there is one.
    fn keep(&self) -> Result<(), NodeEnded> {
        let is_kept = || self.lock().is_kept(clock::now().mono);
        if is_kept() {
            return Ok(());
        }
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if is_kept() {
            return Ok(()); // somebody else made it meanwhile
        }
        let ask = |last, count| self.ask(move |node, now| node.peers_after(now, last, count));
        let peers = in_pages(None, usize::MAX, ask)?.into_iter().map(|peer| (peer.address, peer)).collect();
        self.lock().list = Some(List { peers, last_use: clock::now().mono });
        Ok(())
    }

    /// Returns the peers that follow an address, at most a page of them.
    fn page(&self, last: Option<Address>, count: usize) -> Result<Vec<PeerStatus>, NodeEnded> {
        let kept = self.lock().list.as_ref().map(|list| list.after(last, count));
        kept.map_or_else(|| self.ask(move |node, now| node.peers_after(now, last, count)), Ok)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Peers for KnownPeers {
    fn one(&self, address: Address) -> Pin<Box<dyn Future<Output = Option<PeerStatus>> + Send + '_>> {
        Box::pin(async move {
            if let Some(list) = self.lock().look() {
                return list.peers.get(&address).cloned();
            }
            let (command, answered) = question(move |node, now| node.peers_of(now, &[address]));
            self.node.send(command).await.ok()?;
            answered.await.ok()?.describe().into_iter().next()
        })
    }

    fn some(&self, addresses: &[Address]) -> BTreeMap<Address, PeerStatus> {
        let known = |list: &List| {
            addresses.iter().filter_map(|address| list.peers.get(address).cloned()).collect::<Vec<_>>()
        };
        let kept = self.lock().look().map(known);
        let found = kept.unwrap_or_else(|| {
            let addresses = addresses.to_vec();
            // A node that has ended reaches nobody.
            self.ask(move |node, now| node.peers_of(now, &addresses)).unwrap_or_default()
        });
        found.into_iter().map(|peer| (peer.address, peer)).collect()
    }

    fn after(&self, last: Option<Address>, limit: usize) -> Result<Vec<PeerStatus>, NodeEnded> {
        self.lock().look();
        in_pages(last, limit, |last, count| self.page(last, count))
    }

    fn each(&self, look: &mut dyn FnMut(&PeerStatus)) -> Result<(), NodeEnded> {
        self.keep()?;
        let mut last = None;
        loop {
            let page = self.page(last, PAGE)?;
            page.iter().for_each(&mut *look);
            last = page.last().map(|peer| peer.address).filter(|_| page.len() >= PAGE);
            if last.is_none() {
                return Ok(());
            }
        }
    }
}

/// Collects the peers that follow an address, at most `limit`, from pages of them.
fn in_pages(
    mut last: Option<Address>,
    limit: usize,
    page: impl Fn(Option<Address>, usize) -> Result<Vec<PeerStatus>, NodeEnded>,
) -> Result<Vec<PeerStatus>, NodeEnded> {
    let mut peers = Vec::new();
    while peers.len() < limit {
        let count = PAGE.min(limit - peers.len());
        let page = page(last, count)?;
        let is_last = page.len() < count;
        peers.extend(page);
        if is_last {
            break;
        }
        last = peers.last().map(|peer| peer.address);
    }
    Ok(peers)
}

/// What the loop of the node saw, and when.
#[derive(Debug)]
struct Seen {
    peers: Vec<PeerView>,
    now: Now,
}

impl Seen {
    fn describe(&self) -> Vec<PeerStatus> {
        self.peers.iter().map(|peer| describe_peer(peer, self.now)).collect()
    }
}

/// Makes a command that answers with what `look` sees.
fn question(
    look: impl FnOnce(&Node, Now) -> Vec<PeerView> + Send + 'static,
) -> (Command, oneshot::Receiver<Seen>) {
    let (answer, answered) = oneshot::channel();
    let command = move |node: &mut Node, now: Now| {
        let peers = look(node, now);
        // Nobody waits for it any more when the program ends.
        drop(answer.send(Seen { peers, now }));
    };
    (Box::new(command), answered)
}

fn describe_peer(peer: &PeerView, now: Now) -> PeerStatus {
    let ago = |duration: Duration| Timestamp(now.wall.0.saturating_sub(clock::millis(duration)));
    let paths = peer.paths.iter().map(|path| PathStatus {
        address: path.remote,
        active: !path.expired,
        expired: path.expired,
        preferred: path.preferred,
        last_send: path.sent_ago.map_or(Timestamp(0), ago),
        last_receive: ago(path.received_ago),
    });
    PeerStatus {
        address: peer.address,
        latency_ms: peer.latency_ms,
        role: match (peer.is_root, peer.is_moon) {
            (true, _) => PeerRole::Planet,
            (false, true) => PeerRole::Moon,
            (false, false) => PeerRole::Leaf,
        },
        version: peer.version,
        paths: paths.collect(),
        packets_received: peer.traffic.received,
        packets_sent: peer.traffic.sent,
        packets_broken: peer.traffic.broken,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const PEERS: u64 = 1_000;

    /// The peers of a node with [`PEERS`] of them, its loop, and how many commands that has carried out.
    fn known() -> (Arc<KnownPeers>, tokio::task::JoinHandle<()>, Arc<AtomicU32>) {
        let (sender, mut commands) = mpsc::channel::<Command>(1);
        let asked = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&asked);
        let node = tokio::spawn(async move {
            let mut node = Node::with_peers(PEERS);
            while let Some(command) = commands.recv().await {
                counted.fetch_add(1, Ordering::SeqCst);
                command(&mut node, clock::now());
            }
        });
        (Arc::new(KnownPeers::new(sender)), node, asked)
    }

    fn address(n: u64) -> Address {
        Address::from_low_bits(n)
    }

    fn shown(peers: &[PeerStatus]) -> Vec<u64> {
        peers.iter().map(|peer| peer.address.to_u64()).collect()
    }

    /// Shows all.
    fn all(known: &KnownPeers) -> Vec<u64> {
        let mut all = Vec::new();
        known.each(&mut |peer| all.push(peer.address.to_u64())).unwrap();
        all
    }

    /// Does what waits where that is allowed.
    async fn look<T: Send + 'static>(
        known: &Arc<KnownPeers>,
        look: impl FnOnce(&KnownPeers) -> T + Send + 'static,
    ) -> T {
        let known = Arc::clone(known);
        spawn_blocking(move || look(&known)).await.unwrap()
    }

    #[tokio::test]
    async fn many_peers_are_looked_at_a_page_at_a_time_and_none_is_missed() {
        let (known, node, asked) = known();
        assert_eq!(look(&known, all).await, (1..=PEERS).collect::<Vec<_>>());
        assert_eq!(asked.load(Ordering::SeqCst), 4, "a thousand peers are four pages");
        known.renew().await;
        assert_eq!(asked.load(Ordering::SeqCst), 8);
        assert_eq!(look(&known, all).await, (1..=PEERS).collect::<Vec<_>>());
        assert_eq!(asked.load(Ordering::SeqCst), 8, "as long as it is kept it is asked for by nobody else");
        drop(known);
        node.await.unwrap();
    }

    #[tokio::test]
    async fn some_peers_are_the_same_whether_a_list_is_kept_or_not() {
        let (known, _node, asked) = known();
        let some = |known: &KnownPeers| {
            let wanted = [address(7), address(PEERS + 1), address(3)];
            let some: Vec<_> = known.some(&wanted).into_values().collect();
            let after = |last, limit| known.after(Some(address(last)), limit).unwrap();
            let page = after(PEERS - 300, 299);
            let (end, none) = (after(PEERS - 1, 9), after(PEERS, 9));
            [shown(&some), shown(&page), shown(&end), shown(&none)]
        };
        let asked_for = look(&known, some).await;
        assert_eq!(asked.load(Ordering::SeqCst), 5, "a page of 299 takes two");
        assert!(known.lock().list.is_none(), "nobody wanted all of them");
        look(&known, KnownPeers::keep).await.unwrap();
        let before = asked.load(Ordering::SeqCst);
        assert_eq!(look(&known, some).await, asked_for);
        assert_eq!(asked.load(Ordering::SeqCst), before);
        let page: Vec<_> = (PEERS - 299..PEERS).collect();
        assert_eq!(asked_for, [vec![3, 7], page, vec![PEERS], vec![]]);
    }

    #[test]
    fn a_list_is_kept_for_who_looks_often_and_dropped_when_nobody_does() {
        let (mut kept, start) = (Kept::default(), clock::now().mono);
        for _ in 0..MAX_LOOKS {
            assert!(kept.look().is_none());
        }
        assert_eq!(kept.begin_interval(start), Wanted::Nothing, "so many looks are few");
        (0..=MAX_LOOKS).for_each(|_| assert_eq!(kept.look().is_some(), kept.list.is_some()));
        assert_eq!(kept.begin_interval(start), Wanted::First);
        kept.list = Some(List { peers: BTreeMap::new(), last_use: start });
        let later = start + KEEP_FOR;
        (0..=MAX_LOOKS).for_each(|_| assert_eq!(kept.look().is_some(), kept.list.is_some()));
        assert_eq!(kept.begin_interval(later), Wanted::Renewal, "it is used all the time");
        assert!(kept.look().is_some());
        assert_eq!(kept.begin_interval(later + KEEP_FOR - INTERVAL), Wanted::Renewal);
        assert_eq!(kept.begin_interval(later + KEEP_FOR), Wanted::Nothing, "one look does not keep it");
        assert!(kept.list.is_none());
    }

    #[tokio::test]
    async fn a_node_that_has_ended_knows_nobody_and_has_no_list() {
        let (sender, commands) = mpsc::channel(1);
        drop(commands);
        let known = Arc::new(KnownPeers::new(sender));
        assert!(look(&known, |known| known.some(&[address(1)])).await.is_empty());
        assert_eq!(look(&known, |known| known.after(None, 1)).await, Err(NodeEnded));
        assert_eq!(look(&known, |known| known.each(&mut |_| ())).await, Err(NodeEnded));
        assert!(known.lock().list.is_none());
        known.tend().await;
    }

    #[test]
    fn peers_that_come_and_go_are_shown_as_they_are() {
        let peer = |n: &u64| PeerStatus {
            address: address(*n),
            latency_ms: None,
            role: PeerRole::Leaf,
            version: None,
            paths: Vec::new(),
            packets_received: 0,
            packets_sent: 0,
            packets_broken: 0,
        };
        let page = |numbers: &[u64]| numbers.iter().map(peer).collect::<Vec<_>>();
        let shown = |list: &List| list.peers.keys().map(|address| address.to_u64()).collect::<Vec<_>>();
        let mut list = List { peers: BTreeMap::new(), last_use: clock::now().mono };
        list.replace(None, None, page(&[1, 3, 5, 7, 9]));
        list.replace(None, Some(address(4)), page(&[2, 4]));
        assert_eq!(shown(&list), [2, 4, 5, 7, 9]);
        list.replace(Some(address(4)), Some(address(8)), page(&[6, 7, 8]));
        assert_eq!(shown(&list), [2, 4, 6, 7, 8, 9]);
        list.replace(Some(address(8)), None, page(&[]));
        assert_eq!(shown(&list), [2, 4, 6, 7, 8]);
        list.replace(Some(address(8)), Some(address(8)), page(&[]));
        list.replace(Some(address(9)), Some(address(8)), page(&[]));
        assert_eq!(shown(&list), [2, 4, 6, 7, 8]);
        list.replace(None, None, page(&[]));
        assert!(list.peers.is_empty());
    }
}
