//! CIRCUIT_TEST and CIRCUIT_TEST_REPORT (verbs 0x11 and 0x12 of 1.1.0 to 1.2.4): how packets travel through a network
//! (`vl2.md` §14.3). Releases from 1.2.6 drop the one and take the other for an ACK.

use std::net::SocketAddr;

use super::hello::NodeVersion;
use crate::address::{Address, NetworkId};
use crate::codec::{DecodeError, Reader};
use crate::credential::{CertificateOfMembership, Signature};
use crate::inet;
use crate::time::Timestamp;

/// Credential: a network, whose controller is the originator, or its certificate of membership.
const NETWORK_CREDENTIAL: u8 = 0x01;
/// Length of the originator's credential.
const NETWORK_CREDENTIAL_LEN: u16 = 9;

/// A test on its way. The nodes of the first hop are not in it: it is sent to each of them.
///
/// `originator:5 flags:2 timestamp:8 test_id:8 9:2 1:1 network:8 extension_len:2 extension 96:2 signature:96
/// previous_len:2 [1:1 certificate] (flags:1 breadth:1 address:5 each)*`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CircuitTest<'a> {
    /// Who tests, and gets the reports.
    pub originator: Address,
    /// See the constants.
    pub flags: u16,
    /// When the test began.
    pub timestamp: Timestamp,
    /// Random; reports carry it too.
    pub test_id: u64,
    /// The network that is tested; the originator must be its controller.
    pub network: NetworkId,
    /// Fields of later releases; none was ever defined.
    pub extension: &'a [u8],
    /// By the originator.
    pub signature: Signature,
    /// The certificate of the node that passed the test on; the originator has none.
    pub forwarder: Option<CertificateOfMembership>,
    /// The nodes that each of the hops to come goes to; at most [`CircuitTest::MAX_HOPS`] of
    /// [`CircuitTest::MAX_BREADTH`] nodes.
    pub hops: Vec<Vec<Address>>,
}

impl<'a> CircuitTest<'a> {
    /// Every node reports.
    pub const REPORT_AT_EVERY_HOP: u16 = 0x01;
    /// The nodes of the last hop report.
    pub const REPORT_AT_LAST_HOP: u16 = 0x02;
    /// Most hops that are taken.
    pub const MAX_HOPS: usize = 256;
    /// Most nodes of one hop.
    pub const MAX_BREADTH: usize = 8;

    /// # Errors
    /// [`DecodeError::Invalid`] for another kind of credential or signature than the ones above;
    /// [`DecodeError::TooLong`] for too many hops or too many nodes in one.
    pub fn parse(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let originator = Address::parse(&mut reader, "test originator")?;
        let flags = reader.u16("test flags")?;
        let timestamp = Timestamp(reader.u64("test timestamp")?);
        let test_id = reader.u64("test id")?;
        expect("originator credential length", NETWORK_CREDENTIAL_LEN, reader.u16("credential length")?)?;
        expect("originator credential", NETWORK_CREDENTIAL.into(), reader.u8("credential type")?.into())?;
        let network = NetworkId::parse(&mut reader)?;
        let length = reader.u16("test extension length")?;
        let extension = reader.bytes(length.into(), "test extension")?;
        expect("signature length", Signature::LEN_ON_WIRE, reader.u16("signature length")?)?;
        let signature = Signature::parse(&mut reader)?;
        let length = reader.u16("forwarder credential length")?;
        let mut credential = Reader::new(reader.bytes(length.into(), "forwarder credential")?);
        let forwarder = if credential.is_empty() {
            None
        } else {
            let kind = credential.u8("forwarder credential")?;
            expect("forwarder credential", NETWORK_CREDENTIAL.into(), kind.into())?;
            Some(CertificateOfMembership::parse(&mut credential)?)
        };
        let mut hops = Vec::new();
        while !reader.is_empty() {
            if hops.len() == Self::MAX_HOPS {
                let max = Self::MAX_HOPS;
                return Err(DecodeError::TooLong { field: "test hops", max, got: max + 1 });
            }
            reader.u8("hop flags")?;
            hops.push(parse_breadth(&mut reader, |reader| Address::parse(reader, "hop address"))?);
        }
        Ok(Self { originator, flags, timestamp, test_id, network, extension, signature, forwarder, hops })
    }

    /// Appends the payload: of too many hops or nodes the first ones, of the extension 65535 bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.write_signed(out);
        out.extend_from_slice(&Signature::LEN_ON_WIRE.to_be_bytes());
        self.signature.write(out);
        let mut credential = Vec::new();
        if let Some(forwarder) = &self.forwarder {
            credential.push(NETWORK_CREDENTIAL);
            forwarder.write(&mut credential);
        }
        // a certificate has at most 16 qualifiers, so this is below 600 bytes
        let length = u16::try_from(credential.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&credential);
        for hop in self.hops.iter().take(Self::MAX_HOPS) {
            out.push(0);
            write_breadth(out, hop, |node, out| node.write(out));
        }
    }

    /// Returns what the originator signs: everything before the length of the signature.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write_signed(&mut out);
        out
    }

    fn write_signed(&self, out: &mut Vec<u8>) {
        self.originator.write(out);
        out.extend_from_slice(&self.flags.to_be_bytes());
        out.extend_from_slice(&self.timestamp.0.to_be_bytes());
        out.extend_from_slice(&self.test_id.to_be_bytes());
        out.extend_from_slice(&NETWORK_CREDENTIAL_LEN.to_be_bytes());
        out.push(NETWORK_CREDENTIAL);
        self.network.write(out);
        let length = u16::try_from(self.extension.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend(self.extension.iter().take(length.into()));
    }
}

