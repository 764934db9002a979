//! The programs that tests need, and what becomes of a test whose program is missing.
//!
//! Left out on purpose: getting them. `tools/install.sh` does that before the tests run.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// OpenBao's server and CLI; `None` skips the calling test.
pub fn bao() -> Option<PathBuf> {
    need("bao", "OpenBao's program is not in .tools/bin")
}

/// HashiCorp's kv engine, built from its Go module; `None` skips the calling test.
pub fn go_kv() -> Option<PathBuf> {
    need("vault-plugin-secrets-kv", "HashiCorp's kv plugin is not in .tools/bin; it needs Go")
}

/// Our Go plugin; `None` skips the calling test.
pub fn mock() -> Option<PathBuf> {
    need("mock-plugin", "the Go mock plugin is not in .tools/bin; it needs Go")
}

/// The mock backend of OpenBao's SDK, served; `None` skips the calling test.
pub fn openbao_mock() -> Option<PathBuf> {
    need("openbao-mock", "OpenBao's mock backend is not in .tools/bin; it needs Go")
}

/// A Go plugin of other people, built from its module, by the name of its program and its version
/// (`vault-plugin-auth-jwt@v0.26.1`); `None` skips the calling test.
///
/// # Panics
///
/// If `tools/versions.sh` does not ask for it: then no installation would ever bring it.
pub fn foreign(program: &str) -> Option<PathBuf> {
    let versions = root().join("tools/versions.sh");
    let asked = std::fs::read_to_string(&versions).expect("tools/versions.sh is there");
    assert!(asked.contains(&format!("/{program}\n")), "tools/versions.sh does not name {program}");
    need(&format!("foreign/{program}"), &format!("{program} is not in .tools/bin; it needs Go"))
}

/// A server of the system's packages that a foreign plugin manages; `None` skips the calling test.
pub fn service(program: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let found = path
        .split(':')
        .chain(["/usr/sbin", "/usr/local/sbin", "/sbin"])
        .map(|folder| Path::new(folder).join(program))
        .find(|candidate| candidate.is_file());
    if found.is_none() {
        skip(&format!("{program} is not installed; on Debian it is a package"));
    }
    found
}

/// A file of this repository.
pub fn repository(path: &str) -> PathBuf {
    root().join(path)
}

/// Our database plugin in Go; `None` skips the calling test.
pub fn mock_database() -> Option<PathBuf> {
    need("mock-database", "the Go mock database is not in .tools/bin; it needs Go")
}

/// The server that all of this is about.
///
/// # Panics
///
/// If it has not been built: that is no reason to skip anything.
pub fn boltwork() -> PathBuf {
    built("boltwork", "BOLTWORK_BIN")
}

/// Our kv engine as a program of its own.
///
/// # Panics
///
/// If it has not been built.
pub fn our_kv() -> PathBuf {
    built("boltwork-secret-kv", "BOLTWORK_SECRET_KV_BIN")
}

/// The SDK's example of a database plugin.
///
/// # Panics
///
/// If it has not been built.
pub fn nginx_users() -> PathBuf {
    built("examples/nginx_users", "BOLTWORK_NGINX_USERS_BIN")
}

/// The SDK's example of a secrets engine that gives leased passwords.
///
/// # Panics
///
/// If it has not been built.
pub fn passwords() -> PathBuf {
    built("examples/passwords", "BOLTWORK_PASSWORDS_BIN")
}

/// Our PostgreSQL plugin as a program of its own.
///
/// # Panics
///
/// If it has not been built.
pub fn our_postgresql() -> PathBuf {
    built("boltwork-database-postgresql", "BOLTWORK_DATABASE_POSTGRESQL_BIN")
}

/// Our auth method `approle` as a program of its own.
///
/// # Panics
///
/// If it has not been built.
pub fn our_approle() -> PathBuf {
    built("boltwork-auth-approle", "BOLTWORK_AUTH_APPROLE_BIN")
}

/// Our auth method `userpass` as a program of its own.
///
/// # Panics
///
/// If it has not been built.
pub fn our_userpass() -> PathBuf {
    built("boltwork-auth-userpass", "BOLTWORK_AUTH_USERPASS_BIN")
}

/// The program that hurts whoever starts it as a plugin.
///
/// # Panics
///
/// If it has not been built, which Cargo does before any test.
pub fn misbehave() -> PathBuf {
    built("misbehave", "BOLTWORK_MISBEHAVE_BIN")
}

/// Says on stderr, and in the file that `make test` prints at its end, that the calling test does
/// not run.
pub fn skip(why: &str) {
    let thread = std::thread::current();
    let line = format!("skipped: {}: {why}\n", thread.name().unwrap_or("a test"));
    // Not `eprintln!`: the test harness swallows that of a test that passes.
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(file) = std::env::var_os("BOLTWORK_SKIPPED") {
        let opened = OpenOptions::new().create(true).append(true).open(file);
        opened
            .and_then(|mut file| file.write_all(line.as_bytes()))
            .expect("the list of skipped tests is writable");
    }
}

fn need(name: &str, why: &str) -> Option<PathBuf> {
    let path = tools_folder().join("bin").join(name);
    if path.is_file() {
        return Some(path);
    }
    skip(why);
    None
}

fn tools_folder() -> PathBuf {
    std::env::var_os("BOLTWORK_TOOLS").map_or_else(|| root().join(".tools"), PathBuf::from)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A program of this workspace: named by the environment, or beside the running test, or where Cargo
/// puts programs while it keeps tests elsewhere.
fn built(name: &str, variable: &str) -> PathBuf {
    if let Some(path) = std::env::var_os(variable) {
        return PathBuf::from(path);
    }
    let test = std::env::current_exe().expect("the running test has a path");
    let target = std::env::var_os("CARGO_TARGET_DIR");
    let target = target.map_or_else(|| root().join("target"), PathBuf::from).join("debug");
    let beside = test.ancestors().skip(1).take(2);
    let found =
        beside.chain([&*target]).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!("{name} is not built beside {}: run `make e2e`, or set {variable}", test.display())
    })
}
