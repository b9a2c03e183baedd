//! How many connections there are, and from where.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::Limits;

/// The places for connections.
#[derive(Debug)]
pub(crate) struct Places {
    connections: usize,
    outside: usize,
    per_source: usize,
    local: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    local: usize,
    others: usize,
    /// Of the others, those from where nothing but `/metrics` may be asked for.
    outside: usize,
    /// Places of each source that has any: no more entries than connections.
    sources: BTreeMap<IpAddr, usize>,
}

/// A place, free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    /// `None`: this machine.
    source: Option<IpAddr>,
    is_outside: bool,
}

impl Places {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            connections: limits.connections,
            outside: limits.outside_connections,
            per_source: limits.connections_per_source,
            local: limits.local_connections,
            taken: Mutex::default(),
        }
    }

    /// Takes a place for a connection from `ip`, if there is one. Requests are answered from there if `is_allowed` says so;
    /// all others together have a few places, so that they cannot take those of who may come.
    pub(crate) fn take(
        self: &Arc<Self>,
        ip: IpAddr,
        is_allowed: impl FnOnce(IpAddr) -> bool,
    ) -> Option<Place> {
        let ip = ip.to_canonical();
        let source = if ip.is_loopback() { None } else { Some(network(ip)) };
        let is_outside = source.is_some() && !is_allowed(ip);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match source {
            None if taken.local < self.local => taken.local += 1,
            Some(_) if is_outside && taken.outside >= self.outside => return None,
            Some(source) if taken.others < self.connections => {
                let of_source = taken.sources.entry(source).or_insert(0);
                if *of_source >= self.per_source {
                    return None;
                }
                *of_source += 1;
                taken.others += 1;
                taken.outside += usize::from(is_outside);
            }
            None | Some(_) => return None,
        }
        Some(Place { places: Arc::clone(self), source, is_outside })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(source) = self.source else {
            taken.local = taken.local.saturating_sub(1);
            return;
        };
        taken.others = taken.others.saturating_sub(1);
        taken.outside = taken.outside.saturating_sub(usize::from(self.is_outside));
        if let Some(of_source) = taken.sources.get_mut(&source) {
            *of_source = of_source.saturating_sub(1);
            if *of_source == 0 {
                taken.sources.remove(&source);
            }
        }
    }
}

/// Returns what one customer of a provider has: an IPv4 address, or an IPv6 /48, whose 65,536 /64 cost him nothing.
pub(crate) fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        ip @ IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() >> 80 << 80).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(connections: usize, per_source: usize, local: usize) -> Arc<Places> {
        let limits = Limits {
            connections,
            connections_per_source: per_source,
            local_connections: local,
            ..Limits::default()
        };
        Arc::new(Places::new(&limits))
    }

    fn anywhere(_: IpAddr) -> bool {
        true
    }

    fn nowhere(_: IpAddr) -> bool {
        false
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn source_with_too_many_connections_takes_no_place_of_others() {
        let places = places(5, 2, 1);
        let held: Vec<_> = (0..4).filter_map(|_| places.take(ip("192.0.2.1"), anywhere)).collect();
        assert_eq!(held.len(), 2);
        let other: Vec<_> = ["2001:db8::1", "2001:db8:0:1::1", "2001:db8:0:ffff::1"]
            .map(ip)
            .into_iter()
            .filter_map(|ip| places.take(ip, anywhere))
            .collect();
        assert_eq!(other.len(), 2, "a /48 is one source");
        let fifth = places.take(ip("192.0.2.9"), anywhere).unwrap();
        assert!(places.take(ip("192.0.2.8"), anywhere).is_none());
        drop((held, other, fifth));
        assert!(places.take(ip("192.0.2.1"), anywhere).is_some());
        assert!(places.taken.lock().unwrap().sources.is_empty());
    }

    #[test]
    fn this_machine_has_places_of_its_own() {
        let places = places(1, 1, 2);
        let held = places.take(ip("192.0.2.1"), anywhere);
        let local: Vec<_> = ["127.0.0.1", "::1", "::ffff:127.0.0.1"]
            .map(ip)
            .into_iter()
            .filter_map(|ip| places.take(ip, nowhere))
            .collect();
        assert_eq!(local.len(), 2);
        drop(local);
        assert!(held.is_some() && places.take(ip("::1"), nowhere).is_some());
    }
    /// Whoever has a /44, or many addresses, and may not use the API takes no place of those who may.
    #[test]
    fn who_may_not_come_has_few_places_in_all() {
        let places = Arc::new(Places::new(&Limits::default()));
        let home: IpAddr = ip("192.0.2.1");
        let is_allowed = |ip| ip == home;
        let outside: Vec<_> = (0..2_048_u32)
            .filter_map(|number| {
                let [.., high, low] = number.to_be_bytes();
                let source = format!("2001:db8:{:x}:{high:x}{low:02x}::1", number % 16);
                places.take(ip(&source), is_allowed)
            })
            .collect();
        assert_eq!(outside.len(), 128);
        let allowed: Vec<_> = (0..100).filter_map(|_| places.take(home, is_allowed)).collect();
        assert_eq!(allowed.len(), 64, "as many as one source may have");
        drop((outside, allowed));
        let taken = places.taken.lock().unwrap();
        assert_eq!((taken.others, taken.outside, taken.sources.len()), (0, 0, 0));
    }
}
