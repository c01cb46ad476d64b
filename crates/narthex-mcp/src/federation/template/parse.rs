//! The grammar of URI templates (RFC 6570 §2).

use super::{BadTemplate, Expression, LONGEST_TEMPLATE, MOST_EXPRESSIONS, Part, normal};

/// What ends a component of a URI (RFC 3986 §3).
const COMPONENT: &[u8] = b"/?#";

pub(super) fn template(text: &str) -> Result<Vec<Part>, BadTemplate> {
    if text.len() > LONGEST_TEMPLATE {
        return Err(BadTemplate::TooLong);
    }
    let (mut parts, mut rest, mut count) = (Vec::new(), text, 0);
    while let Some((literal, after)) = rest.split_once('{') {
        push_literal(&mut parts, literal)?;
        let (inner, after) = after.split_once('}').ok_or(BadTemplate::Unbalanced)?;
        count += 1;
        if count > MOST_EXPRESSIONS {
            return Err(BadTemplate::TooMany);
        }
        parts.push(Part::Expression(expression(inner)?));
        rest = after;
    }
    push_literal(&mut parts, rest)?;
    Ok(parts)
}

fn push_literal(parts: &mut Vec<Part>, text: &str) -> Result<(), BadTemplate> {
    if text.contains('}') {
        return Err(BadTemplate::Unbalanced);
    }
    if !text.is_empty() {
        parts.push(Part::Literal(normal(text).into_owned()));
    }
    Ok(())
}

/// What stands between the braces: an operator, if any, and variables.
fn expression(text: &str) -> Result<Expression, BadTemplate> {
    if text.contains('{') {
        return Err(BadTemplate::Unbalanced);
    }
    let (operator, list) = match text.split_at_checked(1) {
        Some((operator, list)) if "+#./;?&".contains(operator) => (operator, list),
        _ => ("", text),
    };
    let (mut count, mut explodes) = (0, false);
    for variable in list.split(',') {
        explodes |= is_exploded(variable).ok_or(BadTemplate::Expression)?;
        count += 1;
    }
    let several = count > 1 || explodes;
    let (first, not): (_, &[u8]) = match operator {
        "+" => (None, b""),
        "#" => (Some(b'#'), b""),
        "." => (Some(b'.'), COMPONENT),
        "/" if several => (Some(b'/'), b"?#"),
        "/" => (Some(b'/'), COMPONENT),
        ";" => (Some(b';'), COMPONENT),
        "?" => (Some(b'?'), b"#"),
        "&" => (Some(b'&'), b"#"),
        // Servers written with FastMCP say `{path*}` for any number of segments.
        _ if explodes => (None, b"?#"),
        _ => (None, COMPONENT),
    };
    Ok(Expression { first, not })
}

/// Whether a variable has `*` behind it; `None` if it is none (RFC 6570 §2.3, §2.4). Hyphens are no part of
/// the grammar, but of what servers write.
fn is_exploded(text: &str) -> Option<bool> {
    if let Some(name) = text.strip_suffix('*') {
        return is_name(name).then_some(true);
    }
    let (name, longest) = text.split_once(':').unwrap_or((text, "1"));
    let is_length = (1..=4).contains(&longest.len())
        && longest.bytes().all(|byte| byte.is_ascii_digit())
        && !longest.starts_with('0');
    (is_name(name) && is_length).then_some(false)
}

fn is_name(text: &str) -> bool {
    let is_part = |part: &str| {
        let mut rest = part.as_bytes();
        while let Some((byte, after)) = rest.split_first() {
            rest = match byte {
                b'%' if super::hex_digits(after).is_some() => after.get(2..).unwrap_or_default(),
                b'_' | b'-' => after,
                byte if byte.is_ascii_alphanumeric() => after,
                _ => return false,
            };
        }
        !part.is_empty()
    };
    text.split('.').all(is_part)
}
