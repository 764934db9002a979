//! What policies promise, one claim a test.

use std::time::{Duration, SystemTime};

use boltwork_policy::{
    Acl, Ask, Capabilities, DEFAULT, Policy, RESPONSE_WRAPPING, Reason, Substitute,
};
use serde_json::{Map, Value, json};

type C = Capabilities;

fn acl(texts: &[&str]) -> Acl {
    let policies: Vec<_> =
        texts.iter().map(|text| Policy::parse("p", text).expect("a good policy")).collect();
    Acl::compile(&policies)
}

fn refusal(text: &str) -> String {
    Policy::parse("p", text).expect_err("a bad policy").to_string()
}

fn ask(acl: &Acl, capability: C, path: &str) -> bool {
    acl.decide(&Ask { path, capability, fields: None, wrap_ttl: None }).allowed
}

fn reason(acl: &Acl, capability: C, path: &str, fields: Value) -> Reason {
    let fields: Map<String, Value> = fields.as_object().cloned().expect("an object");
    acl.decide(&Ask { path, capability, fields: Some(&fields), wrap_ttl: None }).reason
}

#[test]
fn policies_layered_on_each_other_decide_as_vault_does() {
    let dev = r#"
        name = "dev"
        path "dev/*" { policy = "sudo" }
        path "stage/*" { policy = "write" }
        path "stage/aws/*" { policy = "read" capabilities = ["update", "sudo"] }
        path "stage/aws/policy/*" { policy = "sudo" }
        path "prod/*" { policy = "read" }
        path "prod/aws/*" { policy = "deny" }
        path "sys/*" { policy = "deny" }
        path "foo/bar" { capabilities = ["read", "create", "sudo"] }
    "#;
    let ops = r#"
        path "dev/hide/*" { policy = "deny" }
        path "stage/aws/policy/*" { policy = "deny" capabilities = ["read", "update", "sudo"] }
        path "prod/*" { policy = "write" }
        path "sys/seal" { policy = "sudo" }
        path "foo/bar" { capabilities = ["deny"] }
    "#;
    let acl = acl(&[dev, ops]);
    for (capability, path, allowed, sudo) in [
        (C::READ, "root", false, false),
        (C::READ, "dev/foo", true, true),
        (C::READ, "dev/hide/foo", false, false),
        (C::DELETE, "stage/foo", true, false),
        (C::LIST, "stage/aws/foo", true, true),
        (C::UPDATE, "stage/aws/foo", true, true),
        (C::UPDATE, "stage/aws/policy/foo", false, false),
        (C::DELETE, "prod/foo", true, false),
        (C::READ, "prod/aws/foo", false, false),
        (C::READ, "sys/status", false, false),
        (C::UPDATE, "sys/seal", true, true),
        (C::READ, "foo/bar", false, false),
        (C::READ, "/dev/foo", true, true),
    ] {
        let decision = acl.decide(&Ask { path, capability, fields: None, wrap_ttl: None });
        assert_eq!((decision.allowed, decision.sudo), (allowed, sudo), "{path}");
    }
}

#[test]
fn a_denial_wins_in_whatever_order_policies_come() {
    let (deny, grant) = (
        r#"path "a/*" { capabilities = ["deny"] }"#,
        r#"path "a/*" { capabilities = ["read", "sudo"] }"#,
    );
    for order in [[deny, grant], [grant, deny]] {
        let acl = acl(&order);
        let decision =
            acl.decide(&Ask { path: "a/b", capability: C::READ, fields: None, wrap_ttl: None });
        assert_eq!((decision.reason, decision.sudo), (Reason::Denied, false));
        assert_eq!(acl.capabilities("a/b"), ["deny"]);
    }
}

