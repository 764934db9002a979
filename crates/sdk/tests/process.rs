//! The process: this program starts itself as a plugin and plays the server.
//!
//! What engines do over the wire is tested in `boltwork-sdk-test`, without processes; here is what
//! only a process has: handshake, environment, output, logs, end.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{
    process::{Command as Process, ExitCode},
    sync::{Arc, Mutex},
    time::Duration,
};

use boltwork_logical::{BoxFuture, Entry, Storage, StorageError, Transaction};
use boltwork_sdk::prelude::*;
use boltwork_wire::{
    answer_from_wire, logical,
    logical::plugin_version_client::PluginVersionClient,
    multiplexing::{
        MultiplexingSupportRequest, plugin_multiplexing_client::PluginMultiplexingClient,
    },
    pb::{self, backend_client::BackendClient},
    request_to_wire,
};
use go_plugin::{
    Channel, Cookie,
    broker::Accepted,
    host::{Client, Command, Executable, Observer, Tls, start},
    log::{Level, LogLine},
};
use tonic::{Code, Status, service::Routes as Services};

use self::wrapping::{Api, Wrapped};

#[allow(dead_code)] // What only the unit tests of unwrapping need.
#[path = "support/wrapping.rs"]
mod wrapping;

const COOKIE: (&str, &str) = ("VAULT_BACKEND_PLUGIN", "6669da05-b1c8-4f49-97d9-c8e5bed98e20");
const MODE: &str = "PROCESS_TEST_MODE";

struct Loud;

impl Loud {
    async fn say(&self, req: Request<Named>) -> Result<Reply> {
        // Harmless after the handshake.
        println!("printed on stdout");
        let span = tracing::info_span!("request", id = req.id());
        let _entered = span.enter();
        tracing::warn!(name = req.fields.name, count = 3, "said");
        Ok(Reply::data(json!({ "name": req.fields.name })))
    }

    async fn stored(&self, req: Request<Named>) -> Result<Reply> {
        let stored: Option<Value> =
            req.storage.load_ahead(format!("uuid/kept/{}", req.fields.name)).await?;
        Ok(Reply::data(json!({ "stored": stored })))
    }

    async fn panic(&self, _: Request) -> Result<Reply> {
        panic!("on purpose");
    }
}

impl Engine for Loud {
    fn routes() -> Routes<Self> {
        Routes::new([
            path("say/{name}").read(Self::say),
            path("stored/{name}").read(Self::stored),
            path("panic").read(Self::panic),
        ])
        .version("v0.1.0")
        .read_ahead("stored/", "{mount_uuid}/kept/")
    }
}

fn main() -> ExitCode {
    match std::env::var(MODE).as_deref() {
        Ok("many") => return serve(|| Loud),
        Ok("one") => return Serve::new(Loud).version("v1.2.3+meta").run(),
        Ok("own") => return Serve::new(Loud).own_arguments().run(),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        one_process_serves_many_mounts_and_logs_with_levels().await;
        println!("test one_process_serves_many_mounts_and_logs_with_levels ... ok");
        a_process_with_one_engine_serves_one_mount().await;
        println!("test a_process_with_one_engine_serves_one_mount ... ok");
        an_entry_that_was_sent_along_is_read_without_a_call().await;
        println!("test an_entry_that_was_sent_along_is_read_without_a_call ... ok");
        in_metadata_mode_requests_are_refused().await;
        println!("test in_metadata_mode_requests_are_refused ... ok");
        over_protocols_3_and_4_its_certificate_is_unwrapped().await;
        println!("test over_protocols_3_and_4_its_certificate_is_unwrapped ok");
        in_metadata_mode_the_older_protocols_need_neither_tls_nor_token().await;
        println!("test in_metadata_mode_the_older_protocols_need_neither_tls_nor_token ... ok");
        with_auto_mtls_the_token_stays_unused().await;
        println!("test with_auto_mtls_the_token_stays_unused ... ok");
        a_token_that_cannot_be_unwrapped_ends_the_process_with_the_reason().await;
        println!("test a_token_that_cannot_be_unwrapped_ends_the_process_with_the_reason ... ok");
        an_unknown_argument_ends_the_process_unless_the_author_reads_them().await;
        println!("test an_unknown_argument_ends_the_process_unless_the_author_reads_them ... ok");
    });
    run_by_hand_it_says_what_it_is_and_fails();
    println!("test run_by_hand_it_says_what_it_is_and_fails ... ok");
    ExitCode::SUCCESS
}

/// Keeps what a plugin logs.
#[derive(Default)]
struct Kept(Mutex<Vec<LogLine>>);

impl Observer for Kept {
    fn log(&self, line: LogLine) {
        self.0.lock().unwrap().push(line);
    }
}

