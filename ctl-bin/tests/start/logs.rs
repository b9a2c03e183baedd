//! The log of a controller that has much to tell.

use std::fs;

use serde_json::{Value, json};

use crate::http::request;
use crate::program::{START_LIMIT, api, free_port, home, serve};

/// Put out at once; each is a line of the log.
const MEMBERS: usize = 300;
/// `MAX_IN_WINDOW` in `ctl-bin/src/server/logs/limit.rs`.
const LOGGED: usize = 50;

#[test]
fn what_comes_too_often_is_cut_and_counted_and_what_comes_beside_it_is_logged() {
    let (_folder, home) = home();
    let port = free_port();
    let (process, _) = serve(&home, port);
    let token = fs::read_to_string(home.join("authtoken.secret")).unwrap();
    let send = |method: &str, path: &str, body: &Value| {
        let (status, answer) = request(api(port), method, path, &token, Some(body));
        assert!((200..300).contains(&status), "{answer}");
        answer
    };
    let network = send("POST", "/api/v2/network", &json!({ "name": "n" }));
    let bulk = format!("/api/v2/network/{}/member/bulk", network["id"].as_str().unwrap());
    let all = |action: &str| {
        let entry =
            |n: usize| json!({ "address": format!("{:010x}", 0x11_0000_0000_usize + n), "action": action });
        json!({ "entries": (0..MEMBERS).map(entry).collect::<Value>() })
    };
    send("POST", &bulk, &all("authorize"));
    let begin = process.mark();
    send("POST", &bulk, &all("deauthorize"));
    for _ in 0..3 {
        send("PUT", "/api/v2/log-level", &json!({ "levels": "info" }));
    }
    // However they fall into the times of the limit and of its reports, each is logged or counted.
    let (mut logged, mut left_out) = (0, 0);
    process.wait_for(begin, START_LIMIT, "all of them are logged or counted", |line| {
        if let Some((_, rest)) = line.text.split_once("the same came too often") {
            assert!(rest.contains("message_left_out=\"member revoked\""), "{rest}");
            let (_, count) = rest.split_once(" left_out=").unwrap();
            left_out += count.trim().parse::<usize>().unwrap();
        }
        logged += usize::from(line.text.contains(" member revoked "));
        (logged + left_out == MEMBERS).then_some(())
    });
    assert!(logged >= LOGGED && left_out > 0, "{logged} logged, {left_out} left out");
    let lines = process.lines_since(begin);
    let of = |message: &str| lines.iter().filter(|line| line.text.contains(message)).count();
    assert_eq!(of("the levels of the log were changed"), 3, "others are logged");
}
