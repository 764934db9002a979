//! Storage that fails in the middle of a change of a mount, at each of its writes in turn: the
//! server goes on with the old state or the new one, the change can be asked for again, and a
//! server that is started on what is on the disk finds the old state or the new one, whole.
//!
//! Left out: the catalog, which is tested where it lives.

mod harness;

use std::collections::BTreeSet;

use boltwork_logical::{Failure, Operation, Reply};
use harness::{Server, fields, until};
use serde_json::{Value, json};

/// How a write fails.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// It is not written; later ones are.
    Once,
    /// It is not written, nor is anything after it.
    FromThenOn,
    /// It is written, but who asked for it is told otherwise.
    LostAnswer,
}

/// A secrets engine or an auth method, at the same name.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Table {
    Secret,
    Auth,
}

/// One change of a mount.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Change {
    Enable,
    Describe,
    Options,
    Reload,
    Move,
    Disable,
}

type Answer = Result<Option<Reply>, Failure>;

fn succeeded(answer: &Answer) -> bool {
    matches!(answer, Ok(reply) if reply.as_ref().is_none_or(|r| r.error_text().is_none()))
}

impl Table {
    /// Where `sys/` lists it and changes it.
    fn listing(self) -> &'static str {
        match self {
            Self::Secret => "sys/mounts",
            Self::Auth => "sys/auth",
        }
    }

    fn point(self, name: &str) -> String {
        match self {
            Self::Secret => name.to_owned(),
            Self::Auth => format!("auth/{name}"),
        }
    }

    async fn enable(self, server: &Server) -> Answer {
        let body = match self {
            Self::Secret => json!({ "type": "good", "description": "old" }),
            Self::Auth => json!({ "type": "login", "description": "old" }),
        };
        server.root(Operation::Update, &format!("{}/x", self.listing()), body).await
    }

    async fn listed(self, server: &Server, name: &str) -> Option<Value> {
        let all = fields(server.root(Operation::Read, self.listing(), Value::Null).await);
        all.get(&format!("{name}/")).cloned()
    }

    /// Uses the mount as a client does.
    async fn serves(self, server: &Server, name: &str) -> bool {
        let point = self.point(name);
        match self {
            Self::Secret => {
                let path = format!("{point}/at/new");
                let written = server.write(&server.root, &path, json!({ "b": 2 })).await;
                succeeded(&written) && fields(server.read(&server.root, &path).await)["b"] == 2
            }
            Self::Auth => match server.write("", &format!("{point}/login"), Value::Null).await {
                Ok(Some(Reply { auth: Some(auth), .. })) => {
                    server.is_good(auth.client_token.expose()).await
                }
                _ => false,
            },
        }
    }
}

impl Change {
    /// A server on which the change can be made, and a token that its auth method gave.
    async fn prepare(self, table: Table) -> (Server, String) {
        let server = Server::start().await;
        if self == Self::Enable {
            return (server, String::new());
        }
        assert!(succeeded(&table.enable(&server).await));
        let token = match table {
            Table::Secret => {
                server.write(&server.root, "x/at/kept", json!({ "a": 1 })).await.expect("write");
                server.write(&server.root, "x/at/a/b/c", json!({ "a": 2 })).await.expect("write");
                server.read(&server.root, "x/creds").await.expect("a lease");
                String::new()
            }
            Table::Auth => {
                let reply = server.write("", "auth/x/login", Value::Null).await;
                let auth = reply.expect("login").expect("a reply").auth.expect("a token");
                auth.client_token.expose().to_owned()
            }
        };
        (server, token)
    }

    async fn ask(self, server: &Server, table: Table) -> Answer {
        let place = format!("{}/x", table.listing());
        let (operation, path, body) = match self {
            Self::Enable => return table.enable(server).await,
            Self::Describe => (
                Operation::Update,
                format!("{place}/tune"),
                json!({ "description": "new", "default_lease_ttl": "77s" }),
            ),
            Self::Options => (
                Operation::Update,
                format!("{place}/tune"),
                json!({ "description": "new", "default_lease_ttl": "77s", "options": { "c": "d" } }),
            ),
            Self::Reload => (
                Operation::Update,
                "sys/plugins/reload/backend".to_owned(),
                json!({ "mounts": [table.point("x")] }),
            ),
            Self::Move => (
                Operation::Update,
                "sys/remount".to_owned(),
                json!({ "from": table.point("x"), "to": table.point("y") }),
            ),
            Self::Disable => (Operation::Delete, place, Value::Null),
        };
        server.root(operation, &path, body).await
    }

