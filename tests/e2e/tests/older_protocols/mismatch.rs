//! Plugins that say one thing of themselves when they are mounted and are another when they are
//! started for a request.
//!
//! Left out on purpose: plugins of protocol 5, which are asked in the process that serves.

use crate::behind_script;
use boltwork_e2e::{Answer, Plugin, Server, tools, wait_for};
use std::fs;
use std::path::{Path, PathBuf};

/// The plugin answers as the first program when it is only asked, and is the second one in earnest
/// while a file is there.
fn two_faced(server: &Server, asked: &Path, real: &Path) -> (Plugin, PathBuf) {
    let switch = server.folder().join("other");
    let lines = format!(
        "if [ \"$VAULT_PLUGIN_METADATA_MODE\" != true ] && [ -e '{}' ]; then exec '{}' \"$@\"; fi",
        switch.display(),
        real.display()
    );
    (behind_script(server, asked, "old", &lines), switch)
}

/// The first request fails with exactly this, and so does a start after the process has died; nothing
/// runs then, and the status tells the same. A plugin that is itself again answers with `well`.
#[track_caller]
fn is_refused(server: &Server, switch: &Path, text: &str, ask: impl Fn() -> Answer, well: u16) {
    for died in [false, true] {
        fs::write(switch, "").expect("the other face");
        if died {
            server.kill_plugins("");
        }
        let answer = ask();
        assert_eq!((answer.status, answer.errors().as_str()), (500, text), "died: {died}");
        server.expect_plugins(0);
        let status = server.api().read("sys/plugins/status").ok().data();
        assert_eq!(status["plugins"].as_array().map(Vec::len), Some(1), "{status}");
        let one = &status["plugins"][0];
        assert_eq!(one["state"], "unavailable");
        assert!(one["last_exit"].as_str().is_some_and(|why| why.contains(text)), "{status}");
        fs::remove_file(switch).expect("the first face again");
        wait_for("the plugin is itself again", || (ask().status == well).then_some(()));
        server.expect_plugins(1);
    }
}

fn server() -> Option<Server> {
    let server = Server::memory()?;
    if server.is_bao() {
        tools::skip("OpenBao has no status of plugins");
        return None;
    }
    Some(server)
}

#[test]
fn a_plugin_that_is_of_another_type_in_earnest_is_refused_at_its_first_request() {
    let Some(server) = server() else { return };
    let (plugin, switch) = two_faced(&server, &tools::our_kv(), &tools::our_approle());
    server.run(&plugin, "old");
    let text = "mismatch on mounted backend and plugin backend type";
    is_refused(&server, &switch, text, || server.api().read("old/key"), 404);
}

#[test]
fn a_plugin_that_has_other_special_paths_in_earnest_is_refused_at_its_first_request() {
    let Some(server) = server() else { return };
    let (plugin, switch) = two_faced(&server, &tools::our_approle(), &tools::our_userpass());
    server.run(&plugin.kind("auth"), "old");
    let text = "mismatch on mounted backend and plugin backend special paths";
    is_refused(&server, &switch, text, || server.api().list("auth/old/role"), 404);
}
