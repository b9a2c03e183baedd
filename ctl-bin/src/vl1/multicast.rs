//! Who wants which multicast: kept by a root for everybody, by a controller for its members (`vl1.md` §10.9, §10.14,
//! §16.4).

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use rand_core::Rng;
use zt_proto::verb::Verb;
use zt_proto::verb::multicast_gather::{GatherAnswer, MulticastGather};
use zt_proto::verb::multicast_like;
use zt_proto::{Address, MulticastGroup, NetworkId};

use super::Node;
use super::moment::{Moment, Present};
use super::node::{Ignored, RequestId};
use crate::room::Room;

/// A subscription that is not repeated is forgotten.
pub(super) const SUBSCRIBED_FOR: Duration = Duration::from_secs(600);
/// Subscriptions of one node; a client on 100 networks has some hundred.
pub(super) const MAX_PER_NODE: usize = 1024;
/// Subscriptions in all: about 150 MiB.
pub(super) const MAX_SUBSCRIPTIONS: usize = 1 << 20;

/// A multicast group of a network.
type Group = (NetworkId, MulticastGroup);

#[derive(Debug)]
struct Subscription {
    /// Where the node stands in the group's list.
    position: usize,
    expires: Moment,
}

/// The subscriptions of all nodes.
#[derive(Debug, Default)]
pub(super) struct Groups {
    members: HashMap<Group, Vec<Address>>,
    subscriptions: HashMap<(Group, Address), Subscription>,
    per_node: HashMap<Address, usize>,
    /// Each subscription once, by a time at or before its end.
    order: VecDeque<(Moment, Group, Address)>,
}

impl Groups {
    /// Notes that `node` wants `group`; ignored when it or all together have too many.
    pub(super) fn subscribe(&mut self, group: Group, node: Address, now: Moment) {
        let expires = now + SUBSCRIBED_FOR;
        if let Some(subscription) = self.subscriptions.get_mut(&(group, node)) {
            subscription.expires = expires;
            return;
        }
        let count = self.per_node.get(&node).copied().unwrap_or_default();
        if count >= MAX_PER_NODE || self.subscriptions.len() >= MAX_SUBSCRIPTIONS {
            return;
        }
        self.per_node.insert(node, count + 1);
        let members = self.members.entry(group).or_default();
        self.subscriptions.insert((group, node), Subscription { position: members.len(), expires });
        members.push(node);
        self.order.push_back((expires, group, node));
    }

    /// Returns how many nodes want `group`, and at most `limit` of those that `is_told` says, drawn at random.
    pub(super) fn gather(
        &self,
        group: Group,
        limit: usize,
        is_told: impl Fn(Address) -> bool,
        rng: &mut impl Rng,
    ) -> (usize, Vec<Address>) {
        let Some(members) = self.members.get(&group) else { return (0, Vec::new()) };
        let mut drawn = Vec::new();
        // A partial Fisher-Yates shuffle that keeps only what it moved, so that a large group costs no copy.
        let mut moved = HashMap::new();
        for n in 0..members.len().min(MAX_DRAWN) {
            if drawn.len() == limit {
                break;
            }
            let left = members.len() - n;
            let pick = n + usize::try_from(rng.next_u64() % left as u64).unwrap_or(0);
            let picked = moved.get(&pick).copied().unwrap_or(pick);
            moved.insert(pick, moved.get(&n).copied().unwrap_or(n));
            drawn.extend(members.get(picked).copied().filter(|node| is_told(*node)));
        }
        (members.len(), drawn)
    }

    /// Forgets what was not repeated.
    pub(super) fn sweep(&mut self, now: Moment) {
        while let Some((when, group, node)) = self.order.front().copied() {
            if when > now {
                break;
            }
            self.order.pop_front();
            match self.subscriptions.get(&(group, node)) {
                Some(subscription) if subscription.expires > now => {
                    self.order.push_back((subscription.expires, group, node));
                }
                _ => self.remove(group, node),
            }
        }
        self.members.give_back();
        self.subscriptions.give_back();
        self.per_node.give_back();
        self.order.give_back();
    }

    fn remove(&mut self, group: Group, node: Address) {
        let Some(subscription) = self.subscriptions.remove(&(group, node)) else { return };
        if let Some(count) = self.per_node.get_mut(&node) {
            *count -= 1;
            if *count == 0 {
                self.per_node.remove(&node);
            }
        }
        let Some(members) = self.members.get_mut(&group) else { return };
        if subscription.position < members.len() {
            members.swap_remove(subscription.position);
        }
        if let Some(moved) = members.get(subscription.position)
            && let Some(other) = self.subscriptions.get_mut(&(group, *moved))
        {
            other.position = subscription.position;
        }
        if members.is_empty() {
            self.members.remove(&group);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.subscriptions.len()
    }
}

/// Addresses in one answer, so that it fits into one datagram.
const MAX_GATHERED: usize = 250;
/// Subscriptions that are looked at for one answer: those of nodes that went away, or may no longer be told, stay for a while.
const MAX_DRAWN: usize = 4 * MAX_GATHERED;

impl Node {
    /// Notes the groups that a node wants: as a root from everybody, else of networks for which it got a configuration.
    pub(super) fn on_multicast_like(
        &mut self,
        now: Present,
        from: Address,
        payload: &[u8],
    ) -> Result<(), Ignored> {
        if !self.peers.get_mut(&from).is_some_and(|peer| peer.take_like(now.mono)) {
            return Err(Ignored::RateLimited("multicast groups"));
        }
        // A client names the groups of all its networks in one packet, whoever is their controller.
        let (mut is_any, mut is_any_taken) = (false, false);
        for like in multicast_like::parse(payload) {
            is_any = true;
            if self.is_entitled(now, from, like.network) {
                is_any_taken = true;
                self.groups.subscribe((like.network, like.group), from, now.mono);
            }
        }
        if is_any && !is_any_taken { Err(Ignored::OnlyAsRoot) } else { Ok(()) }
    }

