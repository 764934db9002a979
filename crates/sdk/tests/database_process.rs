//! The process of a database plugin: this program starts itself as one and plays the server.
//!
//! What a database does over the wire is tested in `boltwork-sdk-test`, without processes; here is
//! what a host sees of the protocol: versions, ids, codes and texts.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering},
};

use boltwork_sdk::prelude::*;
use boltwork_wire::{
    dbplugin::v5::{self, database_client::DatabaseClient},
    logical,
    logical::plugin_version_client::PluginVersionClient,
    multiplexing::{
        MultiplexingSupportRequest, plugin_multiplexing_client::PluginMultiplexingClient,
    },
};
use go_plugin::{
    Channel, Cookie,
    host::{Client, Command, Executable, start},
};
use tonic::{Code, Status};

const COOKIE: (&str, &str) = ("VAULT_DATABASE_PLUGIN", "926a0820-aea2-be28-51d6-83cdf00e8edb");
const MODE: &str = "DATABASE_PROCESS_TEST_MODE";

type Done<T> = std::result::Result<T, DatabaseError>;

/// Counts its users, and does as their names say.
#[derive(Default)]
struct Counting(AtomicUsize);

impl Database for Counting {
    fn initialize(&self, config: Data, verify: bool) -> BoxFuture<'_, Done<Data>> {
        Box::pin(async move {
            match config.fields().unwrap().get("do").and_then(Value::as_str) {
                Some("fail") => Err(DatabaseError::Failed("no such host".into())),
                Some("panic") => panic!("with hunter2"),
                _ => Ok(Data::json(&json!({ "verified": verify, "port": 5432 }))),
            }
        })
    }

    fn new_user(&self, user: NewUser) -> BoxFuture<'_, Done<MadeUser>> {
        Box::pin(async move {
            if user.role_name == "none" {
                return Err(DatabaseError::Unsupported("that role"));
            }
            let number = self.0.fetch_add(1, Ordering::Relaxed);
            Ok(MadeUser { username: format!("{}-{number}", user.display_name), password: None })
        })
    }

    fn update_user(&self, _: UserChange) -> BoxFuture<'_, Done<()>> {
        Box::pin(async { Ok(()) })
    }

    fn delete_user<'a>(&'a self, name: &'a str, _: &'a [String]) -> BoxFuture<'a, Done<()>> {
        Box::pin(async move {
            assert!(name != "panic");
            Ok(())
        })
    }

    fn kind(&self) -> BoxFuture<'_, Done<String>> {
        Box::pin(async { Ok("counting".to_owned()) })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

fn main() -> ExitCode {
    match std::env::var(MODE).as_deref() {
        Ok("many") => return ServeDatabase::new(Counting::default).version("v0.2.0").run(),
        Ok("one") => return serve_database(Counting::default()),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        one_process_serves_many_connections().await;
        println!("test one_process_serves_many_connections ... ok");
        a_host_without_multiplexing_gets_one_connection().await;
        println!("test a_host_without_multiplexing_gets_one_connection ... ok");
        refusals_have_the_codes_and_texts_of_the_protocol().await;
        println!("test refusals_have_the_codes_and_texts_of_the_protocol ... ok");
        in_metadata_mode_nothing_is_done().await;
        println!("test in_metadata_mode_nothing_is_done ... ok");
    });
    ExitCode::SUCCESS
}

struct Plugin(Client);

impl Plugin {
    async fn start(mode: &str, versions: &[u32], env: &[(&str, &str)]) -> Self {
        let executable = Executable::Path(std::env::current_exe().unwrap());
        let cookie = Cookie::new(COOKIE.0, COOKIE.1);
        let mut command = Command::new(executable, cookie, versions.to_vec());
        let env = env.iter().copied().chain([(MODE, mode)]);
        command.env = env.map(|(key, value)| (key.into(), value.into())).collect();
        Self(start(command).await.unwrap())
    }

