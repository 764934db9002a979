//! Help texts in Vault's layout: usage, what it is about, then the flags by group.

use crate::command::{Command, GROUPS_OF_COMMANDS, TOP};
use crate::flags::{Flag, Group, Kind};
use crate::run::Extra;
use crate::wrap::indented;

/// The commands that a newcomer wants first.
const COMMON: &[&str] = &["read", "write", "delete", "list", "login", "server", "status", "unwrap"];

pub(crate) fn of_command(program: &str, command: &Command) -> String {
    let mut out = format!("Usage: {program} {} {}\n\n", command.path, command.usage);
    out.push_str(&about(command.about, program));
    for group in command.groups() {
        out.push_str(&of_flags(&group));
    }
    out.trim_end().to_owned()
}

/// Indented paragraphs; a line that begins with `$` is an example and is not wrapped.
fn about(text: &str, program: &str) -> String {
    let mut out = String::new();
    for paragraph in text.split('\n') {
        match paragraph.strip_prefix('$') {
            Some(example) => out.push_str(&format!("      $ {program}{example}\n\n")),
            None => out.push_str(&format!("{}\n\n", indented(paragraph, 2))),
        }
    }
    out
}

fn of_flags(group: &Group) -> String {
    let mut flags: Vec<&Flag> = group.flags.iter().filter(|f| !f.hidden).collect();
    if flags.is_empty() {
        return String::new();
    }
    flags.sort_by_key(|f| f.name);
    let mut out = format!("{}:\n\n", group.title);
    for flag in flags {
        let example = match flag.kind {
            Kind::Text | Kind::List | Kind::Strings => "=<string>",
            Kind::Int => "=<int>",
            Kind::Duration => "=<duration>",
            Kind::Map => "=<key=value>",
            Kind::Bool => "",
        };
        let mut usage = flag.usage.to_owned();
        if !flag.default.is_empty() {
            usage.push_str(&format!(" The default is {}.", flag.default));
        }
        if !flag.env.is_empty() {
            let variable = format!("BAO_{0} or VAULT_{0}", flag.env);
            usage.push_str(&format!(" This can also be specified via {variable}."));
        }
        if !flag.alias.is_empty() {
            usage.push_str(&format!(" This is aliased as -{}.", flag.alias));
        }
        out.push_str(&format!("  -{}{example}\n{}\n\n", flag.name, indented(&usage, 6)));
    }
    out
}

/// Help of a group of commands such as `kv`.
pub(crate) fn of_group(program: &str, path: &str, all: &[&Command]) -> String {
    let text = GROUPS_OF_COMMANDS.iter().find(|g| g.0 == path).map_or("", |g| g.2);
    let mut out = format!("Usage: {program} {path} <subcommand> [options] [args]\n\n");
    out.push_str(&about(text, program));
    out.push_str("Subcommands:\n");
    let mut rows: Vec<(&str, &str)> = Vec::new();
    for command in all {
        if let Some(rest) = command.path.strip_prefix(path).and_then(|r| r.strip_prefix(' ')) {
            match rest.split_once(' ') {
                None => rows.push((rest, command.synopsis)),
                Some((sub, _)) if rows.iter().all(|r| r.0 != sub) => {
                    rows.push((sub, synopsis_of_group(&format!("{path} {sub}"))));
                }
                Some(_) => {}
            }
        }
    }
    rows.sort_unstable();
    out.push_str(&listed(&rows));
    out.trim_end().to_owned()
}

fn synopsis_of_group(path: &str) -> &'static str {
    GROUPS_OF_COMMANDS.iter().find(|g| g.0 == path).map_or("", |g| g.1)
}

fn listed(rows: &[(&str, &str)]) -> String {
    let width = rows.iter().map(|r| r.0.len()).max().unwrap_or_default();
    rows.iter().map(|(name, text)| format!("    {name:<width$}    {text}\n")).collect()
}

/// Help of the program itself.
pub(crate) fn of_program(program: &str, all: &[&Command], extra: &[Extra<'_>]) -> String {
    let mut rows: Vec<(&str, &str)> = Vec::new();
    for command in all.iter().filter(|c| !c.path.contains(' ')) {
        rows.push((command.path, command.synopsis));
    }
    rows.extend(TOP.iter().map(|group| (*group, synopsis_of_group(group))));
    rows.extend(extra.iter().map(|e| (e.name, e.synopsis)));
    let (mut common, mut other): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|r| COMMON.contains(&r.0));
    common.sort_by_key(|r| COMMON.iter().position(|c| *c == r.0));
    other.sort_unstable();
    let out = format!(
        "Usage: {program} <command> [args]\n\nCommon commands:\n{}\nOther commands:\n{}",
        listed(&common),
        listed(&other)
    );
    out.trim_end().to_owned()
}
