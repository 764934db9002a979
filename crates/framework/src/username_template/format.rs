//! Go's `printf` for texts, whole numbers and truth values.
//!
//! What Go would answer with a mark in the output (a missing or surplus argument, a verb that does
//! not fit) is an error here: nobody wants a user called `%!s(MISSING)`.

use super::value::Value;

/// Width and precision, at most.
const MAX_WIDTH: usize = 1024;

#[derive(Default)]
struct Verb {
    minus: bool,
    plus: bool,
    zero: bool,
    space: bool,
    sharp: bool,
    width: usize,
    precision: Option<usize>,
}

/// Writes `arguments` as `layout` says.
pub(super) fn printf(layout: &str, arguments: &[Value]) -> Result<String, String> {
    let mut output = String::new();
    let mut arguments = arguments.iter();
    let mut rest = layout;
    while let Some(at) = rest.find('%') {
        output.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let verb = read(&mut rest)?;
        let sign = rest.chars().next().ok_or("an incomplete verb at its end")?;
        rest = &rest[sign.len_utf8()..];
        if sign == '%' {
            output.push('%');
            continue;
        }
        let value = arguments.next().ok_or("more verbs than arguments")?;
        pad(&mut output, &written(&verb, sign, value)?, &verb, value);
    }
    output.push_str(rest);
    match arguments.next() {
        Some(_) => Err("more arguments than verbs".to_owned()),
        None => Ok(output),
    }
}

fn read(rest: &mut &str) -> Result<Verb, String> {
    let mut verb = Verb::default();
    while let Some(flag) = rest.chars().next().filter(|c| "-+0 #".contains(*c)) {
        match flag {
            '-' => verb.minus = true,
            '+' => verb.plus = true,
            '0' => verb.zero = true,
            ' ' => verb.space = true,
            _ => verb.sharp = true,
        }
        *rest = &rest[1..];
    }
    verb.width = number(rest)?.unwrap_or(0);
    if let Some(after) = rest.strip_prefix('.') {
        *rest = after;
        verb.precision = Some(number(rest)?.unwrap_or(0));
    }
    Ok(verb)
}

fn number(rest: &mut &str) -> Result<Option<usize>, String> {
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    if end == 0 {
        return Ok(None);
    }
    let number = rest[..end].parse().ok().filter(|number| *number <= MAX_WIDTH);
    *rest = &rest[end..];
    number.map(Some).ok_or_else(|| format!("a width beyond {MAX_WIDTH}"))
}

fn written(verb: &Verb, sign: char, value: &Value) -> Result<String, String> {
    let unfit = || format!("the verb %{sign} does not fit a value of type {}", value.kind());
    match (sign, value) {
        ('s' | 'v', Value::Text(text)) => Ok(cut(verb, text).to_owned()),
        ('q', Value::Text(text)) => Ok(format!("{:?}", cut(verb, text))),
        ('x' | 'X', Value::Text(text)) => {
            let bytes = cut(verb, text).bytes();
            Ok(bytes
                .map(|byte| if sign == 'x' { format!("{byte:02x}") } else { format!("{byte:02X}") })
                .collect())
        }
        ('t' | 'v', Value::Bool(truth)) => Ok(truth.to_string()),
        ('d' | 'v' | 'x' | 'X' | 'o' | 'b', Value::Int(number)) => Ok(digits(verb, sign, *number)),
        ('c', Value::Int(number)) => {
            let character = u32::try_from(*number).ok().and_then(char::from_u32);
            Ok(character.unwrap_or('\u{fffd}').to_string())
        }
        _ => Err(unfit()),
    }
}

/// A text's first characters, as many as the precision says.
fn cut<'a>(verb: &Verb, text: &'a str) -> &'a str {
    let end = verb.precision.and_then(|characters| text.char_indices().nth(characters));
    end.map_or(text, |(at, _)| &text[..at])
}

fn digits(verb: &Verb, sign: char, number: i64) -> String {
    let size = number.unsigned_abs();
    let (prefix, plain) = match sign {
        'x' => ("0x", format!("{size:x}")),
        'X' => ("0X", format!("{size:X}")),
        'o' => ("0", format!("{size:o}")),
        'b' => ("0b", format!("{size:b}")),
        _ => ("", size.to_string()),
    };
    let mark = match number {
        i64::MIN..0 => "-",
        _ if verb.plus => "+",
        _ if verb.space => " ",
        _ => "",
    };
    let prefix = if verb.sharp { prefix } else { "" };
    let filled = verb.zero && !verb.minus && verb.precision.is_none();
    let taken = mark.len() + prefix.len();
    let least = verb.precision.unwrap_or(if filled { verb.width.saturating_sub(taken) } else { 0 });
    format!("{mark}{prefix}{plain:0>least$}")
}

fn pad(output: &mut String, text: &str, verb: &Verb, value: &Value) {
    let missing = verb.width.saturating_sub(text.chars().count());
    let zeros = verb.zero && !verb.minus && !matches!(value, Value::Int(_));
    let filling = if zeros { "0" } else { " " }.repeat(missing);
    if verb.minus {
        output.push_str(text);
        output.push_str(&filling);
    } else {
        output.push_str(&filling);
        output.push_str(text);
    }
}
