//! The node under test in worlds of many nodes, on virtual time, each world drawn from one number.
//!
//! A world has one to three roots, a controller (a root, or a node of its own, perhaps behind a NAT), members (a model of
//! clients that shares no code with the node), IPv6 beside IPv4 in two worlds of five, NATs that map in different ways and forget, links that lose, double, delay
//! and reorder, and somebody who records datagrams and sends them again as his own. Hosts stop and start without their
//! memory, parts are cut off, IPv6 stops working, NATs are switched off and on, clocks jump. Properties, in `world/`:
//!
//! 1. A member that can reach a root gets its first configuration within `FIRST_WITHIN`, in spite of losses.
//! 2. When nothing disturbs a world any more, all members have the newest configuration within `SETTLED_WITHIN`.
//! 3. Nothing is sent to an address that was nobody's for `STALE_AFTER`: no stale path is used for ever.
//! 4. Nothing is believed twice where that matters. VL1 has no replay protection (`vl1.md` §12.1): a packet that
//!    comes again after a while is taken again, which does no harm to a request. But one that comes again within 10 s is
//!    not, an OK that is repeated after the 30 s for which it is awaited has no effect, a copy from a foreign address
//!    makes no path, and an identity is never verified twice at the same time.
//! 5. Tables hold no more than the world has; nobody sends without end.
//! 6. A planet that one root rolls reaches all servers within `SETTLED_WITHIN`, whatever else happens.
//! 7. The same seed gives the same world, to the last datagram.
//!
//! A violation prints the seed. To see that world again:
//! `CTL_SIMULATION_SEED=N cargo test -p ctl-bin --test simulation replay -- --nocapture`.
//! `CTL_SIMULATION_SEEDS=N` runs N small worlds instead of 1,000.

#[cfg(test)]
mod client;
#[cfg(test)]
mod identities;
#[cfg(test)]
mod network;
#[cfg(test)]
mod seeds;
#[cfg(test)]
mod server;
#[cfg(test)]
mod world;
