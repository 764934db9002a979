//! A password policy as it is written: a length, and rules that ask for characters of a set.
//!
//! Leaves out what a password is made with: see `generate`. Texts are Vault's; no error quotes the
//! policy's text.

use boltwork_hcl::{Kind, Object, Value};

/// Fewest and most characters of a password; Vault's limits.
const LENGTHS: std::ops::RangeInclusive<usize> = 4..=100;

/// What a password must be like.
#[derive(Debug, PartialEq, Eq)]
pub struct PasswordPolicy {
    /// How many characters it has.
    pub(super) length: usize,
    /// Every character that may stand in it, sorted, each once.
    pub(super) charset: Vec<char>,
    /// What it must hold. Only rules that ask for something.
    pub(super) rules: Vec<Rule>,
}

/// At least so many characters of a set.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// The set, sorted, each character once.
    pub charset: Vec<char>,
    /// How many of them, at least one.
    pub min: usize,
}

impl PasswordPolicy {
    /// Reads a policy in HCL or JSON.
    ///
    /// # Errors
    /// A text for the caller, as in Vault.
    pub fn parse(text: &str) -> Result<Self, String> {
        let tree =
            boltwork_hcl::parse(text).map_err(|e| invalid(format!("unable to decode: {e}")))?;
        let length = match attribute(&tree, "length") {
            None => 0,
            Some(value) => whole(value).ok_or_else(|| {
                let why = format!("'length' expected a number, got {}", value.kind.describe());
                invalid(format!("failed to decode configuration: {why}"))
            })?,
        };
        let blocks =
            tree.blocks("rule").map_err(|e| invalid(format!("unable to retrieve rules: {e}")))?;
        let mut rules = Vec::new();
        for block in blocks {
            let kind = &block.label.text;
            let rule = match kind.as_str() {
                "charset" => rule(block.body),
                _ => Err(format!("unrecognized rule type {kind}")),
            };
            let within =
                |e| invalid(format!("unable to parse rules: unable to parse rule {kind}: {e}"));
            rules.push(rule.map_err(within)?);
        }
        Self::checked(length, rules)
    }

    /// What Vault checks of every policy, and says about all of it at once.
    fn checked(length: i64, mut rules: Vec<Rule>) -> Result<Self, String> {
        let mut charset: Vec<char> = rules.iter().flat_map(|r| r.charset.iter().copied()).collect();
        charset.sort_unstable();
        charset.dedup();
        let needed = rules.iter().map(|r| r.min).fold(0, usize::saturating_add);
        let mut faults = Vec::new();
        let length = usize::try_from(length).unwrap_or(0);
        if length == 0 {
            faults.push("length must be > 0".to_owned());
        } else if length < needed {
            faults.push(format!(
                "specified rules require at least {needed} characters but {length} is specified"
            ));
        }
        if charset.is_empty() {
            faults.push("no charset specified".to_owned());
        } else if !charset.iter().all(|c| is_printable(*c)) {
            faults.push("non-printable character in charset".to_owned());
        }
        if !faults.is_empty() {
            return Err(invalid(errors(&faults)));
        }
        rules.retain(|r| r.min > 0);
        Ok(Self { length, charset, rules })
    }

    /// What is asked of a policy before it is stored.
    pub fn check_possible(&self) -> Result<(), String> {
        if !LENGTHS.contains(&self.length) {
            let (min, max) = (LENGTHS.start(), LENGTHS.end());
            return Err(format!("passwords must be between {min} and {max} characters"));
        }
        // The lengths add up, so only a rule whose characters do not exist cannot be obeyed.
        if self.rules.iter().any(|r| r.charset.is_empty()) {
            return Err("unable to construct test password from provided policy: are the rules \
                        impossible?"
                .to_owned());
        }
        Ok(())
    }
}

fn invalid(text: impl std::fmt::Display) -> String {
    format!("invalid password policy: {text}")
}

/// Several faults in the form that Go programs list them in.
fn errors(faults: &[String]) -> String {
    let count = match faults.len() {
        1 => "1 error".to_owned(),
        many => format!("{many} errors"),
    };
    let lines: String = faults.iter().map(|f| format!("\t* {f}\n")).collect();
    format!("{count} occurred:\n{lines}\n")
}

/// The last value under a name, in whatever case it is written.
fn attribute<'a>(object: &'a Object, name: &str) -> Option<&'a Value> {
    let items = object.items.iter().rev().filter(|item| item.labels.is_empty());
    let mut found = items.filter(|item| item.name.text.eq_ignore_ascii_case(name));
    found.next().map(|item| &item.value).filter(|value| value.kind != Kind::Null)
}

/// A whole number; of a fraction, the whole part.
fn whole(value: &Value) -> Option<i64> {
    match value.kind {
        Kind::Integer(n, _) => Some(n),
        // The cast saturates, and what is out of range is refused as a length afterwards.
        #[allow(clippy::cast_possible_truncation, reason = "the whole part is what is wanted")]
        Kind::Float(f) => Some(f as i64),
        _ => None,
    }
}

