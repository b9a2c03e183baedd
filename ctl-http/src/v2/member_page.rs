//! The members of a network, a page at a time: filtered, sorted, searched.

use std::collections::BTreeMap;

use ctl_core::Member;
use ctl_store::{Among, Found, MemberFilter, MemberOrder, MemberSearch, Sighting, SortKey, TextSearch, Tx};
use schemars::{JsonSchema, json_schema};
use serde::{Deserialize, Serialize};
use zt_proto::{Address, IpPrefix, NetworkId, Timestamp};

use super::cursor::Cursor;
use super::endpoint::Endpoint;
use super::member_record::MemberView;
use super::network::{page_length, require};
use super::problem::Problem;
use super::request::{Answer, Query, Request};
use super::text::Node;
use crate::State;
use crate::status::NodeEnded;

/// Some members, in the order that was asked for.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct MemberPage<'a> {
    data: Vec<MemberView<'a>>,
    /// `cursor` of the next page; null at the end.
    next: Option<String>,
}

/// Adds the parameters of a page of members to an endpoint.
pub(crate) fn parameters(endpoint: Endpoint) -> Endpoint {
    let flag = || json_schema!({ "type": "boolean" });
    let time = || json_schema!({ "type": "integer", "minimum": 0, "maximum": 9_007_199_254_740_991_u64 });
    let id = "[0-9]{1,9}";
    endpoint
        .heavy(looks_at_all)
        .query("authorized", "only those that are authorized, or are not", flag())
        .query("online", "only those that this controller reaches now, or does not", flag())
        .query(
            "search",
            "a part of the name, the beginning of the address, or an assigned IP address or range of them",
            json_schema!({ "type": "string", "minLength": 1, "maxLength": 127 }),
        )
        .query(
            "tag",
            "only those with this tag: `ID`, or `ID:VALUE`",
            json_schema!({ "type": "string", "pattern": format!("^{id}(:{id})?$") }),
        )
        .query(
            "capability",
            "only those with this capability",
            json_schema!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
        )
        .query("seenSince", "only those that last asked then or later, in milliseconds since 1970", time())
        .query("seenBefore", "only those that last asked before that, or never", time())
        .query(
            "version",
            "only clients of this release: `1`, `1.14` or `1.14.2`",
            json_schema!({ "type": "string", "pattern": "^[0-9]{1,9}(\\.[0-9]{1,9}){0,2}$" }),
        )
        .query(
            "sort",
            "the order; with a minus, the other way round",
            json_schema!({ "type": "string", "enum": SORTS.map(|(name, ..)| name) }),
        )
}

/// Says whether a page is looked for among all members: it is filtered, or sorted by something else than the key.
fn looks_at_all(request: &Request) -> bool {
    request.query.names().any(|name| !["limit", "cursor"].contains(&name))
}

/// Name, order, and whether it is descending.
const SORTS: [(&str, MemberOrder, bool); 8] = [
    ("address", MemberOrder::Address, false),
    ("-address", MemberOrder::Address, true),
    ("name", MemberOrder::Name, false),
    ("-name", MemberOrder::Name, true),
    ("lastSeen", MemberOrder::LastSeen, false),
    ("-lastSeen", MemberOrder::LastSeen, true),
    ("created", MemberOrder::Created, false),
    ("-created", MemberOrder::Created, true),
];

/// `GET /api/v2/network/{network}/member`: the members, a page at a time.
pub(crate) fn list(state: &State, request: Request) -> Result<Answer, Problem> {
    let id = request.network()?;
    let limit = page_length(&request)?;
    let wanted = Wanted::read(&request.query, state, limit)?;
    let found = state.api.store.read(|tx| {
        require(tx, id)?;
        wanted.find(tx, id, limit)
    })?;
    let addresses: Vec<_> = found.members.iter().map(|member| member.address).collect();
    let peers = state.api.peers.some(&addresses);
    let data = found.members.iter().map(|member| {
        MemberView::new(member, peers.get(&member.address), found.sightings.get(&member.address))
    });
    Answer::ok(&MemberPage { data: data.collect(), next: found.next })
}

