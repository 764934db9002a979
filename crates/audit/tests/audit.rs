//! What is written, what is hidden, and what happens when it cannot be written.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use boltwork_audit::{
    AuditedHeader, AuthView, Broker, Device, Error, FileDevice, Format, GrantingPolicy, MountView,
    PolicyResults, Record, ReplyView, RequestView, Salt,
};
use boltwork_logical::{
    Auth, BoxFuture, Data, Operation, Reply, Secret, SecretText, TokenType, WrapInfo,
};
use serde_json::{Value, json};

fn salt() -> Salt {
    Salt::new("d1ce0c11-51b7-4a36-9bd9-2f6a4e0e8b5a")
}

fn parse(line: &[u8]) -> Value {
    assert_eq!(line.iter().filter(|&&byte| byte == b'\n').count(), 1, "one line a record");
    serde_json::from_slice(line).expect("JSON")
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|&word| word.to_owned()).collect()
}

/// Everything that a record can hold.
struct Full {
    policies: Vec<String>,
    metadata: BTreeMap<String, String>,
    data: Data,
    reply: Reply,
    user_agent: Vec<String>,
    grants: [GrantingPolicy<'static>; 1],
    plain: Vec<String>,
}

impl Full {
    fn new() -> Self {
        let mut auth = Auth { client_token: SecretText::new("s.fresh"), ..Auth::default() };
        auth.accessor = "fresh-accessor".into();
        auth.policies = words(&["default"]);
        auth.token.num_uses = 3;
        auth.token.token_type = TokenType::Service;
        let wrap = WrapInfo {
            ttl: Duration::from_secs(60),
            token: SecretText::new("s.wrapping"),
            accessor: "wrap-accessor".into(),
            created: Some(SystemTime::UNIX_EPOCH),
            creation_path: "secret/data/x".into(),
            ..WrapInfo::default()
        };
        let reply = Reply {
            data: Data::json(&json!({"password": "reply-secret", "version": 3})),
            auth: Some(Box::new(auth)),
            secret: Some(Box::new(Secret { lease_id: "a/b/c".into(), ..Secret::default() })),
            warnings: words(&["mind the gap"]),
            wrap: Some(Box::new(wrap)),
            ..Reply::default()
        };
        Self {
            policies: words(&["default", "ops"]),
            metadata: BTreeMap::from([("user".to_owned(), "alice".to_owned())]),
            data: Data::parse(
                b"{\n \"password\": \"request-secret\",\n \"ttl\": 5, \"note\": \"open\"}".to_vec(),
            )
            .expect("JSON"),
            reply,
            user_agent: words(&["curl/8"]),
            grants: [GrantingPolicy { name: "ops", kind: "acl" }],
            plain: words(&["note"]),
        }
    }