    /// Tells who wants a group and may do so still; nothing if nobody else does.
    pub(super) fn on_multicast_gather(
        &mut self,
        now: Present,
        request: RequestId,
        payload: &[u8],
    ) -> Result<(), Ignored> {
        if !self.peers.get_mut(&request.from).is_some_and(|peer| peer.take_gather(now.mono)) {
            return Err(Ignored::RateLimited("questions about multicast groups"));
        }
        let MulticastGather { network, group, limit, .. } = MulticastGather::parse(payload)?;
        if !self.is_entitled(now, request.from, network) {
            return Err(Ignored::OnlyAsRoot);
        }
        let limit = usize::try_from(limit).unwrap_or(MAX_GATHERED).min(MAX_GATHERED);
        let (peers, is_root) = (&self.peers, self.roots.is_root());
        let is_told = |node| {
            let is_entitled = || peers.get(&node).is_some_and(|peer| peer.is_configured(network, now.mono));
            node != request.from && (is_root || is_entitled())
        };
        let (known, members) = self.groups.gather((network, group), limit, is_told, &mut self.rng);
        if members.is_empty() {
            return Ok(());
        }
        let known = u32::try_from(known).unwrap_or(u32::MAX);
        let mut answer = Vec::new();
        GatherAnswer { network, group, known, members }.write(&mut answer);
        self.send_ok(now, request, Verb::MULTICAST_GATHER, &answer);
        Ok(())
    }

    fn is_entitled(&self, now: Present, from: Address, network: NetworkId) -> bool {
        let is_member = || self.peers.get(&from).is_some_and(|peer| peer.is_configured(network, now.mono));
        self.roots.is_root() || is_member()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::BTreeSet;

    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;
    use zt_proto::Mac;

    use super::super::tests::moment;
    use super::*;

    fn group(adi: u32) -> Group {
        (NetworkId(1), MulticastGroup { mac: Mac([0xff; 6]), adi })
    }

    fn node(n: u64) -> Address {
        Address::from_low_bits(n)
    }

    #[test]
    fn everybody_but_the_asker_is_found_once() {
        let mut groups = Groups::default();
        for n in 1..=50 {
            groups.subscribe(group(0), node(n), moment(0));
        }
        let mut rng = ChaCha20Rng::from_seed([7; 32]);
        let (total, found) = groups.gather(group(0), 1000, |other| other != node(3), &mut rng);
        assert_eq!((total, found.len()), (50, 49));
        let distinct: BTreeSet<_> = found.iter().copied().collect();
        assert_eq!(distinct.len(), 49);
        assert!(!distinct.contains(&node(3)));
        let (_, few) = groups.gather(group(0), 5, |other| other != node(3), &mut rng);
        assert_eq!(few.len(), 5);
        assert_ne!(few, found.get(..5).unwrap(), "the order is drawn anew");
    }

    #[test]
    fn a_subscription_ends_unless_it_is_repeated() {
        let mut groups = Groups::default();
        for n in 1..=3 {
            groups.subscribe(group(0), node(n), moment(0));
        }
        groups.subscribe(group(0), node(2), moment(300_000));
        groups.sweep(moment(601_000));
        let mut rng = ChaCha20Rng::from_seed([7; 32]);
        assert_eq!(groups.gather(group(0), 10, |_| true, &mut rng), (1, vec![node(2)]));
        groups.sweep(moment(901_000));
        assert_eq!(
            (groups.len(), groups.order.len(), groups.per_node.len(), groups.members.len()),
            (0, 0, 0, 0)
        );
    }

    #[test]
    fn what_all_nodes_want_together_is_bounded_and_ends() {
        let mut groups = Groups::default();
        for n in 0..=MAX_SUBSCRIPTIONS as u64 {
            groups.subscribe(group(0), node(n), moment(0));
        }
        assert_eq!((groups.len(), groups.order.len()), (MAX_SUBSCRIPTIONS, MAX_SUBSCRIPTIONS));
        let mut rng = ChaCha20Rng::from_seed([7; 32]);
        let (total, found) = groups.gather(group(0), 10, |_| true, &mut rng);
        assert_eq!((total, found.len()), (MAX_SUBSCRIPTIONS, 10));
        groups.sweep(moment(600_001));
        assert_eq!((groups.len(), groups.order.len(), groups.per_node.len()), (0, 0, 0));
    }

    #[test]
    fn so_many_that_may_not_be_told_cost_no_more_than_a_bound() {
        let mut groups = Groups::default();
        for n in 1..=100_000 {
            groups.subscribe(group(0), node(n), moment(0));
        }
        let looked_at = Cell::new(0);
        let is_told = |_| {
            looked_at.set(looked_at.get() + 1);
            false
        };
        let mut rng = ChaCha20Rng::from_seed([7; 32]);
        assert_eq!(groups.gather(group(0), 10, is_told, &mut rng), (100_000, Vec::new()));
        assert_eq!(looked_at.get(), MAX_DRAWN);
    }

    #[test]
    fn one_node_cannot_fill_the_table() {
        let mut groups = Groups::default();
        for adi in 0..10_000 {
            groups.subscribe(group(adi), node(1), moment(0));
        }
        assert_eq!(groups.len(), MAX_PER_NODE);
    }
}
