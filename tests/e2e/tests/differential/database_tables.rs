//! Requests to the database engine that need no database: connections that nobody tries, roles, and
//! what is refused.

use crate::Step;

/// Connections, roles, static roles.
pub const DATABASE: &[Step] = &[
    Step::new("mount it", "POST", "/v1/sys/mounts/db").body(r#"{"type":"database"}"#),
    Step::new("no connections", "LIST", "/v1/db/config"),
    Step::new("a connection that is not there", "GET", "/v1/db/config/none"),
    Step::new("a connection without a plugin", "POST", "/v1/db/config/pg")
        .body(r#"{"connection_url":"postgresql://localhost/x"}"#),
    Step::new("a plugin that is not there", "POST", "/v1/db/config/pg")
        .body(r#"{"plugin_name":"no-such-plugin","verify_connection":false}"#),
    Step::new("a version that is none", "POST", "/v1/db/config/pg").body(
        r#"{"plugin_name":"postgresql-database-plugin","plugin_version":"x","verify_connection":false}"#,
    ),
    Step::new("a connection without an address", "POST", "/v1/db/config/pg")
        .body(r#"{"plugin_name":"postgresql-database-plugin","verify_connection":false}"#),
    Step::new("a connection", "POST", "/v1/db/config/pg").body(
        r#"{"plugin_name":"postgresql-database-plugin","verify_connection":false,
            "connection_url":"postgresql://{{username}}:{{password}}@127.0.0.1:1/x","username":"root",
            "password":"hunter2","allowed_roles":"app,static-*",
            "root_rotation_statements":["ALTER a, b"]}"#,
    ),
    Step::new("the connection", "GET", "/v1/db/config/pg"),
    Step::new("connections", "LIST", "/v1/db/config"),
    Step::new("change one thing", "POST", "/v1/db/config/pg")
        .body(r#"{"allowed_roles":["*"],"verify_connection":false}"#),
    Step::new("the changed connection", "GET", "/v1/db/config/pg"),
    Step::new("a password in the address", "POST", "/v1/db/config/open").body(
        r#"{"plugin_name":"postgresql-database-plugin","verify_connection":false,
            "connection_url":"postgresql://root:hunter2@127.0.0.1:1/x"}"#,
    ),
    Step::new("the address without it", "GET", "/v1/db/config/open"),
    Step::new("remove it", "DELETE", "/v1/db/config/open"),
    Step::new("remove it again", "DELETE", "/v1/db/config/open"),
    Step::new("no roles", "LIST", "/v1/db/roles"),
    Step::new("a role that is not there", "GET", "/v1/db/roles/none"),
    Step::new("a role without a connection", "POST", "/v1/db/roles/app").body(r#"{}"#),
    Step::new("a role of an unknown kind", "POST", "/v1/db/roles/app")
        .body(r#"{"db_name":"pg","credential_type":"dna"}"#),
    Step::new("a role with a bad key", "POST", "/v1/db/roles/app").body(
        r#"{"db_name":"pg","credential_type":"rsa_private_key","credential_config":{"key_bits":"7"}}"#,
    ),
    Step::new("a role", "POST", "/v1/db/roles/app").body(
        r#"{"db_name":"pg","creation_statements":"CREATE a, b","default_ttl":"1h","max_ttl":86400}"#,
    ),
    Step::new("the role", "GET", "/v1/db/roles/app"),
    Step::new("change the role", "POST", "/v1/db/roles/app")
        .body(r#"{"revocation_statements":["DROP a","",""],"renew_statements":[]}"#),
    Step::new("the changed role", "GET", "/v1/db/roles/app"),
    Step::new("a role with keys", "POST", "/v1/db/roles/keys")
        .body(r#"{"db_name":"pg","credential_type":"rsa_private_key"}"#),
    Step::new("the role with keys", "GET", "/v1/db/roles/keys"),
    Step::new("roles", "LIST", "/v1/db/roles"),
    Step::new("a user by a role that is not there", "GET", "/v1/db/creds/none"),
    Step::new("a user with a kind that the plugin has not", "GET", "/v1/db/creds/keys"),
    Step::new("a static role without a connection", "POST", "/v1/db/static-roles/s")
        .body(r#"{"username":"u","rotation_period":60}"#),
    Step::new("a static role without a user", "POST", "/v1/db/static-roles/s")
        .body(r#"{"db_name":"pg","rotation_period":60}"#),
    Step::new("a static role with a short period", "POST", "/v1/db/static-roles/s")
        .body(r#"{"db_name":"pg","username":"u","rotation_period":1}"#),
    Step::new("a static role named as a role", "POST", "/v1/db/static-roles/app")
        .body(r#"{"db_name":"pg","username":"u","rotation_period":60}"#),
    Step::new("no static roles", "LIST", "/v1/db/static-roles"),
    Step::new("a static role that is not there", "GET", "/v1/db/static-roles/none"),
    Step::new("its credential", "GET", "/v1/db/static-creds/none"),
    Step::new("its rotation", "POST", "/v1/db/rotate-role/none"),
    Step::new("a reset of nothing", "POST", "/v1/db/reset/none"),
    Step::new("a root rotation of nothing", "POST", "/v1/db/rotate-root/none"),
    Step::new("remove the role", "DELETE", "/v1/db/roles/app"),
    Step::new("remove the role again", "DELETE", "/v1/db/roles/app"),
];
