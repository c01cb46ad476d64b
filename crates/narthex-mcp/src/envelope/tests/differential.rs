//! The scanner against serde_json and the rules written down a second time, the slow way.

use super::*;
use crate::json::folds_to;
use proptest::prelude::*;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::HashSet;
use std::fmt;

/// An object's members as they stand, duplicates and all.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsTheyStand;
        impl<'de> Visitor<'de> for AsTheyStand {
            type Value = Members;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(AsTheyStand)
    }
}

impl Members {
    /// The object's members, if no reader could mistake them.
    fn read(text: &str, known: &[&str]) -> Option<Self> {
        let members: Self = serde_json::from_str(text).ok()?;
        let mut seen = HashSet::new();
        let clear = members.0.iter().all(|(key, _)| {
            seen.insert(key) && known.iter().all(|known| key == known || !folds_to(key, known))
        });
        clear.then_some(members)
    }

    fn raw(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.get())
    }

    fn value(&self, key: &str) -> Option<Value> {
        self.raw(key).map(|raw| serde_json::from_str(raw).unwrap())
    }
}

/// Kind, method, id and name of a message to be accepted.
type Expected = (Kind, String, Option<String>, Option<String>);

fn reference(body: &[u8]) -> Option<Expected> {
    let whole: Value = serde_json::from_slice(body).ok()?;
    whole.as_object()?;
    let envelope =
        Members::read(str::from_utf8(body).ok()?, &["jsonrpc", "id", "method", "params", "result", "error"])?;
    if envelope.value("jsonrpc")? != "2.0" {
        return None;
    }
    let id = match envelope.value("id") {
        None | Some(Value::Null) => None,
        Some(Value::String(_)) => envelope.raw("id").map(str::to_owned),
        Some(Value::Number(number)) if number.as_f64()?.fract() == 0.0 => {
            envelope.raw("id").map(str::to_owned)
        }
        Some(_) => return None,
    };
    let is_object = |key| envelope.value(key).map(|value| value.is_object());
    let params = match is_object("params") {
        None => None,
        Some(true) => Some(reference_params(envelope.raw("params")?)?),
        // A response with params is refused either way.
        Some(false) => return None,
    };
    match (envelope.value("method"), is_object("result"), is_object("error")) {
        (Some(method), None, None) => {
            let method = method.as_str().filter(|method| !method.is_empty())?.to_owned();
            let name = reference_name(&method, params.as_ref())?;
            let kind = if envelope.raw("id").is_none() { Kind::Notification } else { Kind::Request };
            let fits = if kind == Kind::Request { id.is_some() } else { !method::is_known_request(&method) };
            fits.then_some((kind, method, id, name))
        }
        (None, Some(true), None) if params.is_none() => {
            id.map(|id| (Kind::Response, String::new(), Some(id), None))
        }
        (None, None, Some(true)) if params.is_none() => Some((Kind::Response, String::new(), id, None)),
        _ => None,
    }
}

fn reference_params(raw: &str) -> Option<Members> {
    let params = Members::read(raw, &["name", "uri", "arguments", "_meta"])?;
    let Some(meta) = params.raw("_meta") else { return Some(params) };
    let version = "io.modelcontextprotocol/protocolVersion";
    let meta = Members::read(meta, &[version, "progressToken"])?;
    meta.value(version).is_none_or(|version| version.is_string()).then_some(params)
}

fn reference_name(method: &str, params: Option<&Members>) -> Option<Option<String>> {
    let member = match method {
        "tools/call" => "name",
        "resources/read" => "uri",
        _ => return Some(None),
    };
    Some(Some(params?.value(member)?.as_str()?.to_owned()))
}

fn agree(body: &[u8]) -> Result<(), TestCaseError> {
    let scanned = scan(body, &ScanLimits::default());
    let scanned = match &scanned {
        Ok(Body::Single(message)) => Some((
            message.kind,
            message.method.to_string(),
            message.id.map(str::to_owned),
            message.name.as_deref().map(str::to_owned),
        )),
        _ => None,
    };
    prop_assert_eq!(scanned, reference(body), "{}", String::from_utf8_lossy(body));
    Ok(())
}

fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<f64>().prop_map(|value| Value::from(value).to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        any::<String>().prop_map(|value| Value::from(value).to_string()),
        prop::sample::select(vec![
            r#""\u00e9\ud83d\ude00""#,
            "1e3",
            "-0.0",
            "1E+2",
            "{}",
            "[]",
            "1.5",
            "\"\""
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let key = prop::sample::select(vec!["name", "a", "b", "b"]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(" ,"))),
            prop::collection::vec((key, inner), 0..4).prop_map(|members| object(&members)),
        ]
    })
}

