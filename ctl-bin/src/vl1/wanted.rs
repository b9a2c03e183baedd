//! Nodes whose identity is asked for, and the packets to them that wait for it (`vl1.md` §12.3, §14.2).

use std::collections::BTreeMap;
use std::time::Duration;

use zt_proto::Address;

use super::Link;
use super::moment::Moment;
use super::rate::{Bucket, Limit};

/// Identities that are asked for at the same time. Those that this node has something to send to displace the others,
/// which strangers can make up.
pub(super) const MAX_WANTED: usize = 1024;
/// Packets that wait, in all and to one node; past it the newest is dropped.
pub(super) const MAX_PACKETS: usize = 1024;
const MAX_PACKETS_PER_NODE: usize = 16;
/// How long an identity is asked for, and packets wait for it.
pub(super) const WANT_FOR: Duration = Duration::from_secs(5);
/// How often it is asked for.
pub(super) const ASK_INTERVAL: Duration = Duration::from_millis(500);
/// Questions to the roots: what strangers make this node ask must not be a burden to others.
const ASK_LIMIT: Limit = Limit { burst: 256, interval: Duration::from_millis(5) };

#[derive(Debug)]
struct Want {
    since: Moment,
    asked: Option<Moment>,
    /// Without armor, in the order in which they were sent.
    packets: Vec<Vec<u8>>,
    /// Where a root says that the node can be met.
    meeting: Option<Link>,
}

/// The identities that are asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    by_address: BTreeMap<Address, Want>,
    packets: usize,
    questions: Bucket,
    /// Whether the timer that repeats the questions is armed.
    pub is_armed: bool,
}

impl Wanted {
    pub(super) fn new(now: Moment) -> Self {
        Self { by_address: BTreeMap::new(), packets: 0, questions: Bucket::full(now), is_armed: false }
    }

    /// Says whether an identity is being asked for.
    pub(super) fn contains(&self, address: Address) -> bool {
        self.by_address.contains_key(&address)
    }

    /// Begins to want an identity; says whether that is new.
    pub(super) fn begin(&mut self, address: Address, now: Moment) -> bool {
        if self.contains(address) || self.by_address.len() >= MAX_WANTED {
            return false;
        }
        self.insert(address, now);
        true
    }

    /// Keeps a packet until the identity of its destination is known; says whether that is wanted only now.
    pub(super) fn keep(&mut self, to: Address, packet: Vec<u8>, now: Moment) -> bool {
        let is_new = !self.contains(to);
        if is_new {
            if self.by_address.len() >= MAX_WANTED && !self.displace() {
                return false;
            }
            self.insert(to, now);
        }
        if self.packets < MAX_PACKETS
            && let Some(want) = self.by_address.get_mut(&to)
            && want.packets.len() < MAX_PACKETS_PER_NODE
        {
            want.since = now;
            want.packets.push(packet);
            self.packets += 1;
        }
        is_new
    }

    fn insert(&mut self, address: Address, now: Moment) {
        self.by_address.insert(address, Want { since: now, asked: None, packets: Vec::new(), meeting: None });
    }

    /// Makes room by giving up an identity for which no packet waits.
    fn displace(&mut self) -> bool {
        let victim = self.by_address.iter().find(|(_, want)| want.packets.is_empty());
        let Some(victim) = victim.map(|(address, _)| *address) else { return false };
        self.by_address.remove(&victim);
        true
    }

    /// Returns which identities are to be asked for now, and notes that they are: first those for which packets wait, and of
    /// these who was not asked for, or longest ago: an address is nobody's merit.
    pub(super) fn take_questions(&mut self, now: Moment) -> Vec<Address> {
        let is_due =
            |want: &Want| want.asked.is_none_or(|asked| now.saturating_duration_since(asked) >= ASK_INTERVAL);
        let due = self.by_address.iter().filter(|(_, want)| is_due(want));
        let mut due: Vec<_> =
            due.map(|(address, want)| (want.packets.is_empty(), want.asked, *address)).collect();
        due.sort_unstable();
        let due = due.into_iter().map(|(_, _, address)| address);
        let questions = due.take_while(|_| self.questions.take(ASK_LIMIT, now));
        let questions: Vec<_> = questions.collect();
        for address in &questions {
            if let Some(want) = self.by_address.get_mut(address) {
                want.asked = Some(now);
            }
        }
        questions
    }

