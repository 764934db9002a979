//! A plugin's file that is replaced after it was registered: before a start, between a start and a
//! restart, and between the check and the execution, again and again. What is put in its place
//! leaves a mark if it ever runs.
//!
//! Left out: who may write to the plugin directory.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use boltwork_logical::{PluginId, Plugins, Registration};
use support::{Mount, Server, kill9, secret, tool, wait_for};

const MOCK: &str = "v0.0.0+mock";
const MISMATCH: &str = "checksums did not match";

/// What replaces the plugin.
#[derive(Clone, Copy, Debug)]
enum Evil {
    /// `touch`, which makes the file that is the plugin's only argument.
    Binary,
    /// A script that makes it.
    Script,
}

/// How it gets into the plugin's place.
#[derive(Clone, Copy, Debug)]
enum Swap {
    /// As another file of the same name.
    Rename,
    /// Into the same file.
    Rewrite,
}

/// A server with a registered plugin, and what shall never run.
struct Scene {
    server: Server,
    id: PluginId,
    /// The plugin's file.
    file: PathBuf,
    good: Vec<u8>,
    evil: Vec<u8>,
    mark: PathBuf,
}

impl Scene {
    /// With a program, or with a script that starts it.
    async fn new(script: bool, evil: Evil) -> Option<Self> {
        let program = tool("mock-plugin")?;
        let server = Server::new().await;
        let mark = server.folder.join("mark");
        let registration = match script {
            false => server.install(&program, "mock"),
            true => {
                server.script("mock", &format!("#!/bin/sh\nexec {} \"$@\"\n", program.display()))
            }
        };
        let args = vec![mark.to_str().unwrap().to_owned()];
        server.host.register(Registration { args, ..registration }).await.unwrap();
        let file = server.folder.join("plugins/mock");
        let good = fs::read(&file).unwrap();
        let evil = match evil {
            Evil::Binary => fs::read("/usr/bin/touch").unwrap(),
            Evil::Script => format!("#!/bin/sh\ntouch {}\n", mark.display()).into_bytes(),
        };
        Some(Self { server, id: secret("mock", MOCK), file, good, evil, mark })
    }

    async fn mount(&self) -> Result<Mount, String> {
        self.server.mount(&self.id, "mock/").await.map_err(|error| error.to_string())
    }

    /// Puts something in the plugin's place.
    fn put(&self, bytes: &[u8], swap: Swap) {
        match swap {
            Swap::Rename => {
                let new = self.file.with_extension("new");
                fs::write(&new, bytes).unwrap();
                fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
                fs::rename(&new, &self.file).unwrap();
            }
            Swap::Rewrite => fs::write(&self.file, bytes).unwrap(),
        }
    }

    fn expect_no_mark(&self) {
        assert!(!self.mark.exists(), "what was put in the plugin's place has run");
    }
}

/// What it would do if it ran: without this, no mark would prove nothing.
fn leaves_a_mark(scene: &Scene) {
    let elsewhere = scene.server.folder.join("elsewhere");
    scene.put(&scene.evil, Swap::Rename);
    fs::copy(&scene.file, &elsewhere).unwrap();
    // By another process: this one must not hold the file open for writing while it forks.
    let run = format!("cp {0} {0}.run && {0}.run {1}", elsewhere.display(), scene.mark.display());
    assert!(std::process::Command::new("sh").args(["-c", &run]).status().unwrap().success());
    assert!(scene.mark.exists());
    fs::remove_file(&scene.mark).unwrap();
    scene.put(&scene.good, Swap::Rename);
}

