//! A backend that hurts when it is asked to. A read of
//!
//! | path | |
//! |---|---|
//! | `process` | answers with the process's number: it is well |
//! | `huge/N` | answers with N MiB |
//! | `store/N` | stores N MiB under one key |
//! | `outside` | tries keys that are not its mount's, and answers what came of each |
//! | `transactions/N` | begins N transactions and ends none; how many it got |
//! | `brokers/N` | announces N services that nobody asked for |
//! | `dial/N` | connects to the N ids behind the one that it was given; how many it got |
//! | `knock/N` | opens N connections to each socket in its folder and says nothing on them |
//! | `fork` | starts a child, one in a session of its own, and one that lost its parent |
//! | `litter` | leaves files and sockets in its folder |
//! | `eat/N` | takes N MiB of memory and keeps them |
//! | `files/N` | opens N files and keeps them |
//! | `deaf` | ignores every signal that can be ignored |
//! | `flood/STREAM` | begins to write without end: `stderr`, `stdout`, `stdio` |
//! | `exit`, `abort`, `panic`, `hang` | ends the process, or this call |
//!
//! and a write to `kv/KEY` stores its `value`, which a read gives back.

use std::io::Write as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use boltwork_logical::{
    Backend, BackendKind, BoxFuture, Data, Entry, Error, Existence, Factory, Failure, Operation,
    Reply, Request, Setup, SpecialPaths, Storage, Transaction,
};
use go_plugin::plugin::Context;
use serde_json::{Value, json};

use crate::early::{self, LONG};
use crate::floods::{self, Stream};

const MIB: usize = 1 << 20;

/// Makes the backends.
pub struct Hurtful {
    pub context: Context,
}

impl Factory for Hurtful {
    fn create(&self, _: Setup) -> BoxFuture<'_, Result<Arc<dyn Backend>, Error>> {
        let engine = Engine { context: self.context.clone(), kept: Mutex::default() };
        Box::pin(std::future::ready(Ok(Arc::new(engine) as Arc<dyn Backend>)))
    }
}

/// One mount's.
struct Engine {
    context: Context,
    kept: Mutex<Vec<Kept>>,
}

/// What is never given back.
#[allow(dead_code, reason = "it is kept, which is the harm")]
enum Kept {
    Transaction(Box<dyn Transaction>),
    Announcement(go_plugin::broker::Accepted),
    Connection(UnixStream),
    Memory(Vec<u8>),
    File(std::fs::File),
    Socket(UnixListener),
}

impl Backend for Engine {
    fn kind(&self) -> BackendKind {
        BackendKind::Secret
    }

    fn special_paths(&self) -> Arc<SpecialPaths> {
        Arc::default()
    }

    fn handle(&self, request: Request) -> BoxFuture<'_, Result<Option<Reply>, Failure>> {
        Box::pin(async move {
            let answer = match request.path.strip_prefix("kv/") {
                Some(_) => keep(&request).await?,
                None => Some(self.hurt(&request).await?),
            };
            Ok(answer.map(|answer| Reply::data(Data::json(&answer))))
        })
    }

    fn exists<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Existence, Error>> {
        Box::pin(async {
            let found = request.storage.get(&request.path).await?.is_some();
            Ok(if found { Existence::Exists } else { Existence::Absent })
        })
    }
}

/// What a plugin in order does.
async fn keep(request: &Request) -> Result<Option<Value>, Error> {
    match request.operation {
        Operation::Read => {
            let found = request.storage.get(&request.path).await?;
            let text = |entry: Entry| String::from_utf8_lossy(&entry.value).into_owned();
            Ok(found.map(|entry| json!({ "value": text(entry) })))
        }
        Operation::Delete => {
            request.storage.delete(&request.path).await?;
            Ok(None)
        }
        _ => {
            let fields = request.data.fields().map_err(|why| Error::invalid(why.to_string()))?;
            let value = fields.get("value").and_then(Value::as_str).unwrap_or_default();
            request.storage.put(Entry::new(request.path.as_str(), value)).await?;
            Ok(None)
        }
    }
}

impl Engine {
    async fn hurt(&self, request: &Request) -> Result<Value, Error> {
        let (what, much) = request.path.split_once('/').unwrap_or((&request.path, ""));
        let count: usize = much.parse().unwrap_or(1);
        let storage = request.storage.as_ref();
        match what {
            "process" => Ok(json!({ "pid": std::process::id() })),
            "huge" => Ok(json!({ "huge": "x".repeat(count * MIB) })),
            "store" => {
                storage.put(Entry::new("huge", vec![b'x'; count * MIB])).await?;
                Ok(json!({ "stored": count }))
            }
            "outside" => Ok(outside(storage).await),
            "transactions" => Ok(self.transactions(storage, count).await),
            "brokers" => Ok(self.brokers(count).await),
            "dial" => Ok(self.dial(count).await),
            "knock" => Ok(self.knock(count)),
            "fork" => fork(),
            "litter" => self.litter(),
            "eat" => Ok(self.eat(count)),
            "files" => self.files(count),
            "deaf" => deaf(),
            "flood" => {
                let stream = Stream::parse(much).ok_or_else(|| Error::invalid("no such stream"))?;
                floods::begin(stream, self.context.output.clone());
                Ok(json!({ "flooding": much }))
            }
            "exit" => std::process::exit(9),
            "abort" => std::process::abort(),
            "panic" => panic!("as it was asked to"),
            "hang" => std::future::pending().await,
            other => Err(Error::invalid(format!("misbehave: no way to {other:?}"))),
        }
    }