    /// Which state the server is in, which must be one that there may be, whole.
    async fn state(self, server: &Server, table: Table, told: &str) -> State {
        settled(server, table).await;
        let (x, y) = (table.listed(server, "x").await, table.listed(server, "y").await);
        let (name, info) = match (x, y) {
            (None, None) => return State::Absent,
            (Some(info), None) => ("x", info),
            (None, Some(info)) => ("y", info),
            (Some(_), Some(_)) => panic!("{told}: it is at both paths"),
        };
        assert!(table.serves(server, name).await, "{told}: it is listed, but does not work");
        if table == Table::Secret && self != Self::Enable {
            for (path, value) in [("kept", 1), ("a/b/c", 2)] {
                let path = format!("{name}/at/{path}");
                let read = fields(server.read(&server.root, &path).await);
                assert_eq!(read["a"], value, "{told}: {path}");
            }
        }
        let tuned = info["description"] == "new";
        assert_eq!(info["config"]["default_lease_ttl"], if tuned { 77 } else { 0 }, "{told}");
        let options = if tuned && self == Self::Options { json!({ "c": "d" }) } else { json!({}) };
        assert_eq!(info["options"], options, "{told}");
        match (name, tuned) {
            ("y", _) => State::Moved,
            (_, true) => State::Tuned,
            (_, false) => State::Plain,
        }
    }

    fn before(self) -> State {
        if self == Self::Enable { State::Absent } else { State::Plain }
    }

