//! `login`: shows the server an identity, and keeps the token it gives.
//!
//! Methods: `token`; `userpass`, `ldap`, `radius` and `okta` by name and password; every other
//! method by the K=V pairs that its login path wants (`approle` for one). MFA is left out.

use boltwork_client::{Call, Json, Secret};
use http::Method;
use zeroize::Zeroizing;

use crate::api::Api;
use crate::command::{Command, Failure, Outcome, Output};
use crate::context::{Context, sanitized, with_slash};
use crate::flags::Flag;
use crate::{prompt, token_file, wrap};

pub(crate) const COMMANDS: &[Command] = &[Command {
    path: "login",
    synopsis: "Authenticate locally",
    usage: "[options] [AUTH K=V...]",
    about: "Logs in and stores the token in the token file for later commands. The default method takes a token itself.\n$ login -method=userpass username=me",
    output: Output::Field,
    flags: &[
        Flag::text("method", "Type of the auth method, not its path.").default("token"),
        Flag::text("path", "Where the method is mounted; the type's name if not given."),
        Flag::bool("no-store", "Do not store the token."),
        Flag::bool("no-print", "Do not show the token."),
        Flag::bool("token-only", "Print the token and nothing else, and do not store it."),
    ],
    run: login,
}];

fn login(cx: &mut Context<'_>) -> Outcome {
    let token_only = cx.flags.bool("token-only");
    let store = !(cx.flags.bool("no-store") || token_only);
    if !store && cx.flags.bool("no-print") {
        return Err(Failure::usage("-no-store and -no-print cannot be used together"));
    }
    let method = match sanitized(cx.flags.text("method")) {
        "" => "token".to_owned(),
        method => method.to_owned(),
    };
    let mount = match cx.flags.text("path") {
        "" => with_slash(&method),
        path => path.to_owned(),
    };
    // A bare argument is the token; a bare `-` is one on standard input.
    let bare = cx.flags.args.first_mut().filter(|a| !a.contains('='));
    if let Some(token) = bare.filter(|_| method == "token") {
        *token = format!("token={token}");
    }
    let config = cx.data(0).map_err(|f| {
        Failure::usage(f.text.replace("Failed to parse K=V data", "Error parsing configuration"))
    })?;
    let failed = |text: String| Failure::server(format!("Error authenticating: {text}"));
    let secret = match method.as_str() {
        "token" => with_token(cx, &config)?,
        _ => with_method(cx, &method, &mount, config)?,
    }
    .ok_or_else(|| Failure::server("Vault returned an empty secret"))?;
    let secret = match (&secret.auth, &secret.wrap_info) {
        (Some(_), _) => secret,
        (None, Some(wrap)) if store => opened(cx, wrap.token()).map_err(failed)?,
        (None, Some(wrap)) if token_only => {
            let token = wrap.fields().get("token").cloned();
            return cx.show_field(token.as_ref(), "wrapping_token", "secret");
        }
        (None, Some(_)) => return cx.show(&secret),
        (None, None) => return Err(failed("no auth or wrapping info in response".into())),
    };
    finish(cx, &secret, store, token_only)
}

fn finish(cx: &mut Context<'_>, secret: &Secret, store: bool, token_only: bool) -> Outcome {
    let token = secret.auth.as_ref().map_or("", |a| a.client_token());
    if store {
        if let Err(e) = token_file::write(cx.environment, token) {
            cx.ui.error(&format!("Error storing token: {e}"));
            cx.ui.error("You are authenticated, but the token could not be kept. It is:\n");
            cx.show(secret)?;
            return Ok(2);
        }
        if cx.environment.setting("TOKEN").is_some() {
            cx.ui.warn(&wrap::wrapped(
                "WARNING! The variable BAO_TOKEN or VAULT_TOKEN is set! It takes precedence over \
                 the stored token; unset it, or set it to the new token.",
            ));
            cx.ui.warn("");
        }
    } else if !token_only {
        cx.ui.warn(&wrap::wrapped(
            "The token was not stored in token helper. Set the BAO_TOKEN or VAULT_TOKEN variable to \
             it, or pass it with each request.",
        ));
        cx.ui.warn("");
    }
    if cx.flags.bool("no-print") {
        return Ok(0);
    }
    if token_only {
        let token = Json::from(token);
        return cx.show_field(Some(&token), "token", "secret");
    }
    if !cx.flags.text("field").is_empty() {
        return cx.field_of(secret);
    }
    if cx.is_table() {
        let stored = if store { " The token below is stored for later commands." } else { "" };
        cx.ui.say(&wrap::wrapped(&format!("Success! You are now authenticated.{stored}")));
        cx.ui.say("");
    }
    cx.show(secret)
}

