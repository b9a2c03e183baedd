//! Routers made up for the tests, each at an address of its own on loopback: they do what the RFCs and UPnP say, keep what is
//! mapped, and write down what they were asked for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use super::*;

const OWN: Ipv4Addr = Ipv4Addr::LOCALHOST;
const PORT: u16 = 9993;
const EXTERNAL_IP: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
/// Another one than was asked for.
const EXTERNAL_PORT: u16 = 40_001;
const SECONDS: u32 = 1_200;
/// Fast, so that renewals are seen; a router that does not answer is given up after 4 s.
const QUICK: Pace = Pace { renewal: Duration::from_millis(20), retry: Duration::from_millis(20) };
const PATIENCE: Duration = Duration::from_secs(20);

/// What a router was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// To map a port of the machine for so many seconds.
    Map {
        port: u16,
        seconds: u32,
    },
    Remove {
        port: u16,
    },
}

/// What a router has written down, and the maps that it has: the port here, and who made it.
#[derive(Debug, Default)]
struct Book {
    asked: Vec<Asked>,
    maps: BTreeMap<u16, Vec<u8>>,
    /// Takes no lease that ends.
    is_permanent: bool,
}

type Shared = Arc<Mutex<Book>>;

fn asked(book: &Shared) -> Vec<Asked> {
    book.lock().unwrap().asked.clone()
}

/// NAT-PMP, and no PCP (RFC 6886, section 3).
async fn serve_nat_pmp(address: Ipv4Addr, book: Shared) {
    let socket = UdpSocket::bind((address, 5351)).await.unwrap();
    let mut request = [0; 1_100];
    loop {
        let (length, from) = socket.recv_from(&mut request).await.unwrap();
        let epoch = [0, 0, 0, 9];
        let answer = match &request[..length] {
            [0, 0] => [&[0, 128, 0, 0], &epoch[..], &EXTERNAL_IP.octets()].concat(),
            [0, 1, _, _, p0, p1, _, _, seconds @ ..] if length == 12 => {
                let (port, seconds) = (u16::from_be_bytes([*p0, *p1]), seconds.try_into().unwrap());
                let external = note(&book, port, u32::from_be_bytes(seconds), &[]).unwrap();
                let external = external.to_be_bytes();
                [&[0, 129, 0, 0], &epoch[..], &[*p0, *p1], &external[..], &seconds].concat()
            }
            _ => [&[0, 128, 0, 1], &epoch[..]].concat(),
        };
        socket.send_to(&answer, from).await.unwrap();
    }
}

/// PCP, opcode MAP alone (RFC 6887, section 11).
async fn serve_pcp(address: Ipv4Addr, book: Shared) {
    let socket = UdpSocket::bind((address, 5351)).await.unwrap();
    let mut request = [0; 1_100];
    loop {
        let (length, from) = socket.recv_from(&mut request).await.unwrap();
        let request = &request[..length];
        assert_eq!((request[0], request[1], length), (2, 1, 60), "{request:?}");
        assert_eq!(request[8..24], OWN.to_ipv6_mapped().octets(), "the client's own address");
        let seconds = u32::from_be_bytes(request[4..8].try_into().unwrap());
        let nonce = &request[24..36];
        let port = u16::from_be_bytes(request[40..42].try_into().unwrap());
        // Of a map that is there only its nonce is proof: else the answer is NOT_AUTHORIZED.
        let (result, external) = match note(&book, port, seconds, nonce) {
            Some(external) => (0, external),
            None => (2, 0),
        };
        let mut answer = [2, 0x81, 0, result].to_vec();
        answer.extend(seconds.to_be_bytes());
        answer.extend([0, 0, 0, 9]);
        answer.extend([0; 12]);
        answer.extend(&request[24..42]);
        answer.extend(external.to_be_bytes());
        answer.extend(EXTERNAL_IP.to_ipv6_mapped().octets());
        socket.send_to(&answer, from).await.unwrap();
    }
}

/// Notes a request, and does what it says; returns the external port, or `None` if somebody else has the map.
fn note(book: &Shared, port: u16, seconds: u32, maker: &[u8]) -> Option<u16> {
    let mut book = book.lock().unwrap();
    if book.maps.get(&port).is_some_and(|known| known != maker) {
        return None;
    }
    if seconds == 0 {
        book.asked.push(Asked::Remove { port });
        book.maps.remove(&port);
        return Some(0);
    }
    book.asked.push(Asked::Map { port, seconds });
    book.maps.insert(port, maker.to_vec());
    Some(EXTERNAL_PORT)
}

