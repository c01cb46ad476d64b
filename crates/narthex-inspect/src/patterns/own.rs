//! The operator's patterns.

use super::rule::{Rule, compile};
use super::{personal, secrets};
use crate::hidden::KINDS;
use crate::{BadPattern, Pattern};
use std::collections::HashSet;

/// How many there may be.
const MOST: usize = 64;
/// Labels of findings that no pattern makes.
const LABELS: [&str; 5] = ["instructions", "too_long", "too_deep", "malformed", "duplicate_key"];

pub(super) fn rules(patterns: &[Pattern]) -> Result<Vec<Rule>, BadPattern> {
    if patterns.len() > MOST {
        return Err(BadPattern::TooMany);
    }
    let built_in = secrets::TABLE.iter().chain(personal::TABLE).map(|spec| spec.name);
    let mut taken: HashSet<&str> = built_in.chain(KINDS).chain(LABELS).collect();
    let mut rules = Vec::with_capacity(patterns.len());
    for (index, Pattern { name, regex, action }) in patterns.iter().enumerate() {
        if !is_name(name) {
            return Err(BadPattern::Name { index });
        }
        if !taken.insert(name) {
            return Err(BadPattern::Taken { name: name.clone() });
        }
        let regex = compile(regex)
            .map_err(|error| BadPattern::Regex { name: name.clone(), reason: error.to_string() })?;
        if regex.is_match("") {
            return Err(BadPattern::Empty { name: name.clone() });
        }
        if *action != crate::Action::Off {
            rules.push(Rule::own(name, *action, regex));
        }
    }
    Ok(rules)
}

fn is_name(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Action;

    fn pattern(name: &str, regex: &str) -> Pattern {
        Pattern { name: name.into(), regex: regex.into(), action: Action::Redact }
    }

    #[test]
    fn bad_patterns_are_refused() {
        let bad = |name: &str, regex: &str| rules(&[pattern(name, regex)]).unwrap_err();
        for name in ["", "Upper", "with space", "ümlaut", &"a".repeat(33)] {
            assert_eq!(bad(name, "x"), BadPattern::Name { index: 0 }, "{name}");
        }
        for name in ["jwt", "email", "bidi", "instructions"] {
            assert_eq!(bad(name, "x"), BadPattern::Taken { name: name.into() });
        }
        for regex in ["", "x*", "(?:)", "a|", r"\b*", "^"] {
            assert_eq!(bad("own", regex), BadPattern::Empty { name: "own".into() }, "{regex}");
        }
        for regex in ["(", r"(a)\1", "(?=a)b", r"\w{1000}{1000}", "[a-"] {
            assert!(matches!(bad("own", regex), BadPattern::Regex { .. }), "{regex}");
        }
        let many: Vec<Pattern> = (0..65).map(|n| pattern(&format!("p{n}"), "x")).collect();
        assert_eq!(rules(&many).unwrap_err(), BadPattern::TooMany);
        assert_eq!(
            rules(&[pattern("a", "x"), pattern("a", "y")]).unwrap_err(),
            BadPattern::Taken { name: "a".into() }
        );
    }
}