#[test]
fn json_means_the_same_as_hcl() {
    let hcl = r#"path "secret/*" { capabilities = ["read"] allowed_parameters { "a" = ["x"] } }
                 path "other" { policy = "write" }"#;
    let nested = r#"{"path": {"secret/*": {"capabilities": ["read"],
        "allowed_parameters": {"a": ["x"]}}, "other": {"policy": "write"}}}"#;
    let listed = r#"{"path": [{"secret/*": {"capabilities": ["read"],
        "allowed_parameters": {"a": ["x"]}}}, {"other": [{"policy": "write"}]}]}"#;
    for text in [hcl, nested, listed] {
        let acl = acl(&[text]);
        assert_eq!(acl.capabilities("secret/x"), ["read"], "{text}");
        assert_eq!(acl.capabilities("other"), ["create", "delete", "list", "read", "update"]);
        assert_eq!(reason(&acl, C::READ, "secret/x", json!({"a": "x"})), Reason::Granted);
        let refused = reason(&acl, C::READ, "secret/x", json!({"a": "y"}));
        assert_eq!(refused, Reason::ParameterNotAllowed);
    }
    // Nothing but objects inside: here an eager reader would take the parameter for a label.
    let only = acl(&[r#"{"path": {"s": {"allowed_parameters": {"a": []}}}}"#]);
    assert_eq!(only.capabilities("s"), ["deny"]);
}

#[test]
fn bad_policies_are_refused_in_the_words_that_scripts_know() {
    for (text, wanted) in [
        ("name = \"t\"\nbad = \"x\"\nnope = 1", "invalid key \"bad\" on line 2"),
        ("name = \"t\"\nbad = \"x\"\nnope = 1", "2 errors occurred:\n\t* "),
        (
            "path \"/\" {\n capabilities = [\"read\"]\n capabilites = []\n}",
            "failed to parse policy: 1 error occurred:\n\t* path \"/\": invalid key \"capabilites\" on line 3\n\n",
        ),
        (r#"path "/" { policy = "banana" }"#, r#"path "/": invalid policy "banana""#),
        (r#"path "/" { capabilities = ["banana"] }"#, r#"path "/": invalid capability "banana""#),
        (
            r#"path "a" { min_wrapping_ttl = 400 max_wrapping_ttl = "200s" }"#,
            "max_wrapping_ttl cannot be less than min_wrapping_ttl",
        ),
        (r#"path "foo/+*" { }"#, r#"path "foo/+*": invalid use of wildcards ('+*' is forbidden)"#),
        (r#"path "a/{{x" { }"#, "unbalanced templating characters"),
        (r#"path "a/x}}" { }"#, "unbalanced templating characters"),
        ("path \"a\" {\n capabilities = \"read\" }", "line 2, column 17: found a string, wanted"),
        ("path \"a\" {", "line 1, column 11: found the end of the text"),
        (r#"path "a" { expiration = "soon" }"#, r#"path "a": invalid expiration time"#),
        (r#"path "a" { control_group = { } }"#, "control_group on line 1 is not supported"),
    ] {
        let error = refusal(text);
        assert!(error.starts_with("failed to parse policy: "), "{error}");
        assert!(error.contains(wanted), "{error:?} lacks {wanted:?}");
    }
}

#[test]
fn lists_are_tried_without_their_slash_and_reads_are_not() {
    let acl = acl(&[r#"path "a/b" { policy = "write" } path "c/+" { policy = "read" }"#]);
    assert!(ask(&acl, C::LIST, "a/b/"));
    assert!(ask(&acl, C::LIST, "c/x/"));
    assert!(!ask(&acl, C::READ, "a/b/"));
    assert!(!ask(&acl, C::READ, "c/x/"));
}

#[test]
fn parameters_are_required_denied_and_allowed() {
    let acl = acl(&[r#"
        path "r" { policy = "write" required_parameters = ["Need"] }
        path "d" { policy = "write" denied_parameters = { "Bad" = [], "size" = [1, "big*"] } }
        path "i" { policy = "write" denied_parameters = { "n" = [9007199254740993] } }
        path "n" { policy = "write" denied_parameters = { "*" = [] } }
        path "a" { policy = "write" allowed_parameters = { "k" = ["*end"], "any" = [] } }
        path "s" { policy = "write" allowed_parameters = { "k" = ["v"], "*" = [] } }
    "#]);
    for (path, fields, wanted) in [
        ("r", json!({}), Reason::ParameterMissing),
        ("r", json!({"need": 1}), Reason::Granted),
        ("d", json!({"bad": 1}), Reason::ParameterDenied),
        ("d", json!({"BAD": 1}), Reason::ParameterDenied),
        ("d", json!({"size": 1.0}), Reason::ParameterDenied),
        ("d", json!({"size": "bigger"}), Reason::ParameterDenied),
        ("i", json!({"n": 9_007_199_254_740_992_i64}), Reason::Granted),
        ("i", json!({"n": 9_007_199_254_740_993_i64}), Reason::ParameterDenied),
        ("d", json!({"size": 2, "x": null}), Reason::Granted),
        ("n", json!({}), Reason::Granted),
        ("n", json!({"x": 1}), Reason::ParameterDenied),
        ("a", json!({"k": "the end", "any": [1]}), Reason::Granted),
        ("a", json!({"k": "other"}), Reason::ParameterNotAllowed),
        ("a", json!({"z": 1}), Reason::ParameterNotAllowed),
        ("s", json!({"z": 1, "k": "v"}), Reason::Granted),
        ("s", json!({"z": 1, "k": "w"}), Reason::ParameterNotAllowed),
    ] {
        assert_eq!(reason(&acl, C::UPDATE, path, fields.clone()), wanted, "{path} {fields}");
    }
    assert_eq!(reason(&acl, C::DELETE, "r", json!({})), Reason::Granted);
    let unread = Ask { path: "r", capability: C::UPDATE, fields: None, wrap_ttl: None };
    assert_eq!(acl.decide(&unread).reason, Reason::FieldsUnread);
    assert!(acl.looks_inside("a") && !acl.looks_inside("elsewhere"));
}

#[test]
fn parameters_of_two_policies_are_united_and_an_empty_list_swallows() {
    let acl = acl(&[
        r#"path "a" { policy = "write" allowed_parameters = { "x" = ["1"], "y" = ["1"] } }"#,
        r#"path "a" { policy = "write" allowed_parameters = { "x" = ["2"], "y" = [] }
                      required_parameters = ["x"] }"#,
    ]);
    let check = |fields| reason(&acl, C::UPDATE, "a", fields);
    assert_eq!(check(json!({"x": "1"})), Reason::Granted);
    assert_eq!(check(json!({"x": "2", "y": "anything"})), Reason::Granted);
    assert_eq!(check(json!({"x": "3"})), Reason::ParameterNotAllowed);
    assert_eq!(check(json!({"y": "1"})), Reason::ParameterMissing);
}

#[test]
fn wrapping_limits_hold_and_the_shorter_of_two_counts() {
    let acl = acl(&[
        r#"path "a" { policy = "read" min_wrapping_ttl = 10 max_wrapping_ttl = "1h" }"#,
        r#"path "a" { policy = "read" max_wrapping_ttl = "30s" }"#,
    ]);
    for (ttl, allowed) in
        [(None, false), (Some(9), false), (Some(10), true), (Some(30), true), (Some(31), false)]
    {
        let wrap_ttl = ttl.map(Duration::from_secs);
        let ask = Ask { path: "a", capability: C::READ, fields: None, wrap_ttl };
        assert_eq!(acl.decide(&ask).allowed, allowed, "{ttl:?}");
    }
}

#[test]
fn a_page_limit_is_handed_back_or_refuses() {
    let acl = acl(&[r#"path "a/*" { policy = "read" pagination_limit = 10 }"#]);
    let page = |fields: Value| {
        let fields = fields.as_object().cloned().expect("an object");
        let ask = Ask { path: "a/", capability: C::LIST, fields: Some(&fields), wrap_ttl: None };
        let decision = acl.decide(&ask);
        (decision.allowed, decision.page_limit)
    };
    assert_eq!(page(json!({})), (true, Some(10)));
    assert_eq!(page(json!({"limit": "max"})), (true, Some(10)));
    assert_eq!(page(json!({"limit": 0})), (true, Some(10)));
    assert_eq!(page(json!({"limit": "5"})), (true, None));
    assert_eq!(page(json!({"limit": 11})), (false, None));
    assert_eq!(page(json!({"limit": -1})), (false, None));
}

#[test]
fn an_expired_rule_says_nothing_and_the_table_knows_when_it_is_out_of_date() {
    let text = r#"path "a" { policy = "read" expiration = "2030-01-01T00:00:00Z" }
                  path "b" { policy = "read" expiration = "1000" }"#;
    let policy = Policy::parse("p", text).expect("a good policy");
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let before = Acl::compile_at([&policy], at(500));
    assert_eq!(before.valid_until(), Some(at(1000)));
    assert!(ask(&before, C::READ, "a") && ask(&before, C::READ, "b"));
    let between = Acl::compile_at([&policy], at(1000));
    assert!(ask(&between, C::READ, "a") && !ask(&between, C::READ, "b"));
    let after = Acl::compile_at([&policy], at(1_893_456_000));
    assert!(!ask(&after, C::READ, "a"));
    assert_eq!(after.valid_until(), None);
}

struct Named(&'static str);

impl Substitute for Named {
    fn value(&self, directive: &str) -> Option<String> {
        (directive == "identity.entity.name").then(|| self.0.to_owned())
    }
}

#[test]
fn a_template_grants_only_once_filled_and_never_widens() {
    let text = r#"path "home/{{ identity.entity.name }}/*" { policy = "read" }
                  path "id/{{identity.entity.id}}" { policy = "read" }"#;
    let policy = Policy::parse("p", text).expect("a good policy");
    assert!(policy.is_templated());
    let raw = Acl::compile([&policy]);
    assert!(!ask(&raw, C::READ, "home/{{ identity.entity.name }}/x"));
    let ann = Acl::compile([&policy.resolve(&Named("ann"))]);
    assert!(ask(&ann, C::READ, "home/ann/x"));
    assert!(!ask(&ann, C::READ, "home/bob/x") && !ask(&ann, C::READ, "id/"));
    for sly in ["*", "+", "a/b", "", "x*"] {
        let acl = Acl::compile([&policy.resolve(&Named(sly))]);
        assert_eq!(acl.rules().count(), 0, "{sly:?}");
    }
}

#[test]
fn root_may_do_everything_and_a_policy_called_root_may_not() {
    let root = Acl::root();
    let ask = Ask { path: "x", capability: C::SUDO, fields: None, wrap_ttl: None };
    let decision = root.decide(&ask);
    assert!(decision.allowed && decision.sudo && decision.root);
    assert_eq!(root.capabilities("x"), ["root"]);
    assert!(root.mount_visible("secret/"));
    let named = Policy::parse("root", "").expect("an empty policy");
    assert!(!Acl::compile([&named]).decide(&ask).allowed);
}

#[test]
fn a_mount_is_visible_where_anything_on_or_below_it_is_granted() {
    for (rule, visible) in [
        (r#"path "secret/data/a" { policy = "read" }"#, true),
        (r#"path "secret/*" { policy = "read" }"#, true),
        (r#"path "sec*" { policy = "read" }"#, true),
        (r#"path "secret/d*" { policy = "read" }"#, true),
        (r#"path "+/data/x" { policy = "read" }"#, true),
        (r#"path "+/*" { policy = "read" }"#, true),
        (r#"path "secret" { policy = "read" }"#, true),
        (r#"path "secrets/a" { policy = "read" }"#, false),
        (r#"path "other/+" { policy = "read" }"#, false),
        (r#"path "secret/a" { policy = "deny" }"#, false),
        (r#"path "secret/a" { comment = "nothing" }"#, false),
    ] {
        assert_eq!(acl(&[rule]).mount_visible("secret/"), visible, "{rule}");
    }
}

#[test]
fn the_granting_policies_are_named() {
    let a = Policy::parse("a", r#"path "x" { capabilities = ["read"] }"#).expect("good");
    let b = Policy::parse("b", r#"path "x" { capabilities = ["read", "list"] }"#).expect("good");
    let acl = Acl::compile([&a, &b]);
    assert_eq!(acl.granting_policies("x", C::READ), ["a", "b"]);
    assert_eq!(acl.granting_policies("x", C::LIST), ["b"]);
    assert!(acl.granting_policies("x", C::DELETE).is_empty());
}

#[test]
fn the_built_in_policies_grant_what_clients_count_on() {
    let default = Policy::parse(DEFAULT.0, DEFAULT.1).expect("the default policy");
    let acl = Acl::compile([&default]);
    assert_eq!(acl.capabilities("auth/token/lookup-self"), ["read"]);
    assert_eq!(acl.capabilities("sys/wrapping/unwrap"), ["update"]);
    assert_eq!(acl.capabilities("cubbyhole/x"), ["create", "delete", "list", "read", "update"]);
    assert_eq!(acl.capabilities("identity/oidc/provider/p/authorize"), ["read", "update"]);
    assert_eq!(acl.capabilities("secret/x"), ["deny"]);
    let (name, text) = RESPONSE_WRAPPING;
    let wrapping = Acl::compile([&Policy::parse(name, text).expect("the wrapping policy")]);
    assert_eq!(wrapping.capabilities("cubbyhole/response"), ["create", "read"]);
    assert_eq!(wrapping.capabilities("cubbyhole/other"), ["deny"]);
}

#[test]
fn every_capability_can_be_named_and_is_listed_in_order() {
    let names = ["deny", "sudo", "read", "list", "update", "delete", "create", "patch", "scan"];
    for name in names.iter().chain(&["subscribe", "recover"]) {
        assert_eq!(C::from_name(name).expect("known").names(), [*name]);
    }
    let all = names.iter().filter_map(|name| C::from_name(name)).fold(C::NONE, |a, b| a | b);
    assert_eq!(all.names(), names);
    assert_eq!(C::from_name("root"), None);
}
