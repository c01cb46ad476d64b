use super::*;
use narthex_mcp::bridge::message;

fn routes(is_shared: bool) -> Arc<Routes> {
    Routes::of_child(Arc::default(), is_shared)
}

fn read(text: &str) -> Incoming {
    message::parse(text.as_bytes()).unwrap().remove(0)
}

fn say(routes: &Arc<Routes>, text: &str) -> Option<String> {
    routes.route(read(text))
}

fn result(id: usize, length: usize) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"v":"{}"}}}}"#, "x".repeat(length))
}

fn progress(id: usize, length: usize) -> String {
    let text = "x".repeat(length);
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":"p{id}","message":"{text}"}}}}"#
    )
}

fn log(text: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"data":"{text}"}}}}"#)
}

fn ask(id: usize) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"elicitation/create","params":{{}}}}"#)
}

fn waiting(inbox: &mut Inbox) -> Option<Incoming> {
    inbox.messages.try_recv().ok()
}

#[tokio::test]
async fn thousands_of_calls_each_get_their_own_answer_in_any_order() {
    let routes = routes(true);
    let mut calls: Vec<_> = (0..5000).map(|id| routes.register(&id.to_string()).unwrap()).collect();
    for id in (0..5000).rev() {
        assert_eq!(say(&routes, &result(id, id % 7)), None);
    }
    for (id, call) in calls.iter_mut().enumerate() {
        assert_eq!(call.next().await.unwrap(), Some(read(&result(id, id % 7))));
    }
    assert_eq!(routes.waiting.load(Ordering::SeqCst), 0);
    assert!(routes.calls.lock().by_id.is_empty());
}

#[test]
fn a_call_that_is_given_up_leaves_nothing_behind() {
    let routes = routes(false);
    let call = routes.register("1").unwrap();
    say(&routes, &progress(1, 100));
    assert!(routes.waiting.load(Ordering::SeqCst) > 100);
    drop(call);
    assert_eq!(routes.waiting.load(Ordering::SeqCst), 0);
    assert!(routes.calls.lock().by_id.is_empty());
    assert_eq!(say(&routes, &result(1, 1)), None);
}

#[test]
fn progress_goes_to_its_call_alone() {
    let routes = routes(true);
    let (mut first, mut second) = (routes.register("1").unwrap(), routes.register("2").unwrap());
    say(&routes, &progress(2, 1));
    say(&routes, &progress(3, 1));
    say(&routes, r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1}}"#);
    assert!(waiting(&mut first).is_none());
    assert_eq!(waiting(&mut second), Some(read(&progress(2, 1))));
    assert!(waiting(&mut second).is_none());
}

#[test]
fn a_shared_servers_log_and_questions_reach_nobody_even_if_there_is_one_call() {
    let routes = routes(true);
    let mut only = routes.register("1").unwrap();
    assert_eq!(say(&routes, &log("of another")), None);
    assert!(say(&routes, &ask(7)).unwrap().contains("-32601"));
    assert!(waiting(&mut only).is_none());
    assert_eq!(
        say(&routes, r#"{"jsonrpc":"2.0","id":8,"method":"ping"}"#).as_deref(),
        Some(r#"{"jsonrpc":"2.0","id":8,"result":{}}"#)
    );
}

#[test]
fn a_callers_own_server_may_ask_if_it_is_clear_for_which_call_and_may_take_it_back() {
    let routes = routes(false);
    let mut first = routes.register("1").unwrap();
    assert_eq!(say(&routes, &ask(7)), None);
    assert_eq!(waiting(&mut first), Some(read(&ask(7))));
    let mut second = routes.register("2").unwrap();
    assert!(say(&routes, &ask(8)).is_some());
    let cancelled = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#;
    say(&routes, cancelled);
    assert_eq!(waiting(&mut first), Some(read(cancelled)));
    say(&routes, cancelled);
    assert!(waiting(&mut first).is_none() && waiting(&mut second).is_none());
    say(&routes, &log("for all"));
    assert!(waiting(&mut first).is_some() && waiting(&mut second).is_some());
}

#[test]
fn what_waits_is_bounded_in_messages_and_bytes_but_the_result_always_comes() {
    for (count, length) in [(1000, 1), (1000, 100_000)] {
        let routes = routes(false);
        let mut call = routes.register("1").unwrap();
        (0..count).for_each(|_| drop(say(&routes, &progress(1, length))));
        assert!(routes.waiting.load(Ordering::SeqCst) <= BYTES.0);
        say(&routes, &result(1, 5_000_000));
        let kept: Vec<_> = std::iter::from_fn(|| waiting(&mut call)).collect();
        assert!(kept.len() <= BACKLOG && kept.len() > 2, "{}", kept.len());
        assert!(matches!(kept.last(), Some(Incoming::Result { .. })));
    }
}

#[test]
fn all_calls_together_are_bounded_too() {
    let routes = routes(false);
    let _calls: Vec<_> = (0..100).map(|id| routes.register(&id.to_string()).unwrap()).collect();
    let long = log(&"x".repeat(900_000));
    (0..5).for_each(|_| drop(say(&routes, &long)));
    assert!(routes.waiting.load(Ordering::SeqCst) <= BYTES.1);
}

#[tokio::test]
async fn when_the_child_dies_all_calls_fail_and_no_other_begins() {
    let routes = routes(true);
    let mut call = routes.register("1").unwrap();
    routes.close();
    assert!(matches!(call.next().await, Err(Refusal::Child(ChildTrouble::Gone))));
    assert!(matches!(routes.register("2").err(), Some(Refusal::Child(ChildTrouble::Gone))));
    assert!(routes.calls.lock().by_id.is_empty());
}
