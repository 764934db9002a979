//! Our host with a plugin, and our plugin with a host, that stand on HashiCorp's own library
//! (`tests/go/goplugin-peer`). Needs Go, and its modules once.

use std::path::{Path, PathBuf};

use go_plugin::host::start;
use go_plugin::log::Level;
use tokio::process::Command;
use tonic::service::Routes;

use crate::peer::{PeerService, call_back, echo, print};
use crate::scene::{Place, at, ear, until};
use crate::{Case, case};

pub const CASES: &[Case] = &[case!(our_host_runs_a_go_plugin), case!(a_go_host_runs_our_plugin)];

fn go() -> Option<PathBuf> {
    let listed = std::env::var_os("PATH").unwrap_or_default();
    let usual = PathBuf::from("/usr/local/go/bin");
    let mut folders = std::env::split_paths(&listed).chain([usual]);
    folders.find_map(|folder| Some(folder.join("go")).filter(|go| go.is_file()))
}

/// Builds the peer. Nothing if Go is not there; a failing build fails the case.
async fn peer(case: &str) -> Option<PathBuf> {
    let Some(go) = go() else {
        println!("skipped: {case}: Go is not installed");
        return None;
    };
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/go/goplugin-peer");
    if !source.is_dir() {
        println!("skipped: {case}: its source is not part of this package");
        return None;
    }
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("goplugin-peer");
    let mut build = Command::new(go);
    let built = build.arg("build").arg("-o").arg(&program).arg(".").current_dir(source).output();
    let built = built.await.unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    Some(program)
}

async fn our_host_runs_a_go_plugin() {
    let Some(program) = peer("our_host_runs_a_go_plugin").await else { return };
    let place = Place::new();
    let ear = ear();
    let mut command = at(program, &place);
    command.observer = ear.clone();
    let client = start(command).await.unwrap();
    assert_eq!(client.version(), 5);

    let big = "x".repeat(9 << 20);
    assert_eq!(echo(client.channel(), "hello").await.unwrap(), "hello");
    // A Go server takes four MiB unless its author raised that, and answers without a limit.
    let refused = echo(client.channel(), &big).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted);

    let served = client.broker().accept(|_| Routes::default().add_service(PeerService(None)));
    let served = served.await.unwrap();
    assert_eq!(call_back(client.channel(), served.id).await.unwrap(), "called back");

    print(client.channel(), "printed").await.unwrap();
    until("the output arrives", || *ear.printed.lock().unwrap() == b"printed").await;
    let heard = || {
        let lines = ear.lines.lock().unwrap();
        lines.iter().any(|line| line.level == Level::Info && line.fields.get("length").is_some())
    };
    until("the log arrives", heard).await;

    let exit = client.stop().await;
    assert_eq!(exit.status.unwrap().code(), Some(0));
    assert!(place.is_empty());
}

async fn a_go_host_runs_our_plugin() {
    let Some(program) = peer("a_go_host_runs_our_plugin").await else { return };
    let place = Place::new();
    let ran = Command::new(program)
        .arg("host")
        .arg(std::env::current_exe().unwrap())
        .args(["--role", "good"])
        .env("TMPDIR", place.path())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let (stdout, stderr) =
        (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert_eq!((stdout.trim(), ran.status.code()), ("ok", Some(0)), "{stderr}");
    assert!(place.is_empty(), "our plugin left its socket behind");
}