struct Plugin {
    client: Client,
    log: Arc<Kept>,
}

fn command(mode: &str, env: &[(&str, &str)]) -> Command {
    let executable = Executable::Path(std::env::current_exe().unwrap());
    let mut command = Command::new(executable, Cookie::new(COOKIE.0, COOKIE.1), vec![5]);
    let env = env.iter().copied().chain([(MODE, mode)]);
    command.env = env.map(|(key, value)| (key.into(), value.into())).collect();
    command
}

/// What a process that does not start says on stderr.
async fn last_words(command: Command) -> String {
    let go_plugin::Error::Start(error) = start(command).await.err().unwrap() else {
        panic!("it failed after its start")
    };
    assert_eq!(error.status.and_then(|status| status.code()), Some(1), "{error}");
    error.stderr.join("\n")
}

impl Plugin {
    async fn start(mode: &str, env: &[(&str, &str)]) -> Self {
        Self::of(command(mode, env)).await
    }

    async fn of(mut command: Command) -> Self {
        let log = Arc::new(Kept::default());
        command.observer = log.clone();
        Self { client: start(command).await.unwrap(), log }
    }

    fn backend(&self) -> BackendClient<Channel> {
        BackendClient::new(self.client.channel())
    }

    /// Sets a backend up without any of the server's services behind it.
    async fn set_up(&self, id: &str) -> Result<(Accepted, String), Status> {
        // Whatever is asked there is unimplemented.
        let services = self.client.broker().accept(|_| Services::default()).await.unwrap();
        let args = pb::SetupArgs {
            broker_id: services.id,
            backend_uuid: "uuid".into(),
            ..pb::SetupArgs::default()
        };
        let reply = self.backend().setup(call(id, args)).await?.into_inner();
        Ok((services, reply.err))
    }

    async fn read(&self, id: &str, path: &str) -> Result<pb::HandleRequestReply, Status> {
        self.read_with(id, path, None).await
    }

    async fn read_with(
        &self,
        id: &str,
        path: &str,
        ahead: Option<pb::StorageEntry>,
    ) -> Result<pb::HandleRequestReply, Status> {
        let request = boltwork_logical::Request::new(Operation::Read, path, Arc::new(Nowhere) as _);
        let request = Some(request_to_wire(&request));
        let args = pb::HandleRequestArgs { storage_id: 0, request, ahead };
        Ok(self.backend().handle_request(call(id, args)).await?.into_inner())
    }

    async fn version(&self, id: &str) -> Result<String, Status> {
        let mut client = PluginVersionClient::new(self.client.channel());
        let reply = client.version(call(id, logical::Empty {})).await?;
        Ok(reply.into_inner().plugin_version)
    }

    async fn multiplexed(&self) -> Result<bool, Status> {
        let mut client = PluginMultiplexingClient::new(self.client.channel());
        let reply = client.multiplexing_support(MultiplexingSupportRequest {}).await?;
        Ok(reply.into_inner().supported)
    }

