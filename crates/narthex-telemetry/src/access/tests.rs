use super::*;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

/// A sink that keeps what it gets.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Kept {
    fn lines(&self) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// A sink whose reader has gone away.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A sink that counts how often it is written to.
#[derive(Clone, Default)]
struct Counted(Arc<AtomicUsize>);

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn lines_that_come_while_others_wait_for_company_are_written_with_them() {
    let sink = Counted::default();
    let log = AccessLog::new(Box::new(sink.clone()), counter()).unwrap();
    let begun = std::time::Instant::now();
    // All of them are far less than what wakes the writing thread early.
    for _ in 0..100 {
        log.write(&record());
        thread::yield_now();
    }
    let intervals = begun.elapsed().as_millis() / INTERVAL.as_millis() + 1;
    drop(log);
    let writes = sink.0.load(Ordering::Relaxed) as u128;
    assert!(writes <= intervals + 2, "{writes} writes in {intervals} intervals");
}

fn counter() -> IntCounter {
    IntCounter::new("dropped", "help").unwrap()
}

fn record<'a>() -> AccessRecord<'a> {
    AccessRecord {
        at: UNIX_EPOCH + Duration::from_millis(1_795_383_942_123),
        request_id: "r-1",
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736"),
        remote: Some("192.0.2.1".parse().unwrap()),
        tenant: Some("acme"),
        subject: Some("alice"),
        client: Some("inspector"),
        method: "POST",
        path: "/github",
        route: Some("github"),
        mcp_method: Some("tools/call"),
        tool: Some("create_issue"),
        upstream: Some("gh"),
        status: 403,
        decision: Decision::Deny,
        reason: Some("insufficient_scope"),
        security: true,
        bytes_in: 1024,
        bytes_out: 99,
        duration: Duration::from_micros(1_500),
        upstream_duration: Some(Duration::from_micros(7)),
    }
}

#[test]
fn a_record_is_one_line_with_all_its_fields() {
    let sink = Kept::default();
    let log = AccessLog::new(Box::new(sink.clone()), counter()).unwrap();
    log.write(&record());
    log.flush();
    let text = String::from_utf8(sink.0.lock().clone()).unwrap();
    assert_eq!(
        text,
        "{\"ts\":\"2026-11-22T21:45:42.123Z\",\"request_id\":\"r-1\",\
         \"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\",\"remote\":\"192.0.2.1\",\"tenant\":\"acme\",\
         \"subject\":\"alice\",\"client\":\"inspector\",\"method\":\"POST\",\"path\":\"/github\",\
         \"route\":\"github\",\"mcp_method\":\"tools/call\",\"tool\":\"create_issue\",\"upstream\":\"gh\",\
         \"status\":403,\"decision\":\"deny\",\"reason\":\"insufficient_scope\",\"security\":true,\
         \"bytes_in\":1024,\"bytes_out\":99,\"duration_ms\":1.500,\"upstream_ms\":0.007}\n"
    );
}

#[test]
fn what_is_not_known_is_left_out() {
    let sink = Kept::default();
    let log = AccessLog::new(Box::new(sink.clone()), counter()).unwrap();
    log.write(&AccessRecord { tenant: None, tool: None, security: false, ..record() });
    drop(log);
    let line = sink.lines().remove(0);
    for field in ["tenant", "tool", "security"] {
        assert_eq!(line.get(field), None);
    }
}

#[test]
fn every_line_of_every_thread_arrives_whole_and_once() {
    let sink = Kept::default();
    let log = AccessLog::new(Box::new(sink.clone()), counter()).unwrap();
    thread::scope(|scope| {
        for thread in 0..4 {
            let log = &log;
            scope.spawn(move || {
                for i in 0..3000 {
                    let id = format!("{thread}-{i}");
                    log.write(&AccessRecord { request_id: &id, ..record() });
                }
            });
        }
    });
    drop(log);
    let ids: Vec<String> =
        sink.lines().iter().map(|l| l["request_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 12_000);
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 12_000);
    for thread in 0..4 {
        let own: Vec<usize> = ids
            .iter()
            .filter_map(|id| id.strip_prefix(&format!("{thread}-")))
            .map(|i| i.parse().unwrap())
            .collect();
        assert!(own.is_sorted(), "lines of one thread keep their order");
    }
}

#[test]
fn lines_reach_the_sink_without_a_flush() {
    let (sender, receiver) = std::sync::mpsc::channel();
    struct Notify(std::sync::mpsc::Sender<usize>);
    impl Write for Notify {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(bytes.len());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let log = AccessLog::new(Box::new(Notify(sender)), counter()).unwrap();
    for _ in 0..3 {
        log.write(&record());
        assert!(receiver.recv_timeout(Duration::from_secs(10)).unwrap() > 0);
    }
}

#[test]
fn a_closed_sink_is_counted_and_survived() {
    let dropped = counter();
    let log = AccessLog::new(Box::new(Closed), dropped.clone()).unwrap();
    (0..3).for_each(|_| log.write(&record()));
    log.flush();
    log.write(&record());
    drop(log);
    assert_eq!(dropped.get(), 4);
}

#[test]
fn memory_stays_bounded_when_nobody_flushes() {
    let sink = Kept::default();
    let log = AccessLog::new(Box::new(sink.clone()), counter()).unwrap();
    let path = "x".repeat(256);
    let written = 20_000;
    for _ in 0..written {
        log.write(&AccessRecord { path: &path, at: SystemTime::UNIX_EPOCH, ..record() });
        let gathered: usize = log.inner.shards.iter().map(Shard::gathered).sum();
        assert!(gathered <= FULL * log.inner.shards.len());
    }
    drop(log);
    assert_eq!(sink.lines().len(), written);
}

/// Not a test of speed but a way to see it: run with `--ignored --nocapture`, optimised.
#[test]
#[ignore = "prints a measurement"]
fn cost_of_a_line() {
    let log = AccessLog::new(Box::new(io::sink()), counter()).unwrap();
    let began = std::time::Instant::now();
    let rounds = 1_000_000;
    for _ in 0..rounds {
        log.write(std::hint::black_box(&record()));
    }
    println!("{} ns", began.elapsed().as_nanos() / rounds);
}
