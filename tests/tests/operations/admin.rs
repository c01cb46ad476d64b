//! The admin listener.

use super::stage::Stage;
use narthex_testkit::mcp;

#[tokio::test]
async fn it_serves_three_pages_and_nothing_else() {
    let stage = Stage::new().await;
    for (method, path, status, kind) in [
        ("GET", "/metrics", 200, "text/plain; version=0.0.4; charset=utf-8"),
        ("GET", "/healthz", 200, "text/plain; charset=utf-8"),
        ("GET", "/readyz", 200, "application/json"),
        ("GET", "/metrics?x=1", 200, "text/plain; version=0.0.4; charset=utf-8"),
        ("GET", "/", 404, "text/plain; charset=utf-8"),
        ("GET", "/tools", 404, "text/plain; charset=utf-8"),
        ("GET", "/metrics/", 404, "text/plain; charset=utf-8"),
        ("DELETE", "/metrics", 405, "text/plain; charset=utf-8"),
    ] {
        let answer =
            mcp::exchange(stage.gateway.admin_address(), &mcp::bodiless(method, path, None, &[])).await;
        let answer = answer.unwrap();
        assert_eq!((answer.status, answer.header("content-type")), (status, Some(kind)), "{method} {path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{method} {path}");
    }
}

#[tokio::test]
async fn none_of_its_pages_is_on_the_public_listener() {
    let stage = Stage::new().await;
    for path in ["/metrics", "/healthz", "/readyz"] {
        let answer = mcp::get(stage.gateway.address(), path, Some(&stage.token())).await.unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (404, ""), "{path}");
    }
}