    /// A logged line with this message; the log comes by another way than answers do.
    async fn logged(&self, message: &str) -> LogLine {
        let looking = async {
            loop {
                let lines = self.log.0.lock().unwrap().clone();
                if let Some(line) = lines.into_iter().find(|line| line.message.contains(message)) {
                    return line;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let found = tokio::time::timeout(Duration::from_secs(10), looking).await;
        found.unwrap_or_else(|_| panic!("{message:?} was not logged"))
    }
}

fn call<T>(id: &str, message: T) -> tonic::Request<T> {
    let mut call = tonic::Request::new(message);
    if !id.is_empty() {
        call.metadata_mut().insert("multiplex_id", id.parse().unwrap());
    }
    call
}

async fn an_entry_that_was_sent_along_is_read_without_a_call() {
    let plugin = Plugin::start("many", &[]).await;
    let (_services, err) = plugin.set_up("a").await.unwrap();
    assert_eq!(err, "");
    let paths = plugin.backend().special_paths(call("a", pb::Empty {})).await.unwrap();
    let rules = paths.into_inner().paths.unwrap().read_ahead;
    assert_eq!(rules.len(), 1);
    assert_eq!((rules[0].path.as_str(), rules[0].key.as_str()), ("stored/", "uuid/kept/"));

    let entry = |key: &str| {
        Some(pb::StorageEntry { key: key.into(), value: b"7".to_vec(), seal_wrap: false })
    };
    let reply = plugin.read_with("a", "stored/x", entry("uuid/kept/x")).await.unwrap();
    let answer = answer_from_wire(reply).unwrap().unwrap();
    assert_eq!(answer.data.decode::<Value>().unwrap(), json!({ "stored": 7 }));
    // There is no storage behind it: what was not sent, or something else, would have to be fetched.
    for ahead in [None, entry("uuid/kept/y"), entry("kept/x")] {
        let reply = plugin.read_with("a", "stored/x", ahead).await.unwrap();
        let text = answer_from_wire(reply).unwrap_err().to_string();
        assert!(text.contains("does not offer this"), "{text}");
    }
    plugin.client.stop().await;
}

async fn one_process_serves_many_mounts_and_logs_with_levels() {
    let plugin = Plugin::start("many", &[]).await;
    assert!(plugin.multiplexed().await.unwrap());
    let status = plugin.version("a").await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unknown, "no backend instance found"));

    let (_a, err) = plugin.set_up("a").await.unwrap();
    assert_eq!(err, "");
    let (_b, err) = plugin.set_up("b").await.unwrap();
    assert_eq!(err, "");
    assert_eq!(plugin.version("a").await.unwrap(), "v0.1.0");

    let status = plugin.read("", "say/x").await.err().unwrap();
    assert_eq!(status.message(), "no multiplexing ID found");
    let answer = answer_from_wire(plugin.read("b", "say/x").await.unwrap()).unwrap().unwrap();
    assert_eq!(answer.data.as_str(), r#"{"name":"x"}"#);
    let line = plugin.logged("said").await;
    assert_eq!(line.level, Level::Warn);
    assert_eq!((&line.fields["name"], &line.fields["count"]), (&json!("x"), &json!(3)));
    assert_eq!(line.fields["@module"], "process");
    assert!(line.fields.contains_key("id"), "the span's fields are logged too: {line:?}");

    let failure = answer_from_wire(plugin.read("a", "panic").await.unwrap()).unwrap_err();
    assert!(failure.error.to_string().contains("panicked"));
    let line = plugin.logged("on purpose").await;
    assert_eq!(line.level, Level::Error);
    assert!(line.fields["location"].as_str().unwrap().contains("process.rs:"), "{line:?}");

    plugin.backend().cleanup(call("a", pb::Empty {})).await.unwrap();
    let status = plugin.read("a", "say/x").await.err().unwrap();
    assert_eq!(status.message(), "no backend instance found");
    assert!(plugin.read("b", "say/x").await.is_ok(), "the other mount goes on");
    let exit = plugin.client.stop().await;
    assert!(exit.status.is_some_and(|status| status.success()), "{exit:?}");
}

async fn a_process_with_one_engine_serves_one_mount() {
    let plugin = Plugin::start("one", &[]).await;
    assert_eq!(plugin.multiplexed().await.unwrap_err().code(), Code::Unimplemented);
    let (_first, err) = plugin.set_up("x").await.unwrap();
    assert_eq!(err, "");
    assert!(plugin.read("x", "say/x").await.is_ok());
    assert_eq!(plugin.version("x").await.unwrap(), "v1.2.3+meta");
    let (_second, err) = plugin.set_up("y").await.unwrap();
    assert!(err.contains("one engine"), "{err}");
    plugin.client.stop().await;
}

async fn in_metadata_mode_requests_are_refused() {
    for prefix in ["VAULT", "BAO"] {
        let variable = format!("{prefix}_PLUGIN_METADATA_MODE");
        let plugin = Plugin::start("many", &[(&variable, "true")]).await;
        let (_services, err) = plugin.set_up("a").await.unwrap();
        assert_eq!(err, "");
        let text = "plugin server can not perform action while in metadata mode";
        assert_eq!(plugin.read("a", "say/x").await.err().unwrap().message(), text);
        let initialized = plugin.backend().initialize(call("a", pb::InitializeArgs {})).await;
        assert_eq!(initialized.err().unwrap().message(), text);
        let kind = plugin.backend().r#type(call("a", pb::Empty {})).await.unwrap();
        assert_eq!(kind.into_inner().r#type, 1);
        assert!(plugin.backend().special_paths(call("a", pb::Empty {})).await.is_ok());
        assert_eq!(plugin.version("a").await.unwrap(), "v0.1.0");
        plugin.client.stop().await;
    }
}

async fn over_protocols_3_and_4_its_certificate_is_unwrapped() {
    for (versions, prefix) in [(vec![3, 4], "VAULT"), (vec![3], "BAO")] {
        let wrapped = Wrapped::new();
        let api = Api::start(None, wrapped.answer()).await;
        let variable = format!("{prefix}_UNWRAP_TOKEN");
        let mut command = command("many", &[(&variable, &wrapping::token(&api.addr))]);
        let newest = *versions.last().unwrap();
        command.versions = versions;
        command.tls = Tls::Given(wrapped.host());
        let plugin = Plugin::of(command).await;
        assert_eq!(plugin.client.version(), newest);
        assert_eq!(api.asked().len(), 1);

        assert_eq!(plugin.multiplexed().await.unwrap_err().code(), Code::Unimplemented);
        // The server's services are reached through TLS with the same certificate.
        let (_services, err) = plugin.set_up("").await.unwrap();
        assert_eq!(err, "");
        assert_eq!(plugin.version("").await.unwrap(), "v0.1.0");
        let answer = answer_from_wire(plugin.read("", "say/x").await.unwrap()).unwrap().unwrap();
        assert_eq!(answer.data.as_str(), r#"{"name":"x"}"#);
        plugin.client.stop().await;
    }
}

async fn in_metadata_mode_the_older_protocols_need_neither_tls_nor_token() {
    let mut command = command("many", &[("VAULT_PLUGIN_METADATA_MODE", "true")]);
    command.versions = vec![3, 4];
    command.tls = Tls::Plain;
    let plugin = Plugin::of(command).await;
    assert_eq!(plugin.client.version(), 4);
    let (_services, err) = plugin.set_up("").await.unwrap();
    assert_eq!(err, "");
    let kind = plugin.backend().r#type(call("", pb::Empty {})).await.unwrap();
    assert_eq!(kind.into_inner().r#type, 1);
    let refused = plugin.read("", "say/x").await.err().unwrap();
    assert!(refused.message().contains("metadata mode"), "{refused}");
    plugin.client.stop().await;
}

async fn with_auto_mtls_the_token_stays_unused() {
    let api = Api::start(None, Wrapped::new().answer()).await;
    let token = wrapping::token(&api.addr);
    let env = [("VAULT_PLUGIN_AUTOMTLS_ENABLED", "true"), ("VAULT_UNWRAP_TOKEN", &token)];
    let plugin = Plugin::start("many", &env).await;
    assert_eq!(plugin.client.version(), 5);
    assert!(plugin.multiplexed().await.unwrap());
    assert!(api.asked().is_empty());
    plugin.client.stop().await;
}

async fn a_token_that_cannot_be_unwrapped_ends_the_process_with_the_reason() {
    let errors = json!({ "errors": ["wrapping token is not valid or does not exist"] });
    let api = Api::start(None, (400, errors.to_string())).await;
    let token = wrapping::token(&api.addr);
    let mut old = command("many", &[("VAULT_UNWRAP_TOKEN", &token)]);
    (old.versions, old.tls) = (vec![3, 4], Tls::Given(Wrapped::new().host()));
    let said = last_words(old).await;
    assert!(said.contains(r#""@message":"plugin tls init""#), "{said}");
    assert!(said.contains("error during token unwrap request: "), "{said}");
    assert!(said.contains("wrapping token is not valid") && !said.contains(&token), "{said}");

    let mut without = command("many", &[]);
    (without.versions, without.tls) = (vec![3, 4], Tls::Given(Wrapped::new().host()));
    let said = last_words(without).await;
    assert!(said.contains("error parsing wrapping token: there is none"), "{said}");
}

async fn an_unknown_argument_ends_the_process_unless_the_author_reads_them() {
    let with = |mode, args: &[&str]| {
        let mut command = command(mode, &[]);
        command.args = args.iter().map(Into::into).collect();
        command
    };
    let said = last_words(with("many", &["-ca-cert=/x", "-loud=hunter2"])).await;
    assert!(said.contains("flag provided but not defined: -loud"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    // With AutoMTLS nothing is fetched, so nobody looks for the file.
    let known = ["-ca-cert=/x", "--tls-skip-verify", "-tls-server-name", "y"];
    Plugin::of(with("many", &known)).await.client.stop().await;
    Plugin::of(with("own", &["-loud=yes"])).await.client.stop().await;
}

fn run_by_hand_it_says_what_it_is_and_fails() {
    let program = std::env::current_exe().unwrap();
    let output = Process::new(program).env(MODE, "many").env_remove(COOKIE.0).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("This binary is a plugin."), "{said}");
}

/// Storage for requests that are only written to the wire.
struct Nowhere;

type Done<T> = std::result::Result<T, StorageError>;

fn nowhere<'a, T: Send + 'a>() -> BoxFuture<'a, Done<T>> {
    Box::pin(async { Err(StorageError::Missing("no storage here".to_owned())) })
}

impl Storage for Nowhere {
    fn get<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Done<Option<Entry>>> {
        nowhere()
    }
    fn put(&self, _: Entry) -> BoxFuture<'_, Done<()>> {
        nowhere()
    }
    fn delete<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Done<()>> {
        nowhere()
    }
    fn list_page<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: Option<usize>,
    ) -> BoxFuture<'a, Done<Vec<String>>> {
        nowhere()
    }
    fn begin(&self, _: bool) -> BoxFuture<'_, Done<Box<dyn Transaction>>> {
        nowhere()
    }
}
