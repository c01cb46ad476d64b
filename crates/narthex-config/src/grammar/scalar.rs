//! Values that are written as one word: durations, sizes, rates, URLs, names.

use crate::model::{Algorithm, HttpVersion, Per, PinMode, Rate};
use crate::yaml::HELP;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;
use url::Url;

/// A value made from one word.
trait Word: Sized {
    /// Its name in the schema.
    const NAME: &'static str;

    /// Reads it. The error is the message, optionally [`HELP`] and how to put it right; it must not
    /// repeat the text where that may hold a secret.
    fn read(text: &str) -> Result<Self, String>;

    /// Reads it from a number.
    fn read_number(_: u64) -> Result<Self, String> {
        Err(format!("expected text, found a number{HELP}put it in quotes"))
    }

    fn schema() -> Schema;
}

macro_rules! words {
    ($($(#[$doc:meta])* $type:ident($value:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub(crate) struct $type(pub(crate) $value);

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(WordVisitor::<Self>(std::marker::PhantomData))
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                <Self as Word>::NAME.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                <Self as Word>::schema()
            }
        }
    )*};
}

words! {
    /// The name of a tenant, upstream or route.
    Name(String);
    /// A scope (RFC 6749 §3.3).
    Scope(String);
    /// The name of an environment variable.
    Variable(String);
    /// `30s`; may be zero.
    HumanDuration(Duration);
    /// `16MiB`, in bytes.
    Size(usize);
    /// `600/1m`.
    Requests(Rate);
    /// A count of at least one.
    Count(NonZeroU32);
    /// `127.0.0.1:8080`.
    Listen(SocketAddr);
    /// An absolute `http` or `https` URL with a host, without credentials and fragment.
    HttpUrl(Url);
    /// A JWS algorithm.
    Alg(Algorithm);
    /// `auto`, `h1` or `h2`.
    Http(HttpVersion);
    /// `tenant`, `subject`, `client` or `tool`.
    PerWhom(Per);
    /// `trust-on-first-use`, `locked` or `off`.
    PinsMode(PinMode);
}

struct WordVisitor<T>(std::marker::PhantomData<T>);

impl<T: Word> Visitor<'_> for WordVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one word")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::read(text).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        T::read_number(number).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<T, E> {
        Err(E::custom("a negative number has no meaning here"))
    }
}

/// A number and a unit: `("30", "s")`. The number is plain decimal digits.
fn split_unit(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok().map(|number| (number, &text[end..]))
}

fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split_unit(text)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let millis = number.checked_mul(millis)?;
    // A year: beyond it clocks overflow, and nobody means it.
    (millis <= 366 * 24 * 3_600_000).then(|| Duration::from_millis(millis))
}

/// A string in the schema that must match `pattern`.
fn pattern(pattern: &str, example: &str) -> Schema {
    json_schema!({ "type": "string", "pattern": pattern, "examples": [example] })
}

const BAD_DURATION: &str =
    "not a duration\u{1f}help: write a number and a unit: `500ms`, `30s`, `5m` or `2h`";

impl Word for HumanDuration {
    const NAME: &'static str = "Duration";

    fn read(text: &str) -> Result<Self, String> {
        duration(text).map(Self).ok_or_else(|| BAD_DURATION.to_owned())
    }

    fn read_number(_: u64) -> Result<Self, String> {
        Err(BAD_DURATION.to_owned())
    }

    fn schema() -> Schema {
        pattern("^[0-9]+(ms|s|m|h)$", "30s")
    }
}

impl Word for Size {
    const NAME: &'static str = "Size";

    fn read(text: &str) -> Result<Self, String> {
        let bytes = split_unit(text).and_then(|(number, unit)| {
            let factor: u64 = match unit {
                "" => 1,
                "KiB" => 1 << 10,
                "MiB" => 1 << 20,
                "GiB" => 1 << 30,
                _ => return None,
            };
            number.checked_mul(factor)
        });
        bytes.map_or_else(
            || Err(format!("not a size{HELP}write bytes, or a number and `KiB`, `MiB` or `GiB`")),
            Self::read_number,
        )
    }

    fn read_number(bytes: u64) -> Result<Self, String> {
        match usize::try_from(bytes) {
            Ok(0) => Err("a size of zero would refuse everything".to_owned()),
            Ok(bytes) => Ok(Self(bytes)),
            Err(_) => Err("this size is larger than memory can be".to_owned()),
        }
    }

    fn schema() -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "string", "pattern": "^[0-9]+(KiB|MiB|GiB)?$", "examples": ["16MiB"] },
                { "type": "integer", "minimum": 1 }
            ]
        })
    }
}

impl Word for Requests {
    const NAME: &'static str = "Rate";

    fn read(text: &str) -> Result<Self, String> {
        let form = || format!("not a rate{HELP}write a count and a window: `600/1m`");
        let (count, window) = text.split_once('/').ok_or_else(form)?;
        let (count, unit) = split_unit(count).ok_or_else(form)?;
        let window = duration(window).ok_or_else(form)?;
        if !unit.is_empty() {
            return Err(form());
        }
        let count = u32::try_from(count).map_err(|_| "this rate is too high to be counted".to_owned())?;
        let zero =
            || format!("a rate of zero would refuse everything{HELP}leave the route or tool out instead");
        let count = NonZeroU32::new(count).ok_or_else(zero)?;
        if window.is_zero() {
            return Err("the window of a rate cannot be zero".to_owned());
        }
        if window.as_nanos() < u128::from(count.get()) {
            return Err("this rate is too high to be counted".to_owned());
        }
        Ok(Self(Rate { count, window }))
    }

