//! From a command line to an exit code.

use std::ffi::OsString;
use std::io::{IsTerminal, Read, Write};

use crate::command::{self, Command};
use crate::context::Context;
use crate::environment::Environment;
use crate::flags;
use crate::format::Format;
use crate::help;
use crate::ui::Ui;

/// Name of the program in help texts.
const PROGRAM: &str = "boltwork";

/// A command that the binary adds, such as `server`. It parses its own arguments and talks to the
/// process's own streams.
pub struct Extra<'a> {
    /// Its one word.
    pub name: &'a str,
    /// One line for the list of commands.
    pub synopsis: &'a str,
    /// Runs it with the arguments after its name and gives the exit code. Also called for `-help`.
    pub run: &'a dyn Fn(&[String]) -> i32,
}

/// Everything a run of the command line depends on.
pub struct Invocation<'a> {
    /// The arguments without the program's own name.
    pub args: Vec<OsString>,
    /// The environment.
    pub environment: Environment,
    /// Standard input.
    pub stdin: &'a mut dyn Read,
    /// Standard output.
    pub stdout: &'a mut dyn Write,
    /// Standard error.
    pub stderr: &'a mut dyn Write,
    /// Standard input is the process's own and a terminal.
    pub stdin_is_terminal: bool,
    /// Standard output is a terminal.
    pub stdout_is_terminal: bool,
    /// What `version` prints.
    pub version: &'a str,
    /// Commands of the binary.
    pub extra: &'a [Extra<'a>],
}

/// Runs the command line of this process. Must not be called from within an async runtime: a command
/// starts its own.
pub fn run_process(version: &str, extra: &[Extra<'_>]) -> i32 {
    let (mut stdin, mut stdout, mut stderr) =
        (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let (stdin_is_terminal, stdout_is_terminal) = (stdin.is_terminal(), stdout.is_terminal());
    run(Invocation {
        args: std::env::args_os().skip(1).collect(),
        environment: Environment::of_process(),
        stdin: &mut stdin,
        stdout: &mut stdout,
        stderr: &mut stderr,
        stdin_is_terminal,
        stdout_is_terminal,
        version,
        extra,
    })
}

/// Runs one command line and gives its exit code.
pub fn run(invocation: Invocation<'_>) -> i32 {
    let Invocation { args, environment, stdin, stdout, stderr, version, extra, .. } = invocation;
    let plain = environment.setting("CLI_NO_COLOR").is_some()
        || environment.var("NO_COLOR").is_some_and(|v| !v.is_empty())
        || environment.var("TERM") == Some("dumb");
    let mut ui = Ui {
        stdin: &mut *stdin,
        stdout: &mut *stdout,
        stderr: &mut *stderr,
        asks: invocation.stdin_is_terminal,
        colour: invocation.stdout_is_terminal && !plain,
    };
    let mut texts = Vec::with_capacity(args.len());
    for arg in args {
        match arg.into_string() {
            Ok(text) => texts.push(text),
            Err(_) => {
                ui.error("An argument is not valid UTF-8.");
                return 1;
            }
        }
    }
    if matches!(texts.as_slice(), [only] if matches!(only.as_str(), "-v" | "-version" | "--version"))
    {
        texts = vec!["version".into()];
    }
    dispatch(ui, &texts, &environment, version, extra)
}

fn is_help(arg: &str) -> bool {
    matches!(arg, "-h" | "-help" | "--help")
}

fn dispatch<'a>(
    mut ui: Ui<'a>,
    args: &[String],
    environment: &'a Environment,
    version: &'a str,
    extra: &[Extra<'_>],
) -> i32 {
    let first = args.first().map(String::as_str).unwrap_or_default();
    if let Some(added) = extra.iter().find(|e| e.name == first) {
        return (added.run)(&args[1..]);
    }
    let all = command::all();
    let wants_help = args.iter().take_while(|a| *a != "--").any(|a| is_help(a));
    if let Some((command, rest)) = find(&all, args) {
        if wants_help {
            ui.say(&help::of_command(PROGRAM, command));
            return 0;
        }
        return execute(ui, command, rest, environment, version);
    }
    // The longest run of words that names a group.
    for words in (1..=2.min(args.len())).rev() {
        let path = args[..words].join(" ");
        if command::GROUPS_OF_COMMANDS.iter().any(|g| g.0 == path) {
            ui.say(&help::of_group(PROGRAM, &path, &all));
            return if wants_help { 0 } else { 1 };
        }
    }
    let text = help::of_program(PROGRAM, &all, extra);
    if wants_help {
        ui.say(&text);
        return 0;
    }
    let _ = writeln!(ui.stderr, "{text}");
    127
}

/// The command with the most words that the arguments begin with.
fn find<'c, 'a>(all: &[&'c Command], args: &'a [String]) -> Option<(&'c Command, &'a [String])> {
    let named = |c: &Command| {
        let words: Vec<&str> = c.path.split(' ').collect();
        (args.len() >= words.len() && words.iter().zip(args).all(|(w, a)| w == a))
            .then_some(words.len())
    };
    let (words, command) =
        all.iter().filter_map(|c| named(c).map(|n| (n, *c))).max_by_key(|(n, _)| *n)?;
    Some((command, &args[words..]))
}

fn execute<'a>(
    mut ui: Ui<'a>,
    command: &Command,
    args: &[String],
    environment: &'a Environment,
    version: &'a str,
) -> i32 {
    let groups = command.groups();
    let parsed = match flags::parse(&groups, args, environment) {
        Ok(parsed) => parsed,
        Err(text) => {
            ui.error(&text);
            return 1;
        }
    };
    let has_format = matches!(command.output, command::Output::Format | command::Output::Field);
    let format = match Format::parse(if has_format { parsed.text("format") } else { "table" }) {
        Some(format) => format,
        None => {
            ui.error(&format!("Invalid output format: {}", parsed.text("format")));
            return 1;
        }
    };
    if format == Format::Raw && command.path != "read" {
        ui.error("This command does not support the -format=raw option.");
        return 1;
    }
    let late: Vec<&str> = parsed
        .args
        .iter()
        .map(String::as_str)
        .filter(|a| {
            a.starts_with('-') && *a != "-" && !a.trim_start_matches('-').starts_with("format")
        })
        .collect();
    if !late.is_empty() && format == Format::Table {
        ui.warn(&format!(
            "Command flags must be provided before positional arguments. \
             The following arguments will not be parsed as flags: [{}]",
            late.join(",")
        ));
    }
    let mut context = Context { ui, flags: parsed, environment, format, version };
    match (command.run)(&mut context) {
        Ok(code) => code,
        Err(failure) => {
            if !failure.text.is_empty() {
                context.ui.error(&failure.text);
            }
            failure.code
        }
    }
}
