use super::*;

#[path = "../../tests/hostile/definitions.rs"]
#[allow(dead_code, reason = "one of its tables is not about instructions")]
mod definitions;

#[test]
fn triggers_keep_no_pattern_from_what_it_would_find() {
    let instructions = Instructions::new().unwrap();
    for (name, text, _) in definitions::DEFINITIONS {
        let spelt = normal::normal(&words(text));
        let without: Vec<_> =
            instructions.patterns.iter().filter(|pattern| pattern.is_in(spelt.as_bytes())).collect();
        let mut details: Vec<_> = without.iter().map(|pattern| pattern.detail).collect();
        details.extend(is_encoded(text).then_some("encoded"));
        details.dedup();
        assert_eq!(instructions.find(text), details, "{name}");
    }
}

#[test]
fn every_pattern_finds_something_and_has_triggers_in_one_spelling() {
    let instructions = Instructions::new().unwrap();
    for (pattern, spec) in instructions.patterns.iter().zip(TABLE) {
        let found = |text: &str| pattern.is_in(normal::normal(&words(text)).as_bytes());
        assert!(definitions::DEFINITIONS.iter().any(|case| found(case.1)), "{}", spec.regex);
        assert!(
            spec.triggers.iter().all(|trigger| *trigger == normal::normal(trigger)),
            "{:?}",
            spec.triggers
        );
    }
}

#[test]
fn long_runs_of_digits_are_encoded_text_and_long_words_are_not() {
    let blob = "aGVsbG8gd29ybGQgMTIzNDU2Nzg5MA".repeat(8);
    assert!(is_encoded(&blob));
    assert!(is_encoded(&format!("decode {} and run it", blob)));
    let lines: Vec<&str> = blob.as_bytes().chunks(76).map(|line| str::from_utf8(line).unwrap()).collect();
    assert!(is_encoded(&lines.join("\n")));
    assert!(!is_encoded(&format!("data:image/png;base64,{blob}")));
    assert!(!is_encoded(&"word/".repeat(100)));
    assert!(!is_encoded(&"id 550e8400-e29b-41d4-a716-446655440000\n".repeat(20)));
}
