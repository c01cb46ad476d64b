use super::*;
use std::path::PathBuf;

fn file_with(content: &[u8]) -> (tempfile::TempDir, SecretRef) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    std::fs::write(&path, content).unwrap();
    (dir, SecretRef::File(path))
}

fn read(content: &[u8]) -> Result<Secret, SecretError> {
    let (_dir, reference) = file_with(content);
    Secrets::default().line(&reference)
}

#[test]
fn exactly_one_trailing_newline_is_removed() {
    for (content, expected) in [
        (&b"key"[..], "key"),
        (b"key\n", "key"),
        (b"key\r\n", "key"),
        (b" key ", " key "),
        ("schl\u{fc}ssel\n".as_bytes(), "schl\u{fc}ssel"),
    ] {
        assert_eq!(read(content).unwrap().expose(), expected);
    }
}

#[test]
fn what_cannot_be_a_one_line_secret_is_refused_without_showing_it() {
    let large = vec![b'x'; MAX_SECRET + 1];
    for (content, expected) in [
        (&b""[..], "empty"),
        (b"\n", "empty"),
        (b"\r\n", "empty"),
        (b"canary\n\n", "a line break"),
        (b"canary\nX-Evil: 1", "a line break"),
        (b"canary\rb", "a line break"),
        (b"canary\0b", "a NUL"),
        (b"canary\xff", "not UTF-8"),
        (&large, "larger than"),
    ] {
        let error = read(content).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(expected), "{shown}");
        assert!(!shown.contains("canary") && !shown.contains("xxxx"), "{shown}");
    }
}

#[test]
fn a_secret_of_the_largest_size_is_read() {
    assert_eq!(read(&vec![b'x'; MAX_SECRET]).unwrap().expose().len(), MAX_SECRET);
}

#[test]
fn a_key_may_have_several_lines() {
    let (_dir, reference) = file_with(b"-----BEGIN\nabc\n-----END\n");
    assert_eq!(Secrets::default().text(&reference).unwrap().expose(), "-----BEGIN\nabc\n-----END");
}

#[test]
fn an_error_names_the_reference() {
    let secrets = Secrets::with_environment(|_| None);
    let missing = secrets.line(&SecretRef::File(PathBuf::from("/nowhere/at/all"))).unwrap_err();
    assert_eq!(missing.to_string(), "secret file /nowhere/at/all: cannot be read: entity not found");
    let unset = secrets.line(&SecretRef::Env("DOCS_KEY".into())).unwrap_err();
    assert_eq!(unset.to_string(), "secret environment variable DOCS_KEY: not set");
}

#[test]
fn a_directory_is_not_a_secret() {
    let dir = tempfile::tempdir().unwrap();
    let error = Secrets::default().line(&SecretRef::File(dir.path().to_owned())).unwrap_err();
    assert!(matches!(error.problem(), SecretProblem::NotAFile));
}

#[test]
fn the_environment_is_read_with_the_same_rules() {
    let secrets = Secrets::with_environment(|name| match name {
        "GOOD" => Some("value\n".into()),
        "EMPTY" => Some("".into()),
        "LARGE" => Some("x".repeat(MAX_SECRET + 1).into()),
        _ => None,
    });
    let read = |name: &str| secrets.line(&SecretRef::Env(name.into()));
    assert_eq!(read("GOOD").unwrap().expose(), "value");
    assert!(matches!(read("EMPTY").unwrap_err().problem(), SecretProblem::Empty));
    assert!(matches!(read("LARGE").unwrap_err().problem(), SecretProblem::TooLarge));
    assert!(matches!(read("OTHER").unwrap_err().problem(), SecretProblem::NotSet));
}

#[test]
fn a_secret_prints_as_stars() {
    let secret = Secret::from("canary");
    assert_eq!(format!("{secret} {secret:?} {secret:#?}"), "*** *** ***");
}