fn object<K: AsRef<str>>(members: &[(K, String)]) -> String {
    let members: Vec<_> =
        members.iter().map(|(key, value)| format!("\"{}\" :{value}", key.as_ref())).collect();
    format!("{{{}}}", members.join(", "))
}

/// Mostly what fits, now and then something else.
fn mostly(fitting: &'static [&'static str]) -> BoxedStrategy<String> {
    prop_oneof![9 => prop::sample::select(fitting).prop_map(str::to_owned), 1 => any_json()].boxed()
}

fn meta() -> impl Strategy<Value = String> {
    let member = prop_oneof![
        (Just("io.modelcontextprotocol/protocolVersion"), mostly(&["\"2026-07-28\"", "\"x\""])),
        (Just("progressToken"), any_json()),
        (Just("own/key"), any_json()),
        (Just("ProgressToken"), any_json()),
    ];
    prop::collection::vec(member, 0..3).prop_map(|members| object(&members))
}

fn params() -> impl Strategy<Value = String> {
    let member = prop_oneof![
        4 => (Just("name"), mostly(&["\"echo\"", r#""\u0065cho""#, "\"\""])),
        2 => (Just("uri"), mostly(&["\"file:///x\""])),
        2 => (Just("_meta"), meta().boxed()),
        2 => (Just("arguments"), any_json().boxed()),
        1 => (prop::sample::select(vec![r"n\u0061me", "Name", "x", "é"]), any_json().boxed()),
    ];
    prop::collection::vec(member, 0..5).prop_map(|members| object(&members))
}

fn message() -> impl Strategy<Value = String> {
    const METHODS: &[&str] =
        &["\"tools/call\"", "\"resources/read\"", "\"tools/list\"", "\"notifications/x\""];
    let maybe = |strategy: BoxedStrategy<String>, often| prop::option::weighted(often, strategy);
    let odd = prop::sample::select(vec!["ID", "\\u0069d", "x", "method", "Params", "re\u{17F}ult"]);
    (
        maybe(mostly(&["\"2.0\"", r#""\u0032.0""#]), 0.95),
        maybe(mostly(&["1", "\"a\"", "-7", "2.0", "1.5", "null"]), 0.8),
        maybe(mostly(METHODS), 0.8),
        maybe(prop_oneof![19 => params(), 1 => any_json()].boxed(), 0.7),
        maybe(any_json().boxed(), 0.1),
        maybe(mostly(&["{}"]), 0.1),
        prop::option::weighted(0.1, (odd, any_json())),
        any::<prop::sample::Index>(),
    )
        .prop_map(|(jsonrpc, id, method, params, result, error, odd, turn)| {
            let named = [
                ("jsonrpc", jsonrpc),
                ("id", id),
                ("method", method),
                ("params", params),
                ("result", result),
                ("error", error),
            ];
            let mut members: Vec<(&str, String)> =
                named.into_iter().filter_map(|(key, value)| value.map(|value| (key, value))).collect();
            members.extend(odd);
            if !members.is_empty() {
                let by = turn.index(members.len());
                members.rotate_left(by);
            }
            object(&members)
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn messages_are_read_as_the_reference_reads_them(body in message()) {
        agree(body.as_bytes())?;
    }

    #[test]
    fn damaged_messages_too(
        body in message(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..3),
    ) {
        let mut body = body.into_bytes();
        for (at, byte, how) in damage {
            let at = at.index(body.len() + 1).min(body.len().saturating_sub(1));
            match how {
                0 => body.truncate(at),
                1 => body.insert(at, byte),
                2 if !body.is_empty() => drop(body.remove(at)),
                _ if !body.is_empty() => body[at] = b"\"\\{}[],:09e.-+u \x1f\xc3"[usize::from(byte) % 18],
                _ => {}
            }
        }
        agree(&body)?;
    }

    #[test]
    fn whatever_is_a_value_to_serde_json_is_one_to_us(value in any_json()) {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{"v":{value}}}}}"#);
        prop_assert!(serde_json::from_str::<Value>(&body).is_ok());
        prop_assert!(scan(body.as_bytes(), &ScanLimits::default()).is_ok());
    }

    #[test]
    fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        agree(&body)?;
    }
}
