use super::*;
use proptest::prelude::*;

#[test]
fn a_duration_is_a_number_and_a_unit() {
    let good = [("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("2h", 7_200_000), ("0s", 0)];
    for (text, millis) in good {
        assert_eq!(HumanDuration::read(text).unwrap().0, Duration::from_millis(millis), "{text}");
    }
    for text in ["", "30", "s", "30 s", "-1s", "1.5s", "30S", "30sec", "99999999999999999999s", "9999999h"] {
        assert!(HumanDuration::read(text).is_err(), "{text}");
    }
    assert!(HumanDuration::read_number(30).is_err());
}

#[test]
fn a_size_is_bytes_or_binary_units() {
    for (text, bytes) in [("1024", 1024), ("64KiB", 65_536), ("16MiB", 16 << 20), ("1GiB", 1 << 30)] {
        assert_eq!(Size::read(text).unwrap().0, bytes, "{text}");
    }
    for text in ["", "0", "0MiB", "16MB", "16 MiB", "1.5MiB", "-1", "18446744073709551615GiB"] {
        assert!(Size::read(text).is_err(), "{text}");
    }
    assert_eq!(Size::read_number(5).unwrap().0, 5);
    assert!(Size::read_number(0).is_err());
}

#[test]
fn a_rate_is_a_count_and_a_window() {
    let rate = Requests::read("600/1m").unwrap().0;
    assert_eq!((rate.count.get(), rate.window), (600, Duration::from_secs(60)));
    for text in ["", "600", "600/", "/1m", "0/1m", "600/0s", "600/m", "6s/1m", "4294967296/1h", "2000000/1ms"]
    {
        assert!(Requests::read(text).is_err(), "{text}");
    }
}

#[test]
fn unsigned_and_hmac_algorithms_are_never_accepted() {
    for text in ["none", "None", "HS256", "HS384", "HS512", "rs256", "ES256K", ""] {
        assert!(Alg::read(text).is_err(), "{text}");
    }
    for (name, algorithm) in ALGORITHMS {
        assert_eq!(Alg::read(name).unwrap().0, algorithm);
    }
}

#[test]
fn a_scope_with_an_illegal_character_is_refused() {
    for text in ["", "a b", "a\"b", "a\\b", "a\tb", "ä", "a\u{7f}"] {
        assert!(Scope::read(text).is_err(), "{text:?}");
    }
    for text in ["mcp:read", "https://example.com/x", "!", "~", "a[0]"] {
        assert!(Scope::read(text).is_ok(), "{text:?}");
    }
}

proptest! {
    #[test]
    fn no_word_makes_reading_panic(text in ".{0,40}") {
        let _ = HumanDuration::read(&text);
        let _ = Size::read(&text);
        let _ = Requests::read(&text);
        let _ = Listen::read(&text);
        let _ = HttpUrl::read(&text);
        let _ = Scope::read(&text);
    }

    #[test]
    fn an_accepted_rate_can_be_counted(count in 1u32.., window in 1u64..100_000, unit in "ms|s|m|h") {
        if let Ok(Requests(rate)) = Requests::read(&format!("{count}/{window}{unit}")) {
            prop_assert!(!(rate.window / rate.count.get()).is_zero());
        }
    }
}
