//! What members of a network are told in the same form: texts with places in which each member has something else, above all
//! signatures. Of a member is then kept what stands in those places, as it stands there, and nothing of what is between.
//!
//! A template is made of the first configuration of its form, and of the same one with everything that is a member's own changed
//! ([`counterpart`]): where the two differ is a place.

use std::borrow::Cow;
use std::mem;
use std::net::IpAddr;

use zt_proto::compression::{BlockWriter, Compressed};
use zt_proto::config::NetworkConfig;
use zt_proto::credential::{Qualifier, Signature, Thing};
use zt_proto::dictionary::{escaped, hex_digits, symbols};
use zt_proto::inet::IpPrefix;
use zt_proto::{Address, Timestamp};

pub(super) const PIECES: usize = 3;
/// What is a member's own: what follows on the time of issue, up to the routes; the addresses; what the user has to log in with.
/// The last two are behind a line end, if there is anything.
pub(super) type OwnPieces<'a> = [Cow<'a, [u8]>; PIECES];

/// So much that is kept already is not there again by chance.
const MIN_AGAIN: usize = 4;
const ADDRESS_LEN: usize = 5;

/// A text with places in it.
#[derive(Debug)]
pub(super) struct Template {
    steps: Box<[Step]>,
}

#[derive(Debug)]
enum Step {
    /// The same for all members.
    Text(Box<[u8]>),
    Place(Source),
    /// The next piece begins.
    Next,
}

/// What stands in a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// What is kept next of the member, so many octets.
    New(u16),
    /// What is kept in this place, counted from the first.
    Again(u8),
    /// Its address.
    Address,
    /// The digits of its address.
    Digits,
    /// The time of its certificates.
    Time,
}

/// What the places of one member are filled with.
pub(super) struct Values<'a> {
    /// What is kept of it, each behind its length.
    places: &'a [u8],
    address: Escaped,
    digits: [u8; 2 * ADDRESS_LEN],
    time: Escaped,
}

/// How a few octets stand in a dictionary.
struct Escaped {
    room: [u8; Self::ROOM],
    len: usize,
}

impl Escaped {
    const ROOM: usize = 2 * size_of::<Timestamp>();

    /// Takes as many octets as a time has, at most.
    fn new(octets: &[u8]) -> Self {
        let (mut room, mut len) = ([0; Self::ROOM], 0);
        let mut places = room.iter_mut();
        escaped(octets, |byte| {
            if let Some(place) = places.next() {
                *place = byte;
                len += 1;
            }
        });
        Self { room, len }
    }

    fn as_slice(&self) -> &[u8] {
        self.room.get(..self.len).unwrap_or_default()
    }
}

impl<'a> Values<'a> {
    /// Takes what was kept of a member, its address first, and the time of its certificates.
    pub(super) fn new(kept: &'a [u8], certified: Timestamp) -> Self {
        let (address, places) = kept.split_first_chunk::<ADDRESS_LEN>().unwrap_or((&[0; _], &[]));
        let [_, _, _, _, _, _, digits @ ..] = hex_digits(Address::from_octets(*address).to_u64());
        Self {
            places,
            address: Escaped::new(address),
            digits,
            time: Escaped::new(&certified.0.to_be_bytes()),
        }
    }

    /// Returns what is told by the member's address or by the time.
    fn get(&self, source: Source) -> &[u8] {
        match source {
            Source::New(_) => &[],
            Source::Again(number) => self.again(number),
            Source::Address => self.address.as_slice(),
            Source::Digits => &self.digits,
            Source::Time => self.time.as_slice(),
        }
    }

    fn again(&self, number: u8) -> &'a [u8] {
        again(self.places, number)
    }
}

fn again(mut places: &[u8], number: u8) -> &[u8] {
    for _ in 0..number {
        (_, places) = first_place(places);
    }
    first_place(places).0
}

/// Returns what is kept in the first place, and what is kept behind it.
fn first_place(places: &[u8]) -> (&[u8], &[u8]) {
    let first = places.split_first().and_then(|(length, rest)| rest.split_at_checked((*length).into()));
    first.unwrap_or_default()
}

