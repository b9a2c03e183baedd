//! Replays the recorded exchanges with the original (`vectors/http`), by the comparing rules of its README.
//!
//! What differs on purpose is a row of [`crate::departures`], with the behaviour that is expected instead. A
//! difference without a row fails, and so does a row without a difference.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::AddAssign;

use ctl_core::RequestKind;
use ctl_http::LocalConf;
use serde_json::{Value, json};

use crate::api::own_address;
use crate::client::{self, Answer};
use crate::departures::{DEPARTURES, Departure, Expect, NOT_REPLAYED};
use crate::server::{CONTROLLER, MEMBER, METRICS_TOKEN, Options, Server, TOKEN, identity};

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../testdata/http/", $name, ".json")))),*]
    };
}

/// The files whose exchanges follow from each other, on a controller that nobody asks anything else.
const ALONE: [(&str, &str); 12] = files![
    "01-auth",
    "02-transport",
    "03-node",
    "05-network-lifecycle",
    "06-network-scalars",
    "07-network-assign-modes",
    "08-network-routes-pools-dns",
    "09-network-rules",
    "10-network-caps-tags-tokens",
    "11-network-revision",
    "12-member-lifecycle",
    "13-member-fields",
];
const WITH_NODES: [(&str, &str); 2] = files!["14-live-member", "15-own-network"];
const REMOTE: [(&str, &str); 1] = files!["04-auth-remote"];
const INTERFACES: [(&str, &str); 4] = files!["ui-ztncui", "ui-zero-ui", "ui-ztnet", "ui-zerotier-cli"];
/// Where the member node has asked to join: before this step of each of the interfaces.
const JOIN_BEFORE: [&str; 4] = ["network detail (one member)", "members", "members: revision map", ""];

/// What became of the exchanges.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    equal: usize,
    deviating: usize,
    /// Results of the libraries of the original, and rows of [`NOT_REPLAYED`].
    not_replayed: usize,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.equal += other.equal;
        self.deviating += other.deviating;
        self.not_replayed += other.not_replayed;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { equal, deviating, not_replayed } = self;
        write!(f, "{equal} equal, {deviating} deviating as listed, {not_replayed} not replayed")
    }
}

/// Every recorded exchange, all of them told apart, with the sum that `docs/api-compat.md` states.
#[test]
fn recorded_exchanges_are_equal_or_deviate_as_listed() {
    let mut total = Counts::default();
    let mut add = |name: &str, counts: Counts| {
        println!("{name}: {counts}");
        total += counts;
    };
    for (name, file) in ALONE {
        add(name, replay(name, file, Options::default()));
    }
    for (name, file) in WITH_NODES {
        add(name, replay(name, file, Options::default()));
    }
    for ((name, file), join_before) in INTERFACES.into_iter().zip(JOIN_BEFORE) {
        add(name, replay_interface(name, file, join_before));
    }
    println!("total: {total}");
    let stated = format!("**{total}**");
    assert!(
        include_str!("../../../docs/api-compat.md").contains(&stated),
        "docs/api-compat.md lacks {stated}"
    );
}

/// `http-api.md` §3.2. Needs an address of this machine that is not loopback; without one there is nothing to test.
#[test]
fn exchanges_from_elsewhere_are_equal_once_local_conf_allows_them() {
    let Some(own) = own_address() else { return };
    let conf = json!({ "settings": { "allowManagementFrom": [format!("{own}/32")] } }).to_string();
    let local_conf = LocalConf::parse(conf.as_bytes()).unwrap();
    for (name, file) in REMOTE {
        let counts =
            replay(name, file, Options { listen: own, local_conf: local_conf.clone(), ..Options::default() });
        println!("{name}: {counts}");
        assert_eq!(counts, Counts { equal: 6, ..Counts::default() });
    }
}

fn replay(name: &'static str, file: &str, options: Options) -> Counts {
    let mut replay = Replay::new(name, options);
    for exchange in parse(file)["exchanges"].as_array().unwrap() {
        let id = exchange["id"].as_str().unwrap();
        if let Some((_, kind)) = ASKS_BEFORE.iter().find(|(before, _)| *before == id) {
            let network = format!("{CONTROLLER}0000e3");
            replay.server.configure(&network, *kind);
        }
        replay.exchange(id, exchange);
    }
    replay.finish()
}