    fn with<T>(&self, use_it: impl FnOnce(&Record<'_>) -> T) -> T {
        let headers = [
            AuditedHeader { name: "User-Agent", values: &self.user_agent, digested: false },
            AuditedHeader { name: "X-Secret", values: &self.user_agent, digested: true },
        ];
        let auth = AuthView {
            client_token: "s.caller",
            accessor: "caller-accessor",
            display_name: "token",
            policies: &self.policies,
            token_policies: &self.policies,
            metadata: Some(&self.metadata),
            policy_results: Some(PolicyResults { allowed: true, granting: &self.grants }),
            remaining_uses: 7,
            token_type: TokenType::Service,
            token_ttl: Duration::from_secs(3600),
            token_issued: Some(SystemTime::UNIX_EPOCH + Duration::from_millis(1500)),
            ..AuthView::default()
        };
        let mount = MountView {
            point: "secret/",
            kind: "kv",
            accessor: "kv_12345678",
            class: "secret",
            running_version: "v0.24.0",
            running_sha256: "abcd",
            external: true,
        };
        let request = RequestView {
            id: "id-1",
            operation: Some(Operation::Update),
            mount,
            client_token: "s.caller",
            client_token_accessor: "caller-accessor",
            path: "secret/data/x",
            data: Some(&self.data),
            remote_addr: "127.0.0.1",
            remote_port: 4711,
            wrap_ttl: Some(Duration::from_secs(60)),
            headers: &headers,
            ..RequestView::default()
        };
        use_it(&Record {
            auth: Some(auth),
            request,
            reply: ReplyView::of(&self.reply),
            error: Some("permission denied"),
            plain_request_keys: &self.plain,
            plain_reply_keys: &[],
        })
    }
}

#[test]
fn a_request_line_has_vaults_fields() {
    let line = Full::new().with(|record| Format::new(salt()).request(record)).expect("format");
    let mut line = parse(&line);
    let time = line.as_object_mut().expect("object").remove("time").expect("a time");
    assert!(time.as_str().expect("text").ends_with('Z'));
    let d = |text: &str| salt().digest(text);
    assert_eq!(
        line,
        json!({
            "type": "request",
            "auth": {
                "client_token": d("s.caller"),
                "accessor": d("caller-accessor"),
                "display_name": "token",
                "policies": ["default", "ops"],
                "token_policies": ["default", "ops"],
                "policy_results": {
                    "allowed": true,
                    "granting_policies": [{"name": "ops", "namespace_id": "root", "type": "acl"}]
                },
                "metadata": {"user": "alice"},
                "remaining_uses": 7,
                "token_type": "service",
                "token_ttl": 3600,
                "token_issue_time": "1970-01-01T00:00:01Z"
            },
            "request": {
                "id": "id-1",
                "operation": "update",
                "mount_point": "secret/",
                "mount_type": "kv",
                "mount_accessor": "kv_12345678",
                "mount_running_version": "v0.24.0",
                "mount_running_sha256": "abcd",
                "mount_class": "secret",
                "mount_is_external_plugin": true,
                "client_token": d("s.caller"),
                "client_token_accessor": d("caller-accessor"),
                "namespace": {"id": "root"},
                "path": "secret/data/x",
                "data": {"password": d("request-secret"), "ttl": 5, "note": "open"},
                "remote_address": "127.0.0.1",
                "remote_port": 4711,
                "wrap_ttl": 60,
                "headers": {"user-agent": ["curl/8"], "x-secret": [d("curl/8")]}
            },
            "error": "permission denied"
        })
    );
}

#[test]
fn a_response_line_has_the_reply_beside_the_request() {
    let line = Full::new().with(|record| Format::new(salt()).response(record)).expect("format");
    let line = parse(&line);
    let d = |text: &str| salt().digest(text);
    assert_eq!(line["type"], "response");
    assert_eq!(line["request"]["id"], "id-1");
    assert_eq!(
        line["response"],
        json!({
            "auth": {
                "client_token": d("s.fresh"),
                "accessor": d("fresh-accessor"),
                "policies": ["default"],
                "num_uses": 3,
                "token_type": "service"
            },
            "mount_point": "secret/",
            "mount_type": "kv",
            "mount_accessor": "kv_12345678",
            "mount_running_plugin_version": "v0.24.0",
            "mount_running_sha256": "abcd",
            "mount_class": "secret",
            "mount_is_external_plugin": true,
            "secret": {"lease_id": "a/b/c"},
            "data": {"password": d("reply-secret"), "version": 3},
            "warnings": ["mind the gap"],
            "wrap_info": {
                "ttl": 60,
                "token": d("s.wrapping"),
                "accessor": d("wrap-accessor"),
                "creation_time": "1970-01-01T00:00:00Z",
                "creation_path": "secret/data/x"
            }
        })
    );
}

#[test]
fn no_secret_is_in_a_line_unless_the_device_logs_raw() {
    let secrets =
        ["s.caller", "s.fresh", "s.wrapping", "request-secret", "reply-secret", "caller-accessor"];
    let full = Full::new();
    let text = |format: &Format| {
        let line = full.with(|record| format.response(record)).expect("format");
        String::from_utf8(line).expect("text")
    };
    let hidden = text(&Format::new(salt()));
    let raw = text(&Format { raw: true, ..Format::new(salt()) });
    for secret in secrets {
        assert!(!hidden.contains(secret), "{secret} in {hidden}");
        assert!(raw.contains(secret), "{secret} not in {raw}");
    }
    assert!(!raw.contains("hmac-sha256"), "{raw}");
    let accessors = text(&Format { hmac_accessor: false, ..Format::new(salt()) });
    assert!(accessors.contains("caller-accessor") && !accessors.contains("s.caller"));
}

#[test]
fn an_elided_list_shows_only_how_many() {
    let data = Data::json(&json!({"keys": ["one", "two"], "key_info": {"one": {"a": "b"}}}));
    let reply = Reply::data(data);
    let record = |operation| Record {
        request: RequestView { operation: Some(operation), ..RequestView::default() },
        reply: ReplyView::of(&reply),
        ..Record::default()
    };
    let format = Format { elide_list_responses: true, ..Format::new(salt()) };
    let line = parse(&format.response(&record(Operation::List)).expect("format"));
    assert_eq!(line["response"]["data"], json!({"keys": 2, "key_info": 1}));
    let line = parse(&format.response(&record(Operation::Read)).expect("format"));
    assert_eq!(line["response"]["data"]["keys"][0], salt().digest("one"));
}

/// A device that fails on command.
#[derive(Default)]
struct Switch {
    broken: AtomicBool,
    taken: AtomicU32,
}

impl Switch {
    fn take(&self) -> BoxFuture<'_, Result<(), Error>> {
        let broken = self.broken.load(Ordering::SeqCst);
        if !broken {
            self.taken.fetch_add(1, Ordering::SeqCst);
        }
        Box::pin(std::future::ready(if broken { Err(Error::Closed) } else { Ok(()) }))
    }
}

impl Device for Switch {
    fn log_request<'a>(&'a self, _: &'a Record<'a>) -> BoxFuture<'a, Result<(), Error>> {
        self.take()
    }
    fn log_response<'a>(&'a self, _: &'a Record<'a>) -> BoxFuture<'a, Result<(), Error>> {
        self.take()
    }
    fn digest(&self, text: &str) -> String {
        format!("switch:{text}")
    }
    fn reopen(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

#[tokio::test]
async fn one_device_that_accepts_is_enough_and_none_is_not() {
    let broker = Broker::new();
    let record = Record::default();
    assert!(broker.is_idle());
    broker.log_request(&record).await.expect("no devices, no objections");

    let (one, two) = (Arc::new(Switch::default()), Arc::new(Switch::default()));
    broker.register("one/", one.clone());
    broker.register("two/", two.clone());
    assert!(!broker.is_idle());
    broker.log_request(&record).await.expect("both");
    one.broken.store(true, Ordering::SeqCst);
    broker.log_response(&record).await.expect("one is enough");
    assert_eq!(two.taken.load(Ordering::SeqCst), 2, "every device is asked");
    two.broken.store(true, Ordering::SeqCst);
    let error = broker.log_request(&record).await.expect_err("none");
    assert_eq!(error.to_string(), "no audit backend succeeded in logging the request");
    let error = broker.log_response(&record).await.expect_err("none");
    assert_eq!(error.to_string(), "no audit backend succeeded in logging the response");

    assert_eq!(broker.digest("one/", "x").as_deref(), Some("switch:x"));
    assert_eq!(broker.digest("three/", "x"), None);
    assert!(broker.deregister("one/"));
    assert!(!broker.deregister("one/"));
    assert!(!broker.is_idle());
    broker.clear();
    assert!(broker.is_idle());
}

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("boltwork-audit-{}-{next}", std::process::id()));
        std::fs::create_dir(&path).expect("a fresh folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn options(path: &std::path::Path, more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut options = BTreeMap::from([("file_path".to_owned(), path.display().to_string())]);
    for (key, value) in more {
        options.insert((*key).to_owned(), (*value).to_owned());
    }
    options
}