impl Template {
    /// Makes the template of a member's text; `None` if something in it is too long, or it is not as its counterpart.
    pub(super) fn new(
        own: &OwnPieces<'_>,
        counterpart: &OwnPieces<'_>,
        member: Address,
        certified: Timestamp,
    ) -> Option<Self> {
        let address = member.octets();
        let mut draft = Draft::new(Values::new(&address, certified));
        for (number, (own, counterpart)) in own.iter().zip(counterpart).enumerate() {
            if number > 0 {
                draft.add(Step::Next);
            }
            draft.add_piece(own, counterpart)?;
        }
        draft.end_text();
        Some(Self { steps: draft.steps.into() })
    }

    /// Returns how many bytes it takes.
    pub(super) fn size_bytes(&self) -> usize {
        let texts = self.steps.iter().map(|step| match step {
            Step::Text(text) => text.len(),
            Step::Place(_) | Step::Next => 0,
        });
        size_of_val(&*self.steps) + texts.sum::<usize>()
    }

    /// Appends what is to be kept of a member to fill the places with, its address first; `None` if its text is of another form.
    pub(super) fn keep(
        &self,
        own: &OwnPieces<'_>,
        member: Address,
        certified: Timestamp,
        kept: &mut Vec<u8>,
    ) -> Option<()> {
        let address = member.octets();
        let of_all = Values::new(&address, certified);
        kept.extend_from_slice(&address);
        let first = kept.len();
        let mut pieces = own.iter();
        let mut rest = &**pieces.next()?;
        for step in &self.steps {
            rest = match step {
                Step::Text(text) => rest.strip_prefix(&**text)?,
                Step::Place(Source::New(octets)) => {
                    let length = symbols(rest).take((*octets).into()).map(<[u8]>::len).sum();
                    let (place, behind) = rest.split_at_checked(length)?;
                    kept.push(length.try_into().ok()?);
                    kept.extend_from_slice(place);
                    behind
                }
                Step::Place(Source::Again(number)) => {
                    rest.strip_prefix(again(kept.get(first..)?, *number))?
                }
                Step::Place(source @ (Source::Address | Source::Digits | Source::Time)) => {
                    rest.strip_prefix(of_all.get(*source))?
                }
                Step::Next if rest.is_empty() => pieces.next()?,
                Step::Next => return None,
            };
        }
        rest.is_empty().then_some(())
    }

    /// Calls `add` with the text of a member, part by part, and with `None` where a piece ends.
    pub(super) fn fill<'a>(&'a self, values: &'a Values<'_>, mut add: impl FnMut(Option<&'a [u8]>)) {
        let mut places = values.places;
        for step in &self.steps {
            match step {
                Step::Text(text) => add(Some(text)),
                Step::Place(Source::New(_)) => {
                    let (place, behind) = first_place(places);
                    places = behind;
                    add(Some(place));
                }
                Step::Place(source) => add(Some(values.get(*source))),
                Step::Next => add(None),
            }
        }
    }

    /// Adds the text of a member to a block, with what stands between its pieces.
    pub(super) fn write(
        &self,
        values: &Values<'_>,
        between: [&Compressed; PIECES - 1],
        block: &mut BlockWriter<'_>,
    ) {
        let mut between = between.into_iter();
        self.fill(values, |part| match part {
            Some(part) => block.plain(part),
            None => between.next().into_iter().for_each(|text| block.compressed(text)),
        });
    }
}

/// A template that is being made.
struct Draft<'a> {
    of_all: Values<'a>,
    steps: Vec<Step>,
    /// What follows on them that is the same for all.
    text: Vec<u8>,
    /// What is kept of its first member.
    kept: Vec<Box<[u8]>>,
}

impl<'a> Draft<'a> {
    fn new(of_all: Values<'a>) -> Self {
        Self { of_all, steps: Vec::new(), text: Vec::new(), kept: Vec::new() }
    }