/// The members of a page.
struct FoundPage {
    members: Vec<Member>,
    /// When each was last heard.
    sightings: BTreeMap<Address, Sighting>,
    /// The cursor of the next page.
    next: Option<String>,
}

/// What a request asks for.
struct Wanted {
    sort: &'static str,
    search: MemberSearch,
}

/// The last member of a page, as a cursor holds it.
#[derive(Serialize, Deserialize)]
struct Last {
    address: Node,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    time: Option<u64>,
}

impl Last {
    fn new(found: &Found) -> Self {
        let (text, time) = match &found.key {
            SortKey::Nothing => (None, None),
            SortKey::Text(text) => (Some(text.clone()), None),
            SortKey::Time(time) => (None, Some(time.0)),
        };
        Self { address: Node(found.address), text, time }
    }

    fn into_found(self, order: MemberOrder) -> Option<Found> {
        let key = match order {
            MemberOrder::Address => SortKey::Nothing,
            MemberOrder::Name => SortKey::Text(self.text?),
            MemberOrder::LastSeen | MemberOrder::Created => SortKey::Time(Timestamp(self.time?)),
        };
        Some(Found { address: self.address.0, key })
    }
}

impl Wanted {
    fn read(query: &Query, state: &State, limit: usize) -> Result<Self, Problem> {
        let expected = format!("one of {}", SORTS.map(|(name, ..)| name).join(", "));
        let sort =
            query.parsed("sort", &expected, |text| SORTS.into_iter().find(|(name, ..)| *name == text))?;
        let [usual, ..] = SORTS;
        let (sort, order, descending) = sort.unwrap_or(usual);
        let cursor: Option<Cursor<Last>> = Cursor::of(query, sort)?;
        let no_cursor = || Problem::query("cursor", "expected what an answer had as next".to_owned());
        let after = cursor.map(|cursor| cursor.last.into_found(order).ok_or_else(no_cursor)).transpose()?;
        let time = |name| Ok::<_, Problem>(query.number(name, 0..=u64::MAX >> 1)?.map(Timestamp));
        let capability = query.number("capability", 0..=u32::MAX.into())?;
        let filter = MemberFilter {
            authorized: query.flag("authorized")?,
            among: query.flag("online")?.map(|online| among(state, online)).transpose()?,
            search: query.parsed("search", "1 to 127 bytes", text_search)?,
            tag: query.parsed("tag", "ID or ID:VALUE", tag)?,
            capability: capability.and_then(|id| u32::try_from(id).ok()),
            seen_since: time("seenSince")?,
            seen_before: time("seenBefore")?,
            version: query
                .parsed("version", "a release such as 1.14 or 1.14.2", version)?
                .unwrap_or_default(),
        };
        // One more than wanted tells whether there is a next page.
        let limit = limit.saturating_add(1);
        Ok(Self { sort, search: MemberSearch { filter, order, descending, after, limit } })
    }

    /// Says whether a page is members that follow each other in the table.
    fn is_plain(&self) -> bool {
        self.search.filter == MemberFilter::default() && self.sort == "address"
    }

    fn find(self, tx: &Tx<'_>, network: NetworkId, limit: usize) -> Result<FoundPage, Problem> {
        let is_plain = self.is_plain();
        let Self { sort, search } = self;
        if is_plain {
            let after = search.after.map(|after| after.address);
            let mut members = tx.members().page(network, after, search.limit)?;
            let is_more = members.len() > limit;
            members.truncate(limit);
            let last = members.last().filter(|_| is_more);
            let last = last.map(|last| Last { address: Node(last.address), text: None, time: None });
            let next = last.map(|last| Cursor::new(sort, last).to_text());
            let sightings = match (members.first(), members.last()) {
                (Some(first), Some(last)) => {
                    tx.sightings().last_between(network, first.address, last.address)?
                }
                _ => BTreeMap::new(),
            };
            return Ok(FoundPage { members, sightings, next });
        }
        let found = tx.members().search(network, &search)?;
        let last = found.get(limit.saturating_sub(1)).filter(|_| found.len() > limit);
        let next = last.map(|last| Cursor::new(sort, Last::new(last)).to_text());
        let addresses: Vec<_> = found.iter().take(limit).map(|found| found.address).collect();
        let sightings = tx.sightings().last_of(network, &addresses)?;
        let members = tx.members().some(network, &addresses)?.into_iter();
        let mut members: BTreeMap<_, _> = members.map(|member| (member.address, member)).collect();
        let members = addresses.iter().filter_map(|address| members.remove(address)).collect();
        Ok(FoundPage { members, sightings, next })
    }
}

