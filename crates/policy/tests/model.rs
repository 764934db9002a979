//! The compiled table against a model that is slow, plain and written differently: it tries every
//! rule against every path and keeps the best by comparing two at a time.

use boltwork_policy::{Acl, Ask, Capabilities, Policy};

/// A small generator of its own, so that a failure repeats.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }

    fn path(&mut self, pieces: &[&str]) -> String {
        let count = 1 + self.roll(4);
        let mut path =
            (0..count).map(|_| pieces[self.roll(pieces.len())]).collect::<Vec<_>>().join("/");
        if self.roll(4) == 0 {
            path.push('/');
        }
        path
    }

    fn rule(&mut self) -> String {
        let mut path = self.path(&["a", "ab", "b", "+", "+", "abc"]);
        if self.roll(2) == 0 && !path.ends_with('+') {
            path.push('*');
        }
        path
    }
}

fn has_wildcard_segment(rule: &str) -> bool {
    rule.split('/').any(|part| part == "+")
}

fn rule_matches(rule: &str, path: &str) -> bool {
    let (body, open) = match rule.strip_suffix('*') {
        Some(body) => (body, true),
        None => (rule, false),
    };
    if !has_wildcard_segment(rule) {
        return if open { path.starts_with(body) } else { path == body };
    }
    let (want, have): (Vec<_>, Vec<_>) = (body.split('/').collect(), path.split('/').collect());
    if have.len() < want.len() || (!open && have.len() != want.len()) {
        return false;
    }
    want.iter().enumerate().all(|(i, part)| {
        *part == "+"
            || *part == have[i]
            || (open && i + 1 == want.len() && have[i].starts_with(part))
    })
}

fn is_exact(rule: &str) -> bool {
    !rule.ends_with('*') && !has_wildcard_segment(rule)
}

/// Vault's documented order, one criterion after the other.
fn beats(a: &str, b: &str) -> bool {
    let first = |rule: &str| rule.find(['+', '*']).unwrap_or(usize::MAX);
    if is_exact(a) != is_exact(b) {
        return is_exact(a);
    }
    if first(a) != first(b) {
        return first(a) > first(b);
    }
    if a.ends_with('*') != b.ends_with('*') {
        return !a.ends_with('*');
    }
    let plus = |rule: &str| rule.split(['/', '*']).filter(|part| *part == "+").count();
    if plus(a) != plus(b) {
        return plus(a) < plus(b);
    }
    if a.len() != b.len() {
        return a.len() > b.len();
    }
    a > b
}

fn best<'a>(rules: &'a [String], path: &str) -> Option<&'a String> {
    let mut best: Option<&String> = None;
    for rule in rules.iter().filter(|rule| rule_matches(rule, path)) {
        if best.is_none_or(|known| beats(rule, known)) {
            best = Some(rule);
        }
    }
    best
}

/// The governing rule of a list: exact with and without slash first, wildcards likewise after.
fn best_for_list<'a>(rules: &'a [String], path: &str) -> Option<&'a String> {
    let bare = path.strip_suffix('/').unwrap_or(path);
    let exact = |path: &str| rules.iter().find(|rule| is_exact(rule) && *rule == path);
    exact(path).or_else(|| exact(bare)).or_else(|| best(rules, path)).or_else(|| best(rules, bare))
}

/// Gives each rule its own set, so that the answer tells which rule governed.
fn named_sets(count: usize) -> Vec<Vec<&'static str>> {
    let names = ["create", "delete", "list", "read", "sudo", "update"];
    (1..=count)
        .map(|bits| {
            let chosen = names.iter().enumerate().filter(|(i, _)| bits >> i & 1 == 1);
            chosen.map(|(_, name)| *name).collect()
        })
        .collect()
}

#[test]
fn the_most_specific_rule_governs_as_in_a_naive_model() {
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let (mut matched, mut contested) = (0, 0);
    for _ in 0..2_000 {
        let mut rules: Vec<String> = (0..1 + dice.roll(12)).map(|_| dice.rule()).collect();
        rules.sort();
        rules.dedup();
        let sets = named_sets(rules.len());
        let text: String = rules
            .iter()
            .zip(&sets)
            .map(|(rule, set)| format!("path {rule:?} {{ capabilities = {set:?} }}\n"))
            .collect();
        let policy = Policy::parse("random", &text).expect("the model writes good policies");
        let acl = Acl::compile([&policy]);
        for _ in 0..20 {
            let path = dice.path(&["a", "ab", "b", "abc", "abcd", "c"]);
            let governing = best_for_list(&rules, &path);
            let position = governing.and_then(|rule| rules.iter().position(|r| r == rule));
            let wanted = position.map_or(vec!["deny"], |at| sets[at].clone());
            assert_eq!(acl.capabilities(&path), wanted, "path {path:?} under\n{text}");

            let governing = best(&rules, &path);
            let position = governing.and_then(|rule| rules.iter().position(|r| r == rule));
            let may_read = position.is_some_and(|at| sets[at].contains(&"read"));
            let capability = Capabilities::READ;
            let ask = Ask { path: &path, capability, fields: None, wrap_ttl: None };
            assert_eq!(acl.decide(&ask).allowed, may_read, "read {path:?} under\n{text}");
            matched += usize::from(governing.is_some());
            contested += usize::from(rules.iter().filter(|r| rule_matches(r, &path)).count() > 1);
        }
    }
    assert!(matched > 5_000 && contested > 1_000, "{matched} matched, {contested} contested");
}
