//! Prints a network configuration, of any release, in readable form.
//!
//! `cargo run -p zt-proto --example print_config -- HEX` takes the dictionary in hexadecimal digits; without an
//! argument it prints a small one of its own.

use std::error::Error;

use zt_proto::config::{NetworkConfig, TextConfig};
use zt_proto::dictionary::Dictionary;

fn main() -> Result<(), Box<dyn Error>> {
    let bytes = match std::env::args().nth(1) {
        Some(digits) => bytes(&digits)?,
        None => b"v=7\nnwid=8056c2e21c000001\nid=1122334455\nn=example\nmtu=af0\nml=20\nR=\x01\\0".to_vec(),
    };
    println!("dictionary, {} bytes", bytes.len());
    for (key, value) in Dictionary::new(&bytes).entries() {
        println!("  {} = {}", key.escape_ascii(), value.escape_ascii());
    }
    // the form before 1.1.6 has no version
    if Dictionary::new(&bytes).hex("v").is_some() {
        println!("{:#?}", NetworkConfig::parse(&bytes)?);
    } else {
        println!("{:#?}", TextConfig::parse(&bytes)?);
    }
    Ok(())
}

fn bytes(digits: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let (pairs, rest) = digits.trim().as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return Err("expected an even number of hexadecimal digits".into());
    }
    pairs.iter().map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?)).collect()
}
