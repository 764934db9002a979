//! Puts names and passwords into statements, quoted as their place demands.
//!
//! Vault replaces `{{name}}` and the like letter for letter, so that a name with a quote in it ends
//! the quotes around it. Here the place decides: inside `"…"` and `'…'` the value is escaped, and
//! where no escape helps (no quotes at all, code inside of a string) only values pass that cannot
//! mean anything.
//!
//! Left out on purpose: SQL's grammar. Only quotes and comments are read, as the server reads them.

use zeroize::Zeroizing;

/// A value and how far it can be trusted.
#[derive(Clone, Copy)]
pub struct Variable<'a> {
    /// What stands between the braces.
    pub name: &'static str,
    /// What takes its place.
    pub value: &'a str,
    /// We wrote it ourselves, from letters that are harmless everywhere.
    pub ours: bool,
}

/// A value that cannot stand where a statement wants it. Names the variable, never its value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the value of {{{{{0}}}}} holds characters that are not safe where the statement names it; \
     let the statement put it alone between quotes, as in \"{{{{username}}}}\" or '{{{{password}}}}'"
)]
pub struct Unsafe(&'static str);

/// Where the reader is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Between words.
    Bare,
    /// `'…'`; `escapes` as in `E'…'`, `whole` if a variable is all that is in it.
    Text { escapes: bool, unicode: bool, whole: bool },
    /// `"…"`
    Name { unicode: bool },
    /// A comment.
    Comment,
}

/// Replaces every variable in `statement`.
pub fn fill(statement: &str, variables: &[Variable<'_>]) -> Result<Zeroizing<String>, Unsafe> {
    let mut filler = Filler { variables, output: Zeroizing::new(String::new()) };
    filler.code(statement, false)?;
    Ok(filler.output)
}

struct Filler<'a> {
    variables: &'a [Variable<'a>],
    output: Zeroizing<String>,
}

impl<'a> Filler<'a> {
    /// Reads SQL. `nested`: it stands in a dollar quote, so whatever is in it is read again.
    fn code(&mut self, code: &str, nested: bool) -> Result<(), Unsafe> {
        let mut at = 0;
        while let Some(first) = code[at..].chars().next() {
            let rest = &code[at..];
            let before = code[..at].chars().next_back();
            let length = if let Some(length) = self.variable(rest, Place::Bare, nested)? {
                length
            } else if first == '\'' {
                self.text(code, at, nested)?
            } else if first == '"' {
                let unicode = code[..at].ends_with("U&") || code[..at].ends_with("u&");
                self.until(rest, Place::Name { unicode }, nested)?
            } else if rest.starts_with("--") {
                let end = rest.find('\n').unwrap_or(rest.len());
                self.inside(&rest[..end], Place::Comment, nested)?
            } else if rest.starts_with("/*") {
                self.inside(&rest[..comment(rest)], Place::Comment, nested)?
            } else if let Some(tag) = dollar(rest).filter(|_| !before.is_some_and(is_word)) {
                let body = &rest[tag.len()..];
                let end = body.find(tag).unwrap_or(body.len());
                self.output.push_str(tag);
                self.code(&body[..end], true)?;
                let close = if end < body.len() { tag } else { "" };
                self.output.push_str(close);
                tag.len() + end + close.len()
            } else {
                self.output.push(first);
                first.len_utf8()
            };
            at += length;
        }
        Ok(())
    }

    /// Reads a string, whose opening quote stands at `at`.
    fn text(&mut self, code: &str, at: usize, nested: bool) -> Result<usize, Unsafe> {
        let (before, rest) = code.split_at(at);
        let marked = |mark: &str| {
            let head = before.strip_suffix(mark)?;
            (!head.chars().next_back().is_some_and(is_word)).then_some(())
        };
        let escapes = marked("E").or(marked("e")).is_some();
        let unicode = marked("U&").or(marked("u&")).is_some();
        let whole = self.variables.iter().any(|variable| {
            let after = strip(&rest[1..], variable.name);
            after.is_some_and(|after| after.starts_with('\'') && !after.starts_with("''"))
        });
        self.until(rest, Place::Text { escapes, unicode, whole }, nested)
    }

