//! Decodes a packet to readable form:
//! `cargo run -p zt-crypto --example decode_packet -- RECEIVER_SECRET SENDER_IDENTITY PACKET_HEX`.
//!
//! Without arguments, it seals a packet of its own first. Packets of several datagrams must be put together before.

use std::error::Error;

use rand_core::SeedableRng as _;
use zt_crypto::armor::{self, Suite, extended};
use zt_crypto::{IdentitySecret, SessionKey};
use zt_proto::compression;
use zt_proto::packet::{MAX_PAYLOAD, PAYLOAD_OFFSET, PacketHeader, VERB_OFFSET};
use zt_proto::verb::hello::parse_moons;
use zt_proto::verb::{Answer, Message, Verb};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (receiver, sender, mut packet) = match (arguments.next(), arguments.next(), arguments.next()) {
        (Some(receiver), Some(sender), Some(digits)) => {
            (receiver.parse::<IdentitySecret>()?, sender.parse()?, bytes(&digits)?)
        }
        _ => example()?,
    };
    let key = receiver.agree(&sender)?;
    let mut packet = packet.as_mut_slice();
    if extended::is_marked(packet) {
        packet = extended::open(packet, &receiver)?;
        println!("in extended armor");
    }
    let header = PacketHeader::parse(packet)?;
    println!("{header:#x?}");
    println!("{:?}, {} hops", armor::open(packet, &key)?, header.hops());
    print(packet, &header, &key)
}

/// Prints what an opened packet says.
fn print(packet: &[u8], header: &PacketHeader, key: &SessionKey) -> Result<(), Box<dyn Error>> {
    let (verb, compressed) = Verb::from_byte(packet.get(VERB_OFFSET).copied().unwrap_or_default());
    let mut payload = packet.get(PAYLOAD_OFFSET..).unwrap_or_default().to_vec();
    if compressed && !payload.is_empty() {
        payload = compression::decompress(&payload, MAX_PAYLOAD)?;
    }
    println!("{verb}, payload of {} bytes", payload.len());
    let message = Message::parse(verb, &payload)?;
    println!("{message:#?}");
    if let Message::Ok(ok) = &message {
        println!("{:#?}", Answer::parse(ok)?);
    }
    if let Message::Hello(hello) = &message {
        let mut tail = hello.tail.to_vec();
        armor::mask_hello_tail(&mut tail, header.id, key);
        for moon in parse_moons(&tail)? {
            println!("{moon:?}");
        }
    }
    Ok(())
}

fn example() -> Result<(IdentitySecret, zt_proto::PublicIdentity, Vec<u8>), Box<dyn Error>> {
    let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
    let (receiver, sender) = (IdentitySecret::generate(&mut rng), IdentitySecret::generate(&mut rng));
    let header = PacketHeader {
        id: 0x0123_4567_89ab_cdef,
        destination: receiver.address(),
        source: sender.address(),
        flags: 0,
        mac: [0; 8],
    };
    let mut packet = Vec::new();
    header.write(&mut packet);
    packet.push(Verb::WHOIS.to_byte(false));
    Message::Whois(vec![receiver.address()]).write(&mut packet);
    armor::seal(&mut packet, &sender.agree(receiver.public())?, Suite::AesGmacSiv);
    Ok((receiver, *sender.public(), packet))
}

fn bytes(digits: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let (pairs, rest) = digits.trim().as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return Err("expected an even number of hexadecimal digits".into());
    }
    pairs.iter().map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?)).collect()
}