/// Before which exchanges of `14-live-member` the member node asked.
const ASKS_BEFORE: [(&str, RequestKind); 5] = [
    ("l-list-after-join", RequestKind::Request),
    ("l-get-authorized", RequestKind::Request),
    ("l-get-after-clear", RequestKind::Request),
    ("l-list-reappeared", RequestKind::Request),
    ("l-get-public", RequestKind::Request),
];

/// Replays what an interface sent. A member asks to join before the step `join_before`.
fn replay_interface(name: &'static str, file: &str, join_before: &str) -> Counts {
    let mut replay = Replay::new(name, Options::default());
    for suffix in ["0000c1", "0000c2"] {
        let network = format!("{CONTROLLER}{suffix}");
        replay.server.post(&format!("/controller/network/{network}"), &json!({ "name": "seed" }));
        replay.variables.entry("nw".to_owned()).or_insert(network); // until an interface makes its own
    }
    replay.steps(file, join_before);
    replay.finish()
}

fn parse(file: &str) -> Value {
    serde_json::from_str(file).unwrap()
}

struct Replay {
    file: &'static str,
    server: Server,
    variables: BTreeMap<String, String>,
    /// Revisions of each object as last recorded and as last seen; after a departure they may go apart.
    revisions: BTreeMap<String, (i64, i64)>,
    counts: Counts,
    problems: Vec<String>,
    used: BTreeSet<&'static str>,
}

