//! `sys/metrics`: to whom it answers, and what it tells.

use boltwork_e2e::{Api, Kind, Server, Setup, free_port, tools, wait_for};
use serde_json::json;

/// A server with a second listener that shows its numbers to whoever asks.
fn start() -> Option<(Server, Api)> {
    if Kind::under_test() == Kind::Bao {
        return None;
    }
    let port = free_port();
    let lines = format!(
        "listener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  tls_disable = true\n  \
         telemetry {{ unauthenticated_metrics_access = true }}\n}}\n\
         telemetry {{ statsd_address = \"127.0.0.1:1\" }}\n"
    );
    let server = Setup { lines, ..Setup::default() }.start()?;
    let open = Api::new(([127, 0, 0, 1], port).into(), None);
    Some((server, open))
}

#[test]
fn numbers_need_a_token_but_on_listeners_that_are_open_for_them() {
    let Some((server, open)) = start() else { return };
    server.public().read("sys/metrics").status(403);
    assert!(server.api().read("sys/metrics").ok().json()["Gauges"].is_array());
    assert!(open.read("sys/metrics").ok().json()["Gauges"].is_array());
    open.read("sys/mounts").status(403);
    server.seal();
    let sealed = open.read("sys/metrics?format=prometheus").ok();
    assert!(sealed.text().contains("vault_core_unsealed 0"), "{}", sealed.text());
    assert!(server.log().contains("statsd_address"), "what has no effect is warned of");
}

#[test]
fn mounts_and_plugins_are_told_with_their_requests_memory_and_restarts() {
    let Some((server, open)) = start() else { return };
    let plugin = server.install(&tools::our_kv(), "my-kv");
    server.run(&plugin, "ext");
    for number in 0..3 {
        server.api().write(&format!("ext/a{number}"), &json!({ "x": "1" })).status(204);
    }
    server.kill_plugins("ext/a0");
    server.api().read("ext/a0").ok();
    wait_for("the process is a second old", || {
        let plugins = server.api().read("sys/plugins/status").ok().data();
        plugins["plugins"][0]["uptime_seconds"].as_u64().filter(|uptime| *uptime >= 1)
    });
    let page = open.read("sys/metrics?format=prometheus").ok().text();
    let value = |start: &str| -> f64 {
        let line = page.lines().find(|line| line.starts_with(start));
        let line = line.unwrap_or_else(|| panic!("{start} is not in {page}"));
        line.rsplit(' ').next().and_then(|n| n.parse().ok()).expect("a number")
    };
    assert!(value("vault_route_request_count{mount_point=\"ext/\"") >= 4.0);
    assert!(value("vault_route_start_count{mount_point=\"ext/\"") >= 1.0);
    assert!(value("vault_route_up{mount_point=\"ext/\"") == 1.0);
    let of = "{type=\"secret\",plugin=\"my-kv\"";
    assert!(value(&format!("vault_plugin_resident_bytes{of}")) > 100_000.0);
    assert!(value(&format!("vault_plugin_restarts{of}")) >= 1.0);
    assert!(value(&format!("vault_plugin_requests{of}")) >= 1.0);
    assert!(value(&format!("vault_plugin_uptime_seconds{of}")) >= 1.0);
    assert!(!page.contains("a0"), "a path that a client chose is no label");
}
