//! What templates match, and that nothing they are made of takes long.

use super::*;
use proptest::prelude::*;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

fn matches(template: &str, uri: &str) -> bool {
    UriTemplate::parse(template).unwrap().matches(uri)
}

#[test]
fn examples_of_the_rfc_match_what_they_become() {
    // RFC 6570 §1.2 and §3.2.2 to §3.2.9.
    for (template, uri) in [
        ("{var}", "value"),
        ("{hello}", "Hello%20World%21"),
        ("{half}", "50%25"),
        ("O{empty}X", "OX"),
        ("O{undef}X", "OX"),
        ("map?{x,y}", "map?1024,768"),
        ("{x,hello,y}", "1024,Hello%20World%21,768"),
        ("?{x,empty}", "?1024,"),
        ("{var:3}", "val"),
        ("{list}", "red,green,blue"),
        ("{list*}", "red,green,blue"),
        ("{keys}", "semi,%3B,dot,.,comma,%2C"),
        ("{keys*}", "semi=%3B,dot=.,comma=%2C"),
        ("{+var}", "value"),
        ("{+hello}", "Hello%20World!"),
        ("{base}index", "http%3A%2F%2Fexample.com%2Fhome%2Findex"),
        ("{+base}index", "http://example.com/home/index"),
        ("{+path}/here", "/foo/bar/here"),
        ("here?ref={+path}", "here?ref=/foo/bar"),
        ("up{+path}{var}/here", "up/foo/barvalue/here"),
        ("{+path:6}/here", "/foo/b/here"),
        ("{+keys*}", "semi=;,dot=.,comma=,"),
        ("{#var}", "#value"),
        ("foo{#empty}", "foo#"),
        ("foo{#undef}", "foo"),
        ("{#path,x}/here", "#/foo/bar,1024/here"),
        ("{.who,who}", ".fred.fred"),
        ("www{.dom*}", "www.example.com"),
        ("X{.empty}", "X."),
        ("X{.undef}", "X"),
        ("{/who}", "/fred"),
        ("{/half,who}", "/50%25/fred"),
        ("{/var,empty}", "/value/"),
        ("{/var,x}/here", "/value/1024/here"),
        ("{/list*,path:4}", "/red/green/blue/%2Ffoo"),
        ("{;x,y,empty}", ";x=1024;y=768;empty"),
        ("{;keys*}", ";semi=%3B;dot=.;comma=%2C"),
        ("{?x,y}", "?x=1024&y=768"),
        ("{?x,y,undef}", "?x=1024&y=768"),
        ("{?keys*}", "?semi=%3B&dot=.&comma=%2C"),
        ("?fixed=yes{&x}", "?fixed=yes&x=1024"),
        ("{&var:3}", "&var=val"),
        ("http://www.example.com/foo{?query,number}", "http://www.example.com/foo?query=mycelium&number=100"),
        ("http://www.example.com/foo{?query,number}", "http://www.example.com/foo"),
    ] {
        assert!(matches(template, uri), "{template} {uri}");
    }
}

#[test]
fn templates_of_servers_match_their_uris_and_no_others() {
    for (template, right, wrong) in [
        ("file:///{path}", "file:///README.md", "file:///src/main.rs"),
        ("file:///{+path}", "file:///src/main.rs", "https:///src/main.rs"),
        ("file:///{path*}", "file:///src/main.rs", "file:///src/main.rs?x"),
        ("test://template/{id}/data", "test://template/123/data", "test://template/1/2/data"),
        ("users://{userId}/profile", "users://42/profile", "users://42/profile/x"),
        ("users://{userId}/profile", "users://ann@acme/profile", "user://42/profile"),
        ("repo://{owner}/{repo}{/ref}", "repo://a/b/main", "repo://a/b/main/x"),
        ("repo://{owner}/{repo}{/ref}", "repo://a/b", "repo://a"),
        ("weather://{city}{?units,days}", "weather://oslo?units=c", "weather://oslo/x?units=c"),
        ("q://x{?a}&b=1", "q://x?a=2&b=1", "q://x?a=2&b=2"),
        ("db://{user-id}.{ext}", "db://1.json", "db://1json"),
        ("no://variables", "no://variables", "no://variables/"),
        ("", "", "a"),
    ] {
        assert!(matches(template, right), "{template} {right}");
        assert!(!matches(template, wrong), "{template} {wrong}");
    }
}

#[test]
fn characters_match_however_they_are_encoded() {
    for (template, uri) in [
        ("größe://{x}", "gr%C3%B6%c3%9fe://a"),
        ("gr%c3%b6ße://{x}", "größe://a"),
        ("a://b c/{x}", "a://b%20c/d e"),
        ("a://{x}", "a://100%"),
        ("a://{x}", "a://%zz"),
        ("a://%2f{x}", "a://%2Fb"),
    ] {
        assert!(matches(template, uri), "{template} {uri}");
    }
    assert!(!matches("a://%2f{x}", "a:///b"), "an encoded slash is none");
}

