//! How fast tokens are made.

use super::*;

/// How many tokens a second the core issues on one thread, with its vault in memory. Not a test:
/// `cargo test --release -p narthex-authority -- --ignored --nocapture tokens_a_second`.
#[tokio::test]
#[ignore = "a measurement"]
async fn tokens_a_second() {
    const COUNT: u32 = 10_000;
    for algorithm in ["ES256", "EdDSA"] {
        let authority = authority(&format!("    algorithm: {algorithm}")).await;
        let mut token = tokens(&authority).await["refresh_token"].clone();
        let begun = std::time::Instant::now();
        for _ in 0..COUNT {
            token = fixtures::json(&refresh(&authority, &token, &[], now()).await)["refresh_token"].clone();
        }
        println!("{algorithm} refresh: {:.0} tokens/s", f64::from(COUNT) / begun.elapsed().as_secs_f64());
    }
    let idp = Idp::new();
    let authority = idp.authority().await;
    let signed: Vec<String> = (0..COUNT).map(|_| idp.assertion(ID_JAG, &json!({}))).collect();
    let begun = std::time::Instant::now();
    for assertion in &signed {
        assert_eq!(exchange(&authority, assertion, &[]).await.status(), StatusCode::OK);
    }
    println!("ES256 ID-JAG: {:.0} tokens/s", f64::from(COUNT) / begun.elapsed().as_secs_f64());
}