impl Replay {
    fn new(file: &'static str, options: Options) -> Self {
        let server = Server::with(Options { allow_query_token: true, ..options });
        let variables = [
            ("token", TOKEN.to_owned()),
            ("metrics_token", METRICS_TOKEN.to_owned()),
            ("token with its first character as %XX", format!("%{:02X}{}", TOKEN.as_bytes()[0], &TOKEN[1..])),
            ("addr", CONTROLLER.to_owned()),
            ("ADDR", CONTROLLER.to_uppercase()),
            ("identity", identity(CONTROLLER).to_string()),
            ("member", MEMBER.to_owned()),
            ("member_identity", identity(MEMBER).to_string()),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value)).into();
        Self {
            file,
            server,
            variables,
            revisions: BTreeMap::new(),
            counts: Counts::default(),
            problems: Vec::new(),
            used: BTreeSet::new(),
        }
    }

    fn steps(&mut self, file: &str, join_before: &str) {
        for (index, step) in parse(file)["steps"].as_array().unwrap().iter().enumerate() {
            if step["step"] == join_before {
                self.server.join(&self.variables["nw"]);
            }
            for (call_index, call) in step["calls"].as_array().unwrap().iter().enumerate() {
                let id = format!("{}#{index}.{call_index}", self.file);
                self.exchange(&id, call);
            }
        }
    }

    /// Does one exchange and notes what is wrong with the answer.
    fn exchange(&mut self, id: &str, exchange: &Value) {
        let http_library = exchange["quirk"]["kind"] == "http-library";
        if http_library {
            self.counts.not_replayed += 1;
            return;
        }
        if let Some((_, skipped, _)) = NOT_REPLAYED.iter().find(|(_, skipped, _)| *skipped == id) {
            self.used.insert(skipped);
            self.counts.not_replayed += 1;
            return;
        }
        let answer = self.request(id, &exchange["request"]);
        self.capture(exchange, &answer);
        if exchange["request"]["path"].as_str().unwrap().ends_with("______") && id.starts_with("ui-") {
            self.variables.insert("nw".to_owned(), answer.json()["id"].as_str().unwrap().to_owned());
        }
        let recorded = self.fill(&exchange["response"]);
        let vary: Vec<_> =
            exchange["vary"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let path = self.fill_text(exchange["request"]["path"].as_str().unwrap());
        match (departure(id), self.compare(&path, &recorded, &answer, &vary, true)) {
            (None, Ok(())) => self.counts.equal += 1,
            (None, Err(difference)) => self.problems.push(format!("{id}: {difference}")),
            (Some(departure), Ok(())) => {
                self.problems.push(format!("{id}: stale row, nothing differs ({})", departure.reason));
            }
            (Some(departure), Err(_)) => {
                self.counts.deviating += 1;
                self.used.insert(departure.id);
                if let Err(problem) = self.check_departure(departure, &path, &recorded, &answer, &vary) {
                    self.problems.push(format!("{id}: departs, but not as expected: {problem}"));
                }
                note_revisions(&mut self.revisions, &path, &recorded["json"], &answer.json());
            }
        }
    }

    fn request(&self, id: &str, request: &Value) -> Answer {
        let method = request["method"].as_str().unwrap();
        let path = self.fill_text(request["path"].as_str().unwrap());
        let mut headers = Vec::new();
        if request["no_host_header"].is_null() {
            headers.push(("Host".to_owned(), "localhost:9993".to_owned()));
        }
        for (name, value) in request["headers"].as_object().unwrap() {
            if !name.eq_ignore_ascii_case("content-length") {
                headers.push((name.clone(), self.fill_text(value.as_str().unwrap())));
            }
        }
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let body = self.body(id, request);
        if request["version"].is_string() {
            let head: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let request = format!("{method} {path} {}\r\n{head}\r\n", request["version"].as_str().unwrap());
            return client::exchange(self.server.address, request.as_bytes(), false);
        }
        client::send(self.server.address, method, &path, &headers, body.as_deref())
    }

    fn body(&self, id: &str, request: &Value) -> Option<Vec<u8>> {
        if let Some(hex) = request["body_hex"].as_str() {
            let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
            return Some(hex.as_bytes().chunks(2).map(pair).collect());
        }
        if request["body_generated"].is_string() {
            let rule = json!({ "type": "MATCH_ETHERTYPE", "etherType": 2048 });
            let body = match id {
                "c-post-form-8193" | "c-post-json-same" => json!({ "rules": vec![rule; 161] }).to_string(),
                "c-post-2mib" => json!({ "name": "n", "pad": "x".repeat(2 << 20) }).to_string(),
                "c-post-deep" => format!("{{\"x\":{}{}}}", "[".repeat(2000), "]".repeat(2000)),
                "rule-1030" => json!({ "rules": vec![rule; 1030] }).to_string(),
                other => panic!("no generator for the body of {other}"),
            };
            return Some(body.into_bytes());
        }
        let body = self.fill_text(request["body"].as_str()?).into_bytes();
        if request["chunked"] == true {
            let middle = body.len() / 2;
            let chunk = |part: &[u8]| [format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat();
            return Some([chunk(&body[..middle]), chunk(&body[middle..]), b"0\r\n\r\n".to_vec()].concat());
        }
        Some(body)
    }

    fn capture(&mut self, exchange: &Value, answer: &Answer) {
        for (name, pointer) in exchange["capture"].as_object().into_iter().flatten() {
            let json = answer.json();
            let value = json.pointer(pointer.as_str().unwrap()).and_then(Value::as_str);
            self.variables.insert(name.clone(), value.unwrap_or_default().to_owned());
        }
    }

    fn fill(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.fill_text(text).into(),
            Value::Array(entries) => entries.iter().map(|entry| self.fill(entry)).collect(),
            Value::Object(fields) => {
                fields.iter().map(|(name, value)| (self.fill_text(name), self.fill(value))).collect()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    fn fill_text(&self, text: &str) -> String {
        let filled = self
            .variables
            .iter()
            .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), value));
        filled.replace("{'a' x 8000}", &"a".repeat(8000))
    }

    /// Compares an answer with the recorded one; says what differs first.
    fn compare(
        &mut self,
        path: &str,
        recorded: &Value,
        answer: &Answer,
        vary: &[&str],
        revisions: bool,
    ) -> Result<(), String> {
        if recorded["status"] != answer.status {
            return Err(format!("status {} was recorded, got {answer:?}", recorded["status"]));
        }
        if answer.error().is_some() {
            return Ok(());
        }
        let recorded_type = recorded["headers"]["Content-Type"].as_str();
        let media_type =
            |header: &str| header.split(';').next().map(|media_type| media_type.trim().to_owned());
        if recorded_type.and_then(media_type) != answer.header("content-type").and_then(media_type) {
            return Err(format!(
                "type {recorded_type:?} was recorded, got {:?}",
                answer.header("content-type")
            ));
        }
        if vary.contains(&"body") {
            return Ok(());
        }
        if recorded["json"].is_null() {
            if let Some(prefix) = recorded["text_prefix"].as_str() {
                let begins = answer.body.starts_with(prefix.as_bytes());
                return if begins { Ok(()) } else { Err(format!("got {answer:?}")) };
            }
            let text = recorded["text"].as_str().unwrap_or_default();
            return if text.as_bytes() == answer.body { Ok(()) } else { Err(format!("got {answer:?}")) };
        }
        let (mut expected, mut got) = (recorded["json"].clone(), answer.json());
        remove_extra_keys(path, &mut got)?;
        for pointer in vary.iter().copied().chain(["/clock"]) {
            remove(&mut expected, pointer);
            remove(&mut got, pointer);
        }
        for list in [&mut expected, &mut got] {
            if let Some(data) = list.get_mut("data").and_then(Value::as_array_mut) {
                data.sort_by_key(|entry| entry["id"].as_str().map(str::to_owned));
            }
        }
        if revisions && !vary.contains(&"/revision") {
            self.compare_revisions(path, &mut expected, &mut got)?;
        } else {
            remove(&mut expected, "/revision");
            remove(&mut got, "/revision");
        }
        if expected == got { Ok(()) } else { Err(difference(&expected, &got)) }
    }

    /// Compares revisions by their steps: a change that a departure did not make is not counted here either.
    fn compare_revisions(&mut self, path: &str, expected: &mut Value, got: &mut Value) -> Result<(), String> {
        for (key, recorded, seen) in revisions_in(path, expected, got) {
            let shift = self.revisions.get(&key).map_or(0, |(recorded, seen)| seen - recorded);
            if recorded + shift != seen {
                return Err(format!("revision of {key}: {recorded} + {shift} was recorded, got {seen}"));
            }
            self.revisions.insert(key, (recorded, seen));
        }
        blank_revisions(expected);
        blank_revisions(got);
        if path.ends_with("/member") && !path.starts_with("/unstable") {
            blank_values(expected);
            blank_values(got);
        }
        Ok(())
    }

    fn check_departure(
        &mut self,
        departure: &Departure,
        path: &str,
        recorded: &Value,
        answer: &Answer,
        vary: &[&str],
    ) -> Result<(), String> {
        match departure.expect {
            Expect::Status(status) if status == answer.status => Ok(()),
            Expect::Error(status, part) if status == answer.status => match answer.error() {
                Some(description) if description.contains(part) => Ok(()),
                other => Err(format!("description {other:?} does not have {part:?}")),
            },
            Expect::Shows(fields) if answer.status == 200 => {
                let json = answer.json();
                for (pointer, expected) in fields {
                    let expected: Value = serde_json::from_str(expected).unwrap();
                    let got = json.pointer(pointer).unwrap_or(&Value::Null);
                    if *got != expected {
                        return Err(format!("{pointer} is {got}, not {expected}"));
                    }
                }
                if recorded["status"] != 200 {
                    return Ok(());
                }
                // All the rest must be as recorded.
                let named = fields.iter().map(|(pointer, _)| *pointer);
                let vary: Vec<_> = vary.iter().copied().chain(named).collect();
                self.compare(path, recorded, answer, &vary, false)
            }
            Expect::Status(_) | Expect::Error(..) | Expect::Shows(_) => Err(format!("got {answer:?}")),
        }
    }

    /// Fails if anything was wrong, or if a row of the tables is for an exchange of this file that did not use it.
    fn finish(mut self) -> Counts {
        let departures = DEPARTURES.iter().map(|departure| (departure.file, departure.id));
        for (file, id) in departures.chain(NOT_REPLAYED.iter().map(|(file, id, _)| (*file, *id))) {
            if file == self.file
                && !self.used.contains(id)
                && !self.problems.iter().any(|p| p.starts_with(id))
            {
                self.problems.push(format!("{id}: no such exchange in {file}"));
            }
        }
        assert!(self.problems.is_empty(), "{} problems:\n{}", self.problems.len(), self.problems.join("\n"));
        self.counts
    }
}