    fn database(&self) -> DatabaseClient<Channel> {
        DatabaseClient::new(self.0.channel())
    }

    async fn initialize(&self, id: &str, action: &str) -> Result<Data, Status> {
        let config = boltwork_wire::config_to_wire(&Data::json(&json!({ "do": action }))).unwrap();
        let request = v5::InitializeRequest { config_data: Some(config), verify_connection: true };
        let kept = self.database().initialize(call(id, request)).await?.into_inner();
        Ok(boltwork_wire::config_from_wire(kept.config_data).unwrap())
    }

    async fn new_user(&self, id: &str, name: &str, role: &str) -> Result<String, Status> {
        let config =
            v5::UsernameConfig { display_name: name.to_owned(), role_name: role.to_owned() };
        let request = v5::NewUserRequest {
            username_config: Some(config),
            password: "p".into(),
            ..v5::NewUserRequest::default()
        };
        Ok(self.database().new_user(call(id, request)).await?.into_inner().username)
    }

    async fn delete(&self, id: &str, name: &str) -> Result<(), Status> {
        let request = v5::DeleteUserRequest { username: name.to_owned(), statements: None };
        self.database().delete_user(call(id, request)).await.map(drop)
    }

    async fn close(&self, id: &str) -> Result<(), Status> {
        self.database().close(call(id, v5::Empty {})).await.map(drop)
    }