fn ask(cx: &mut Context<'_>, what: &str) -> Result<String, Failure> {
    if cx.flags.bool("non-interactive") {
        return Err(Failure::server(format!(
            "Error authenticating: '{}' not supplied and refusing to pull from stdin",
            what.to_lowercase()
        )));
    }
    let typed = prompt::hidden(&mut cx.ui, &format!("{what} (will be hidden): "));
    let typed = typed.map_err(|e| {
        Failure::server(format!("Error authenticating: {what} could not be read: {e}"))
    })?;
    Ok(typed.to_string())
}

fn api(cx: &Context<'_>, token: &str) -> Result<Api, Failure> {
    let token = Some(Zeroizing::new(token.to_owned()));
    Api::with_token(&cx.flags, cx.environment, token).map_err(Failure::server)
}

/// Looks a token up with itself: that is what logging in with a token comes to.
fn with_token(cx: &mut Context<'_>, config: &Json) -> Result<Option<Secret>, Failure> {
    let mut token = config.text("token").trim().to_owned();
    if token.is_empty() {
        token = ask(cx, "Token")?;
    }
    if token.is_empty() {
        return Err(Failure::server("Error authenticating: a token must be passed to auth"));
    }
    let found = api(cx, &token)?.must_read("auth/token/lookup-self");
    let found = found.map_err(|e| {
        Failure::server(format!("Error authenticating: error looking up token: {e}"))
    })?;
    if found.wrap_info.is_some() {
        return Ok(Some(found));
    }
    let field = |name: &str| found.field(name).cloned().unwrap_or(Json::Null);
    Ok(Some(Secret::with_auth(&Json::record([
        ("client_token", Json::String(token)),
        ("accessor", field("accessor")),
        ("policies", field("policies")),
        ("token_policies", field("policies")),
        ("identity_policies", field("identity_policies")),
        ("metadata", field("meta")),
        ("lease_duration", field("ttl")),
        ("renewable", field("renewable")),
    ]))))
}

fn with_method(
    cx: &mut Context<'_>,
    method: &str,
    mount: &str,
    config: Json,
) -> Result<Option<Secret>, Failure> {
    let mount = match config.text("mount") {
        "" => mount.to_owned(),
        mount => mount.to_owned(),
    };
    let base = format!("auth/{}/login", sanitized(&mount));
    let (path, body) = if matches!(method, "userpass" | "ldap" | "radius" | "okta") {
        let name = match config.text("username") {
            "" => cx.environment.var("USER").unwrap_or_default().to_owned(),
            name => name.to_owned(),
        };
        if name.is_empty() {
            return Err(Failure::server(
                "Error authenticating: 'username' not supplied and neither 'LOGNAME' nor 'USER' \
                 env vars set",
            ));
        }
        let password = match config.text("password") {
            "" => ask(cx, "Password")?,
            password => password.to_owned(),
        };
        (format!("{base}/{name}"), Json::record([("password", Json::String(password))]))
    } else {
        let Json::Object(mut fields) = config else { return Ok(None) };
        fields.retain(|(name, _)| name != "mount");
        (base, Json::Object(fields))
    };
    let call = Call::new(Method::PUT, &path).body(&body);
    let response = api(cx, "")?.send(call);
    response
        .and_then(|r| Secret::parse(&r.body))
        .map_err(|e| Failure::server(format!("Error authenticating: {e}")))
}

fn opened(cx: &Context<'_>, wrapping: &str) -> Result<Secret, String> {
    let call = Call::new(Method::PUT, "sys/wrapping/unwrap").unwrapped();
    let api = api(cx, wrapping).map_err(|f| f.text)?;
    let secret = api.secret(call).map_err(|e| e.to_string())?;
    secret
        .filter(|s| s.auth.is_some())
        .ok_or_else(|| "wrapped response does not contain a token".into())
}
