//! The `cursor` of a merged list (2026-07-28, server/utilities/pagination): where in which list the next page
//! starts.
//!
//! It says the last item that was sent, by upstream and name, so that pages go on from there when items
//! before it come or go. Of the name only a hash is in it: names and URIs may be longer than a cursor. It
//! opens for the caller and route that it was given to, until it expires; a client that is refused starts
//! over, as the specification asks of it.

use crate::seal::{Binding, HandleError, Purpose, SealError, Sealer};
use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use std::time::SystemTime;

/// A list that is paged.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// `tools/list`
    Tools,
    /// `prompts/list`
    Prompts,
    /// `resources/list`
    Resources,
    /// `resources/templates/list`
    Templates,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Tools, Self::Prompts, Self::Resources, Self::Templates];

    /// The list that a method asks for.
    #[must_use]
    pub fn of(method: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.method() == method)
    }

    /// The method that asks for it.
    #[must_use]
    pub const fn method(self) -> &'static str {
        match self {
            Self::Tools => "tools/list",
            Self::Prompts => "prompts/list",
            Self::Resources => "resources/list",
            Self::Templates => "resources/templates/list",
        }
    }

    /// The member of the result that has the items.
    #[must_use]
    pub const fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
        }
    }

    /// The member of an item that tells it from the others of its upstream.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Tools | Self::Prompts => "name",
            Self::Resources => "uri",
            Self::Templates => "uriTemplate",
        }
    }

    const fn tag(self) -> u8 {
        match self {
            Self::Tools => 1,
            Self::Prompts => 2,
            Self::Resources => 3,
            Self::Templates => 4,
        }
    }
}

/// Behind which item a page starts.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Position {
    list: Kind,
    upstream: String,
    after: [u8; SHA256_OUTPUT_LEN],
}

impl Position {
    /// Behind the upstream's item whose own name or URI (see [`Kind::key`]) is `after`.
    #[must_use]
    pub fn new(list: Kind, upstream: &str, after: &str) -> Self {
        Self { list, upstream: upstream.to_owned(), after: hash(after) }
    }

    /// The list.
    #[must_use]
    pub const fn list(&self) -> Kind {
        self.list
    }

    /// The upstream whose item was the last.
    #[must_use]
    pub fn upstream(&self) -> &str {
        &self.upstream
    }

    /// Whether `key` is the own name or URI of the last item.
    #[must_use]
    pub fn is_after(&self, key: &str) -> bool {
        self.after == hash(key)
    }
}

/// The cursor for a position, good until `expires`. Of `binding`, the upstream is the same for the whole
/// route.
///
/// # Errors
/// See [`SealError`].
pub fn seal(
    sealer: &Sealer,
    binding: &Binding<'_>,
    position: &Position,
    expires: SystemTime,
) -> Result<String, SealError> {
    let payload = [&[position.list.tag()][..], &position.after, position.upstream.as_bytes()].concat();
    sealer.seal(Purpose::Cursor, binding, &payload, expires)
}

/// The position that a client's cursor for `list` says. An empty one says none: what opens was sealed.
///
/// # Errors
/// It was made for another caller, route or list, was tampered with, is expired or none of ours: -32602.
pub fn open(
    sealer: &Sealer,
    binding: &Binding<'_>,
    list: Kind,
    cursor: &str,
    now: SystemTime,
) -> Result<Position, HandleError> {
    let payload = sealer.open(Purpose::Cursor, binding, cursor, now)?;
    let (tag, rest) = payload.split_first().ok_or(HandleError::Malformed)?;
    let (after, upstream) = rest.split_first_chunk().ok_or(HandleError::Malformed)?;
    if *tag != list.tag() {
        return Err(HandleError::Foreign);
    }
    let upstream = String::from_utf8(upstream.to_vec()).map_err(|_| HandleError::Malformed)?;
    Ok(Position { list, upstream, after: *after })
}