    fn keep(&self, kept: Kept) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(kept);
    }

    async fn transactions(&self, storage: &dyn Storage, count: usize) -> Value {
        for got in 0..count {
            match storage.begin(false).await {
                Ok(transaction) => self.keep(Kept::Transaction(transaction)),
                Err(error) => return json!({ "got": got, "error": error.to_string() }),
            }
        }
        json!({ "got": count })
    }

    async fn brokers(&self, count: usize) -> Value {
        for got in 0..count {
            match self.context.broker.accept(|_| tonic::service::Routes::default()).await {
                Ok(accepted) => self.keep(Kept::Announcement(accepted)),
                Err(error) => return json!({ "got": got, "error": error.to_string() }),
            }
        }
        json!({ "got": count })
    }

    /// The host numbers what it offers from one on: what is behind the first are other mounts'
    /// services, or nobody's.
    async fn dial(&self, count: usize) -> Value {
        let ids = (1..=u32::try_from(count).unwrap_or(u32::MAX)).map(|id| {
            let broker = self.context.broker.clone();
            tokio::spawn(async move { broker.dial(id.wrapping_add(1)).await.is_ok() })
        });
        let dialled: Vec<_> = ids.collect();
        let mut got = 0;
        for one in dialled {
            got += usize::from(one.await.unwrap_or(false));
        }
        json!({ "got": got })
    }

    fn knock(&self, count: usize) -> Value {
        let mut got = 0;
        for socket in std::fs::read_dir(early::folder()).into_iter().flatten().flatten() {
            for _ in 0..count {
                if let Ok(stream) = UnixStream::connect(socket.path()) {
                    self.keep(Kept::Connection(stream));
                    got += 1;
                }
            }
        }
        json!({ "got": got })
    }

    fn eat(&self, count: usize) -> Value {
        for _ in 0..count {
            // Not zeroes: the kernel would give those without having them.
            self.keep(Kept::Memory(vec![7; MIB]));
        }
        json!({ "eaten": count })
    }

    fn files(&self, count: usize) -> Result<Value, Error> {
        for _ in 0..count {
            let file = std::fs::File::open("/dev/null");
            self.keep(Kept::File(file.map_err(|why| Error::internal(why.to_string()))?));
        }
        Ok(json!({ "opened": count }))
    }

    fn litter(&self) -> Result<Value, Error> {
        let folder = early::folder();
        let failed = |why: std::io::Error| Error::internal(why.to_string());
        for name in ["a", "b", "c"] {
            let below = folder.join(format!("litter-{name}"));
            std::fs::create_dir_all(&below).map_err(failed)?;
            let mut file = std::fs::File::create(below.join("file")).map_err(failed)?;
            file.write_all(b"left").map_err(failed)?;
            self.keep(Kept::Socket(UnixListener::bind(below.join("s")).map_err(failed)?));
        }
        Ok(json!({ "folder": folder }))
    }
}

/// Keys that are not the mount's. What can be stored stays in the mount, so the test can see it.
async fn outside(storage: &dyn Storage) -> Value {
    let long = "k".repeat(1 << 20);
    let keys = [
        "../escape",
        "a/../../escape",
        "..",
        "a/..",
        "/absolute",
        "//",
        "",
        "a\0b",
        "\0",
        "./a",
        "a/./b",
        "core/keyring",
        "../../core/keyring",
        "folder/",
        &long,
    ];
    let mut came_of = serde_json::Map::new();
    for key in keys {
        let shown = if key.len() > 64 { "over-long" } else { key };
        let put = storage.put(Entry::new(key, "escaped")).await;
        let get = storage.get(key).await;
        let list = storage.list(key).await;
        let delete = storage.delete(key).await;
        let text = |error: Option<String>| error.unwrap_or_else(|| "done".to_owned());
        came_of.insert(
            shown.to_owned(),
            json!({
                "put": text(put.err().map(|why| why.to_string())),
                "get": match get {
                    Ok(entry) => json!(entry.is_some()),
                    Err(why) => json!(why.to_string()),
                },
                "list": match list {
                    Ok(keys) => json!(keys),
                    Err(why) => json!(why.to_string()),
                },
                "delete": text(delete.err().map(|why| why.to_string())),
            }),
        );
    }
    Value::Object(came_of)
}

/// Three ways to leave somebody behind.
fn fork() -> Result<Value, Error> {
    let seconds = LONG.as_secs().to_string();
    let start = |program: &str, args: &[&str]| {
        let mut command = Command::new(program);
        let quiet = command.args(args).stdin(Stdio::null()).stdout(Stdio::null());
        let child = quiet.stderr(Stdio::null()).spawn();
        child.map(|child| child.id()).map_err(|why| Error::internal(format!("{program}: {why}")))
    };
    let child = start("sleep", &[&seconds])?;
    let session = start("setsid", &["sleep", &seconds])?;
    // The shell ends at once; what it started has another parent from then on.
    let shell = format!("setsid sleep {seconds} & sleep {seconds} &");
    let orphans = start("sh", &["-c", &shell])?;
    Ok(json!({ "child": child, "session": session, "shell": orphans }))
}

/// From now on only the signal counts that cannot be ignored.
fn deaf() -> Result<Value, Error> {
    use tokio::signal::unix::{SignalKind, signal};
    let kinds = [
        SignalKind::terminate(),
        SignalKind::interrupt(),
        SignalKind::hangup(),
        SignalKind::quit(),
        SignalKind::pipe(),
    ];
    for kind in kinds {
        let mut heard = signal(kind).map_err(|why| Error::internal(why.to_string()))?;
        tokio::spawn(async move { while heard.recv().await.is_some() {} });
    }
    let folder: PathBuf = early::folder();
    Ok(json!({ "deaf": true, "folder": folder }))
}