    /// Reads up to and with the quote that ends what the first character begins.
    fn until(&mut self, rest: &str, place: Place, nested: bool) -> Result<usize, Unsafe> {
        let quote = rest.chars().next().unwrap_or_default();
        let backslash = matches!(place, Place::Text { escapes: true, .. });
        let mut end = rest.len();
        let mut chars = rest.char_indices().skip(1).peekable();
        while let Some((at, c)) = chars.next() {
            if c == '\\' && backslash {
                chars.next();
            } else if c == quote && chars.next_if(|(_, next)| *next == quote).is_none() {
                end = at + c.len_utf8();
                break;
            }
        }
        self.inside(&rest[..end], place, nested)
    }

    /// Copies what lies in one place.
    fn inside(&mut self, text: &str, place: Place, nested: bool) -> Result<usize, Unsafe> {
        let mut at = 0;
        while let Some(first) = text[at..].chars().next() {
            at += match self.variable(&text[at..], place, nested)? {
                Some(length) => length,
                None => {
                    self.output.push(first);
                    first.len_utf8()
                }
            };
        }
        Ok(text.len())
    }

    /// Puts a value, if a variable is next; how long the variable was.
    fn variable(
        &mut self,
        rest: &str,
        place: Place,
        nested: bool,
    ) -> Result<Option<usize>, Unsafe> {
        if !rest.starts_with("{{") {
            return Ok(None);
        }
        let found = self
            .variables
            .iter()
            .find_map(|variable| Some((variable, rest.len() - strip(rest, variable.name)?.len())));
        let Some((variable, length)) = found else { return Ok(None) };
        if variable.ours || variable.value.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            self.output.push_str(variable.value);
        } else {
            self.put(variable, place, nested)?;
        }
        Ok(Some(length))
    }

    fn put(&mut self, variable: &Variable<'a>, place: Place, nested: bool) -> Result<(), Unsafe> {
        let value = variable.value;
        let refusal = Err(Unsafe(variable.name));
        if value.contains('\0') {
            return refusal;
        }
        let alone = match place {
            Place::Name { .. } => true,
            Place::Text { whole, .. } => whole,
            Place::Bare | Place::Comment => false,
        };
        let backslash_means = match place {
            Place::Text { escapes, unicode, .. } => escapes || unicode,
            Place::Name { unicode } => unicode,
            Place::Bare | Place::Comment => true,
        };
        if nested || !alone {
            let quoted = matches!(place, Place::Name { .. } | Place::Text { .. });
            if !value.chars().all(|c| is_harmless(c, quoted)) || !quoted && value.contains("--") {
                return refusal;
            }
            self.output.push_str(value);
            return Ok(());
        }
        if backslash_means && value.contains('\\') {
            return refusal;
        }
        let quote = if matches!(place, Place::Name { .. }) { '"' } else { '\'' };
        for c in value.chars() {
            self.output.push(c);
            if c == quote {
                self.output.push(c);
            }
        }
        Ok(())
    }
}

/// What follows `{{name}}`.
fn strip<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.strip_prefix("{{")?.strip_prefix(name)?.strip_prefix("}}")
}

/// Whether a character changes nothing about how the text around it is read, even if that text is
/// code in which it stands without quotes. (Between quotes, two dashes begin no comment.)
fn is_harmless(c: char, quoted: bool) -> bool {
    let always = c.is_alphanumeric() || "_-.@:".contains(c);
    always || quoted && "~!#%^&*+=|?/<>[]{}".contains(c)
}

/// Whether a character may be part of a word, after which no dollar quote begins.
fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$' || !c.is_ascii()
}

/// `$tag$` at the start of `text`.
fn dollar(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('$')?;
    let end = inside.find('$')?;
    let tag = &inside[..end];
    let fits = |(index, c): (usize, char)| {
        c.is_ascii_alphabetic() || c == '_' || !c.is_ascii() || index > 0 && c.is_ascii_digit()
    };
    tag.char_indices().all(fits).then(|| &text[..end + 2])
}

