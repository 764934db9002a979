//! The walk through `docs/patch-a-builtin.md`, command by command as the page has them: a built-in is
//! changed, built, registered under its own name, used, and given up again.
//!
//! Two things differ from what a reader does. The sources are a copy, because the walk changes them.
//! The build is not optimised, because that alone would take minutes and prove nothing more.

use boltwork_e2e::{Kind, Scratch, Server, tools};
use std::path::Path;
use std::process::Command;

const PAGE: &str = include_str!("../../../docs/patch-a-builtin.md");

/// The page's commands, in one script that stops at the first failure and shows what it runs.
fn commands(plugins: &Path, built: &Path) -> String {
    let blocks = PAGE.split("```sh\n").skip(1).map(|rest| {
        rest.split_once("```").map(|(block, _)| block).expect("every block of the page ends")
    });
    let script: String = blocks.collect::<Vec<_>>().join("\n");
    for part in ["/usr/lib/boltwork/plugins", "--release", "target/release"] {
        assert!(script.contains(part), "the page no longer mentions {part}");
    }
    let script = script
        .replace("/usr/lib/boltwork/plugins", &plugins.display().to_string())
        .replace("target/release", &built.display().to_string())
        .replace(" --release", " --offline");
    format!("set -euxo pipefail\n{script}")
}

/// The files that are under version control, copied.
fn copy_sources(from: &Path, to: &Path) {
    let list = Command::new("git").arg("-C").arg(from).args(["ls-files", "-z"]).output();
    let list = list.expect("git runs");
    assert!(list.status.success(), "git lists no files in {}", from.display());
    for name in list.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let name = std::str::from_utf8(name).expect("names of files are text");
        let target = to.join(name);
        // What is deleted and not committed yet is still listed.
        if !from.join(name).is_file() {
            continue;
        }
        std::fs::create_dir_all(target.parent().expect("a folder")).expect("a folder is made");
        std::fs::copy(from.join(name), target).expect("a source is copied");
    }
}

#[test]
fn the_walk_through_patching_a_builtin_works() {
    if Kind::under_test() == Kind::Bao {
        return tools::skip("the page is about the plugins that are built into boltwork");
    }
    let Some(server) = Server::memory() else { return };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let scratch = Scratch::new();
    let sources = scratch.folder("sources");
    copy_sources(&root, &sources);
    let program = tools::boltwork();
    let beside = program.parent().expect("the server's program lies in a folder");
    let path = format!("{}:{}", beside.display(), std::env::var("PATH").expect("there is a PATH"));
    // What the plugin needs was compiled with the server, and is taken from there; what comes out
    // must not replace the plugin that other tests use.
    let compiled = std::env::var_os("CARGO_BUILD_BUILD_DIR")
        .unwrap_or_else(|| beside.parent().unwrap_or(beside).into());
    let target = scratch.folder("target");
    let script = commands(&server.plugin_folder(), &target.join("debug"));
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(&sources)
        .env("PATH", path)
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_BUILD_BUILD_DIR", compiled)
        .env("VAULT_ADDR", server.url())
        .env("VAULT_TOKEN", server.token())
        .output()
        .expect("bash runs");
    let said = format!(
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "a command of the page failed:\n{said}");
    for shown in ["v0.1.1-site.1", "site:north"] {
        assert!(said.contains(shown), "{shown} is not shown:\n{said}");
    }
    server.expect_plugins(0);
}
