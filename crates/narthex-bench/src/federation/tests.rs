use super::*;

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

#[test]
fn the_gateway_accepts_what_is_written() {
    let directory = tempfile::tempdir().unwrap();
    for upstreams in SIZES {
        let upstreams: Vec<_> = (0..upstreams).map(|_| address(1003)).collect();
        let route = Route::write(directory.path(), address(1001), address(1002), &upstreams).unwrap();
        let loaded = narthex_config::load(&route.config).unwrap();
        assert_eq!(loaded.config.upstreams.len(), upstreams.len());
        assert_eq!(loaded.config.routes.len(), 1);
        assert_eq!(route.target.tokens.len(), 1);
    }
}

#[test]
fn the_report_has_a_row_for_each_size_and_each_state() {
    let mut calls = Latencies::default();
    calls.push(Duration::from_millis(2));
    let round = || Round { calls: calls.clone(), list: Duration::from_millis(3) };
    let lists = Lists {
        upstreams: 10,
        bytes: 2048,
        cold: vec![9.0, 7.0, 8.0],
        kept: calls.clone(),
        cpu: 10.0,
        sending: 4.0,
    };
    let results =
        Results { load_average: "0".to_owned(), lists: vec![lists], rounds: vec![(round(), round())] };
    let text = results.markdown();
    assert!(text.contains("| 10 | 2 | 8.0 (7.0–9.0) | 2.00 | 2.00 | 10 | 4 | 2.50 |"), "{text}");
    for state in ["alive", "dead, and called"] {
        let row = format!("| {state} | 1 | 2.00 (2.00–2.00) | 2.00 (2.00–2.00) | 3.00 (3.00–3.00) |");
        assert!(text.contains(&row), "{text}");
    }
}
