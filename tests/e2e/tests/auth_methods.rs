//! Our auth methods in all the places where they can run, and one set of claims for all of them:
//! built in, as a process of their own under Boltwork, and as one under OpenBao's server.
//!
//! Left out on purpose: what each method guarantees in detail; its own crate tests that.

use boltwork_e2e::{Answer, Api, Kind, Setup, tools};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Where a method runs.
#[derive(Clone, Copy, PartialEq)]
enum Home {
    Builtin,
    External,
    UnderBao,
}

const HOMES: [Home; 3] = [Home::Builtin, Home::External, Home::UnderBao];

/// An auth method and what it is put to.
trait Method {
    /// Its name among the built-in ones.
    const NAME: &'static str;
    /// Something below the mount that can be read once it is configured.
    const KEPT: &'static str;
    /// Its program.
    fn program() -> PathBuf;
    /// Sets the mount `at` up and returns what a login needs.
    fn configure(api: &Api, at: &str) -> Value;
    /// Logs in with what [`Method::configure`] returned; gives the login's answer.
    fn log_in(api: &Api, at: &str, with: &Value) -> Answer;
    /// What a login's token knows of who logged in.
    fn meta() -> Value;
    /// Claims of its own.
    fn refuses(api: &Api, at: &str, with: &Value);
}

fn logs_in<M: Method>(api: &Api, at: &str, with: &Value) {
    let answer = M::log_in(&api.without_token(), at, with).ok().json();
    let token = answer["auth"]["client_token"].as_str().expect("a login gives a token");
    let seen = api.with_token(token).read("auth/token/lookup-self").ok().data();
    assert_eq!(seen["policies"], json!(["default", "deploy"]));
    assert_eq!(seen["creation_ttl"], 600, "the ttl that was configured");
    assert_eq!(seen["meta"], M::meta());
    assert!(seen["path"].as_str().is_some_and(|path| path.starts_with(&format!("{at}/login"))));
    api.with_token(token).read("sys/policies/acl/deploy").status(403);
    api.with_token(token).write("auth/token/renew-self", &json!({})).ok();
}

/// The whole life of a method, wherever it runs.
fn life<M: Method>() {
    for home in HOMES {
        let kind = if home == Home::UnderBao { Kind::Bao } else { Kind::under_test() };
        let Some(server) = (Setup { kind, ..Setup::default() }).start() else { return };
        let api = server.api();
        let name =
            if home == Home::Builtin { M::NAME.to_owned() } else { format!("my-{}", M::NAME) };
        let plugin = server.install(&M::program(), &name).kind("auth");
        if home != Home::Builtin {
            plugin.register(&api).status(204);
        }
        plugin.enable(&api, "mine").status(204);
        plugin.enable(&api, "other").status(204);
        let processes = usize::from(home != Home::Builtin);
        server.expect_plugins(processes);
        let at = "auth/mine";
        let with = M::configure(&api, at);
        logs_in::<M>(&api, at, &with);
        M::refuses(&api, at, &with);
        assert!(
            !M::log_in(&api.without_token(), "auth/other", &with).succeeded(),
            "a mount knows nothing of another one"
        );
        if home != Home::Builtin {
            server.kill_plugins(&format!("{at}/{}", M::KEPT));
            logs_in::<M>(&api, at, &with);
            server.expect_plugins(1);
        }
        api.write("sys/plugins/reload/backend", &json!({"mounts": ["auth/mine"]})).ok();
        logs_in::<M>(&api, at, &with);
        server.seal_and_unseal();
        logs_in::<M>(&api, at, &with);
        server.expect_plugins(processes);
        for mount in ["mine", "other"] {
            api.delete(&format!("sys/auth/{mount}")).status(204);
        }
        server.expect_plugins(0);
    }
}

struct Approle;

impl Method for Approle {
    const NAME: &'static str = "approle";
    const KEPT: &'static str = "role/ci";

    fn program() -> PathBuf {
        tools::our_approle()
    }

    fn configure(api: &Api, at: &str) -> Value {
        let role = json!({"token_policies": ["deploy"], "token_ttl": "10m"});
        api.write(&format!("{at}/role/ci"), &role).status(204);
        let id = api.read(&format!("{at}/role/ci/role-id")).ok().string("role_id");
        let secret = api.write(&format!("{at}/role/ci/secret-id"), &json!({})).ok();
        json!({"role_id": id, "secret_id": secret.string("secret_id")})
    }

    fn log_in(api: &Api, at: &str, with: &Value) -> Answer {
        api.write(&format!("{at}/login"), with)
    }

    fn meta() -> Value {
        json!({"role_name": "ci"})
    }

    fn refuses(api: &Api, at: &str, with: &Value) {
        let mut wrong = with.clone();
        wrong["secret_id"] = json!("another");
        Self::log_in(api, at, &wrong).status(400).refused(&["invalid role or secret ID"]);
        let once = api
            .write(&format!("{at}/role/ci/secret-id"), &json!({"num_uses": 1}))
            .ok()
            .string("secret_id");
        let mut once_only = with.clone();
        once_only["secret_id"] = json!(once);
        Self::log_in(api, at, &once_only).ok();
        Self::log_in(api, at, &once_only).status(400);
    }
}

#[test]
fn approle_logs_in_wherever_it_runs() {
    life::<Approle>();
}

struct Userpass;

impl Method for Userpass {
    const NAME: &'static str = "userpass";
    const KEPT: &'static str = "users/somebody";

    fn program() -> PathBuf {
        tools::our_userpass()
    }

    fn configure(api: &Api, at: &str) -> Value {
        let user = json!({"password": "first", "token_policies": ["deploy"], "token_ttl": "10m"});
        api.write(&format!("{at}/users/somebody"), &user).status(204);
        let changed = json!({"password": "second"});
        api.write(&format!("{at}/users/somebody/password"), &changed).status(204);
        changed
    }

    fn log_in(api: &Api, at: &str, with: &Value) -> Answer {
        api.write(&format!("{at}/login/somebody"), with)
    }

    fn meta() -> Value {
        json!({"username": "somebody"})
    }

    fn refuses(api: &Api, at: &str, _: &Value) {
        Self::log_in(api, at, &json!({"password": "first"}))
            .status(400)
            .refused(&["invalid username or password"]);
        assert_eq!(api.list(&format!("{at}/users")).ok().data()["keys"], json!(["somebody"]));
        let read = api.read(&format!("{at}/users/somebody")).ok().data();
        assert!(!read.to_string().contains("second"), "a password is never shown");
    }
}

#[test]
fn userpass_logs_in_wherever_it_runs() {
    life::<Userpass>();
}