    fn add_piece(&mut self, own: &[u8], counterpart: &[u8]) -> Option<()> {
        let (mut own, mut counterpart) = (symbols(own), symbols(counterpart));
        let mut place = Vec::new();
        loop {
            match (own.next(), counterpart.next()) {
                (Some(own), Some(other)) if own == other => {
                    self.add_place(&mem::take(&mut place))?;
                    self.text.extend_from_slice(own);
                }
                (Some(own), Some(_)) => place.extend_from_slice(own),
                (None, None) => return self.add_place(&place),
                (Some(_), None) | (None, Some(_)) => return None,
            }
        }
    }

    /// Adds the text, and the step behind it.
    fn add(&mut self, step: Step) {
        self.end_text();
        self.steps.push(step);
    }

    fn end_text(&mut self) {
        let text = mem::take(&mut self.text);
        if !text.is_empty() {
            self.steps.push(Step::Text(text.into()));
        }
    }

    /// Adds what differs: what all certificates of a member say, what was kept before, and what is kept from now on.
    fn add_place(&mut self, place: &[u8]) -> Option<()> {
        let (mut rest, mut new) = (place, Vec::new());
        while let Some(symbol) = symbols(rest).next() {
            let length = if let Some((source, length)) = self.known(rest, rest.len() == place.len()) {
                self.end_new(mem::take(&mut new))?;
                self.add(Step::Place(source));
                length
            } else {
                new.extend_from_slice(symbol);
                symbol.len()
            };
            rest = rest.get(length..)?;
        }
        self.end_new(new)
    }

    /// Returns what a place begins with that need not be kept, and its length.
    fn known(&self, place: &[u8], is_whole: bool) -> Option<(Source, usize)> {
        let of_all =
            [Source::Time, Source::Digits, Source::Address].map(|source| (source, self.of_all.get(source)));
        let again = (0..).zip(&self.kept).map(|(number, kept)| (Source::Again(number), &**kept));
        let again = again.filter(|(_, kept)| is_whole && kept.len() >= MIN_AGAIN);
        let mut known = of_all.into_iter().chain(again);
        known.find(|(_, known)| place.starts_with(known)).map(|(source, known)| (source, known.len()))
    }

    /// Ends a place of what is kept.
    fn end_new(&mut self, new: Vec<u8>) -> Option<()> {
        if !new.is_empty() {
            self.add(Step::Place(Source::New(symbols(&new).count().try_into().ok()?)));
            self.kept.push(new.into());
        }
        Some(())
    }
}

/// Returns the same configuration with everything changed, octet by octet, that other members have otherwise.
pub(super) fn counterpart(config: &NetworkConfig) -> NetworkConfig {
    let address = |address: &mut Address| *address = Address::from_low_bits(!address.to_u64());
    let time = |time: &mut Timestamp| time.0 = !time.0;
    let signature = |signature: &mut Signature| signature.0 = signature.0.map(|octet| !octet);
    let ip = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => IpAddr::from(ip.octets().map(|octet| !octet)),
        IpAddr::V6(ip) => IpAddr::from(ip.octets().map(|octet| !octet)),
    };
    let mut other = config.clone();
    address(&mut other.member);
    if let Some(membership) = &mut other.membership {
        for qualifier in &mut membership.qualifiers {
            qualifier.value = match qualifier.id {
                Qualifier::NETWORK => qualifier.value,
                Qualifier::MEMBER => other.member.to_u64(),
                _ => !qualifier.value,
            };
        }
        signature(&mut membership.signature);
    }
    for capability in &mut other.capabilities {
        time(&mut capability.timestamp);
        for custody in &mut capability.custody {
            address(&mut custody.to);
            signature(&mut custody.signature);
        }
    }
    for tag in &mut other.tags {
        time(&mut tag.timestamp);
        tag.value = !tag.value;
        address(&mut tag.issued_to);
        signature(&mut tag.signature);
    }
    for ownership in &mut other.ownerships {
        time(&mut ownership.timestamp);
        for thing in &mut ownership.things {
            if let Thing::Ip(own) = thing {
                *own = ip(*own);
            }
        }
        address(&mut ownership.issued_to);
        signature(&mut ownership.signature);
    }
    for prefix in &mut other.addresses {
        *prefix = IpPrefix::new(ip(prefix.ip()), prefix.bits()).unwrap_or(*prefix);
    }
    time(&mut other.sso.expiry);
    other
}