/// Returns the members that are, or are not, reached now.
fn among(state: &State, online: bool) -> Result<Among, NodeEnded> {
    let mut reached = Vec::new();
    state.api.peers.each(&mut |peer| reached.extend(peer.path_in_use().map(|_| peer.address)))?;
    Ok(if online { Among::These(reached) } else { Among::Others(reached) })
}

fn text_search(text: &str) -> Option<TextSearch> {
    const MAX_BYTES: usize = 127;
    // No name has a NUL, and SQLite would end the pattern at it.
    if text.is_empty() || text.len() > MAX_BYTES || text.contains('\0') {
        return None;
    }
    let ip = text
        .parse()
        .ok()
        .and_then(|ip: std::net::IpAddr| IpPrefix::new(ip, if ip.is_ipv4() { 32 } else { 128 }).ok());
    let ips = text.parse().ok().or(ip);
    Some(TextSearch { name: text.to_owned(), addresses: beginning(text), ips })
}

/// Returns the addresses that begin with these digits.
fn beginning(text: &str) -> Option<(Address, Address)> {
    const DIGITS: usize = 10;
    let is_hex = text.len() <= DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let padded = |with: char| {
        let mut digits = text.to_owned();
        digits.extend(std::iter::repeat_n(with, DIGITS.saturating_sub(text.len())));
        u64::from_str_radix(&digits, 16).ok().map(Address::from_low_bits)
    };
    if is_hex { Some((padded('0')?, padded('f')?)) } else { None }
}

fn tag(text: &str) -> Option<(u32, Option<u32>)> {
    match text.split_once(':') {
        None => Some((text.parse().ok()?, None)),
        Some((id, value)) => Some((id.parse().ok()?, Some(value.parse().ok()?))),
    }
}

fn version(text: &str) -> Option<Vec<u64>> {
    const PARTS: usize = 3;
    let parts: Option<Vec<u64>> =
        text.split('.').map(|part| part.parse().ok().filter(|part| *part <= u64::MAX >> 1)).collect();
    parts.filter(|parts| parts.len() <= PARTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_searched_as_all_that_it_can_be() {
        let search = text_search("10.0.0.0/8").unwrap();
        assert_eq!((search.addresses, search.ips), (None, Some("10.0.0.0/8".parse().unwrap())));
        let search = text_search("89e").unwrap();
        let (first, last) = search.addresses.unwrap();
        assert_eq!((first.to_string(), last.to_string()), ("89e0000000".to_owned(), "89efffffff".to_owned()));
        assert_eq!(text_search("fd00::1").unwrap().ips, Some("fd00::1/128".parse().unwrap()));
        assert_eq!(
            text_search("laptop").unwrap(),
            TextSearch { name: "laptop".to_owned(), ..Default::default() }
        );
        for refused in ["", "\0", "a\0b", &"x".repeat(128)] {
            assert_eq!(text_search(refused), None, "{refused:?}");
        }
    }

    #[test]
    fn parts_of_a_filter_are_numbers() {
        assert_eq!((tag("7"), tag("7:9")), (Some((7, None)), Some((7, Some(9)))));
        assert_eq!((tag("x"), tag("7:"), tag("4294967296")), (None, None, None));
        assert_eq!((version("1.14"), version("1.2.3.4"), version("1.")), (Some(vec![1, 14]), None, None));
    }
}