/// Says in which fields two objects differ.
fn difference(expected: &Value, got: &Value) -> String {
    let (Some(expected_fields), Some(got_fields)) = (expected.as_object(), got.as_object()) else {
        return format!("{expected} was recorded, got {got}");
    };
    let names: BTreeSet<_> = expected_fields.keys().chain(got_fields.keys()).collect();
    let differing = names.into_iter().filter(|name| expected_fields.get(*name) != got_fields.get(*name));
    let shown = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), Value::to_string);
    let lines = differing.map(|name| {
        let (expected, got) = (shown(expected_fields.get(name)), shown(got_fields.get(name)));
        format!("\n    {name}: {expected} was recorded, got {got}")
    });
    lines.collect()
}

fn departure(id: &str) -> Option<&'static Departure> {
    DEPARTURES.iter().find(|departure| departure.id == id)
}

/// Remembers what both sides show after a departure, so that later steps are compared from there.
fn note_revisions(known: &mut BTreeMap<String, (i64, i64)>, path: &str, recorded: &Value, got: &Value) {
    for (side, value) in [(0, recorded), (1, got)] {
        for (key, revision, _) in revisions_in(path, value, value) {
            let entry = known.entry(key).or_insert((revision, revision));
            if side == 0 { entry.0 = revision } else { entry.1 = revision }
        }
    }
}