async fn serves(mount: &Mount) {
    assert_eq!(mount.field("internal", "value").await, "bar");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_replaced_between_registration_and_start_does_not_run() {
    for evil in [Evil::Binary, Evil::Script] {
        for swap in [Swap::Rename, Swap::Rewrite] {
            let Some(scene) = Scene::new(false, evil).await else { return };
            leaves_a_mark(&scene);
            scene.put(&scene.evil, swap);
            let refused = scene.mount().await.err().unwrap();
            assert!(refused.contains(MISMATCH), "{evil:?} {swap:?}: {refused}");
            scene.expect_no_mark();
            scene.put(&scene.good, swap);
            let mount = scene.mount().await.unwrap();
            serves(&mount).await;
            mount.backend().cleanup().await;
            scene.server.expect_nothing_left().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_replaced_between_start_and_restart_does_not_run() {
    for (script, evil) in [(false, Evil::Binary), (false, Evil::Script), (true, Evil::Script)] {
        for swap in [Swap::Rename, Swap::Rewrite] {
            let Some(scene) = Scene::new(script, evil).await else { return };
            let mount = scene.mount().await.unwrap();
            let first = mount.pid().await;
            scene.put(&scene.evil, swap);
            serves(&mount).await;
            assert_eq!(mount.pid().await, first, "what runs is not touched");
            kill9(first);
            wait_for("it is gone", || !support::is_alive(first)).await;
            let refused = mount.read("internal").await.unwrap_err().to_string();
            assert!(refused.contains(MISMATCH), "{script} {evil:?} {swap:?}: {refused}");
            scene.expect_no_mark();
            scene.put(&scene.good, swap);
            support::eventually("it is back", async || mount.read("internal").await.is_ok()).await;
            serves(&mount).await;
            scene.expect_no_mark();
            mount.backend().cleanup().await;
            scene.server.expect_nothing_left().await;
        }
    }
}

/// Swaps the file until told to stop. Each is there for a while that is another each time, the evil
/// one for none at all every fourth time, so that every moment of a start is hit.
fn race(scene: &Scene, swap: Swap, stop: &AtomicBool) {
    for round in 0.. {
        scene.put(&scene.good, swap);
        std::thread::sleep(Duration::from_millis(round % 20 * 7));
        if stop.load(Ordering::SeqCst) {
            return;
        }
        scene.put(&scene.evil, swap);
        std::thread::sleep(Duration::from_millis(round % 4 * 5));
    }
}

/// Starts the plugin while somebody swaps its file, until both outcomes were seen often enough.
async fn starts(scene: &Scene, told: &str) {
    let (mut good, mut refused) = (0, 0);
    let begun = Instant::now();
    while good < 5 || refused < 5 {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{told}: {good} good, {refused} refused"
        );
        match scene.mount().await {
            Ok(mount) => {
                serves(&mount).await;
                mount.backend().cleanup().await;
                scene.server.expect_nothing_left().await;
                good += 1;
            }
            Err(error) => {
                // A file may be found while it is empty or shorter, too: no checksum fits that.
                assert!(error.contains(MISMATCH), "{told}: {error}");
                refused += 1;
            }
        }
        scene.expect_no_mark();
    }
}

async fn nobody_wins(script: bool, evil: Evil, swap: Swap) {
    let Some(scene) = Scene::new(script, evil).await else { return };
    leaves_a_mark(&scene);
    let stop = AtomicBool::new(false);
    let told = format!("script: {script}, {evil:?}, {swap:?}");
    let runtime = tokio::runtime::Handle::current();
    std::thread::scope(|threads| {
        let racing = threads.spawn(|| race(&scene, swap, &stop));
        let starting = threads.spawn(|| runtime.block_on(starts(&scene, &told)));
        let outcome = starting.join();
        stop.store(true, Ordering::SeqCst);
        racing.join().unwrap();
        outcome.unwrap();
    });
    scene.expect_no_mark();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_wins_the_race_between_check_and_execution_of_a_program() {
    for evil in [Evil::Binary, Evil::Script] {
        nobody_wins(false, evil, Swap::Rename).await;
        nobody_wins(false, evil, Swap::Rewrite).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_wins_the_race_between_check_and_execution_of_a_script() {
    nobody_wins(true, Evil::Script, Swap::Rename).await;
    nobody_wins(true, Evil::Script, Swap::Rewrite).await;
}