/// An Internet gateway device: answers a search, then HTTP.
async fn serve_upnp(address: Ipv4Addr, book: Shared) {
    let search = UdpSocket::bind((address, 1900)).await.unwrap();
    let http = TcpListener::bind((address, 0)).await.unwrap();
    let location = format!("http://{}/root.xml", http.local_addr().unwrap());
    let mut request = [0; 1_100];
    loop {
        tokio::select! {
            received = search.recv_from(&mut request) => {
                let (length, from) = received.unwrap();
                assert!(request[..length].starts_with(b"M-SEARCH * HTTP/1.1\r\n"));
                let answer = format!("HTTP/1.1 200 OK\r\nST: {SERVICE}\r\nLOCATION: {location}\r\n\r\n");
                search.send_to(answer.as_bytes(), from).await.unwrap();
            }
            accepted = http.accept() => {
                tokio::spawn(answer_http(accepted.unwrap().0, Arc::clone(&book)));
            }
        }
    }
}

const SERVICE: &str = "urn:schemas-upnp-org:service:WANIPConnection:1";

async fn answer_http(stream: TcpStream, book: Shared) {
    let mut stream = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
        head += &line;
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    let (status, answer) = answer_to(&head, &String::from_utf8(body).unwrap(), &book);
    let answer =
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}", answer.len());
    stream.get_mut().write_all(answer.as_bytes()).await.unwrap();
}

fn answer_to(head: &str, body: &str, book: &Shared) -> (&'static str, String) {
    let field = |name: &str| body.split_once(&format!("<{name}>")).unwrap().1.split('<').next().unwrap();
    let done = |action: &str, result: &str| {
        let answer = format!("<u:{action}Response xmlns:u=\"{SERVICE}\">{result}</u:{action}Response>");
        ("200 OK", envelope(&answer))
    };
    if head.starts_with("GET /root.xml") {
        let service = format!(
            "<service><serviceType>{SERVICE}</serviceType><controlURL>/control</controlURL>\
             <SCPDURL>/actions.xml</SCPDURL></service>"
        );
        let device = format!("<device><serviceList>{service}</serviceList></device>");
        ("200 OK", format!("<?xml version=\"1.0\"?><root>{device}</root>"))
    } else if head.starts_with("GET /actions.xml") {
        let action = |name: &str, arguments: &[&str]| {
            let argument =
                |name: &&str| format!("<argument><name>{name}</name><direction>in</direction></argument>");
            let arguments: String = arguments.iter().map(argument).collect();
            format!("<action><name>{name}</name><argumentList>{arguments}</argumentList></action>")
        };
        let map = ["NewRemoteHost", "NewExternalPort", "NewProtocol", "NewInternalPort", "NewInternalClient"];
        let more = ["NewEnabled", "NewPortMappingDescription", "NewLeaseDuration"];
        let actions =
            action("AddPortMapping", &[&map[..], &more].concat()) + &action("DeletePortMapping", &map[..3]);
        ("200 OK", format!("<?xml version=\"1.0\"?><scpd><actionList>{actions}</actionList></scpd>"))
    } else if body.contains("u:AddPortMapping") {
        let port = field("NewInternalPort").parse().unwrap();
        let seconds = field("NewLeaseDuration").parse().unwrap();
        assert_eq!((field("NewProtocol"), field("NewInternalClient")), ("UDP", "127.0.0.1"));
        let mut book = book.lock().unwrap();
        book.asked.push(Asked::Map { port, seconds });
        if book.is_permanent && seconds != 0 {
            return ("500 Internal Server Error", fault(725, "OnlyPermanentLeasesSupported"));
        }
        book.maps.insert(port, Vec::new());
        done("AddPortMapping", "")
    } else if body.contains("GetExternalIPAddress") {
        done("GetExternalIPAddress", &format!("<NewExternalIPAddress>{EXTERNAL_IP}</NewExternalIPAddress>"))
    } else {
        assert!(body.contains("u:DeletePortMapping"), "{body}");
        let port = field("NewExternalPort").parse().unwrap();
        let mut book = book.lock().unwrap();
        book.asked.push(Asked::Remove { port });
        book.maps.remove(&port);
        done("DeletePortMapping", "")
    }
}

fn envelope(body: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body>{body}</s:Body>\
         </s:Envelope>"
    )
}

fn fault(code: u16, text: &str) -> String {
    let error = format!("<errorCode>{code}</errorCode><errorDescription>{text}</errorDescription>");
    let detail =
        format!("<detail><UPnPError xmlns=\"urn:schemas-upnp-org:control-1-0\">{error}</UPnPError></detail>");
    envelope(&format!("<s:Fault><faultcode>s:Client</faultcode>{detail}</s:Fault>"))
}

