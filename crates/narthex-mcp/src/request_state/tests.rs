use super::*;
use proptest::prelude::*;
use std::time::UNIX_EPOCH;

const BINDING: Binding<'_> =
    Binding { tenant: "acme", issuer: "https://idp", subject: "ann", route: "github", upstream: "gh" };
const ASKED: Asked<'_> = Asked { method: "tools/call", name: "delete" };

fn sealer() -> Sealer {
    Sealer::new(vec![[7; 32]]).unwrap()
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

#[test]
fn a_state_comes_back_to_whom_it_was_given() {
    let handle = seal(&sealer(), &BINDING, ASKED, "s1", at(10)).unwrap();
    assert!(!handle.contains("s1"));
    assert_eq!(open(&sealer(), &BINDING, ASKED, &handle, at(20)).unwrap(), "s1");
}

#[test]
fn a_state_of_somebody_or_something_else_is_refused() {
    let handle = seal(&sealer(), &BINDING, ASKED, "s1", at(10)).unwrap();
    let open_as = |binding, asked, now| open(&sealer(), &binding, asked, &handle, now).unwrap_err();
    for binding in [
        Binding { tenant: "globex", ..BINDING },
        Binding { subject: "bob", ..BINDING },
        Binding { issuer: "https://other", ..BINDING },
        Binding { route: "docs", ..BINDING },
        Binding { upstream: "docs", ..BINDING },
    ] {
        assert_eq!(open_as(binding, ASKED, at(20)), HandleError::Foreign, "{binding:?}");
    }
    assert_eq!(open_as(BINDING, Asked { name: "list", ..ASKED }, at(20)), HandleError::Foreign);
    assert_eq!(open_as(BINDING, Asked { method: "prompts/get", ..ASKED }, at(20)), HandleError::Foreign);
    assert_eq!(open_as(BINDING, ASKED, at(10) + LIFETIME), HandleError::Expired);
    let session = sealer().seal(Purpose::Session, &BINDING, b"s1", at(1000)).unwrap();
    assert_eq!(open(&sealer(), &BINDING, ASKED, &session, at(20)).unwrap_err(), HandleError::Foreign);
    assert_eq!(open(&sealer(), &BINDING, ASKED, "s1", at(20)).unwrap_err(), HandleError::Malformed);
}

#[test]
fn a_large_state_fits() {
    let state = "x".repeat(64 << 10);
    let handle = seal(&sealer(), &BINDING, ASKED, &state, at(10)).unwrap();
    assert_eq!(open(&sealer(), &BINDING, ASKED, &handle, at(20)).unwrap(), state);
    let larger = "x".repeat(LONGEST_EVENT);
    assert_eq!(seal(&sealer(), &BINDING, ASKED, &larger, at(10)), Err(SealError::TooLong));
}

fn sealed(body: &str) -> Option<String> {
    reseal(body.as_bytes(), |state| Some(format!("<{state}>"))).map(|out| String::from_utf8(out).unwrap())
}

#[test]
fn only_the_state_of_a_result_that_asks_is_changed() {
    assert_eq!(
        sealed(r#"{"id":1, "result" : {"requestState" : "a\"b","resultType":"input_required", "x":1e2}}"#),
        Some(
            r#"{"id":1, "result" : {"requestState" : "<a\"b>","resultType":"input_required", "x":1e2}}"#
                .into()
        )
    );
    for same in [
        r#"{"id":1,"result":{"resultType":"complete","requestState":"a"}}"#,
        r#"{"id":1,"result":{"resultType":"input_required","requestState":7}}"#,
        r#"{"id":1,"result":{"resultType":"input_required","inputRequests":{"requestState":"a"}}}"#,
        r#"{"id":1,"result":{"content":[{"requestState":"a","resultType":"input_required"}]}}"#,
        r#"{"id":1,"result":{"resultType":"input_required","requestState":"a","requestState":"b"}}"#,
        r#"{"id":1,"error":{"resultType":"input_required","requestState":"a"}}"#,
        r#"{"id":1,"result":{"resultType":"input_required"}}"#,
        "requestState",
        "",
    ] {
        assert_eq!(sealed(same), None, "{same}");
    }
}

const ASKING: &str = r#"{"id":1,"result":{"resultType":"input_required","requestState":"a"}}"#;

#[test]
fn a_state_in_an_event_is_changed_wherever_the_stream_is_cut() {
    let stream = format!(": hi\r\n\r\nevent: message\r\nid: 7\r\ndata: {ASKING}\r\n\r\ndata: {{}}\n\nrest");
    let expected = format!(
        ": hi\r\n\r\nevent: message\nid: 7\ndata: {}\n\ndata: {{}}\n\nrest",
        ASKING.replace("\"a\"", "\"<a>\"")
    );
    for size in 1..stream.len() {
        let mut states = Stream::default();
        let mut out = Vec::new();
        for chunk in stream.as_bytes().chunks(size) {
            out.extend(states.push(chunk, |state| Some(format!("<{state}>"))));
        }
        out.extend(states.finish());
        let out = String::from_utf8(out).unwrap();
        // The LF of a CR LF that was cut goes its own way; it means nothing.
        assert_eq!(out.replace('\r', "").replace("\n\n\n", "\n\n"), expected.replace('\r', ""), "{size}");
    }
}

#[test]
fn a_long_event_is_passed_on_in_pieces() {
    let mut states = Stream::default();
    let chunk = vec![b'x'; 100 << 10];
    let passed: Vec<usize> = (0..4).map(|_| states.push(&chunk, |_| None).len()).collect();
    assert_eq!(passed, [0, 0, 300 << 10, 100 << 10]);
    assert!(states.finish().is_empty());
}

proptest! {
    #[test]
    fn nothing_is_lost_of_a_stream_without_states(
        stream in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'd'), Just(b':'), any::<u8>()], 0..200),
        size in 1..50_usize,
    ) {
        prop_assume!(!stream.starts_with(b"\xEF"));
        let mut states = Stream::default();
        let mut out = Vec::new();
        for chunk in stream.chunks(size) {
            out.extend(states.push(chunk, |_| None));
        }
        out.extend(states.finish());
        prop_assert_eq!(out, stream);
    }

    #[test]
    fn any_state_comes_back_as_it_was(state in any::<String>()) {
        let handle = seal(&sealer(), &BINDING, ASKED, &state, at(10)).unwrap();
        prop_assert_eq!(&open(&sealer(), &BINDING, ASKED, &handle, at(20)).unwrap(), &state);
        let body = splice(ASKING.as_bytes(), ASKING.find("\"a\"").unwrap()..ASKING.len() - 2, &state);
        prop_assert_eq!(find(&body).unwrap().unwrap().0, state);
    }
}