fn mode(path: &std::path::Path) -> u32 {
    std::fs::metadata(path).expect("exists").permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_acknowledged_record_is_a_whole_line_in_the_file() {
    let folder = Folder::new();
    let path = folder.0.join("logs/audit.log");
    let device = Arc::new(FileDevice::open(&options(&path, &[]), salt()).expect("open"));
    let tasks: Vec<_> = (0..200)
        .map(|n| {
            let device = device.clone();
            tokio::spawn(async move {
                let id = format!("id-{n}");
                let request = RequestView { id: &id, ..RequestView::default() };
                let record = Record { request, ..Record::default() };
                device.log_request(&record).await.expect("request");
                device.log_response(&record).await.expect("response");
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("task");
    }
    let text = std::fs::read_to_string(&path).expect("read");
    let mut seen = BTreeMap::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).expect("a whole line");
        *seen.entry(line["request"]["id"].to_string()).or_insert(0) += 1;
    }
    assert_eq!(seen.len(), 200);
    assert!(seen.values().all(|&count| count == 2));
    assert_eq!(mode(&path), 0o600);
}

#[tokio::test]
async fn after_reopening_records_go_to_the_new_file() {
    let folder = Folder::new();
    let (path, moved) = (folder.0.join("audit.log"), folder.0.join("audit.log.1"));
    let broker = Broker::new();
    let device =
        Arc::new(FileDevice::open(&options(&path, &[("prefix", "@cee: ")]), salt()).expect("open"));
    broker.register("file/", device.clone());
    Broker::probe(&*device, "first").await.expect("write");
    std::fs::rename(&path, &moved).expect("move");
    Broker::probe(&*device, "still old").await.expect("write");
    broker.reopen().await;
    Broker::probe(&*device, "new").await.expect("write");
    let old = std::fs::read_to_string(moved).expect("read");
    assert_eq!(old.lines().count(), 2);
    assert!(old.lines().all(|line| line.starts_with("@cee: {")));
    let new = std::fs::read_to_string(path).expect("read");
    assert!(new.contains("sys/audit/test") && new.contains(r#""id":"new""#), "{new}");
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_not_a_lost_record() {
    let full = std::path::Path::new("/dev/full");
    let device = FileDevice::open(&options(full, &[]), salt()).expect("opens");
    let error = Broker::probe(&device, "id").await.expect_err("full");
    assert!(error.to_string().contains("/dev/full"), "{error}");
    assert!(error.to_string().contains("no space left"), "{error}");
    let broker = Broker::new();
    broker.register("file/", Arc::new(device));
    assert!(matches!(broker.log_request(&Record::default()).await, Err(Error::NoneAccepted(_))));
}

#[tokio::test]
async fn a_file_that_vanished_with_its_folder_is_made_again_when_reopened() {
    let folder = Folder::new();
    let path = folder.0.join("logs/audit.log");
    let device = FileDevice::open(&options(&path, &[]), salt()).expect("open");
    std::fs::remove_dir_all(folder.0.join("logs")).expect("remove");
    device.reopen().await.expect("reopen");
    Broker::probe(&device, "id").await.expect("write");
    assert!(path.exists());
}

#[test]
fn options_are_checked_when_the_device_is_enabled() {
    let folder = Folder::new();
    let path = folder.0.join("audit.log");
    let open = |more: &[(&str, &str)]| FileDevice::open(&options(&path, more), salt());
    let error = |more| open(more).err().expect("refused").to_string();
    assert_eq!(error(&[("format", "xml")]), "unknown format type \"xml\"");
    assert!(error(&[("log_raw", "perhaps")]).contains("log_raw"));
    assert!(error(&[("mode", "8")]).contains("mode"));
    assert!(error(&[("mode", "10000")]).contains("mode"));
    let missing = FileDevice::open(&BTreeMap::new(), salt()).err().expect("refused");
    assert_eq!(missing.to_string(), "file_path is required");
    assert!(!path.exists(), "a refused device made its file");

    open(&[("mode", "0755")]).expect("open");
    assert_eq!(mode(&path), 0o644, "an audit file is never executable");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("chmod");
    open(&[("mode", "0000")]).expect("open");
    assert_eq!(mode(&path), 0o640, "mode 0 leaves it");
    open(&[]).expect("open");
    assert_eq!(mode(&path), 0o600);
    FileDevice::open(&options(&folder.0, &[]), salt()).err().expect("a folder is no file");
}

#[tokio::test]
async fn discard_accepts_everything() {
    let device = FileDevice::open(&options("DISCARD".as_ref(), &[]), salt()).expect("open");
    Broker::probe(&device, "id").await.expect("accepted");
    assert_eq!(device.digest("x"), salt().digest("x"));
}
