//! `auth enable`, `list`, `tune`, `move`, `disable`.
//!
//! The lockout settings of `auth tune` are left out until the server has lockout.

use http::Method;

use super::mounts::{self, Listed};
use crate::command::{Command, Outcome, Output};
use crate::context::{Context, sanitized, with_slash};
use crate::flags::Flag;

pub(crate) const COMMANDS: &[Command] = &[
    Command {
        path: "auth enable",
        synopsis: "Enables a new auth method",
        usage: "[options] TYPE",
        about: "Mounts an auth method under auth/: one that is built in, or a plugin of the catalog by its name.\n$ auth enable userpass",
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
            mounts::PLUGIN_NAME,
            mounts::PLUGIN_VERSION,
            mounts::OPTIONS,
            mounts::LOCAL,
            mounts::SEAL_WRAP,
            mounts::ENTROPY,
            mounts::TOKEN_TYPE,
            mounts::VERSION,
        ],
        run: enable,
    },
    Command {
        path: "auth list",
        synopsis: "Lists enabled auth methods",
        usage: "[options]",
        about: "Lists the auth methods that are mounted.",
        output: Output::Format,
        flags: &[Flag::bool("detailed", "Also show TTLs, options, versions and hashes.")],
        run: |cx| mounts::list(cx, Listed::Auth),
    },
    Command {
        path: "auth tune",
        synopsis: "Tunes an auth method configuration",
        usage: "[options] PATH",
        about: "Changes the settings of an auth method. A new plugin version runs after the next reload.\n$ auth tune -default-lease-ttl=72h github/",
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
            mounts::TOKEN_TYPE,
            mounts::VERSION,
            mounts::PLUGIN_VERSION,
        ],
        run: tune,
    },
    Command {
        path: "auth move",
        synopsis: "Move an auth method to a new path",
        usage: "[options] SOURCE DESTINATION",
        about: "Moves an auth method with everything in it. Both paths begin with auth/.\n$ auth move auth/approle/ auth/generic/",
        output: Output::Plain,
        flags: &[],
        run: |cx| mounts::relocate(cx, "auth method"),
    },
    Command {
        path: "auth disable",
        synopsis: "Disables an auth method",
        usage: "[options] PATH",
        about: "Unmounts an auth method, and revokes every token it gave out.\n$ auth disable userpass/",
        output: Output::Plain,
        flags: &[],
        run: disable,
    },
];

fn enable(cx: &mut Context<'_>) -> Outcome {
    let mount = mounts::enabling(cx)?;
    let version = mounts::version_words(&cx.flags);
    let failed = format!("Error enabling {} auth", mount.kind);
    let done = format!("Enabled {} auth method{version} at: {}", mount.kind, mount.path);
    let path = format!("sys/auth/{}", mount.path);
    mounts::order(cx, Method::POST, &path, Some(&mount.body), &failed, &done)
}

fn tune(cx: &mut Context<'_>) -> Outcome {
    let path = with_slash(sanitized(&cx.arg()?));
    let body = mounts::tuning(&cx.flags);
    let failed = format!("Error tuning auth method {path}");
    let done = format!("Tuned the auth method at: {path}");
    let url = format!("sys/mounts/auth/{path}tune");
    mounts::order(cx, Method::POST, &url, Some(&body), &failed, &done)
}

fn disable(cx: &mut Context<'_>) -> Outcome {
    let path = with_slash(sanitized(&cx.arg()?));
    let failed = format!("Error disabling auth method at {path}");
    let done = format!("Disabled the auth method (if it existed) at: {path}");
    mounts::order(cx, Method::DELETE, &format!("sys/auth/{path}"), None, &failed, &done)
}
