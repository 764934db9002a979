//! No text makes the parser panic, hang or point outside the text. Deterministic: a failure names
//! the text that caused it, and repeats.

use boltwork_hcl::{duration, parse};

const PIECES: &[&str] = &[
    "a", "path", "\"x\"", "\"", "{", "}", "[", "]", "=", ",", ":", " ", "\n", "\r\n", "#", "//",
    "/*", "*/", "<<E\n", "<<-E\n", "E\n", " E", "\\", "\\x4", "\\u00e9", "${", "$", "0x", "0", "9",
    "-", ".", "e", "1e5", "true", "null", "é", "\u{feff}", "\0", "{\"a\":", "\"b\":", "+",
    "\u{2028}", "٣",
];

const SEEDS: &[&str] = &[
    "path \"secret/*\" {\n  capabilities = [\"read\", \"list\"] # why\n  allowed_parameters = { \"a\" = [1, 2.5] }\n}\n",
    "{\"path\": {\"x\": {\"capabilities\": [\"read\"], \"n\": [1, -2.5e3, true, null]}}}",
    "a = <<-EOF\n   one\n  two\n  EOF\nb = \"${x(\"y\")}\\n\" /* c */ c = 0x1F\n",
];

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % sides as u64) as usize
    }
}

/// Parses; an error must stand within the text, and a tree must be walkable.
fn try_text(text: &str) -> bool {
    match parse(text) {
        Ok(object) => {
            for item in &object.items {
                item.value.to_json();
                let _ = object.blocks(&item.name.text);
            }
            true
        }
        Err(error) => {
            let lines = text.matches('\n').count() as u32 + 1;
            let at = error.position().expect("a short text has a place");
            assert!(at.line >= 1 && at.line <= lines && at.column >= 1, "{error} in {text:?}");
            assert!(!error.to_string().is_empty());
            false
        }
    }
}

#[test]
fn random_texts_are_parsed_or_refused() {
    let mut dice = Dice(7);
    let mut good = 0;
    for _ in 0..60_000 {
        let text: String = (0..dice.roll(14)).map(|_| PIECES[dice.roll(PIECES.len())]).collect();
        good += usize::from(try_text(&text));
    }
    assert!(good > 500, "only {good} random texts were good: the pieces are badly chosen");
}

#[test]
fn damaged_texts_are_parsed_or_refused() {
    let mut dice = Dice(11);
    let (mut good, mut bad) = (0, 0);
    for _ in 0..30_000 {
        let mut chars: Vec<char> = SEEDS[dice.roll(SEEDS.len())].chars().collect();
        for _ in 0..=dice.roll(3) {
            let at = dice.roll(chars.len().max(1));
            if chars.is_empty() {
                break;
            }
            match dice.roll(3) {
                0 => drop(chars.remove(at)),
                1 => chars.truncate(at.max(1)),
                _ => {
                    let piece = PIECES[dice.roll(PIECES.len())];
                    chars.splice(at..at, piece.chars());
                }
            }
        }
        if try_text(&chars.into_iter().collect::<String>()) { good += 1 } else { bad += 1 }
    }
    assert!(good > 1_000 && bad > 1_000, "{good} good, {bad} bad");
}

#[test]
fn random_durations_are_read_or_refused() {
    let mut dice = Dice(13);
    let pieces = ["1", "99999999999", ".", "h", "m", "ms", "s", "µs", "d", "-", "+", " ", "é", "0"];
    let mut good = 0;
    for _ in 0..50_000 {
        let text: String = (0..dice.roll(7)).map(|_| pieces[dice.roll(pieces.len())]).collect();
        good += usize::from(duration(&text).is_some());
    }
    assert!(good > 1_000, "{good}");
}
