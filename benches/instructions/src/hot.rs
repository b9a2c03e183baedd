//! The functions that are counted.

use std::hint::black_box;
use std::num::NonZeroU64;
use std::sync::Arc;

use ctl_bin::vl1::RequestId;
use ctl_core::member::{ClientVersion, Credential};
use ctl_core::network::Route;
use ctl_core::{
    ConfigRequest, Decision, Member, Memo, Network, RequestKind, Snapshot, UnsignedConfig, decide,
};
use zt_crypto::SessionKey;
use zt_crypto::armor::{self, Suite};
use zt_proto::verb::network_config_request::RequestMetadata;
use zt_proto::{NetworkId, Timestamp, compression};

use crate::node::{Lab, controller, member};

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const NETWORK: NetworkId = NetworkId(0x7d82_73c3_5800_0001);
/// What a client of 1.14.1 says about itself.
const METADATA: &[u8] = b"v=0000000000000007\nvend=0000000000000001\npv=000000000000000c\nmajv=0000000000000001\n\
    minv=000000000000000e\nrevv=0000000000000001\nmr=0000000000000400\nmc=0000000000000080\nmcr=0000000000000040\n\
    mt=0000000000000080\nf=0000000000000000\nrevr=0000000000000001\no=linux/x86_64";

/// A name, what calls the function so many times, and how often it is called to be counted.
type Function = (&'static str, fn(u32), u32);

/// In the order of the path.
pub(crate) const FUNCTIONS: [Function; 11] = [
    ("open a packet", open, 100),
    ("parse the metadata", parse, 100),
    ("decide about a member", decide_again, 100),
    ("find what was issued", find_issued, 100),
    ("sign and write a dictionary", issue, 20),
    ("sign a sending", sign_sending, 20),
    ("write a sending", write_sending, 100),
    ("compress a chunk", compress, 100),
    ("seal a packet", seal, 100),
    ("seal a packet, suite 1", seal_salsa, 100),
    ("node: request and answer", answer, 50),
];

fn repeat<T>(calls: u32, mut call: impl FnMut() -> T) {
    for _ in 0..calls {
        black_box(call());
    }
}

fn key() -> SessionKey {
    SessionKey::from_bytes(std::array::from_fn(|index| u8::try_from(index).unwrap_or(0) ^ 0x5a))
}

fn open(calls: u32) {
    let (key, mut sealed) = (key(), vec![7; 1_400]);
    armor::seal(&mut sealed, &key, Suite::AesGmacSiv);
    let mut packet = sealed.clone();
    repeat(calls, || {
        // It can be opened once only.
        packet.copy_from_slice(&sealed);
        assert_eq!(armor::open(black_box(&mut packet), &key), Ok(Suite::AesGmacSiv));
    });
}

fn seal(calls: u32) {
    let (key, mut packet) = (key(), vec![7; 1_400]);
    repeat(calls, || armor::seal(black_box(&mut packet), &key, Suite::AesGmacSiv));
}

fn seal_salsa(calls: u32) {
    let (key, mut packet) = (key(), vec![7; 1_400]);
    repeat(calls, || armor::seal(black_box(&mut packet), &key, Suite::Salsa20Poly1305));
}

fn parse(calls: u32) {
    repeat(calls, || RequestMetadata::parse(black_box(METADATA)));
}

fn snapshot() -> Snapshot {
    let mut network = Network::new(NETWORK, NOW);
    network.routes = "10.0.0.0/8".parse().map(|target| Route { target, via: None }).into_iter().collect();
    let mut known = Member::new(NETWORK, member().address(), NOW);
    known.identity = Some(*member().public());
    known.authorize(Credential::Api, NOW);
    known.version = Some(ClientVersion { major: 1, minor: 14, revision: 1, protocol: 12 });
    known.ip_assignments = vec![[10, 1, 2, 3].into()];
    Snapshot { network: Arc::new(network), member: Some(known), bridges: [].into(), occupied: Arc::default() }
}

fn request() -> ConfigRequest {
    let metadata = RequestMetadata::parse(METADATA);
    ConfigRequest { network: NETWORK, identity: *member().public(), metadata, kind: RequestKind::Request }
}

fn decided() -> UnsignedConfig {
    match decide(Some(&snapshot()), &request(), NOW) {
        Decision::Admit { config, .. } => *config,
        Decision::Refuse { refusal, .. } => unreachable!("an authorized member is admitted, not {refusal:?}"),
    }
}

fn decide_again(calls: u32) {
    let (snapshot, request) = (snapshot(), request());
    repeat(calls, || decide(Some(black_box(&snapshot)), &request, NOW));
}

fn find_issued(calls: u32) {
    let (memo, config, signer) = (Memo::new(), decided(), controller());
    repeat(calls, || memo.issue(black_box(&config), &signer).is_ok());
}

fn issue(calls: u32) {
    let (config, signer) = (decided(), controller());
    repeat(calls, || config.issue(black_box(&signer)).is_ok());
}

fn sign_sending(calls: u32) {
    let signer = controller();
    let Ok(issued) = decided().issue(&signer) else { return };
    repeat(calls, || issued.sign_sending(NonZeroU64::MIN, 1, black_box(&signer)));
}

fn write_sending(calls: u32) {
    let signer = controller();
    let Ok(issued) = decided().issue(&signer) else { return };
    let sending = issued.sign_sending(NonZeroU64::MIN, 1, &signer);
    repeat(calls, || issued.compressed(black_box(&sending), &[0; 9]));
}

fn compress(calls: u32) {
    let signer = controller();
    let Ok(issued) = decided().issue(&signer) else { return };
    let payloads = issued.reply(NonZeroU64::MIN, &signer);
    repeat(calls, || payloads.iter().filter_map(|payload| compression::compress(black_box(payload))).count());
}

fn answer(calls: u32) {
    let signer = controller();
    let Ok(issued) = decided().issue(&signer) else { return };
    let sending = issued.sign_sending(NonZeroU64::MIN, 1, &signer);
    let mut lab = Lab::new();
    let answer = |request: RequestId| issued.compressed(&sending, &request.config_envelope());
    repeat(calls, || assert!(lab.ask(NETWORK, METADATA, answer), "no answer"));
}
