use super::*;
use proptest::prelude::*;
use std::time::Duration;

/// What an event says, without where it stood.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Said {
    event: Option<String>,
    id: Option<String>,
    data: Option<Vec<u8>>,
    retry: Option<Duration>,
}

#[derive(Debug, Default)]
struct Read {
    events: Vec<Said>,
    raw: Vec<u8>,
    rest: Vec<u8>,
}

fn read<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, limit: usize) -> Result<Read, SseError> {
    let mut decoder = Decoder::new(limit);
    let mut read = Read::default();
    for chunk in chunks {
        decoder.push(chunk);
        while let Some(frame) = decoder.next_frame()? {
            if let Frame::Event(event) = &frame {
                assert_eq!(event.offset, read.raw.len() as u64);
                read.events.push(Said {
                    event: event.event.as_deref().map(str::to_owned),
                    id: event.id.as_deref().map(str::to_owned),
                    data: event.data.as_deref().map(<[u8]>::to_vec),
                    retry: event.retry,
                });
            }
            read.raw.extend_from_slice(frame.raw());
        }
    }
    read.rest = decoder.remainder().to_vec();
    Ok(read)
}

fn events(stream: &str) -> Vec<Said> {
    read([stream.as_bytes()], 1 << 20).unwrap().events
}

fn data(data: &str) -> Said {
    Said { data: Some(data.into()), ..Said::default() }
}

#[test]
fn fields_are_read_as_html_says() {
    for (stream, expected) in [
        ("data: a\n\n", data("a")),
        ("data:a\r\rdata", data("a")),
        ("data:  a\r\n\r\n", data(" a")),
        ("data\n\n", data("")),
        ("data: a\ndata:\n: comment\ndata: b:c\n\n", data("a\n\nb:c")),
        ("unknown: x\ndata: a\n data: b\n\n", data("a")),
        ("id: 1\ndata\n\n", Said { id: Some("1".into()), ..data("") }),
        ("id: 1\nid: 2\0\ndata\n\n", Said { id: Some("1".into()), ..data("") }),
        ("retry: 1500\n\n", Said { retry: Some(Duration::from_millis(1500)), ..Said::default() }),
        ("retry: -1\nretry: 1s\nretry:\n\n", Said::default()),
        ("event: endpoint\ndata: /x\n\n", Said { event: Some("endpoint".into()), ..data("/x") }),
        ("\u{FEFF}data: a\n\n", data("a")),
    ] {
        assert_eq!(events(stream), [expected], "{stream:?}");
    }
}

#[test]
fn an_event_that_is_not_ended_is_not_given() {
    for stream in ["", "data: a", "data: a\n", "data: a\r\n", "\u{FEFF}", ": comment\n", "\n\n\r\n"] {
        assert_eq!(events(stream), [], "{stream:?}");
    }
}

#[test]
fn a_keep_alive_comment_is_passed_on_before_the_next_event() {
    let mut decoder = Decoder::new(100);
    decoder.push(b":\r\n");
    assert_eq!(decoder.next_frame(), Ok(Some(Frame::Idle(b":\r\n"))));
    decoder.push(b"data: a\n: inside\n");
    assert_eq!(decoder.next_frame(), Ok(None));
}

#[test]
fn an_event_whose_last_line_feed_is_late_is_given_at_once() {
    let mut decoder = Decoder::new(100);
    decoder.push(b"data: a\r\n\r");
    assert_eq!(decoder.next_frame().unwrap().unwrap().raw(), b"data: a\r\n\r");
    decoder.push(b"\n");
    assert_eq!(decoder.next_frame(), Ok(Some(Frame::Idle(b"\n"))));
    assert_eq!(decoder.next_frame(), Ok(None));
}

#[test]
fn an_event_over_the_cap_ends_the_stream_for_good() {
    let mut decoder = Decoder::new(10);
    decoder.push(b"data: 2345\n");
    assert_eq!(decoder.next_frame(), Err(SseError::TooLarge { limit: 10 }));
    decoder.push(b"\ndata: a\n\n");
    assert_eq!(decoder.next_frame(), Err(SseError::TooLarge { limit: 10 }));
    assert_eq!(decoder.remainder(), b"");
}

#[test]
fn fields_cannot_break_out_of_their_line() {
    let mut out = Vec::new();
    for text in ["a\nb", "a\rb", "a\0"] {
        assert!(encode(&Fields { id: Some(text), ..Fields::default() }, &mut out).is_err());
        assert!(encode(&Fields { event: Some(text), ..Fields::default() }, &mut out).is_err());
    }
    assert!(out.is_empty());
    let crlf = Fields { data: Some(b"a\r\nid: 1\rb\n"), ..Fields::default() };
    encode(&crlf, &mut out).unwrap();
    assert_eq!(out, b"data: a\ndata: id: 1\ndata: b\ndata: \n\n");
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("\r"),
        Just("\n"),
        Just("\r\n"),
        Just("data: x"),
        Just("data"),
        Just(":c"),
        Just("id: 7"),
        Just("event: e"),
        Just(" "),
        Just("é"),
        Just("\u{FEFF}"),
        Just("\n\n"),
        Just("retry: 3"),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat().into_bytes())
}

fn cut<'a>(stream: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    at.extend([0, stream.len()]);
    at.sort_unstable();
    at.windows(2).map(|ends| &stream[ends[0]..ends[1]]).collect()
}

proptest! {
    #[test]
    fn wherever_the_stream_is_cut_it_says_the_same(
        stream in stream(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        limit in prop_oneof![Just(1000_usize), 0..60_usize],
    ) {
        let whole = read([&stream[..]], limit);
        for chunks in [cut(&stream, &cuts), stream.chunks(1).collect()] {
            match (&whole, read(chunks, limit)) {
                (Ok(whole), Ok(parts)) => prop_assert_eq!(&parts.events, &whole.events),
                (Err(whole), Err(parts)) => prop_assert_eq!(*whole, parts),
                (whole, parts) => prop_assert!(false, "{:?} {:?}", whole, parts),
            }
        }
    }

    #[test]
    fn no_byte_is_lost_or_added(
        stream in stream(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let read = read(cut(&stream, &cuts), 1000).unwrap();
        let stream = stream.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(&stream);
        prop_assert_eq!([read.raw, read.rest].concat(), stream);
    }

    #[test]
    fn what_is_written_reads_the_same(
        event in prop::option::of("[^\r\n\0]*"),
        id in prop::option::of("[^\r\n\0]*"),
        data in prop::option::of("[^\r]*"),
        retry in prop::option::of(any::<u32>()),
    ) {
        let retry = retry.map(|retry| Duration::from_millis(retry.into()));
        let fields = Fields {
            event: event.as_deref(), id: id.as_deref(), data: data.as_ref().map(|data| data.as_bytes()), retry,
        };
        let mut out = Vec::new();
        encode(&fields, &mut out).unwrap();
        let is_empty = fields == Fields::default();
        let said = Said { event, id, data: data.map(String::into_bytes), retry };
        let expected = if is_empty { vec![] } else { vec![said] };
        prop_assert_eq!(read([&out[..]], 1 << 20).unwrap().events, expected);
    }
}
