//! `local.conf`, read (`http-api.md` §3.2, §6.3).

use ctl_http::LocalConf;
use serde_json::json;

use crate::client;
use crate::server::{Options, Server};

#[test]
fn local_conf_is_shown_and_cannot_be_changed() {
    let conf = json!({ "physical": { "10.0.0.0/8": {} }, "settings": { "allowManagementFrom": [], "portMappingEnabled": true } });
    let local_conf = LocalConf::parse(conf.to_string().as_bytes()).unwrap();
    let server = Server::with(Options { local_conf, ..Options::default() });
    assert_eq!(server.get("/config").json(), conf);
    let status = server.get("/status").json();
    assert_eq!(status["config"]["physical"], conf["physical"]);
    assert_eq!(status["config"]["settings"]["allowManagementFrom"], json!([]));
    // What is in force counts, not what the file says.
    assert_eq!(status["config"]["settings"]["portMappingEnabled"], false);
    for method in ["POST", "PUT"] {
        let answer =
            server.send(method, "/config/settings", Some(r#"{"allowManagementFrom":["0.0.0.0/0"]}"#));
        assert_eq!(answer.status, 404, "who has the token cannot let others in");
    }
    assert_eq!(server.get("/config").json(), conf);
}

#[test]
fn what_somebody_wrote_into_the_file_is_for_who_may_do_everything() {
    let conf = json!({ "x": "secret", "settings": { "y": "secret", "portMappingEnabled": true } });
    let local_conf = LocalConf::parse(conf.to_string().as_bytes()).unwrap();
    let server = Server::with(Options { local_conf, ..Options::default() });
    for (scope, sees_it) in [
        ("read", false),
        ("authorize", false),
        ("read@a940ad429a0000f1", false),
        ("admin@a940ad429a0000f1", false),
        ("admin", true),
    ] {
        let name = scope.replace('@', "-of-");
        let made = server.post("/api/v2/tokens", &json!({ "name": name, "scope": [scope] })).json();
        let headers = [("X-ZT1-Auth", made["secret"].as_str().unwrap())];
        let status = client::send(server.address, "GET", "/status", &headers, None);
        let config = &status.json()["config"];
        assert_eq!(config["settings"]["portMappingEnabled"], false, "{scope}: {status:?}");
        let secret = sees_it.then_some("secret");
        assert_eq!((config["x"].as_str(), config["settings"]["y"].as_str()), (secret, secret), "{scope}");
    }
}
