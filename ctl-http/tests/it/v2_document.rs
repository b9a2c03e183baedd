//! The OpenAPI document and the page that shows it.

use crate::client;
use crate::server::Server;

#[test]
fn document_and_page_need_no_token_and_nobody_else() {
    let server = Server::start();
    let get = |path: &str| client::send(server.address, "GET", path, &[], None);
    let document = get("/openapi.json");
    assert_eq!((document.status, document.header("content-type")), (200, Some("application/json")));
    assert_eq!(document.json()["openapi"], "3.1.0");
    for (path, media_type) in [
        ("/docs", "text/html; charset=utf-8"),
        ("/docs/page.js", "text/javascript; charset=utf-8"),
        ("/docs/page.css", "text/css; charset=utf-8"),
    ] {
        let answer = get(path);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(media_type)), "{path}");
        assert!(answer.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
        let text = String::from_utf8(answer.body).unwrap();
        assert!(
            !text.contains("http://") && !text.contains("https://") && !text.contains("innerHTML"),
            "{path}"
        );
    }
}