/// How long a block comment is; they nest.
fn comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(statement: &str, value: &str) -> Result<String, Unsafe> {
        let variables = [
            Variable { name: "name", value, ours: false },
            Variable { name: "expiration", value: "2026-01-02 03:04:05+0000", ours: true },
        ];
        fill(statement, &variables).map(|text| text.to_string())
    }

    const EVIL: &str = r#"a"; DROP ROLE b; --'\"#;

    #[test]
    fn quotes_are_escaped_where_they_stand_in_quotes() {
        for (statement, wanted) in [
            (r#"DROP ROLE "{{name}}";"#, r#"DROP ROLE "a""; DROP ROLE b; --'\";"#),
            (r#"x "p{{name}}s" y"#, r#"x "pa""; DROP ROLE b; --'\s" y"#),
            ("PASSWORD '{{name}}'", r#"PASSWORD 'a"; DROP ROLE b; --''\'"#),
            ("SELECT 'it''s', '{{name}}'", r#"SELECT 'it''s', 'a"; DROP ROLE b; --''\'"#),
            (r#"/* ' */ "{{name}}" -- '"#, r#"/* ' */ "a""; DROP ROLE b; --'\" -- '"#),
            (r#"/* /* ' */ " */ '{{name}}'"#, r#"/* /* ' */ " */ 'a"; DROP ROLE b; --''\'"#),
            ("$$ ' $$ '{{name}}'", r#"$$ ' $$ 'a"; DROP ROLE b; --''\'"#),
            ("$a$ $$ ' $a$ '{{name}}'", r#"$a$ $$ ' $a$ 'a"; DROP ROLE b; --''\'"#),
            ("a$b$ '{{name}}' $b$", r#"a$b$ 'a"; DROP ROLE b; --''\' $b$"#),
        ] {
            assert_eq!(filled(statement, EVIL).as_deref(), Ok(wanted), "{statement}");
        }
    }

    #[test]
    fn where_no_escape_helps_a_dangerous_value_is_refused() {
        for statement in [
            "DROP ROLE {{name}}",
            "-- {{name}}",
            "/* {{name}} */",
            "E'{{name}}'",
            "e'{{name}}'",
            "U&'{{name}}'",
            r#"U&"{{name}}""#,
            "DO $$ BEGIN EXECUTE 'DROP ROLE {{name}}'; END $$",
            r#"DO $x$ BEGIN DROP ROLE "{{name}}"; END $x$"#,
            "DO 'BEGIN DROP ROLE {{name}}; END'",
            "'{{name}}''x'",
            r"E'\'{{name}}'",
        ] {
            assert_eq!(filled(statement, EVIL), Err(Unsafe("name")), "{statement}");
        }
        for value in ["a b", "a;b", "a,b", "a--b", "a/*b", "a(b", "a\nb", "a$$b", "a\0b"] {
            assert!(filled("DROP ROLE {{name}}", value).is_err(), "{value:?}");
        }
        assert!(filled("'{{name}}'", "a\0b").is_err());
    }

    #[test]
    fn ordinary_values_go_anywhere() {
        let name = "v-ldap-jo--my.role-Ab12@x";
        for statement in [
            r#"DO $$ BEGIN EXECUTE 'GRANT "a" TO "{{name}}"'; END $$"#,
            r#"DO $$ BEGIN CREATE ROLE "{{name}}" PASSWORD '{{name}}'; END $$"#,
            "COMMENT ON ROLE x IS 'made for {{name}}'",
        ] {
            assert_eq!(filled(statement, name).unwrap(), statement.replace("{{name}}", name));
        }
        assert_eq!(filled("GRANT a TO {{name}};", "plain_1").unwrap(), "GRANT a TO plain_1;");
        let moment = "DO $$ x VALID UNTIL '{{expiration}}' $$ {{expiration}}";
        assert!(filled(moment, "x").unwrap().ends_with("+0000' $$ 2026-01-02 03:04:05+0000"));
        assert_eq!(filled("{{other}} '{{ name }}'", "x").unwrap(), "{{other}} '{{ name }}'");
    }

    #[test]
    fn a_value_is_not_searched_for_variables() {
        assert_eq!(filled("'{{name}}'", "{{expiration}}").unwrap(), "'{{expiration}}'");
    }

    #[test]
    fn no_statement_makes_it_panic() {
        let words =
            ["'", "\"", "$", "$$", "$a$", "--", "/*", "*/", "\n", "{{name}}", "E", "\\", "é"];
        let mut state = 7_u32;
        for _ in 0..50_000 {
            let mut text = String::new();
            for _ in 0..10 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                text.push_str(words[(state >> 16) as usize % words.len()]);
            }
            let _ = filled(&text, EVIL);
            // Nothing is lost: without variables, what goes in comes out.
            let plain = text.replace("{{name}}", "n");
            assert_eq!(filled(&plain, EVIL).as_deref(), Ok(plain.as_str()));
        }
    }
}
