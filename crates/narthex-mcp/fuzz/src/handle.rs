//! A handle opens as it was sealed, for whom it was sealed, or not at all.

use narthex_mcp::seal::{Binding, Purpose, Sealer};
use std::borrow::Cow;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const PURPOSES: [Purpose; 5] =
    [Purpose::Session, Purpose::EventId, Purpose::Cursor, Purpose::RequestState, Purpose::Task];

const BINDING: Binding<'_> =
    Binding { tenant: "acme", issuer: "https://idp", subject: "ann", route: "github", upstream: "gh" };

/// Of a length that leaves the last character of the handle with bits to spare.
const PAYLOAD: &[u8] = b"0123456789abcdefg";

/// Arbitrary text does not open; a sealed handle that was edited as `data` says does not open; nor does an
/// unedited one for a caller whose name is `data`.
///
/// # Panics
/// If one opens.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for purpose in PURPOSES {
        opens_not(purpose, &BINDING, &text);
    }
    let handle = sealed();
    for edited in [
        edit(handle, data),
        format!("{handle}{text}").into(),
        format!("{text}{handle}").into(),
        end_otherwise(handle, data),
    ] {
        if edited != handle {
            opens_not(Purpose::Session, &BINDING, &edited);
        }
    }
    for binding in bindings(&text) {
        if binding != BINDING {
            opens_not(Purpose::Session, &binding, handle);
        }
    }
}

/// Every three bytes say which character becomes which.
fn edit<'a>(handle: &str, data: &[u8]) -> Cow<'a, str> {
    let mut edited = handle.as_bytes().to_vec();
    for edit in data.chunks_exact(3) {
        let at = usize::from(u16::from_be_bytes([edit[0], edit[1]])) % edited.len();
        edited[at] = edit[2];
    }
    String::from_utf8_lossy(&edited).into_owned().into()
}

/// The first byte says how much of the end becomes the rest.
fn end_otherwise<'a>(handle: &str, data: &[u8]) -> Cow<'a, str> {
    let (cut, end) = data.split_first().map_or((1, data), |(cut, end)| (usize::from(*cut), end));
    let start = &handle[..handle.len().saturating_sub(cut)];
    format!("{start}{}", String::from_utf8_lossy(end)).into()
}

fn bindings(text: &str) -> [Binding<'_>; 6] {
    let (one, other) = text.split_once('\n').unwrap_or((text, "ann"));
    [
        Binding { tenant: text, ..BINDING },
        Binding { issuer: text, ..BINDING },
        Binding { subject: text, ..BINDING },
        Binding { route: text, ..BINDING },
        Binding { upstream: text, ..BINDING },
        Binding { tenant: one, subject: other, ..BINDING },
    ]
}

fn opens_not(purpose: Purpose, binding: &Binding<'_>, handle: &str) {
    let opened = sealer().open(purpose, binding, handle, now());
    assert!(opened.is_err(), "{purpose:?} {binding:?} {handle:?} opened");
}

fn sealer() -> &'static Sealer {
    static SEALER: OnceLock<Sealer> = OnceLock::new();
    SEALER.get_or_init(|| match Sealer::new(vec![[7; 32], [8; 32]]) {
        Ok(sealer) => sealer,
        Err(error) => panic!("{error}"),
    })
}

/// The one handle that opens. Its nonce is another in every process, so no input can know it.
fn sealed() -> &'static str {
    static SEALED: OnceLock<String> = OnceLock::new();
    SEALED.get_or_init(|| {
        let expires = now() + Duration::from_secs(1);
        let sealed = sealer().seal(Purpose::Session, &BINDING, PAYLOAD, expires).unwrap_or_default();
        let opened = sealer().open(Purpose::Session, &BINDING, &sealed, now());
        assert_eq!(opened.as_deref(), Ok(PAYLOAD), "a handle that is not edited opens");
        sealed
    })
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_000_000)
}
