//! `host=db port=5432 user='a b' password='it\'s'`: libpq's other form.

use super::Pairs;
use crate::failure::Failure;

/// Takes the pairs apart. The error quotes none of them.
pub fn read(text: &str) -> Result<Pairs, Failure> {
    let mut pairs = Pairs::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').ok_or_else(unreadable)?;
        let key = key.trim_end();
        let plain = |c: char| c.is_ascii_alphanumeric() || "_.".contains(c);
        if key.is_empty() || !key.chars().all(plain) {
            return Err(unreadable());
        }
        let (value, after) = value(after.trim_start())?;
        pairs.push((key.to_owned(), value));
        rest = after.trim_start();
    }
    Ok(pairs)
}

fn value(text: &str) -> Result<(String, &str), Failure> {
    let (text, quoted) = match text.strip_prefix('\'') {
        Some(text) => (text, true),
        None => (text, false),
    };
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.push(chars.next().ok_or_else(unreadable)?.1),
            '\'' if quoted => return Ok((value, &text[at + 1..])),
            c if c.is_whitespace() && !quoted => return Ok((value, &text[at..])),
            c => value.push(c),
        }
    }
    if quoted { Err(unreadable()) } else { Ok((value, "")) }
}

fn unreadable() -> Failure {
    Failure::Configuration("unable to parse connection url".to_owned())
}