#[test]
fn what_is_no_template_is_refused() {
    for (text, why) in [
        ("{", BadTemplate::Unbalanced),
        ("}", BadTemplate::Unbalanced),
        ("a{b", BadTemplate::Unbalanced),
        ("a}b", BadTemplate::Unbalanced),
        ("{a{b}}", BadTemplate::Unbalanced),
        ("{a}}", BadTemplate::Unbalanced),
        ("{}", BadTemplate::Expression),
        ("{?}", BadTemplate::Expression),
        ("{a,}", BadTemplate::Expression),
        ("{,a}", BadTemplate::Expression),
        ("{=a}", BadTemplate::Expression),
        ("{!a}", BadTemplate::Expression),
        ("{|a}", BadTemplate::Expression),
        ("{@a}", BadTemplate::Expression),
        ("{++a}", BadTemplate::Expression),
        ("{a b}", BadTemplate::Expression),
        ("{é}", BadTemplate::Expression),
        ("{a:0}", BadTemplate::Expression),
        ("{a:10000}", BadTemplate::Expression),
        ("{a:}", BadTemplate::Expression),
        ("{a:3*}", BadTemplate::Expression),
        ("{a**}", BadTemplate::Expression),
        ("{*}", BadTemplate::Expression),
        ("{a..b}", BadTemplate::Expression),
        ("{%4}", BadTemplate::Expression),
    ] {
        assert_eq!(UriTemplate::parse(text), Err(why), "{text}");
    }
    assert!(UriTemplate::parse("{a.b_c-d%C3%A9:9999}{e*}").is_ok());
}

#[test]
fn templates_and_uris_are_bounded() {
    let parse = |text: String| UriTemplate::parse(&text);
    assert!(parse("{a}".repeat(MOST_EXPRESSIONS)).is_ok());
    assert_eq!(parse("{a}".repeat(MOST_EXPRESSIONS + 1)), Err(BadTemplate::TooMany));
    assert_eq!(parse("{a}".repeat(10_000)), Err(BadTemplate::TooLong));
    assert!(parse("a".repeat(LONGEST_TEMPLATE)).is_ok());
    assert_eq!(parse("a".repeat(LONGEST_TEMPLATE + 1)), Err(BadTemplate::TooLong));
    assert!(matches("{x}", &"a".repeat(LONGEST_URI)));
    assert!(!matches("{x}", &"a".repeat(LONGEST_URI + 1)));
}

#[test]
fn no_template_takes_long() {
    let many = "{a}".repeat(MOST_EXPRESSIONS - 1) + "{b}!";
    let mut mixed = String::new();
    (0..MOST_EXPRESSIONS).for_each(|n| write!(mixed, "{{+v{n}}}aaaa").unwrap());
    let literal = "{+a}".to_owned() + &"a".repeat(LONGEST_TEMPLATE - 5) + "b";
    let uri = "a".repeat(LONGEST_URI);
    let started = Instant::now();
    for template in [many, mixed + "!", literal] {
        assert!(!matches(&template, &uri), "{template}");
        assert!(!matches(&template, &"é".repeat(LONGEST_URI / 2)), "{template}");
    }
    // Backtracking would take years; unoptimised, on a busy machine, this takes some hundredths of a second.
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[test]
fn the_template_that_says_more_can_be_told() {
    let len = |text| UriTemplate::parse(text).unwrap().literal_len();
    assert!(len("file:///src/{path}") > len("file:///{+path}"));
    assert_eq!(len("{a}{b}"), 0);
}

/// What a template of these parts matches, the slow way: every way to cut the rest is tried.
fn slow(parts: &[Part], uri: &[u8]) -> bool {
    let Some((part, rest)) = parts.split_first() else { return uri.is_empty() };
    (0..=uri.len()).any(|len| {
        let (mine, others) = uri.split_at(len);
        let is_mine = match part {
            Part::Literal(text) => mine == text.as_bytes(),
            Part::Expression(expression) => match (expression.first, mine.split_first()) {
                (_, None) => true,
                (None, _) => mine.iter().all(|byte| !expression.not.contains(byte)),
                (Some(first), Some((byte, value))) => {
                    first == *byte && value.iter().all(|byte| !expression.not.contains(byte))
                }
            },
        };
        is_mine && slow(rest, others)
    })
}

proptest! {
    #[test]
    fn it_matches_what_trying_everything_would(
        parts in prop::collection::vec(
            prop_oneof!["[a/?#.]{1,2}", "\\{[+#./;?&]?[a-b](,c|\\*|:3)?\\}"], 0..5,
        ),
        uri in "[ab/?#.;&]{0,8}",
    ) {
        let template = UriTemplate::parse(&parts.concat()).unwrap();
        prop_assert_eq!(template.matches(&uri), slow(&template.parts, uri.as_bytes()));
    }

    #[test]
    fn a_template_without_expressions_matches_itself_alone(text in "[^{}]{0,20}", other in "[^{}]{0,20}") {
        let template = UriTemplate::parse(&text).unwrap();
        prop_assert!(template.matches(&text));
        prop_assert_eq!(template.matches(&other), normal(&text) == normal(&other));
    }

    #[test]
    fn values_put_into_a_template_match_it(
        values in prop::collection::vec("[a-z0-9%é ]{0,6}", 1..6), end in "[a-z/]{0,3}",
    ) {
        let (mut template, mut uri) = ("x:".to_owned(), "x:".to_owned());
        for (at, value) in values.iter().enumerate() {
            write!(template, "/{{v{at}}}-").unwrap();
            write!(uri, "/{value}-").unwrap();
        }
        prop_assert!(matches(&(template + &end), &(uri + &end)));
    }

    #[test]
    fn no_text_panics(template in "[{}+#?&/.;:*,a%\\PC]{0,40}", uri: String) {
        if let Ok(template) = UriTemplate::parse(&template) {
            let _ = template.matches(&uri);
        }
    }
}