    fn read_number(_: u64) -> Result<Self, String> {
        Err(format!("a rate needs a window{HELP}write a count and a window: `600/1m`"))
    }

    fn schema() -> Schema {
        pattern("^[0-9]+/[0-9]+(ms|s|m|h)$", "600/1m")
    }
}

impl Word for Count {
    const NAME: &'static str = "Count";

    fn read(_: &str) -> Result<Self, String> {
        Err("expected a number of at least 1, found text".to_owned())
    }

    fn read_number(number: u64) -> Result<Self, String> {
        let count = u32::try_from(number).map_err(|_| "this number is too large".to_owned())?;
        NonZeroU32::new(count).map(Self).ok_or_else(|| "expected a number of at least 1".to_owned())
    }

    fn schema() -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": u32::MAX })
    }
}

impl Word for Listen {
    const NAME: &'static str = "Listen";

    fn read(text: &str) -> Result<Self, String> {
        let form = || format!("not an address and port{HELP}write `127.0.0.1:8080` or `[::]:8080`");
        text.parse().map(Self).map_err(|_| form())
    }

    fn schema() -> Schema {
        pattern("^.+:[0-9]+$", "127.0.0.1:8080")
    }
}

impl Word for Name {
    const NAME: &'static str = "Name";

    fn read(text: &str) -> Result<Self, String> {
        if (1..=128).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic()) {
            return Ok(Self(text.to_owned()));
        }
        Err("a name is 1 to 128 printable ASCII characters without spaces".to_owned())
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "pattern": "^[!-~]{1,128}$" })
    }
}

impl Word for Variable {
    const NAME: &'static str = "Variable";

    fn read(text: &str) -> Result<Self, String> {
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let begins = text.starts_with(|c: char| !c.is_ascii_digit());
        if begins && text.len() <= 128 && text.chars().all(legal) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!(
            "not the name of an environment variable{HELP}letters, digits and `_`, the first of them no digit"
        ))
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,127}$" })
    }
}

impl Word for Scope {
    const NAME: &'static str = "Scope";

    fn read(text: &str) -> Result<Self, String> {
        let legal = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        if (1..=256).contains(&text.len()) && text.bytes().all(legal) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!(
            "not a scope{HELP}a scope is 1 to 256 printable ASCII characters without space, `\"` and `\\` \
             (RFC 6749 section 3.3); write several as a list"
        ))
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "pattern": "^[!#-\\[\\]-~]{1,256}$" })
    }
}

impl Word for HttpUrl {
    const NAME: &'static str = "HttpUrl";

    fn read(text: &str) -> Result<Self, String> {
        super::super::check::url::http_url(text).map(Self)
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "pattern": "^https?://", "format": "uri" })
    }
}

impl Word for Alg {
    const NAME: &'static str = "Algorithm";

    fn read(text: &str) -> Result<Self, String> {
        if let Some((_, algorithm)) = ALGORITHMS.iter().find(|(name, _)| *name == text) {
            return Ok(Self(*algorithm));
        }
        let why = match text {
            "none" => "an unsigned token proves nothing; `none` is never accepted",
            "HS256" | "HS384" | "HS512" => {
                "whoever can check an HMAC can also forge it; `HS*` is never accepted"
            }
            _ => "not a signature algorithm that is supported",
        };
        Err(format!("{why}{HELP}expected {}", crate::yaml::one_of(&ALGORITHMS.map(|(name, _)| name))))
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "enum": ALGORITHMS.map(|(name, _)| name) })
    }
}

const ALGORITHMS: [(&str, Algorithm); 9] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

impl Word for Http {
    const NAME: &'static str = "HttpVersion";

    fn read(text: &str) -> Result<Self, String> {
        choose(text, HTTP_VERSIONS).map(Self)
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "enum": HTTP_VERSIONS.map(|(name, _)| name) })
    }
}

const HTTP_VERSIONS: [(&str, HttpVersion); 3] =
    [("auto", HttpVersion::Auto), ("h1", HttpVersion::H1), ("h2", HttpVersion::H2)];

impl Word for PerWhom {
    const NAME: &'static str = "Per";

    fn read(text: &str) -> Result<Self, String> {
        choose(text, PERS).map(Self)
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "enum": PERS.map(|(name, _)| name) })
    }
}

const PERS: [(&str, Per); 4] =
    [("tenant", Per::Tenant), ("subject", Per::Subject), ("client", Per::Client), ("tool", Per::Tool)];

impl Word for PinsMode {
    const NAME: &'static str = "PinsMode";

    fn read(text: &str) -> Result<Self, String> {
        choose(text, PIN_MODES).map(Self)
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "enum": PIN_MODES.map(|(name, _)| name) })
    }
}

const PIN_MODES: [(&str, PinMode); 3] =
    [("trust-on-first-use", PinMode::TrustOnFirstUse), ("locked", PinMode::Locked), ("off", PinMode::Off)];

fn choose<T: Copy, const N: usize>(text: &str, words: [(&str, T); N]) -> Result<T, String> {
    let found = words.iter().find(|(name, _)| *name == text);
    found
        .map(|(_, value)| *value)
        .ok_or_else(|| format!("expected {}", crate::yaml::one_of(&words.map(|(name, _)| name))))
}

#[cfg(test)]
mod tests;