    fn after(self) -> State {
        match self {
            Self::Enable | Self::Reload => State::Plain,
            Self::Describe | Self::Options => State::Tuned,
            Self::Move => State::Moved,
            Self::Disable => State::Absent,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Absent,
    Plain,
    Tuned,
    Moved,
}

/// Waits until every mount has started or is gone.
async fn settled(server: &Server, table: Table) {
    until("what was being removed is gone", async || {
        for name in ["x", "y"] {
            let info = table.listed(server, name).await.unwrap_or_default();
            if info["state"] == "unavailable" {
                return false;
            }
        }
        true
    })
    .await;
}

/// Whatever is stored for mounts belongs to one that there is.
async fn expect_no_orphans(server: &Server, told: &str) {
    let mut owned = BTreeSet::new();
    for listing in ["sys/mounts", "sys/auth"] {
        let all = fields(server.root(Operation::Read, listing, Value::Null).await);
        owned.extend(all.values().map(|info| format!("{}/", info["uuid"].as_str().expect("uuid"))));
    }
    for folder in ["logical/", "auth/"] {
        for stored in server.barrier.list(folder, "", None).await.expect("list") {
            assert!(owned.contains(&stored), "{told}: {folder}{stored} belongs to nobody");
        }
    }
}

/// Of what a mount gave out, nothing is left when it is gone.
async fn expect_all_taken_back(server: &Server, token: &str, told: &str) {
    assert_eq!(server.plugins.switches.users.lock().len(), 0, "{told}: a user is left");
    let list = server.root(Operation::List, "sys/leases/lookup/x/creds/", Value::Null).await;
    let left = list.expect("list").map(|reply| reply.data.fields().expect("fields"));
    assert!(left.is_none_or(|left| left.is_empty()), "{told}: a lease is left");
    assert!(token.is_empty() || !server.is_good(token).await, "{told}: a token is left");
}

/// Makes the change with a fault at its `n`th write, on a server of its own.
async fn interrupted(change: Change, table: Table, fault: Fault, n: u64) -> (Server, String, bool) {
    let (server, token) = change.prepare(table).await;
    match fault {
        Fault::Once => server.storage.fail_nth_write(n),
        Fault::FromThenOn => server.storage.fail_writes_from(n),
        Fault::LostAnswer => server.storage.lose_nth_answer(n),
    }
    let answered = succeeded(&change.ask(&server, table).await);
    (server, token, answered)
}

/// The server that met the fault goes on, and the change can be asked for again.
async fn goes_on(change: Change, table: Table, fault: Fault, n: u64) {
    let told = format!("{change:?} {table:?} {fault:?} {n}, going on");
    let (server, token, answered) = interrupted(change, table, fault, n).await;
    server.storage.lift();
    // A mount that is half removed says so, until it is asked again.
    let half = change == Change::Disable
        && table.listed(&server, "x").await.is_some_and(|info| info["state"] == "unavailable");
    match (answered, half) {
        (true, _) => {
            assert_eq!(change.state(&server, table, &told).await, change.after(), "{told}")
        }
        (false, true) => assert!(!table.serves(&server, "x").await, "{told}"),
        (false, false) => {
            assert_eq!(change.state(&server, table, &told).await, change.before(), "{told}");
        }
    }
    if !answered {
        let again = change.ask(&server, table).await;
        assert!(succeeded(&again), "{told}: it cannot be asked for again: {:?}", again.err());
        assert_eq!(change.state(&server, table, &told).await, change.after(), "{told}, again");
    }
    let running = usize::from(change.after() != State::Absent);
    assert_eq!(server.plugins.alive(), running, "{told}: backends");
    if change == Change::Disable {
        expect_all_taken_back(&server, &token, &told).await;
        assert!(succeeded(&table.enable(&server).await), "{told}: the path is free");
        let found = server.read(&server.root, "x/at/kept").await.ok().flatten();
        assert!(found.is_none(), "{told}: the next mount inherits");
        return;
    }
    let server = server.start_anew().await;
    assert_eq!(change.state(&server, table, &told).await, change.after(), "{told}, restarted");
    expect_no_orphans(&server, &told).await;
}

/// A server is started on what is on the disk when the fault was met.
async fn starts_anew(change: Change, table: Table, fault: Fault, n: u64) {
    let told = format!("{change:?} {table:?} {fault:?} {n}, started anew");
    let (server, token, answered) = interrupted(change, table, fault, n).await;
    let server = server.start_anew().await;
    let state = change.state(&server, table, &told).await;
    let whole = if answered { vec![change.after()] } else { vec![change.before(), change.after()] };
    assert!(whole.contains(&state), "{told}: {state:?}");
    if change == Change::Disable && state == State::Absent {
        expect_all_taken_back(&server, &token, &told).await;
    }
    until("nothing is stored for nobody", async || {
        let folders = server.barrier.list("core/half-made/", "", None).await;
        folders.expect("list").is_empty()
    })
    .await;
    expect_no_orphans(&server, &told).await;
}

/// Fails every write of a change in turn, in every way.
async fn at_every_write(change: Change) {
    for table in [Table::Secret, Table::Auth] {
        let (server, _) = change.prepare(table).await;
        let before = server.storage.batches_written();
        assert!(succeeded(&change.ask(&server, table).await));
        let writes = server.storage.batches_written() - before;
        assert!(writes > 0, "{change:?} writes something");
        for fault in [Fault::Once, Fault::FromThenOn, Fault::LostAnswer] {
            for n in 1..=writes {
                goes_on(change, table, fault, n).await;
                starts_anew(change, table, fault, n).await;
            }
        }
    }
}

#[tokio::test]
async fn a_mount_is_made_whole_or_not_at_all_whichever_write_fails() {
    at_every_write(Change::Enable).await;
}

#[tokio::test]
async fn a_mount_is_tuned_whole_or_not_at_all_whichever_write_fails() {
    at_every_write(Change::Describe).await;
    at_every_write(Change::Options).await;
}

#[tokio::test]
async fn a_mount_serves_and_keeps_its_data_whichever_write_of_its_reload_fails() {
    at_every_write(Change::Reload).await;
}

#[tokio::test]
async fn a_mount_is_moved_whole_or_not_at_all_whichever_write_fails() {
    at_every_write(Change::Move).await;
}

#[tokio::test]
async fn a_mount_is_removed_whole_or_not_at_all_whichever_write_fails() {
    at_every_write(Change::Disable).await;
}