/// Returns the revisions that both values show: object, first value's, second value's.
fn revisions_in(path: &str, first: &Value, second: &Value) -> Vec<(String, i64, i64)> {
    let key = |object: &Value| {
        let member =
            if object["objtype"] == "member" { object["id"].as_str().unwrap_or_default() } else { "" };
        object["nwid"].as_str().map(|network| format!("{network}/{member}").to_lowercase())
    };
    let mut found = Vec::new();
    if let (Some(key), Some(a), Some(b)) =
        (key(first), first["revision"].as_i64(), second["revision"].as_i64())
    {
        found.push((key, a, b));
    }
    if let Some(network) = path.strip_suffix("/member").and_then(|path| path.rsplit('/').next())
        && !path.starts_with("/unstable")
    {
        for (member, revision) in first.as_object().into_iter().flatten() {
            if let (Some(a), Some(b)) = (revision.as_i64(), second[member].as_i64()) {
                found.push((format!("{network}/{member}").to_lowercase(), a, b));
            }
        }
    }
    found
}

fn blank_revisions(value: &mut Value) {
    remove(value, "/revision");
    for entry in value.get_mut("data").and_then(Value::as_array_mut).into_iter().flatten() {
        remove(entry, "/revision");
    }
}

fn blank_values(list: &mut Value) {
    list.as_object_mut().into_iter().flatten().for_each(|(_, revision)| *revision = Value::Null);
}

/// Removes the keys that the original does not have (`http-api.md` §20, item 10); they must be there.
fn remove_extra_keys(path: &str, value: &mut Value) -> Result<(), String> {
    for entry in value.get_mut("data").and_then(Value::as_array_mut).into_iter().flatten() {
        remove_extra_keys("", entry)?;
    }
    let extra: &[&str] = match value["objtype"].as_str() {
        Some("network") => &["authorizedMemberCount", "totalMemberCount"],
        Some("member") => {
            let listed = ["firstSeen", "lastAt", "lastSeen", "memberRevision", "online", "physicalAddr"];
            let object = value.as_object_mut().ok_or("no object")?;
            object.remove("recentLog"); // not in lists
            for name in listed {
                object.remove(name).ok_or_else(|| format!("{name} is missing"))?;
            }
            &["physicalAddress"]
        }
        _ if path == "/status" && value != &json!({}) => &["controllerSoftware"],
        _ => &[],
    };
    for name in extra {
        let removed = value.as_object_mut().and_then(|object| object.remove(*name));
        removed.ok_or_else(|| format!("{name} is missing"))?;
    }
    Ok(())
}

fn remove(value: &mut Value, pointer: &str) {
    let Some((parent, name)) = pointer.rsplit_once('/') else { return };
    if let Some(object) = value.pointer_mut(parent).and_then(Value::as_object_mut) {
        object.remove(name);
    }
}
