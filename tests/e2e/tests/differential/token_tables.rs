//! What is asked about roles of the token store, about leases and about wrapping.

use super::{Step, Who};

/// Roles: write, read, make tokens, tidy.
pub const ROLES: &[Step] = &[
    Step::new("no roles", "LIST", "/v1/auth/token/roles"),
    Step::new("read no role", "GET", "/v1/auth/token/roles/none"),
    Step::new("write a plain role", "POST", "/v1/auth/token/roles/plain").body(r#"{}"#),
    Step::new("read the plain role", "GET", "/v1/auth/token/roles/plain"),
    Step::new("write a role", "POST", "/v1/auth/token/roles/full").body(r#"{"allowed_policies":"b,a,A","disallowed_policies":["evil"],"disallowed_policies_glob":"evil-*","orphan":true,"token_period":"1h","token_bound_cidrs":"127.0.0.1,10.0.0.0/8","path_suffix":"suffix","token_num_uses":5,"token_explicit_max_ttl":"2h","allowed_entity_aliases":"Some,other-*"}"#),
    Step::new("read the role", "GET", "/v1/auth/token/roles/full"),
    Step::new("change one field", "POST", "/v1/auth/token/roles/full").body(r#"{"token_num_uses":0}"#),
    Step::new("read the changed role", "GET", "/v1/auth/token/roles/full"),
    Step::new("write old names", "POST", "/v1/auth/token/roles/old").body(r#"{"period":"30m","explicit_max_ttl":3600,"bound_cidrs":["127.0.0.1/32"]}"#),
    Step::new("read old names", "GET", "/v1/auth/token/roles/old"),
    Step::new("write both names", "POST", "/v1/auth/token/roles/old").body(r#"{"period":"30m","token_period":"20m"}"#),
    Step::new("read both names", "GET", "/v1/auth/token/roles/old"),
    Step::new("write globs", "POST", "/v1/auth/token/roles/globs").body(r#"{"allowed_policies_glob":"dev-*","renewable":false}"#),
    Step::new("write a batch role", "POST", "/v1/auth/token/roles/batch").body(r#"{"token_type":"batch","orphan":true,"renewable":false}"#),
    Step::new("read the batch role", "GET", "/v1/auth/token/roles/batch"),
    Step::new("batch with a parent", "POST", "/v1/auth/token/roles/bad").body(r#"{"token_type":"batch"}"#),
    Step::new("batch and renewable", "POST", "/v1/auth/token/roles/bad").body(r#"{"token_type":"batch","orphan":true}"#),
    Step::new("batch and periodic", "POST", "/v1/auth/token/roles/bad").body(r#"{"token_type":"batch","orphan":true,"renewable":false,"token_period":60}"#),
    Step::new("batch with a maximum", "POST", "/v1/auth/token/roles/bad").body(r#"{"token_type":"batch","orphan":true,"renewable":false,"token_explicit_max_ttl":60}"#),
    Step::new("a bad type", "POST", "/v1/auth/token/roles/bad").body(r#"{"token_type":"weird"}"#),
    Step::new("a bad suffix", "POST", "/v1/auth/token/roles/bad").body(r#"{"path_suffix":"a b"}"#),
    Step::new("a suffix that climbs", "POST", "/v1/auth/token/roles/bad").body(r#"{"path_suffix":"abc/../def"}"#),
    Step::new("negative uses", "POST", "/v1/auth/token/roles/bad").body(r#"{"token_num_uses":-1}"#),
    Step::new("a huge maximum", "POST", "/v1/auth/token/roles/huge").body(r#"{"token_explicit_max_ttl":"99999h"}"#),
    Step::new("roles", "LIST", "/v1/auth/token/roles"),
    Step::new("roles by GET", "GET", "/v1/auth/token/roles?list=true"),
    Step::new("create by plain", "POST", "/v1/auth/token/create/plain").body(r#"{"policies":["default"]}"#),
    Step::new("create by full", "POST", "/v1/auth/token/create/full").body(r#"{}"#).keep("full", "/auth/client_token"),
    Step::new("look up full", "POST", "/v1/auth/token/lookup").body(r#"{"token":"{full}"}"#),
    Step::new("renew full", "POST", "/v1/auth/token/renew").body(r#"{"token":"{full}"}"#),
    Step::new("create by full with less", "POST", "/v1/auth/token/create/full").body(r#"{"policies":["a"],"num_uses":3,"explicit_max_ttl":"1h","period":"2h","meta":{"k":"v"}}"#),
    Step::new("create by full without default", "POST", "/v1/auth/token/create/full").body(r#"{"no_default_policy":true}"#),
    Step::new("create by full with others", "POST", "/v1/auth/token/create/full").body(r#"{"policies":["c"]}"#),
    Step::new("create by globs", "POST", "/v1/auth/token/create/globs").body(r#"{"policies":["dev-web"]}"#),
    Step::new("create by globs with others", "POST", "/v1/auth/token/create/globs").body(r#"{"policies":["prod"]}"#),
    Step::new("create by batch", "POST", "/v1/auth/token/create/batch").body(r#"{"policies":["default"]}"#).keep("batch", "/auth/client_token"),
    Step::new("self as batch", "GET", "/v1/auth/token/lookup-self").who(Who::Kept("batch")),
    Step::new("cubbyhole of batch", "POST", "/v1/cubbyhole/a").body(r#"{"a":"1"}"#).who(Who::Kept("batch")),
    Step::new("child of batch", "POST", "/v1/auth/token/create").body(r#"{}"#).who(Who::Kept("batch")),
    Step::new("create by nothing", "POST", "/v1/auth/token/create/none").body(r#"{}"#),
    Step::new("an alias without a role", "POST", "/v1/auth/token/create").body(r#"{"entity_alias":"x"}"#),
    Step::new("an alias that is not allowed", "POST", "/v1/auth/token/create/full").body(r#"{"entity_alias":"x"}"#),
    Step::new("batch root", "POST", "/v1/auth/token/create").body(r#"{"type":"batch"}"#),
    Step::new("batch with uses", "POST", "/v1/auth/token/create").body(r#"{"type":"batch","num_uses":2,"policies":["default"]}"#),
    Step::new("batch with a period", "POST", "/v1/auth/token/create").body(r#"{"type":"batch","period":"1h","policies":["default"]}"#),
    Step::new("an id with a point", "POST", "/v1/auth/token/create").body(r#"{"id":"a.b"}"#),
    Step::new("an id like ours", "POST", "/v1/auth/token/create").body(r#"{"id":"hvs.b"}"#),
    Step::new("tidy", "POST", "/v1/auth/token/tidy"),
    Step::new("delete a role", "DELETE", "/v1/auth/token/roles/full"),
    Step::new("delete no role", "DELETE", "/v1/auth/token/roles/none"),
    Step::new("renew without the role", "POST", "/v1/auth/token/renew").body(r#"{"token":"{full}"}"#),
    Step::new("renew by an accessor of nobody", "POST", "/v1/auth/token/renew-accessor").body(r#"{"accessor":"none"}"#),
    Step::new("renew by no accessor", "POST", "/v1/auth/token/renew-accessor").body(r#"{}"#),
    Step::new("revoke by no accessor", "POST", "/v1/auth/token/revoke-accessor").body(r#"{}"#),
    Step::new("revoke an orphan of nobody", "POST", "/v1/auth/token/revoke-orphan").body(r#"{"token":"none"}"#),
    Step::new("revoke an orphan of none", "POST", "/v1/auth/token/revoke-orphan").body(r#"{}"#),
];

/// Leases where there are none, by all their paths.
pub const LEASES: &[Step] = &[
    Step::new("look up nothing", "POST", "/v1/sys/leases/lookup").body(r#"{}"#),
    Step::new("look up nobody", "POST", "/v1/sys/leases/lookup").body(r#"{"lease_id":"a/b/c"}"#),
    Step::new("list at the root", "LIST", "/v1/sys/leases/lookup"),
    Step::new("list below", "LIST", "/v1/sys/leases/lookup/a/b"),
    Step::new("renew nothing", "POST", "/v1/sys/leases/renew").body(r#"{}"#),
    Step::new("renew nobody", "POST", "/v1/sys/leases/renew").body(r#"{"lease_id":"a/b/c"}"#),
    Step::new("renew nobody by path", "POST", "/v1/sys/leases/renew/a/b/c"),
    Step::new("renew nobody by PUT", "PUT", "/v1/sys/renew").body(r#"{"lease_id":"a/b/c"}"#),
    Step::new("renew nobody by the old path", "PUT", "/v1/sys/renew/a/b/c"),
    Step::new("revoke nothing", "POST", "/v1/sys/leases/revoke").body(r#"{}"#),
    Step::new("revoke nobody", "POST", "/v1/sys/leases/revoke").body(r#"{"lease_id":"a/b/c"}"#),
    Step::new("revoke nobody now", "POST", "/v1/sys/leases/revoke")
        .body(r#"{"lease_id":"a/b/c","sync":true}"#),
    Step::new("revoke nobody by path", "PUT", "/v1/sys/leases/revoke/a/b/c"),
    Step::new("revoke nobody by the old path", "PUT", "/v1/sys/revoke/a/b/c"),
    Step::new("revoke nobody by the old name", "PUT", "/v1/sys/revoke")
        .body(r#"{"lease_id":"a/b/c"}"#),
    Step::new("revoke a prefix", "PUT", "/v1/sys/leases/revoke-prefix/a/b"),
    Step::new("revoke a prefix by the old path", "PUT", "/v1/sys/revoke-prefix/a/b"),
    Step::new("revoke a prefix later", "PUT", "/v1/sys/leases/revoke-prefix/a/b")
        .body(r#"{"sync":false}"#),
    Step::new("force", "PUT", "/v1/sys/leases/revoke-force/a/b"),
    Step::new("force by the old path", "PUT", "/v1/sys/revoke-force/a/b"),
    Step::new("tidy", "POST", "/v1/sys/leases/tidy"),
    Step::new("count", "GET", "/v1/sys/leases/count"),
    Step::new("count all", "GET", "/v1/sys/leases/count?type=all"),
    Step::new(
        "count the irrevocable",
        "GET",
        "/v1/sys/leases/count?type=irrevocable&include_child_namespaces=true",
    ),
    Step::new("the leases", "GET", "/v1/sys/leases"),
    Step::new("the irrevocable", "GET", "/v1/sys/leases?type=irrevocable"),
    Step::new("few of the irrevocable", "GET", "/v1/sys/leases?type=irrevocable&limit=5"),
    Step::new("none of the irrevocable", "GET", "/v1/sys/leases?type=irrevocable&limit=none"),
    Step::new("a bad limit", "GET", "/v1/sys/leases?type=irrevocable&limit=x"),
];

/// Wrapping and cubbyholes.
pub const WRAPPING: &[Step] = &[
    Step::new("wrap without a ttl", "POST", "/v1/sys/wrapping/wrap").body(r#"{"a":"1"}"#),
    Step::new("wrap", "POST", "/v1/sys/wrapping/wrap")
        .body(r#"{"a":"1"}"#)
        .wrap("60")
        .keep("one", "/wrap_info/token"),
    Step::new("look up", "POST", "/v1/sys/wrapping/lookup").body(r#"{"token":"{one}"}"#),
    Step::new("look up by nobody", "POST", "/v1/sys/wrapping/lookup")
        .body(r#"{"token":"{one}"}"#)
        .who(Who::Nobody),
    Step::new("look up by GET", "GET", "/v1/sys/wrapping/lookup").who(Who::Kept("one")),
    Step::new("rewrap", "POST", "/v1/sys/wrapping/rewrap")
        .body(r#"{"token":"{one}"}"#)
        .keep("two", "/wrap_info/token"),
    Step::new("unwrap what was rewrapped", "POST", "/v1/sys/wrapping/unwrap")
        .body(r#"{"token":"{one}"}"#),
    Step::new("unwrap by its own token", "POST", "/v1/sys/wrapping/unwrap").who(Who::Kept("two")),
    Step::new("unwrap again", "POST", "/v1/sys/wrapping/unwrap").who(Who::Kept("two")),
    Step::new("wrap nothing", "POST", "/v1/sys/wrapping/wrap")
        .wrap("60")
        .keep("three", "/wrap_info/token"),
    Step::new("unwrap nothing", "POST", "/v1/sys/wrapping/unwrap").body(r#"{"token":"{three}"}"#),
    Step::new("wrap a token", "POST", "/v1/auth/token/create")
        .body(r#"{"policies":["default"]}"#)
        .wrap("5m")
        .keep("four", "/wrap_info/token"),
    Step::new("unwrap a token", "POST", "/v1/sys/wrapping/unwrap")
        .body(r#"{"token":"{four}"}"#)
        .keep("user", "/auth/client_token"),
    Step::new("wrap an error", "POST", "/v1/auth/token/create")
        .body(r#"{"type":"weird"}"#)
        .wrap("60"),
    Step::new("wrap a missing one", "GET", "/v1/cubbyhole/none").wrap("60"),
    Step::new("wrap a bad ttl", "POST", "/v1/sys/wrapping/wrap").body(r#"{"a":"1"}"#).wrap("soon"),
    Step::new("wrap for no time", "POST", "/v1/sys/wrapping/wrap").body(r#"{"a":"1"}"#).wrap("0"),
    Step::new("unwrap an empty token", "POST", "/v1/sys/wrapping/unwrap").body(r#"{"token":""}"#),
    Step::new("unwrap root", "POST", "/v1/sys/wrapping/unwrap"),
    Step::new("unwrap nobody", "POST", "/v1/sys/wrapping/unwrap").body(r#"{"token":"none"}"#),
    Step::new("rewrap nobody", "POST", "/v1/sys/wrapping/rewrap").body(r#"{"token":"none"}"#),
    Step::new("look up none", "POST", "/v1/sys/wrapping/lookup").body(r#"{"token":"none"}"#),
    Step::new("keep", "POST", "/v1/cubbyhole/a/b").body(r#"{"x":"1"}"#).who(Who::Kept("user")),
    Step::new("read what was kept", "GET", "/v1/cubbyhole/a/b").who(Who::Kept("user")),
    Step::new("list what was kept", "LIST", "/v1/cubbyhole/a").who(Who::Kept("user")),
    Step::new("list all", "LIST", "/v1/cubbyhole").who(Who::Kept("user")),
    Step::new("another's", "GET", "/v1/cubbyhole/a/b"),
    Step::new("keep nothing", "POST", "/v1/cubbyhole/a").body(r#"{}"#),
    Step::new("drop", "DELETE", "/v1/cubbyhole/a/b").who(Who::Kept("user")),
    Step::new("list nothing", "LIST", "/v1/cubbyhole").who(Who::Kept("user")),
];
