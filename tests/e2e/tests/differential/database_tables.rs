//! Requests to the database engine that need no database: connections that nobody tries, roles, and
//! what is refused.

use crate::Step;

/// A role with an authority that was made for this table, with a name of several parts. Nobody trusts
/// it.
const CERTIFICATES: &str = concat!(
    r#"{"db_name":"pg","credential_type":"client_certificate","credential_config":{"#,
    r#""key_type":"ec","common_name_template":"{{.RoleName}}","ca_cert":""#,
    r"-----BEGIN CERTIFICATE-----\n",
    r"MIIB8DCCAZegAwIBAgIUfTvOOUr8U8Mn9wYnaYvSbZUEUkMwCgYIKoZIzj0EAwIw\n",
    r"RTETMBEGCgmSJomT8ixkARkWA2NvbTEXMBUGCgmSJomT8ixkARkWB2V4YW1wbGUx\n",
    r"FTATBgNVBAMMDGRpZmZlcmVudGlhbDAgFw0yNjExMjYwMTAyMDBaGA8yMTI2MTEw\n",
    r"MjAxMDIwMFowRTETMBEGCgmSJomT8ixkARkWA2NvbTEXMBUGCgmSJomT8ixkARkW\n",
    r"B2V4YW1wbGUxFTATBgNVBAMMDGRpZmZlcmVudGlhbDBZMBMGByqGSM49AgEGCCqG\n",
    r"SM49AwEHA0IABKGXpIKz2TanTPgjwOiHhLkiYMATYMIFrtLcBjC6k2DmMAWE5D38\n",
    r"PUj4cquBVWKPY58J4TWhi1HR3MnCPlaQz0ejYzBhMB0GA1UdDgQWBBTbTRbART93\n",
    r"K2eeEqvuAGtA5L9g7jAfBgNVHSMEGDAWgBTbTRbART93K2eeEqvuAGtA5L9g7jAP\n",
    r"BgNVHRMBAf8EBTADAQH/MA4GA1UdDwEB/wQEAwICBDAKBggqhkjOPQQDAgNHADBE\n",
    r"AiBq/qjFCa8NycW2UaPwLCXRoulFGrLu6EJ5j8wQFKgUrQIgYLoYSezPv/jxyzRv\n",
    r"Y4/XW292VEdEc4s+m2QGzONfzfw=\n",
    r"-----END CERTIFICATE-----\n",
    r#"","ca_private_key":""#,
    r"-----BEGIN PRIVATE KEY-----\n",
    r"MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgpJ3kC0tY6iiRiXos\n",
    r"NPrhZsexakbvlez3zTViEnqMFKehRANCAAShl6SCs9k2p0z4I8Doh4S5ImDAE2DC\n",
    r"Ba7S3AYwupNg5jAFhOQ9/D1I+HKrgVVij2OfCeE1oYtR0dzJwj5WkM9H\n",
    r"-----END PRIVATE KEY-----\n",
    r#""}}"#,
);

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
    Step::new("certificates without a type of key", "POST", "/v1/db/roles/certs").body(
        r#"{"db_name":"pg","credential_type":"client_certificate","credential_config":{}}"#,
    ),
    Step::new("certificates with keys of a strange size", "POST", "/v1/db/roles/certs").body(
        r#"{"db_name":"pg","credential_type":"client_certificate","credential_config":{"key_type":"rsa","key_bits":"1024"}}"#,
    ),
    Step::new("certificates with a strange hash", "POST", "/v1/db/roles/certs").body(
        r#"{"db_name":"pg","credential_type":"client_certificate","credential_config":{"key_type":"ec","signature_bits":"1"}}"#,
    ),
    Step::new("certificates without a name", "POST", "/v1/db/roles/certs").body(
        r#"{"db_name":"pg","credential_type":"client_certificate","credential_config":{"key_type":"ed25519"}}"#,
    ),
    Step::new("certificates without an authority", "POST", "/v1/db/roles/certs").body(
        r#"{"db_name":"pg","credential_type":"client_certificate","credential_config":{"key_type":"ec","common_name_template":"{{.RoleName}}"}}"#,
    ),
    Step::new("certificates of an authority without a key", "POST", "/v1/db/roles/certs").body(
        r#"{"db_name":"pg","credential_type":"client_certificate","credential_config":{"key_type":"ec","common_name_template":"{{.RoleName}}","ca_cert":"x"}}"#,
    ),
    Step::new("certificates of an authority that is none", "POST", "/v1/db/roles/certs").body(
        r#"{"db_name":"pg","credential_type":"client_certificate","credential_config":{"key_type":"ec","common_name_template":"{{.RoleName}}","ca_cert":"x","ca_private_key":"x"}}"#,
    ),
    Step::new("a role with certificates", "POST", "/v1/db/roles/certs").body(CERTIFICATES),
    Step::new("the role with certificates", "GET", "/v1/db/roles/certs"),
    Step::new("a certificate that the plugin has no use for", "GET", "/v1/db/creds/certs"),
    Step::new("remove the role with certificates", "DELETE", "/v1/db/roles/certs"),
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
