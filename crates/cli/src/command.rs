//! What a command is: its words on the command line, its flags, its help and the function behind it.

use crate::commands;
use crate::context::Context;
use crate::flags::{Flag, Group};

/// Why a command ended badly: exit code and words for stderr (none if they were already said).
pub(crate) struct Failure {
    pub(crate) code: i32,
    pub(crate) text: String,
}

impl Failure {
    /// The command line or something local is wrong.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self { code: 1, text: text.into() }
    }

    /// The server said no, or could not be asked.
    pub(crate) fn server(text: impl Into<String>) -> Self {
        Self { code: 2, text: text.into() }
    }
}

/// Exit code or failure.
pub(crate) type Outcome = Result<i32, Failure>;

/// One command.
pub(crate) struct Command {
    /// Its words, e.g. `kv metadata get`.
    pub(crate) path: &'static str,
    /// One line for lists of commands.
    pub(crate) synopsis: &'static str,
    /// What follows its words in the usage line.
    pub(crate) usage: &'static str,
    /// Paragraphs; one that begins with `$` is an example.
    pub(crate) about: &'static str,
    pub(crate) output: Output,
    pub(crate) flags: &'static [Flag],
    pub(crate) run: fn(&mut Context<'_>) -> Outcome,
}

/// Which output flags a command has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// No flags at all, not even the HTTP ones.
    Local,
    /// Neither `-format` nor `-field`.
    Plain,
    /// `-format`.
    Format,
    /// `-format` and `-field`.
    Field,
}

impl Command {
    /// All of its flags, in the order of its help.
    pub(crate) fn groups(&self) -> Vec<Group> {
        let output: &'static [Flag] = match self.output {
            Output::Local => return Vec::new(),
            Output::Plain => &[],
            Output::Format => &OUTPUT[1..],
            Output::Field => &OUTPUT,
        };
        vec![
            Group { title: "HTTP Options", flags: HTTP },
            Group { title: "Output Options", flags: output },
            Group { title: "Command Options", flags: self.flags },
        ]
    }
}

/// Groups of commands on the first level.
pub(crate) const TOP: &[&str] =
    &["audit", "auth", "kv", "lease", "operator", "plugin", "policy", "print", "secrets", "token"];

/// Path, synopsis and help of each group.
pub(crate) const GROUPS_OF_COMMANDS: &[(&str, &str, &str)] = &[
    (
        "audit",
        "Interact with audit devices",
        "Enables, lists and disables audit devices. While any is enabled, nothing happens that none of them took.\n$ audit enable file file_path=/var/log/audit.log",
    ),
    (
        "auth",
        "Interact with auth methods",
        "Enables, tunes, moves and disables auth methods: the backends that turn an identity into a token.\n$ auth enable userpass",
    ),
    (
        "kv",
        "Interact with the key-value store",
        "Reads and writes the key-value secrets engine, version 1 or 2; which of them a mount is, the server is asked first.\n$ kv put -mount=secret foo bar=baz\n$ kv get -mount=secret foo",
    ),
    (
        "kv metadata",
        "Interact with the metadata of keys",
        "Reads and writes what version 2 keeps about a key besides its values.\n$ kv metadata get -mount=secret foo",
    ),
    (
        "lease",
        "Interact with leases",
        "Looks up, renews and revokes leases: secrets that are to be given back.\n$ lease revoke -prefix database/creds",
    ),
    (
        "operator",
        "Perform operator-specific tasks",
        "Initializes, unseals and seals the server.\n$ operator init",
    ),
    (
        "plugin",
        "Interact with plugins and the catalog",
        "Registers plugins in the catalog, shows and removes them, and reloads running ones.\n$ plugin register -sha256=d3f0a8be02f6c074cf38c9c99d4d04c9c6466249 secret my-engine",
    ),
    (
        "policy",
        "Interact with policies",
        "Reads, writes and deletes the policies that say what a token may do.\n$ policy write my-policy ./policy.hcl",
    ),
    (
        "print",
        "Prints runtime configurations",
        "Prints what the other commands would use.\n$ print token",
    ),
    (
        "secrets",
        "Interact with secrets engines",
        "Enables, tunes, moves and disables secrets engines.\n$ secrets enable -path=kv -version=2 kv",
    ),
    (
        "token",
        "Interact with tokens",
        "Creates, looks up, renews and revokes tokens.\n$ token create -policy=my-policy",
    ),
];

/// Flags of every command that talks to the server.
const HTTP: &[Flag] = &[
    Flag::text("address", "Address of the server: http://, https:// or unix://.")
        .env("ADDR")
        .default("https://127.0.0.1:8200"),
    Flag::text("agent-address", "Address of an agent, used instead of the server's.").env("AGENT_ADDR"),
    Flag::text(
        "ca-cert",
        "PEM file of the authority that signed the server's certificate. Takes precedence over -ca-path.",
    )
    .env("CACERT"),
    Flag::text("ca-path", "Directory of PEM files of the authorities to trust.").env("CAPATH"),
    Flag::text("client-cert", "PEM file of the client certificate to show; needs -client-key.")
        .env("CLIENT_CERT"),
    Flag::text("client-key", "PEM file of the private key that belongs to -client-cert.")
        .env("CLIENT_KEY"),
    Flag::bool("disable-redirects", "Do not follow the one redirect that is otherwise followed.")
        .env("DISABLE_REDIRECTS"),
    Flag::map(
        "header",
        "HTTP header to add to every request, as key=value; may be repeated. Names that begin with X-Vault- are refused.",
    ),
    Flag::text("namespace", "Namespace to work in. -ns is short for it.").env("NAMESPACE"),
    Flag::text("ns", "Alias for -namespace, and takes precedence over it.").hidden(),
    Flag::bool("non-interactive", "Never ask for input on the terminal."),
    Flag::text("tls-server-name", "Name to expect in the server's certificate.").env("TLS_SERVER_NAME"),
    Flag::bool(
        "tls-skip-verify",
        "Do not verify the server's certificate. Whoever sits in between can then read and change everything.",
    )
    .env("SKIP_VERIFY"),
    Flag::duration(
        "wrap-ttl",
        "Wrap the answer in a single-use token of this life; \"unwrap\" opens it.",
    )
    .env("WRAP_TTL"),
];

const OUTPUT: [Flag; 2] = [
    Flag::text(
        "field",
        "Print only this field, without a line break if stdout is not a terminal. Takes precedence over other formatting.",
    ),
    Flag::text(
        "format",
        "Print in this format: \"table\", \"json\" or \"yaml\"; \"read\" also knows \"raw\".",
    )
    .env("FORMAT")
    .default("table"),
];

/// Every command but those the binary adds.
pub(crate) fn all() -> Vec<&'static Command> {
    commands::FAMILIES.iter().flat_map(|family| family.iter()).collect()
}