/// Keeps a map at a router until it was renewed, and ends; returns where the map led and what the router was asked for.
async fn keep_until_renewed(
    address: [u8; 4],
    serve: impl Future<Output = ()> + Send + 'static,
    book: Shared,
) -> (SocketAddr, Vec<Asked>) {
    let served = tokio::spawn(serve);
    let gateway = Ipv4Addr::from(address);
    let router = Router { gateway, own: OWN, devices: (gateway, 1900).into() };
    let (mapped, mut told) = watch::channel(None);
    let (stop, stopped) = watch::channel(false);
    let keeping = tokio::spawn(keep_at(move || Some(router), QUICK, PORT, mapped, stopped));
    let external = timeout(PATIENCE, told.wait_for(Option::is_some)).await.unwrap().unwrap().unwrap();
    let renewed = || asked(&book).iter().filter(|asked| matches!(asked, Asked::Map { .. })).count() > 3;
    while !renewed() {
        assert!(!keeping.is_finished() && !served.is_finished());
        tokio::task::yield_now().await;
    }
    assert_eq!(*told.borrow(), Some(external), "the same one is held all the time");
    stop.send_replace(true);
    timeout(PATIENCE, keeping).await.unwrap().unwrap();
    served.abort();
    assert!(book.lock().unwrap().maps.is_empty(), "nothing is left at the router");
    (external, asked(&book))
}

/// The router was asked for one map, however often, and at the end to remove it.
fn assert_made_and_removed(asked: &[Asked]) {
    let (last, maps) = asked.split_last().unwrap();
    assert!(maps.iter().all(|asked| *asked == Asked::Map { port: PORT, seconds: SECONDS }), "{maps:?}");
    assert_eq!(*last, Asked::Remove { port: PORT });
}

#[tokio::test]
async fn a_map_by_nat_pmp_is_made_renewed_told_and_removed_at_the_end() {
    let (book, at) = (Shared::default(), [127, 53, 51, 1]);
    let serve = serve_nat_pmp(at.into(), Arc::clone(&book));
    let (external, asked) = keep_until_renewed(at, serve, book).await;
    assert_eq!(external, SocketAddr::from((EXTERNAL_IP, EXTERNAL_PORT)));
    assert_made_and_removed(&asked);
}

/// A router gives a map only to who knows its nonce: a renewal names it.
#[tokio::test]
async fn a_map_by_pcp_is_made_renewed_told_and_removed_at_the_end() {
    let (book, at) = (Shared::default(), [127, 53, 51, 2]);
    let serve = serve_pcp(at.into(), Arc::clone(&book));
    let (external, asked) = keep_until_renewed(at, serve, book).await;
    assert_eq!(external, SocketAddr::from((EXTERNAL_IP, EXTERNAL_PORT)));
    assert_made_and_removed(&asked);
}

#[tokio::test]
async fn a_map_by_upnp_is_made_renewed_told_and_removed_at_the_end() {
    let (book, at) = (Shared::default(), [127, 53, 51, 3]);
    let serve = serve_upnp(at.into(), Arc::clone(&book));
    let (external, asked) = keep_until_renewed(at, serve, book).await;
    assert_eq!(external, SocketAddr::from((EXTERNAL_IP, PORT)));
    assert_made_and_removed(&asked);
}

#[tokio::test]
async fn a_upnp_router_that_knows_permanent_maps_alone_gets_one_and_loses_it_at_the_end() {
    let (book, at) = (Shared::default(), [127, 53, 51, 4]);
    book.lock().unwrap().is_permanent = true;
    let serve = serve_upnp(at.into(), Arc::clone(&book));
    let (_, asked) = keep_until_renewed(at, serve, book).await;
    let first = [SECONDS, 0].map(|seconds| Asked::Map { port: PORT, seconds });
    assert_eq!(asked[..2], first);
    assert_eq!(asked.last(), Some(&Asked::Remove { port: PORT }));
}

#[tokio::test]
async fn without_a_router_that_answers_there_is_no_map_and_the_end_is_not_waited_for() {
    let gateway = Ipv4Addr::new(127, 53, 51, 5);
    let router = Router { gateway, own: OWN, devices: (gateway, 1900).into() };
    assert!(matches!(Map::make(router, 0).await, Err(MapError::NoPort)));
    assert!(matches!(Map::make(router, PORT).await, Err(MapError::Upnp(_))));
    assert!(matches!(make_or_renew(None, PORT, None).await, Err(MapError::NoGateway)));
    let (mapped, told) = watch::channel(None);
    let (stop, stopped) = watch::channel(false);
    let keeping = tokio::spawn(keep_at(move || Some(router), QUICK, PORT, mapped, stopped));
    tokio::task::yield_now().await;
    stop.send_replace(true);
    timeout(Duration::from_millis(500), keeping).await.unwrap().unwrap();
    assert_eq!(*told.borrow(), None);
}
