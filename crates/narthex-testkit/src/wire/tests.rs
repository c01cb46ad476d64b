use super::*;
use proptest::prelude::*;
use std::sync::Arc;

/// Reads one response with its body from `bytes`, which arrive in segments of `segment` bytes.
async fn read(bytes: &[u8], segment: usize) -> io::Result<(Head, Vec<u8>)> {
    let (mut here, there) = tokio::io::duplex(segment);
    let bytes = bytes.to_vec();
    tokio::spawn(async move { here.write_all(&bytes).await });
    let mut wire = Wire::new(there);
    let head = wire.head().await?.ok_or_else(cut_off)?;
    let body = wire.body(&mut head.response_framing()).await?;
    Ok((head, body))
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

proptest! {
    #[test]
    fn a_message_reads_the_same_however_it_is_cut(segment in 1usize..64, split in 1usize..20) {
        let body = b"0123456789abcdefghij";
        let (a, b) = body.split_at(split.min(body.len() - 1));
        let chunked = [
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n{:x};ext=1\r\n", a.len()).as_bytes(),
            a, format!("\r\n{:X}\r\n", b.len()).as_bytes(), b, b"\r\n0\r\nTrailer: t\r\n\r\n",
        ].concat();
        let length = [b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 20\r\n\r\n".as_slice(), body].concat();
        let close = [b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), body].concat();
        for message in [chunked, length, close] {
            let (head, read) = block_on(read(&message, segment)).unwrap();
            prop_assert_eq!(head.status(), 200);
            prop_assert_eq!(&read, body);
        }
    }
}

#[tokio::test]
async fn a_message_cut_off_is_an_error_and_not_a_short_message() {
    for message in [
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcd",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
    ] {
        let error = read(message.as_bytes(), 7).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{message:?}");
    }
}

#[tokio::test]
async fn responses_without_a_body_end_with_their_head() {
    for status in [100, 103, 204, 304] {
        let message = format!("HTTP/1.1 {status} X\r\nContent-Length: 5\r\n\r\nnext!");
        assert_eq!(read(message.as_bytes(), 64).await.unwrap().1, b"", "{status}");
    }
}

#[tokio::test]
async fn the_tap_sees_all_bytes_once() {
    let seen = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let message = b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n\r\nrest";
    let (mut here, there) = tokio::io::duplex(4);
    tokio::spawn(async move { here.write_all(message).await });
    let tap = Arc::clone(&seen);
    let mut wire = Wire::new(there).tapped(move |bytes| tap.lock().extend_from_slice(bytes));
    let head = wire.head().await.unwrap().unwrap();
    assert_eq!(wire.body(&mut head.request_framing()).await.unwrap(), b"abc");
    wire.head().await.unwrap().unwrap();
    wire.peer_closed().await;
    assert_eq!(*seen.lock(), message);
}

#[test]
fn fields_keep_their_order_and_are_found_in_any_case() {
    let head = Head::parse(b"GET / HTTP/1.1\r\nB: 1\r\na:2\r\nb:  3 \r\nodd");
    assert_eq!(head.headers.all("b").collect::<Vec<_>>(), ["1", "3"]);
    assert_eq!(head.headers.get("A"), Some("2"));
    assert_eq!(head.headers.names(), ["b", "a", "b", "odd"]);
}

#[test]
fn a_needle_is_found_where_it_starts_and_an_empty_one_nowhere() {
    for (haystack, needle, expected) in
        [("abcabc", "ca", Some(2)), ("ab", "abc", None), ("", "a", None), ("abc", "", None)]
    {
        assert_eq!(find(haystack.as_bytes(), needle.as_bytes()), expected, "{haystack} {needle}");
    }
}