fn hash(text: &str) -> [u8; SHA256_OUTPUT_LEN] {
    let mut out = [0; SHA256_OUTPUT_LEN];
    out.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::LONGEST_HANDLE;
    use proptest::prelude::*;
    use std::time::{Duration, UNIX_EPOCH};

    const BINDING: Binding<'_> =
        Binding { tenant: "acme", issuer: "https://idp", subject: "ann", route: "all", upstream: "" };

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn sealer() -> Sealer {
        Sealer::new(vec![[1; 32]]).unwrap()
    }

    fn sealed(position: &Position) -> String {
        seal(&sealer(), &BINDING, position, at(1000)).unwrap()
    }

    fn opened(list: Kind, cursor: &str) -> Result<Position, HandleError> {
        open(&sealer(), &BINDING, list, cursor, at(999))
    }

    #[test]
    fn lists_are_told_by_their_methods() {
        for kind in Kind::ALL {
            assert_eq!(Kind::of(kind.method()), Some(kind));
        }
        assert_eq!(Kind::of("tools/call"), None);
    }

    #[test]
    fn a_cursor_opens_for_its_list_its_caller_and_its_time_only() {
        let position = Position::new(Kind::Tools, "gh", "create");
        let cursor = sealed(&position);
        assert_eq!(opened(Kind::Tools, &cursor), Ok(position));
        for list in [Kind::Prompts, Kind::Resources, Kind::Templates] {
            assert_eq!(opened(list, &cursor), Err(HandleError::Foreign), "{list:?}");
        }
        for other in [
            Binding { tenant: "globex", ..BINDING },
            Binding { issuer: "https://other", ..BINDING },
            Binding { subject: "bob", ..BINDING },
            Binding { route: "some", ..BINDING },
            Binding { upstream: "gh", ..BINDING },
        ] {
            let opened = open(&sealer(), &other, Kind::Tools, &cursor, at(0));
            assert_eq!(opened, Err(HandleError::Foreign), "{other:?}");
        }
        let expired = open(&sealer(), &BINDING, Kind::Tools, &cursor, at(1000));
        assert_eq!(expired, Err(HandleError::Expired));
        let foreign = Sealer::new(vec![[2; 32]]).unwrap();
        assert_eq!(open(&foreign, &BINDING, Kind::Tools, &cursor, at(0)), Err(HandleError::Foreign));
    }

    #[test]
    fn what_is_no_cursor_does_not_open() {
        let task = sealer().seal(Purpose::Task, &BINDING, &[1; 40], at(1000)).unwrap();
        assert_eq!(opened(Kind::Tools, &task), Err(HandleError::Foreign));
        for payload in [&[][..], &[1], &[1; 32], &[1, 255], &[255; 40]] {
            let cursor = sealer().seal(Purpose::Cursor, &BINDING, payload, at(1000)).unwrap();
            assert!(opened(Kind::Tools, &cursor).is_err(), "{payload:?}");
        }
        for text in ["", "x", "10", "eyJvZmZzZXQiOjEwfQ==", "\0"] {
            assert_eq!(opened(Kind::Tools, text), Err(HandleError::Malformed), "{text}");
        }
    }

    #[test]
    fn a_cursor_is_short_however_long_the_name() {
        let cursor = sealed(&Position::new(Kind::Resources, "files", &"x".repeat(1 << 20)));
        assert!(cursor.len() < 200, "{}", cursor.len());
        let long = Position::new(Kind::Resources, &"u".repeat(LONGEST_HANDLE), "x");
        assert_eq!(seal(&sealer(), &BINDING, &long, at(1)), Err(SealError::TooLong));
    }

    proptest! {
        #[test]
        fn a_position_is_found_again(upstream in "\\PC{0,20}", after: String, other: String, kind in 0_usize..4) {
            let list = Kind::ALL[kind];
            let position = opened(list, &sealed(&Position::new(list, &upstream, &after))).unwrap();
            prop_assert_eq!((position.list(), position.upstream()), (list, upstream.as_str()));
            prop_assert!(position.is_after(&after));
            prop_assert_eq!(position.is_after(&other), other == after);
        }

        #[test]
        fn no_changed_character_opens(at: prop::sample::Index, to in "[A-Za-z0-9_-]") {
            let mut cursor = sealed(&Position::new(Kind::Prompts, "gh", "x"));
            let at = at.index(cursor.len());
            prop_assume!(cursor[at..=at] != to);
            cursor.replace_range(at..=at, &to);
            prop_assert!(opened(Kind::Prompts, &cursor).is_err());
        }
    }
}