fn rule(body: &Object) -> Result<Rule, String> {
    let failed = |name: &str, wanted: &str, value: &Value| {
        let found = value.kind.describe();
        Err(format!("failed to parse charset restriction: '{name}' expected {wanted}, got {found}"))
    };
    let mut charset: Vec<char> = match attribute(body, "charset") {
        None => Vec::new(),
        Some(value) => match value.as_str() {
            Some(text) => text.chars().collect(),
            None => return failed("charset", "a string", value),
        },
    };
    charset.sort_unstable();
    charset.dedup();
    let min = match attribute(body, "min-chars") {
        None => 0,
        Some(value) => match whole(value) {
            Some(n) => usize::try_from(n).unwrap_or(0),
            None => return failed("min-chars", "a number", value),
        },
    };
    Ok(Rule { charset, min })
}

/// Letters, marks, numbers, punctuation, symbols and the ASCII space: what Go calls printable. The
/// standard library escapes exactly the others, where a letter stands before (a mark that stands
/// alone is escaped as well).
fn is_printable(c: char) -> bool {
    !c.is_control()
        && !['a', c].iter().collect::<String>().escape_debug().any(|e| e == '{' && c != '{')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        PasswordPolicy::parse(text).and_then(|p| p.check_possible()).unwrap_err()
    }

    #[test]
    fn hcl_and_json_say_the_same() {
        let hcl = PasswordPolicy::parse(
            "length = 12\nrule \"charset\" { charset = \"cba\" }\n\
             rule \"charset\" {\n charset = \"01\"\n min-chars = 2\n }\n colour = \"red\"",
        )
        .unwrap();
        let json = PasswordPolicy::parse(
            r#"{"length":12,"rule":[{"charset":{"charset":"abc"}},{"charset":[{"charset":"10","min-chars":2}]}]}"#,
        )
        .unwrap();
        assert_eq!(hcl, json);
        assert_eq!(hcl.charset, ['0', '1', 'a', 'b', 'c']);
        assert_eq!(hcl.rules, [Rule { charset: vec!['0', '1'], min: 2 }]);
    }

    #[test]
    fn faults_are_named_as_vault_names_them() {
        let one =
            |text: &str| format!("invalid password policy: 1 error occurred:\n\t* {text}\n\n");
        let rule = "rule \"charset\" { charset = \"abc\" }";
        assert_eq!(fault("length = 20"), one("no charset specified"));
        assert_eq!(fault(rule), one("length must be > 0"));
        assert_eq!(
            fault("length = -3\nrule \"charset\" { charset = \"\" }"),
            "invalid password policy: 2 errors occurred:\n\t* length must be > 0\n\t* no charset \
             specified\n\n"
        );
        assert_eq!(
            fault("length = 3\nrule \"charset\" {\n charset = \"abc\"\n min-chars = 4\n }"),
            one("specified rules require at least 4 characters but 3 is specified")
        );
        let length = "passwords must be between 4 and 100 characters";
        assert_eq!(fault(&format!("length = 3\n{rule}")), length);
        assert_eq!(fault(&format!("length = 101\n{rule}")), length);
        assert_eq!(fault(&format!("length = 3.9\n{rule}")), length);
        assert_eq!(
            fault("length = 9\nrule \"colour\" { charset = \"abc\" }"),
            "invalid password policy: unable to parse rules: unable to parse rule colour: \
             unrecognized rule type colour"
        );
        for control in ["\\t", "\u{200b}", "\u{a0}"] {
            let text = format!("length = 9\nrule \"charset\" {{ charset = \"ab{control}\" }}");
            assert_eq!(fault(&text), one("non-printable character in charset"), "{control:?}");
        }
        assert!(fault("length = \"9\"").contains("'length' expected a number"));
        assert!(fault("length = 9\nrule = \"x\"").contains("unable to retrieve rules"));
        assert!(fault("length = 9\nrule \"charset\" {").contains("unable to decode"));
    }

    #[test]
    fn negative_minimums_do_not_make_room_for_others() {
        let text = "length = 5\nrule \"charset\" {\n charset = \"ab\"\n min-chars = -9\n }\n\
                    rule \"charset\" {\n charset = \"cd\"\n min-chars = 9\n }";
        assert!(fault(text).contains("require at least 9 characters but 5"));
        let empty = "length = 5\nrule \"charset\" { charset = \"ab\" }\n\
                     rule \"charset\" {\n charset = \"\"\n min-chars = 1\n }";
        assert!(fault(empty).contains("are the rules impossible?"));
    }

    #[test]
    fn letters_of_every_script_are_printable() {
        for c in "aé漢🙂{}\\\"' ~\u{301}".chars() {
            assert!(is_printable(c), "{c:?}");
        }
        for c in ['\u{7}', '\u{7f}', '\u{200b}', '\u{2028}', '\u{e000}', '\u{a0}'] {
            assert!(!is_printable(c), "{c:?}");
        }
    }
}
