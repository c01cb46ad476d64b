use super::*;

#[test]
fn every_pattern_has_a_trigger_in_every_match() {
    // The regular expressions on their own and behind their triggers must agree on all that the tables of the
    // integration tests say; here, on each pattern's own triggers.
    let instructions = Instructions::new().unwrap();
    assert_eq!(instructions.patterns.len(), TABLE.len());
    for spec in TABLE {
        assert!(!spec.triggers.is_empty(), "{}", spec.regex);
        for trigger in spec.triggers {
            assert_eq!(*trigger, normal::normal(trigger), "a trigger that text in one spelling never has");
        }
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
