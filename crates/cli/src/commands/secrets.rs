//! `secrets enable`, `list`, `tune`, `move`, `disable`.

use http::Method;

use super::mounts::{self, Listed};
use crate::command::{Command, Outcome, Output};
use crate::context::{Context, sanitized, with_slash};
use crate::flags::Flag;

pub(crate) const COMMANDS: &[Command] = &[
    Command {
        path: "secrets enable",
        synopsis: "Enable a secrets engine",
        usage: "[options] TYPE",
        about: "Mounts a secrets engine: one that is built in, or a plugin of the catalog by its name.\n$ secrets enable -path=kv -version=2 kv",
        output: Output::Plain,
        flags: &[
            mounts::DESCRIPTION,
            mounts::PATH,
            mounts::DEFAULT_TTL,
            mounts::MAX_TTL,
            mounts::AUDIT_REQUEST,
            mounts::AUDIT_RESPONSE,
            mounts::VISIBILITY,
            mounts::PASSTHROUGH,
            mounts::ALLOWED,
            mounts::NO_CACHE,
            mounts::PLUGIN_NAME,
            mounts::PLUGIN_VERSION,
            mounts::OPTIONS,
            mounts::LOCAL,
            mounts::SEAL_WRAP,
            mounts::ENTROPY,
            mounts::VERSION,
        ],
        run: enable,
    },
    Command {
        path: "secrets list",
        synopsis: "List enabled secrets engines",
        usage: "[options]",
        about: "Lists the secrets engines that are mounted.",
        output: Output::Format,
        flags: &[Flag::bool("detailed", "Also show TTLs, options, versions and hashes.")],
        run: |cx| mounts::list(cx, Listed::Secrets),
    },
    Command {
        path: "secrets tune",
        synopsis: "Tune a secrets engine configuration",
        usage: "[options] PATH",
        about: "Changes the settings of a mount. A new plugin version runs after the next reload.\n$ secrets tune -default-lease-ttl=72h pki/",
        output: Output::Plain,
        flags: &[
            mounts::DESCRIPTION,
            mounts::DEFAULT_TTL,
            mounts::MAX_TTL,
            mounts::AUDIT_REQUEST,
            mounts::AUDIT_RESPONSE,
            mounts::VISIBILITY,
            mounts::PASSTHROUGH,
            mounts::ALLOWED,
            mounts::OPTIONS,
            mounts::VERSION,
            mounts::PLUGIN_VERSION,
        ],
        run: tune,
    },
    Command {
        path: "secrets move",
        synopsis: "Move a secrets engine to a new path",
        usage: "[options] SOURCE DESTINATION",
        about: "Moves a mount with everything in it. Its leases are revoked.\n$ secrets move secret/ generic/",
        output: Output::Plain,
        flags: &[],
        run: |cx| mounts::relocate(cx, "secrets engine"),
    },
    Command {
        path: "secrets disable",
        synopsis: "Disable a secret engine",
        usage: "[options] PATH",
        about: "Unmounts a secrets engine, revokes its leases and deletes everything it stored.\n$ secrets disable aws/",
        output: Output::Plain,
        flags: &[],
        run: disable,
    },
];

fn enable(cx: &mut Context<'_>) -> Outcome {
    let mount = mounts::enabling(cx)?;
    let version = mounts::version_words(&cx.flags);
    let done = format!("Enabled the {} secrets engine{version} at: {}", mount.kind, mount.path);
    let path = format!("sys/mounts/{}", mount.path);
    mounts::order(cx, Method::POST, &path, Some(&mount.body), "Error enabling", &done)
}

fn tune(cx: &mut Context<'_>) -> Outcome {
    let path = with_slash(sanitized(&cx.arg()?));
    let body = mounts::tuning(&cx.flags);
    let failed = format!("Error tuning secrets engine {path}");
    let done = format!("Tuned the secrets engine at: {path}");
    mounts::order(cx, Method::POST, &format!("sys/mounts/{path}tune"), Some(&body), &failed, &done)
}

fn disable(cx: &mut Context<'_>) -> Outcome {
    let path = with_slash(sanitized(&cx.arg()?));
    let failed = format!("Error disabling secrets engine at {path}");
    let done = format!("Disabled the secrets engine (if it existed) at: {path}");
    mounts::order(cx, Method::DELETE, &format!("sys/mounts/{path}"), None, &failed, &done)
}
