//! `local.conf`, read (`http-api.md` §3.2, §6.3).

use ctl_http::LocalConf;
use serde_json::json;

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
