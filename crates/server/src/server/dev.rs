//! What makes a server a development server: it initializes and unseals itself, mounts a kv engine,
//! registers the programs of the plugin directory, and tells its root token.

use std::{
    io::Write as _,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use boltwork_core::{Core, Inbound, InitRequest};
use boltwork_logical::{Data, Headers, Operation, SecretText};
use serde_json::{Value, json};

use super::flags::Dev;

/// What to tell the developer.
pub struct Ready {
    /// The unseal key, base64.
    pub unseal_key: String,
    /// The root token.
    pub root_token: SecretText,
    /// Programs of the plugin directory that were registered.
    pub registered: Vec<String>,
    /// Programs that could not be, and why.
    pub failed: Vec<(String, String)>,
}

/// Initializes, unseals and furnishes the server.
///
/// # Errors
/// Something failed that cannot fail on a fresh server in memory.
pub async fn prepare(core: &Arc<Core>, dev: &Dev) -> Result<Ready, String> {
    let request = InitRequest {
        secret_shares: 1,
        secret_threshold: 1,
        root_token: dev.root_token.as_deref().filter(|t| !t.is_empty()).map(SecretText::from),
    };
    let made = core.initialize(request).await.map_err(|e| e.to_string())?;
    let share = made.shares.first().ok_or("the server made no unseal key")?;
    core.unseal(share).await.map_err(|e| e.to_string())?;
    let mut ready = Ready {
        unseal_key: BASE64_STANDARD.encode(share),
        root_token: made.root_token,
        registered: Vec::new(),
        failed: Vec::new(),
    };
    if !dev.no_kv {
        let body = json!({
            "type": "kv",
            "description": "key/value secret storage",
            "options": { "version": "2" },
        });
        write(core, &ready.root_token, "sys/mounts/secret", &body).await?;
    }
    if let Some(directory) = &dev.plugin_dir {
        register_all(core, directory, &mut ready).await;
    }
    if !dev.no_store_token {
        store_token(&ready.root_token);
    }
    Ok(ready)
}

/// A program that cannot be registered is reported; it keeps nothing from starting.
async fn register_all(core: &Arc<Core>, directory: &Path, ready: &mut Ready) {
    let mut programs: Vec<PathBuf> = match std::fs::read_dir(directory) {
        Ok(entries) => entries.flatten().map(|e| e.path()).filter(|p| p.is_file()).collect(),
        Err(error) => {
            ready.failed.push((directory.display().to_string(), error.to_string()));
            return;
        }
    };
    programs.sort();
    for program in programs {
        let Some(name) = program.file_name().and_then(|n| n.to_str()).map(str::to_owned) else {
            continue;
        };
        let outcome = match digest(&program) {
            Err(error) => Err(error),
            Ok(sha256) => {
                let body = json!({ "sha256": sha256, "command": name });
                let path = format!("sys/plugins/catalog/{name}");
                write(core, &ready.root_token, &path, &body).await
            }
        };
        match outcome {
            Ok(()) => ready.registered.push(name),
            Err(error) => ready.failed.push((name, error)),
        }
    }
}

fn digest(path: &Path) -> Result<String, String> {
    use aws_lc_rs::digest::{Context, SHA256};
    let mut file = std::fs::File::open(path).map_err(|e| e.to_string())?;
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = std::io::Read::read(&mut file, &mut buffer).map_err(|e| e.to_string())?;
        if count == 0 {
            return Ok(hex::encode(context.finish()));
        }
        context.update(&buffer[..count]);
    }
}

async fn write(
    core: &Arc<Core>,
    token: &SecretText,
    path: &str,
    body: &Value,
) -> Result<(), String> {
    let inbound = Inbound {
        id: uuid::Uuid::new_v4().to_string().into(),
        operation: Operation::Update,
        path: path.to_owned(),
        token: token.clone(),
        data: Data::json(body),
        headers: Headers::new(),
        connection: None,
        wrap: None,
        policy_override: false,
    };
    match core.handle(inbound).await.result {
        // What a backend refuses comes as a reply.
        Ok(reply) => reply.and_then(|reply| reply.error_text()).map_or(Ok(()), Err),
        Err(failure) => Err(failure.error.to_string()),
    }
}

/// Where the command line looks for a token. Failing is no reason not to start.
fn store_token(token: &SecretText) {
    let Some(home) = std::env::var_os("HOME") else { return };
    let path = Path::new(&home).join(".vault-token");
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(token.expose().as_bytes()));
    if let Err(error) = written {
        tracing::warn!(path = %path.display(), %error, "the root token could not be stored");
    }
}
