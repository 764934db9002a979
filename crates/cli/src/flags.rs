//! Flags in the style of Go's `flag` package, described by tables.
//!
//! `-x=v`, `-x v`, `--x`; parsing stops at the first argument that is no flag, and at `--`. A value
//! comes from the command line, else from the environment, else from the table. Shell completion is
//! left out.

use std::collections::HashMap;

use crate::duration;
use crate::environment::Environment;

/// What a flag's value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Text,
    Int,
    Bool,
    Duration,
    /// May be given several times, and each time several, separated by commas.
    List,
    /// The same, but a comma is part of the value.
    Strings,
    /// `key=value`, may be given several times.
    Map,
}

/// One flag.
#[derive(Clone, Copy)]
pub(crate) struct Flag {
    pub(crate) name: &'static str,
    pub(crate) alias: &'static str,
    pub(crate) kind: Kind,
    /// Setting in the environment, without its prefix.
    pub(crate) env: &'static str,
    pub(crate) default: &'static str,
    pub(crate) usage: &'static str,
    pub(crate) hidden: bool,
}

impl Flag {
    pub(crate) const fn new(kind: Kind, name: &'static str, usage: &'static str) -> Self {
        Self { name, alias: "", kind, env: "", default: "", usage, hidden: false }
    }
    pub(crate) const fn text(name: &'static str, usage: &'static str) -> Self {
        Self::new(Kind::Text, name, usage)
    }
    pub(crate) const fn int(
        name: &'static str,
        default: &'static str,
        usage: &'static str,
    ) -> Self {
        Self::new(Kind::Int, name, usage).default(default)
    }
    pub(crate) const fn bool(name: &'static str, usage: &'static str) -> Self {
        Self::new(Kind::Bool, name, usage)
    }
    pub(crate) const fn duration(name: &'static str, usage: &'static str) -> Self {
        Self::new(Kind::Duration, name, usage)
    }
    pub(crate) const fn list(name: &'static str, usage: &'static str) -> Self {
        Self::new(Kind::List, name, usage)
    }
    pub(crate) const fn map(name: &'static str, usage: &'static str) -> Self {
        Self::new(Kind::Map, name, usage)
    }
    pub(crate) const fn env(mut self, env: &'static str) -> Self {
        self.env = env;
        self
    }
    pub(crate) const fn default(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }
    pub(crate) const fn alias(mut self, alias: &'static str) -> Self {
        self.alias = alias;
        self
    }
    pub(crate) const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    fn answers_to(&self, name: &str) -> bool {
        self.name == name || (!self.alias.is_empty() && self.alias == name)
    }

    /// Checks a value; the error is the second half of a sentence.
    fn check(&self, value: &str) -> Result<(), String> {
        let bad =
            |why: &str| Err(format!("invalid value {value:?} for flag -{}: {why}", self.name));
        match self.kind {
            Kind::Text | Kind::List | Kind::Strings => Ok(()),
            Kind::Int if value.parse::<i64>().is_err() => {
                bad(&format!("strconv.ParseInt: parsing {value:?}: invalid syntax"))
            }
            Kind::Bool if truth(value).is_none() => {
                Err(format!("invalid boolean value {value:?} for -{}: parse error", self.name))
            }
            Kind::Duration if value != "system" && duration::parse(value).is_none() => {
                bad(&format!("time: invalid duration {value:?}"))
            }
            // The value may be secret (a token's metadata, a header): it is not shown.
            Kind::Map if !value.contains('=') => {
                Err(format!("invalid value for flag -{}: missing = in KV pair", self.name))
            }
            _ => Ok(()),
        }
    }
}

/// A titled group of flags, as the help shows them.
pub(crate) struct Group {
    pub(crate) title: &'static str,
    pub(crate) flags: &'static [Flag],
}

/// What a command line said.
#[derive(Default)]
pub(crate) struct Parsed {
    values: HashMap<&'static str, Vec<String>>,
    given: Vec<&'static str>,
    /// The arguments after the flags.
    pub(crate) args: Vec<String>,
}

impl Parsed {
    /// Whether the flag stood on the command line.
    pub(crate) fn given(&self, name: &str) -> bool {
        self.given.contains(&name)
    }

    /// How many flags and arguments the command line had.
    pub(crate) fn count(&self) -> usize {
        self.given.len() + self.args.len()
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        self.values.get(name).and_then(|v| v.last()).map_or("", String::as_str)
    }

    pub(crate) fn bool(&self, name: &str) -> bool {
        truth(self.text(name)).unwrap_or_default()
    }

    pub(crate) fn int(&self, name: &str) -> i64 {
        self.text(name).parse().unwrap_or_default()
    }

    /// Nanoseconds; -1 for `system`.
    pub(crate) fn duration(&self, name: &str) -> i64 {
        match self.text(name) {
            "system" => -1,
            text => duration::parse(text).unwrap_or_default(),
        }
    }

    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let values = self.values.get(name).map(Vec::as_slice).unwrap_or_default();
        let split = values.iter().flat_map(|v| v.split(','));
        split.map(|s| s.trim().to_owned()).filter(|s| !s.is_empty()).collect()
    }

    pub(crate) fn strings(&self, name: &str) -> Vec<String> {
        self.values.get(name).cloned().unwrap_or_default()
    }

    pub(crate) fn map(&self, name: &str) -> Vec<(String, String)> {
        let values = self.values.get(name).map(Vec::as_slice).unwrap_or_default();
        let pairs = values.iter().filter_map(|v| v.split_once('='));
        let mut out: Vec<(String, String)> = Vec::new();
        for (key, value) in pairs {
            match out.iter_mut().find(|(k, _)| k == key) {
                Some(slot) => slot.1 = value.to_owned(),
                None => out.push((key.to_owned(), value.to_owned())),
            }
        }
        out
    }
}

fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Parses a command's arguments.
///
/// # Errors
/// An unknown flag, a missing or an impossible value, in the words of Go's package.
pub(crate) fn parse(
    groups: &[Group],
    args: &[String],
    environment: &Environment,
) -> Result<Parsed, String> {
    let flags = || groups.iter().flat_map(|g| g.flags);
    let mut parsed = Parsed::default();
    let mut args = args.iter();
    while let Some(arg) = args.as_slice().first() {
        if arg.len() < 2 || !arg.starts_with('-') {
            break;
        }
        args.next();
        if arg == "--" {
            break;
        }
        let body = arg.strip_prefix("--").unwrap_or(&arg[1..]);
        if body.is_empty() || body.starts_with(['-', '=']) {
            return Err(format!("bad flag syntax: {arg}"));
        }
        let (name, value) = match body.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (body, None),
        };
        let flag = flags()
            .find(|f| f.answers_to(name))
            .ok_or_else(|| format!("flag provided but not defined: -{name}"))?;
        let value = match value {
            Some(value) => value,
            None if flag.kind == Kind::Bool => "true".to_owned(),
            None => {
                args.next().cloned().ok_or_else(|| format!("flag needs an argument: -{name}"))?
            }
        };
        flag.check(&value)?;
        parsed.values.entry(flag.name).or_default().push(value);
        if !parsed.given.contains(&flag.name) {
            parsed.given.push(flag.name);
        }
    }
    parsed.args = args.cloned().collect();
    for flag in flags().filter(|f| !parsed.given.contains(&f.name)) {
        let from_env = (!flag.env.is_empty()).then(|| environment.setting(flag.env)).flatten();
        if let Some(value) = from_env {
            flag.check(value)?;
        }
        let value = from_env.unwrap_or(flag.default);
        if !value.is_empty() {
            parsed.values.insert(flag.name, vec![value.to_owned()]);
        }
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUPS: &[Group] = &[Group {
        title: "Test",
        flags: &[
            Flag::text("mount", "").env("MOUNT"),
            Flag::int("n", "3", ""),
            Flag::bool("force", "").alias("f"),
            Flag::list("policy", ""),
            Flag::map("meta", ""),
            Flag::duration("ttl", ""),
        ],
    }];

    fn parsed(args: &[&str]) -> Result<Parsed, String> {
        let args: Vec<String> = args.iter().map(|a| (*a).to_owned()).collect();
        parse(GROUPS, &args, &Environment::of([("VAULT_MOUNT", "from-env")]))
    }

    #[test]
    fn all_of_gos_spellings_are_understood() {
        let p =
            parsed(&["-mount=a=b", "--n", "7", "-f", "-ttl", "1m", "rest", "-n=9"]).expect("ok");
        assert_eq!((p.text("mount"), p.int("n"), p.bool("force")), ("a=b", 7, true));
        assert_eq!(p.duration("ttl"), 60_000_000_000);
        assert_eq!(p.args, ["rest", "-n=9"]);
    }

    #[test]
    fn flags_end_at_the_first_argument_at_two_dashes_and_at_a_single_dash() {
        assert_eq!(parsed(&["--", "-f"]).expect("ok").args, ["-f"]);
        assert_eq!(parsed(&["-", "-f"]).expect("ok").args, ["-", "-f"]);
    }

    #[test]
    fn lists_and_maps_collect_what_is_repeated() {
        let p = parsed(&["-policy=a,b", "-policy=c", "-meta=k=1", "-meta=k=2", "-meta=l=x=y"]);
        let p = p.expect("ok");
        assert_eq!(p.list("policy"), ["a", "b", "c"]);
        assert_eq!(p.map("meta"), [("k".into(), "2".into()), ("l".into(), "x=y".into())]);
    }

    #[test]
    fn the_command_line_wins_over_the_environment_and_that_over_the_default() {
        assert_eq!(parsed(&[]).expect("ok").text("mount"), "from-env");
        assert_eq!(parsed(&["-mount="]).expect("ok").text("mount"), "");
        assert_eq!(parsed(&[]).expect("ok").int("n"), 3);
    }

    #[test]
    fn errors_read_as_gos_do() {
        let error = |args: &[&str]| parsed(args).map(|_| ()).expect_err("refused");
        assert_eq!(error(&["-nope"]), "flag provided but not defined: -nope");
        assert_eq!(error(&["-mount"]), "flag needs an argument: -mount");
        assert_eq!(
            error(&["-force=maybe"]),
            "invalid boolean value \"maybe\" for -force: parse error"
        );
        assert!(error(&["-n=x"]).starts_with("invalid value \"x\" for flag -n: "));
        assert!(!error(&["-meta=s3cret"]).contains("s3cret"));
    }
}
