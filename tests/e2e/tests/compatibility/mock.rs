//! The mock backend that OpenBao's developers test their own server with, as their SDK has it.
//!
//! Left out on purpose: `errors/rpc` and `errors/kill`, with which a backend asks to be restarted;
//! our own Go plugin is used for that.

use crate::life::{Foreign, Scenario, lead};
use boltwork_e2e::Api;
use serde_json::json;

struct Mock;

impl Scenario for Mock {
    fn configure(&self, api: &Api, at: &str) {
        api.read(&format!("{at}/kv/kept")).status(404);
        api.write(&format!("{at}/kv/kept"), &json!({"value": at})).ok();
    }

    fn works(&self, api: &Api, at: &str) {
        assert_eq!(api.read(&format!("{at}/kv/kept")).ok().string("value"), at);
        api.write(&format!("{at}/kv/more"), &json!({"value": "2"})).ok();
        assert_eq!(api.list(&format!("{at}/kv")).ok().data()["keys"], json!(["kept", "more"]));
        api.delete(&format!("{at}/kv/more")).status(204);
        assert_eq!(api.list(&format!("{at}/kv")).ok().data()["keys"], json!(["kept"]));

        let nobody = api.without_token();
        assert_eq!(nobody.read(&format!("{at}/special")).ok().string("data"), "foo");
        nobody.read(&format!("{at}/kv/kept")).status(403);
        let raw = api.read(&format!("{at}/raw")).ok();
        assert_eq!(
            (raw.text().as_str(), raw.header("content-type")),
            ("Response", Some("text/plain"))
        );

        // By the numbers of the protocol (`pb.ErrType…`).
        for (kind, status) in [(0, 500), (1, 500), (2, 500), (3, 403), (4, 400), (8, 403)] {
            let path = format!("{at}/errors/type");
            api.write(&path, &json!({"err_type": kind})).status(status);
        }
    }
}

#[test]
fn openbao_mock() {
    let foreign = Foreign {
        plugin: "openbao-mock@v2.6.2",
        kind: "secret",
        scenario: "entries, an open path, a raw answer, errors of each kind: the mock backend of \
                   OpenBao's own tests",
        env: &[],
    };
    lead(&foreign, &Mock);
}