/// What a node tells the originator of a test that came by.
///
/// `timestamp:8 test_id:8 0:8 vendor:1 protocol:1 major:1 minor:1 revision:2 platform:2 architecture:2 error:2 flags:8
/// source_packet:8 upstream:5 hops:1 local remote extension_len:2 extension breadth:1 (address:5 endpoint)*`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CircuitTestReport {
    /// The reporter's time.
    pub timestamp: Timestamp,
    /// Which test.
    pub test_id: u64,
    /// 1 is ZeroTier.
    pub vendor: u8,
    /// What the reporter runs.
    pub version: NodeVersion,
    /// The reporter's operating system, by the numbers of those releases.
    pub platform: u16,
    /// The reporter's processor, by the numbers of those releases.
    pub architecture: u16,
    /// None is defined.
    pub error: u16,
    /// None is defined.
    pub flags: u64,
    /// Id of the packet that brought the test.
    pub source_packet: u64,
    /// Who sent that packet.
    pub upstream: Address,
    /// Relays on the way of that packet.
    pub source_hops: u8,
    /// Where that packet arrived, and from where it came.
    pub local: Option<SocketAddr>,
    /// From where that packet came.
    pub remote: Option<SocketAddr>,
    /// The nodes that the test is passed on to, with their best path; at most [`CircuitTest::MAX_BREADTH`].
    pub next_hops: Vec<(Address, Option<SocketAddr>)>,
}

impl CircuitTestReport {
    /// # Errors
    /// [`DecodeError::TooLong`] for more next hops than a test can have.
    pub fn parse(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let timestamp = Timestamp(reader.u64("report timestamp")?);
        let test_id = reader.u64("test id")?;
        reader.u64("report padding")?;
        let vendor = reader.u8("vendor")?;
        let version = NodeVersion::parse(&mut reader)?;
        let mut report = Self {
            timestamp,
            test_id,
            vendor,
            version,
            platform: reader.u16("platform")?,
            architecture: reader.u16("architecture")?,
            error: reader.u16("report error")?,
            flags: reader.u64("report flags")?,
            source_packet: reader.u64("source packet id")?,
            upstream: Address::parse(&mut reader, "upstream")?,
            source_hops: reader.u8("source hop count")?,
            local: inet::parse_endpoint(&mut reader, "local address")?,
            remote: inet::parse_endpoint(&mut reader, "remote address")?,
            next_hops: Vec::new(),
        };
        let length = reader.u16("report extension length")?;
        reader.bytes(length.into(), "report extension")?;
        report.next_hops = parse_breadth(&mut reader, |reader| {
            let address = Address::parse(reader, "next hop")?;
            Ok((address, inet::parse_endpoint(reader, "next hop path")?))
        })?;
        Ok(report)
    }

    /// Appends the payload: of too many next hops the first ones.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.timestamp.0.to_be_bytes());
        out.extend_from_slice(&self.test_id.to_be_bytes());
        out.extend_from_slice(&[0; 8]);
        out.push(self.vendor);
        self.version.write(out);
        for number in [self.platform, self.architecture, self.error] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(&self.flags.to_be_bytes());
        out.extend_from_slice(&self.source_packet.to_be_bytes());
        self.upstream.write(out);
        out.push(self.source_hops);
        inet::write_endpoint(out, self.local);
        inet::write_endpoint(out, self.remote);
        out.extend_from_slice(&[0, 0]);
        write_breadth(out, &self.next_hops, |(address, path), out| {
            address.write(out);
            inet::write_endpoint(out, *path);
        });
    }
}

/// Reads the nodes of one hop.
fn parse_breadth<'a, T>(
    reader: &mut Reader<'a>,
    parse: impl Fn(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let got: usize = reader.u8("hop breadth")?.into();
    let max = CircuitTest::MAX_BREADTH;
    if got > max {
        return Err(DecodeError::TooLong { field: "hop breadth", max, got });
    }
    (0..got).map(|_| parse(reader)).collect()
}

fn write_breadth<T>(out: &mut Vec<u8>, nodes: &[T], write: impl Fn(&T, &mut Vec<u8>)) {
    let nodes = nodes.iter().take(CircuitTest::MAX_BREADTH);
    out.push(u8::try_from(nodes.len()).expect("at most 8"));
    nodes.for_each(|node| write(node, out));
}

fn expect(field: &'static str, expected: u16, got: u16) -> Result<(), DecodeError> {
    if got == expected { Ok(()) } else { Err(DecodeError::Invalid { field, value: got.into() }) }
}
