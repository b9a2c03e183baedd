//! WHOIS (verb 0x04): asks for identities (`vl1.md` §10.5).

use crate::address::Address;
use crate::codec::{DecodeError, Reader};
use crate::identity::PublicIdentity;

/// Reads the addresses that are asked for; an incomplete one at the end is ignored.
pub fn parse_request(payload: &[u8]) -> impl Iterator<Item = Address> + '_ {
    let (addresses, _) = payload.as_chunks::<5>();
    addresses.iter().copied().map(Address::from_octets)
}

/// Writes a request; the reference asks for one address a packet.
pub fn write_request(addresses: &[Address], out: &mut Vec<u8>) {
    addresses.iter().for_each(|address| address.write(out));
}

/// Reads what follows the envelope of the OK: identities, up to the first that is malformed, which comes out as an
/// error. None has been validated.
pub fn parse_answer(payload: &[u8]) -> impl Iterator<Item = Result<PublicIdentity, DecodeError>> + '_ {
    let mut reader = Reader::new(payload);
    std::iter::from_fn(move || {
        let identity = (!reader.is_empty()).then(|| PublicIdentity::parse(&mut reader))?;
        if identity.is_err() {
            reader.rest();
        }
        Some(identity)
    })
}

/// Writes what follows the envelope of the OK. Clients read only the first identity.
pub fn write_answer(identities: &[PublicIdentity], out: &mut Vec<u8>) {
    identities.iter().for_each(|identity| identity.write(out));
}
