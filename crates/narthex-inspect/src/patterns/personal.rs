//! Data of persons, by forms that can be checked.
//!
//! | name | what |
//! |---|---|
//! | `email` | an e-mail address |
//! | `payment_card` | 13 to 19 digits, in groups or not, with a known issuer's beginning and length and a right check digit (ISO/IEC 7812) |
//! | `iban` | an IBAN with its country's length and right check digits (ISO 13616) |
//! | `us_ssn` | a US social security number with hyphens, in ranges that are given out |
//! | `phone` | an international telephone number: `+` and 8 to 15 digits (E.164) |

use super::check;
use super::rule::{Byte, Rule, Spec};
use crate::{Action, BadPattern};
use std::ops::Range;

const fn spec(name: &'static str, byte: Byte, shortest: usize, regex: &'static str) -> Spec {
    Spec { name, literals: &[], byte, shortest, regex, check: check::all, whole: None }
}

pub(super) const TABLE: &[Spec] = &[
    spec(
        "email",
        Byte::This(b'@'),
        6,
        r"[A-Za-z0-9._%+-]+@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,24}(?-u:\b)",
    ),
    Spec {
        check: payment_card,
        ..spec("payment_card", Byte::Digit, 13, r"(?-u:\b)[2-6](?:[ -]?[0-9]){12,22}(?-u:\b)")
    },
    Spec {
        check: iban,
        ..spec("iban", Byte::Digit, 15, r"(?-u:\b)[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,34}(?-u:\b)")
    },
    Spec {
        check: us_ssn,
        ..spec("us_ssn", Byte::This(b'-'), 11, r"(?-u:\b)[0-8][0-9]{2}-[0-9]{2}-[0-9]{4}(?-u:\b)")
    },
    Spec {
        check: phone,
        ..spec(
            "phone",
            Byte::This(b'+'),
            9,
            r"(?:^|[^0-9A-Za-z+])(\+[1-9](?:[ .()-]{0,2}[0-9]){7,20})(?-u:\b)",
        )
    },
];

pub(super) fn rules(action: Action) -> Result<Vec<Rule>, BadPattern> {
    TABLE.iter().map(|spec| Rule::built_in(spec, action, true)).collect()
}

/// The longest beginning of `found` that ends between groups of digits and is a card's number.
fn payment_card(found: &str) -> Option<Range<usize>> {
    let ends = found.match_indices([' ', '-']).map(|(at, _)| at).chain([found.len()]);
    let mut cards = ends.filter(|end| is_card(&digits(&found[..*end])));
    cards.next_back().map(|end| 0..end)
}

fn is_card(digits: &[u32]) -> bool {
    let head = digits.iter().chain([0; 4].iter()).take(4).fold(0, |head, digit| head * 10 + digit);
    let lengths = match head {
        4000..=4999 => &[13, 16, 19][..],
        5100..=5599 | 2221..=2720 => &[16],
        3400..=3499 | 3700..=3799 => &[15],
        3000..=3059 | 3095 | 3600..=3699 | 3800..=3999 => &[14, 16, 19],
        3528..=3589 => &[16, 19],
        6011 | 6440..=6599 | 6200..=6299 => &[16, 17, 18, 19],
        5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763 => &[13, 16, 19],
        _ => return false,
    };
    let varied = digits.iter().any(|digit| Some(digit) != digits.first());
    varied && lengths.contains(&digits.len()) && luhn(digits)
}

/// Whether the last digit is right (ISO/IEC 7812-1, annex B).
fn luhn(digits: &[u32]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| if at % 2 == 0 { *digit } else { digit * 2 / 10 + digit * 2 % 10 })
        .sum();
    sum.is_multiple_of(10)
}

fn digits(text: &str) -> Vec<u32> {
    text.chars().filter_map(|char| char.to_digit(10)).collect()
}

/// Characters of an IBAN by country (the registry of ISO 13616).
const IBAN: [(&str, usize); 80] = [
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FK", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LC", 32),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("LY", 25),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MN", 20),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("NI", 28),
    ("NL", 18),
    ("NO", 15),
    ("OM", 23),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("RU", 33),
    ("SA", 24),
    ("SC", 31),
    ("SD", 18),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("SO", 23),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VG", 24),
];

/// The beginning of `found` that is an IBAN, if the country's length ends between groups or at a word's end.
fn iban(found: &str) -> Option<Range<usize>> {
    let (_, len) = IBAN.iter().find(|(country, _)| found.starts_with(country))?;
    let mut signs = found.char_indices().filter(|(_, char)| *char != ' ');
    let (last, char) = signs.nth(len - 1)?;
    let end = last + char.len_utf8();
    let ends = !found[end..].starts_with(|char: char| char.is_ascii_alphanumeric());
    (ends && remainder(&found[..end]) == Some(1)).then_some(0..end)
}

/// The remainder by 97 of the number that an IBAN stands for (ISO/IEC 7064).
fn remainder(iban: &str) -> Option<u32> {
    let signs: Vec<char> = iban.chars().filter(|char| *char != ' ').collect();
    let (head, tail) = signs.split_at_checked(4)?;
    tail.iter().chain(head).try_fold(0, |rest, char| {
        let value = char.to_digit(36)?;
        Some(if value < 10 { (rest * 10 + value) % 97 } else { (rest * 100 + value) % 97 })
    })
}

/// Area, group and serial number are none that are never given out.
fn us_ssn(found: &str) -> Option<Range<usize>> {
    let (area, rest) = found.split_once('-')?;
    let (group, serial) = rest.split_once('-')?;
    let given = !matches!(area, "000" | "666") && group != "00" && serial != "0000";
    // Printed on a card in a wallet, and on leaflets since.
    let known = matches!(found, "078-05-1120" | "219-09-9999");
    (given && !known).then_some(0..found.len())
}

fn phone(found: &str) -> Option<Range<usize>> {
    (8..=15).contains(&digits(found).len()).then_some(0..found.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_are_known_by_issuer_length_and_check_digit() {
        for card in [
            "4111111111111111",
            "5555 5555 5555 4444",
            "3782-822463-10005",
            "6011111111111117",
            "4222222222222",
        ] {
            assert_eq!(payment_card(card), Some(0..card.len()), "{card}");
        }
        for other in [
            "4111111111111112",
            "1234567812345670",
            "4444444444444444",
            "411111111111111",
            "7992739871300000",
        ] {
            assert_eq!(payment_card(other), None, "{other}");
        }
        assert_eq!(payment_card("4111 1111 1111 1111 123"), Some(0..19));
    }

    #[test]
    fn ibans_are_known_by_country_length_and_check_digits() {
        for iban_ in [
            "DE89370400440532013000",
            "GB29 NWBK 6016 1331 9268 19",
            "NO9386011117947",
            "MT84MALT011000012345MTLCAST001S",
        ] {
            assert_eq!(iban(iban_), Some(0..iban_.len()), "{iban_}");
        }
        assert_eq!(iban("DE89 3704 0044 0532 0130 00 BIC COBADEFF"), Some(0..27));
        for other in [
            "DE89370400440532013001",
            "ZZ89370400440532013000",
            "DE8937040044053201300",
            "DE893704004405320130000",
        ] {
            assert_eq!(iban(other), None, "{other}");
        }
    }

    #[test]
    fn numbers_never_given_out_are_no_social_security_numbers() {
        assert!(us_ssn("123-45-6789").is_some());
        for other in ["000-12-3456", "666-12-3456", "123-00-4567", "123-45-0000", "078-05-1120"] {
            assert_eq!(us_ssn(other), None, "{other}");
        }
    }
}