    async fn kind(&self, id: &str) -> Result<String, Status> {
        Ok(self.database().r#type(call(id, v5::Empty {})).await?.into_inner().r#type)
    }

    async fn version(&self, id: &str) -> Result<String, Status> {
        let mut client = PluginVersionClient::new(self.0.channel());
        Ok(client.version(call(id, logical::Empty {})).await?.into_inner().plugin_version)
    }

    async fn multiplexed(&self) -> Result<bool, Status> {
        let mut client = PluginMultiplexingClient::new(self.0.channel());
        Ok(client.multiplexing_support(MultiplexingSupportRequest {}).await?.into_inner().supported)
    }
}

fn call<T>(id: &str, message: T) -> tonic::Request<T> {
    let mut call = tonic::Request::new(message);
    if !id.is_empty() {
        call.metadata_mut().insert("multiplex_id", id.parse().unwrap());
    }
    call
}

/// Code and text of a refusal.
#[track_caller]
fn refusal<T>(answer: Result<T, Status>) -> (Code, String) {
    let status = answer.err().unwrap();
    (status.code(), status.message().to_owned())
}

fn unknown(text: &str) -> (Code, String) {
    (Code::Unknown, text.to_owned())
}

async fn one_process_serves_many_connections() {
    let plugin = Plugin::start("many", &[5, 6], &[]).await;
    assert_eq!(plugin.0.version(), 6);
    assert!(plugin.multiplexed().await.unwrap());
    assert_eq!(plugin.version("").await.unwrap(), "v0.2.0", "before there is any database");
    assert_eq!(
        refusal(plugin.new_user("a", "x", "r").await),
        unknown("no database instance found")
    );
    assert_eq!(refusal(plugin.new_user("", "x", "r").await), unknown("no multiplexing ID found"));
    assert_eq!(refusal(plugin.close("a").await), unknown("no database instance found"));

    assert_eq!(
        plugin.initialize("a", "").await.unwrap().as_str(),
        r#"{"port":5432,"verified":true}"#
    );
    assert_eq!(plugin.kind("b").await.unwrap(), "counting");
    for (id, name) in [("a", "x-0"), ("a", "x-1"), ("b", "x-0")] {
        assert_eq!(plugin.new_user(id, "x", "r").await.unwrap(), name);
    }

    plugin.close("a").await.unwrap();
    assert_eq!(
        refusal(plugin.new_user("a", "x", "r").await),
        unknown("no database instance found")
    );
    assert_eq!(plugin.new_user("b", "x", "r").await.unwrap(), "x-1", "the other goes on");
    plugin.initialize("a", "").await.unwrap();
    assert_eq!(plugin.new_user("a", "x", "r").await.unwrap(), "x-0", "and this one is a new one");
    let exit = plugin.0.stop().await;
    assert!(exit.status.is_some_and(|status| status.success()), "{exit:?}");
}

async fn a_host_without_multiplexing_gets_one_connection() {
    for (mode, versions) in [("many", &[5][..]), ("one", &[5, 6])] {
        let plugin = Plugin::start(mode, versions, &[]).await;
        assert_eq!(plugin.0.version(), 5);
        assert_eq!(plugin.multiplexed().await.unwrap_err().code(), Code::Unimplemented);
        plugin.initialize("", "").await.unwrap();
        assert_eq!(plugin.new_user("", "x", "r").await.unwrap(), "x-0");
        assert_eq!(plugin.new_user("whatever", "x", "r").await.unwrap(), "x-1");
        plugin.close("").await.unwrap();
        plugin.0.stop().await;
    }
}

async fn refusals_have_the_codes_and_texts_of_the_protocol() {
    let plugin = Plugin::start("many", &[6], &[]).await;
    plugin.initialize("a", "").await.unwrap();
    let internal = |text: &str| (Code::Internal, text.to_owned());
    assert_eq!(
        refusal(plugin.initialize("a", "fail").await),
        internal("failed to initialize: no such host")
    );
    assert_eq!(
        refusal(plugin.initialize("a", "panic").await),
        internal("failed to initialize: the plugin panicked")
    );
    assert_eq!(
        refusal(plugin.new_user("a", "x", "none").await),
        internal("unable to create new user: the database plugin does not support that role")
    );
    assert_eq!(
        refusal(plugin.delete("a", "panic").await),
        internal("unable to delete user: the plugin panicked")
    );

    let invalid = |text: &str| (Code::InvalidArgument, text.to_owned());
    let mut client = plugin.database();
    let nobody = v5::NewUserRequest::default();
    assert_eq!(
        refusal(client.new_user(call("a", nobody)).await),
        invalid("missing username config")
    );
    let never = v5::NewUserRequest {
        username_config: Some(v5::UsernameConfig::default()),
        expiration: Some(prost_types::Timestamp { seconds: 0, nanos: -1 }),
        ..v5::NewUserRequest::default()
    };
    assert_eq!(
        refusal(client.new_user(call("a", never)).await),
        invalid("unable to parse expiration date: not a point in time")
    );
    let nothing = |username: &str| v5::UpdateUserRequest {
        username: username.to_owned(),
        ..v5::UpdateUserRequest::default()
    };
    assert_eq!(
        refusal(client.update_user(call("a", nothing(""))).await),
        invalid("no username provided")
    );
    assert_eq!(
        refusal(client.update_user(call("a", nothing("u"))).await),
        invalid("update user request has no changes")
    );
    assert_eq!(refusal(plugin.delete("a", "").await), invalid("no username provided"));
    assert!(plugin.new_user("a", "x", "r").await.is_ok(), "after all of that it still works");
    plugin.0.stop().await;
}

async fn in_metadata_mode_nothing_is_done() {
    let plugin = Plugin::start("many", &[5, 6], &[("VAULT_PLUGIN_METADATA_MODE", "true")]).await;
    let text = "plugin server can not perform action while in metadata mode";
    assert_eq!(refusal(plugin.initialize("a", "").await), unknown(text));
    assert_eq!(refusal(plugin.new_user("a", "x", "r").await), unknown(text));
    assert_eq!(refusal(plugin.delete("a", "u").await), unknown(text));
    assert_eq!(plugin.kind("a").await.unwrap(), "counting");
    assert_eq!(plugin.version("a").await.unwrap(), "v0.2.0");
    plugin.0.stop().await;
}