    /// Notes where a root says that a wanted node can be met: the introduction comes right behind the first packet that the
    /// root relays, and is not repeated soon.
    pub(super) fn meet(&mut self, address: Address, link: Link) {
        if let Some(want) = self.by_address.get_mut(&address) {
            want.meeting = Some(link);
        }
    }

    /// Ends the wait for an identity; returns the packets that waited and where to meet the node, if that is not too old.
    pub(super) fn take(&mut self, address: Address, now: Moment) -> (Vec<Vec<u8>>, Option<Link>) {
        let Some(want) = self.by_address.remove(&address) else { return (Vec::new(), None) };
        self.packets -= want.packets.len();
        let is_current = now.saturating_duration_since(want.since) <= WANT_FOR;
        if is_current { (want.packets, want.meeting) } else { (Vec::new(), None) }
    }

    /// Gives up what was not answered in time.
    pub(super) fn sweep(&mut self, now: Moment) {
        let packets = &mut self.packets;
        self.by_address.retain(|_, want| {
            let is_current = now.saturating_duration_since(want.since) <= WANT_FOR;
            if !is_current {
                *packets -= want.packets.len();
            }
            is_current
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_address.is_empty()
    }

    /// Returns how many identities are wanted and how many packets wait.
    pub(super) fn len(&self) -> (usize, usize) {
        (self.by_address.len(), self.packets)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::moment;
    use super::*;

    fn node(n: u64) -> Address {
        Address::from_low_bits(n)
    }

    #[test]
    fn an_identity_is_asked_for_twice_a_second_for_five_seconds() {
        let mut wanted = Wanted::new(moment(0));
        assert!(wanted.begin(node(1), moment(0)));
        let asked = (0..6_000).filter(|ms| {
            wanted.sweep(moment(*ms));
            !wanted.take_questions(moment(*ms)).is_empty()
        });
        assert_eq!(asked.count(), 11);
        assert!(wanted.is_empty());
    }

    #[test]
    fn who_was_not_asked_for_goes_before_who_was_whatever_his_address() {
        let mut wanted = Wanted::new(moment(0));
        assert!((0..600).all(|n| wanted.begin(node(n), moment(0))));
        let first = wanted.take_questions(moment(0));
        let second = wanted.take_questions(moment(500));
        assert_eq!((first.len(), second.len()), (256, 100));
        assert!(second.iter().all(|address| !first.contains(address)), "{second:?}");
    }

    #[test]
    fn packets_wait_in_order_and_not_for_ever() {
        let mut wanted = Wanted::new(moment(0));
        assert!(wanted.keep(node(1), vec![1], moment(0)));
        assert!(!wanted.keep(node(1), vec![2], moment(1_000)));
        assert_eq!(wanted.take(node(1), moment(6_000)), (vec![vec![1], vec![2]], None));
        wanted.keep(node(1), vec![3], moment(7_000));
        assert_eq!(wanted.take(node(1), moment(12_001)), (Vec::new(), None));
        assert_eq!(wanted.len(), (0, 0));
    }

    #[test]
    fn so_many_packets_wait_for_one_destination_and_the_newest_gives_way() {
        let mut wanted = Wanted::new(moment(0));
        for n in 0..100 {
            wanted.keep(node(1), vec![n], moment(0));
        }
        let (packets, _) = wanted.take(node(1), moment(0));
        assert_eq!(packets, (0..16).map(|n| vec![n]).collect::<Vec<_>>());
        assert_eq!((packets.len(), wanted.len()), (MAX_PACKETS_PER_NODE, (0, 0)));
    }

    #[test]
    fn what_strangers_make_up_gives_way_to_what_this_node_wants_to_send() {
        let mut wanted = Wanted::new(moment(0));
        let begun = (0..5_000).filter(|n| wanted.begin(node(*n), moment(0))).count();
        assert_eq!(begun, MAX_WANTED);
        for n in 10_000..20_000 {
            for _ in 0..20 {
                wanted.keep(node(n), vec![0], moment(0));
            }
        }
        assert_eq!(wanted.len(), (MAX_WANTED, MAX_PACKETS));
        assert_eq!(wanted.take_questions(moment(0)).len(), 256);
        wanted.sweep(moment(5_001));
        assert_eq!(wanted.len(), (0, 0));
    }
}
