//! `status`: sealed or not, and the words for it that `operator unseal` shares.

use boltwork_client::Json;

use crate::api::Api;
use crate::command::{Command, Failure, Outcome, Output};
use crate::context::Context;
use crate::table::table;

pub(crate) const COMMANDS: &[Command] = &[Command {
    path: "status",
    synopsis: "Print seal and HA status",
    usage: "[options]",
    about: "Shows whether the server is sealed. The exit code is 0 if it is unsealed, 2 if it is sealed and 1 if it could not be asked.",
    output: Output::Field,
    flags: &[],
    run: status,
}];

fn status(cx: &mut Context<'_>) -> Outcome {
    cx.args(0)?;
    // 2 means sealed here, so every failure is a 1.
    let local = |f: Failure| Failure::usage(f.text);
    let api = cx.connect().map_err(local)?.in_root().map_err(Failure::usage)?;
    let seal = api
        .get_json("sys/seal-status")
        .map_err(|e| Failure::usage(format!("Error checking seal status: {e}")))?;
    let sealed = seal.flag("sealed");
    let field = cx.flags.text("field").to_owned();
    let code = if field.is_empty() {
        show(cx, &api, &seal)?
    } else {
        let all = combined(&api, &seal)?;
        let value = match field.as_str() {
            "ha_mode" => Some(Json::from(if all.flag("is_self") { "active" } else { "standby" })),
            name => all.get(name).cloned(),
        };
        cx.show_field(value.as_ref(), &field, "seal status")?
    };
    Ok(if sealed { 2 } else { code })
}

/// Shows a seal status together with the leader's.
pub(super) fn show(cx: &mut Context<'_>, api: &Api, seal: &Json) -> Outcome {
    let all = combined(api, seal)?;
    if cx.is_table() {
        cx.ui.say(&table(&["Key", "Value"], rows(&all)));
        return Ok(0);
    }
    cx.show_data(&all)
}

/// Members in the order Vault's tools print them; the second kind is left out if it says nothing.
const ALWAYS: bool = true;
const SEAL: &[(&str, bool)] = &[
    ("type", ALWAYS),
    ("initialized", ALWAYS),
    ("sealed", ALWAYS),
    ("t", ALWAYS),
    ("n", ALWAYS),
    ("progress", ALWAYS),
    ("nonce", ALWAYS),
    ("version", ALWAYS),
    ("commit_date", ALWAYS),
    ("migration", ALWAYS),
    ("cluster_name", false),
    ("cluster_id", false),
    ("recovery_seal", ALWAYS),
    ("recovery_seal_type", false),
    ("storage_type", false),
    ("warnings", false),
    ("build_date", ALWAYS),
];
const LEADER: &[(&str, bool)] = &[
    ("ha_enabled", ALWAYS),
    ("is_self", false),
    ("active_time", false),
    ("leader_address", false),
    ("leader_cluster_address", false),
    ("raft_committed_index", false),
    ("raft_applied_index", false),
];

fn combined(api: &Api, seal: &Json) -> Result<Json, Failure> {
    let leader = match api.get_json("sys/leader") {
        Ok(leader) => leader,
        // A sealed node of a cluster cannot know its leader.
        Err(e) if e.to_string().contains("Vault is sealed") => {
            Json::record([("ha_enabled", Json::Bool(true))])
        }
        Err(e) => return Err(Failure::usage(format!("Error checking leader status: {e}"))),
    };
    let mut fields = Vec::new();
    for (source, names) in [(seal, SEAL), (&leader, LEADER)] {
        for (name, always) in names {
            let value = source.get(name).filter(|v| *always || says_something(v));
            match value {
                Some(value) => fields.push((*name, value.clone())),
                None if *always && *name != "commit_date" => fields.push((*name, nothing(name))),
                None => {}
            }
        }
    }
    Ok(Json::record(fields))
}

fn nothing(name: &str) -> Json {
    match name {
        "t" | "n" | "progress" => Json::number(0),
        "type" | "nonce" | "version" | "build_date" => Json::from(""),
        _ => Json::Bool(false),
    }
}

fn says_something(value: &Json) -> bool {
    match value {
        Json::Null | Json::Bool(false) => false,
        Json::Number(n) => n != "0",
        Json::String(s) => !s.is_empty() && s != "0001-01-01T00:00:00Z",
        Json::Array(items) => !items.is_empty(),
        _ => true,
    }
}

fn rows(all: &Json) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut add = |key: &str, value: String| rows.push(vec![key.to_owned(), value]);
    let (sealed, recovery) = (all.flag("sealed"), all.flag("recovery_seal"));
    add("Seal Type", all.text("type").into());
    if recovery {
        add("Recovery Seal Type", all.text("recovery_seal_type").into());
    }
    add("Initialized", all.flag("initialized").to_string());
    add("Sealed", sealed.to_string());
    let prefix = if recovery { "Recovery " } else { "" };
    add(&format!("Total {prefix}Shares"), all.int("n").to_string());
    add("Threshold", all.int("t").to_string());
    if sealed {
        add("Unseal Progress", format!("{}/{}", all.int("progress"), all.int("t")));
        add("Unseal Nonce", all.text("nonce").into());
    }
    if all.flag("migration") {
        add("Seal Migration in Progress", "true".into());
    }
    let mut given = |key: &str, name: &str| {
        if !all.text(name).is_empty() {
            add(key, all.text(name).into());
        }
    };
    given("Version", "version");
    given("Commit Date", "commit_date");
    if all.text("commit_date").is_empty() {
        given("Build Date", "build_date");
    }
    given("Storage Type", "storage_type");
    if !all.text("cluster_name").is_empty() && !all.text("cluster_id").is_empty() {
        given("Cluster Name", "cluster_name");
        given("Cluster ID", "cluster_id");
    }
    rows.extend(leader_rows(all, sealed));
    rows
}

fn leader_rows(all: &Json, sealed: bool) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut add = |key: &str, value: String| rows.push(vec![key.to_owned(), value]);
    let enabled = all.flag("ha_enabled");
    add("HA Enabled", enabled.to_string());
    if enabled && !sealed {
        let active = all.flag("is_self");
        add("HA Cluster", all.text("leader_cluster_address").into());
        add("HA Mode", if active { "active" } else { "standby" }.into());
        if active && !all.text("active_time").is_empty() {
            add("Active Since", all.text("active_time").into());
        }
        if !active && !all.text("leader_address").is_empty() {
            add("Active Node Address", all.text("leader_address").into());
        }
    }
    for (key, name) in [
        ("Raft Committed Index", "raft_committed_index"),
        ("Raft Applied Index", "raft_applied_index"),
    ] {
        if all.int(name) > 0 {
            add(key, all.int(name).to_string());
        }
    }
    rows
}
