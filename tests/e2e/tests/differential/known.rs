//! Where Boltwork answers otherwise than OpenBao on purpose, each with its reason. What is no
//! purpose but a lack does not belong here: it is mended.

/// Differences that are meant, for one reason.
pub struct Known {
    /// Which table they show in.
    pub table: &'static str,
    /// The steps; none means all.
    pub steps: &'static [&'static str],
    /// `status`, a header, or the beginnings of paths into the body.
    pub places: &'static [&'static str],
    /// Why it is so.
    pub reason: &'static str,
}

impl Known {
    /// Whether this difference is one of these.
    pub fn covers(&self, step: &str, place: &str) -> bool {
        (self.steps.is_empty() || self.steps.contains(&step))
            && self.places.iter().any(|known| place.starts_with(known))
    }
}

const fn known(
    table: &'static str,
    steps: &'static [&'static str],
    places: &'static [&'static str],
    reason: &'static str,
) -> Known {
    Known { table, steps, places, reason }
}

/// All that is known.
pub const KNOWN: &[Known] = &[
    // Words.
    known(
        "state",
        &["init with nonsense", "unseal with nonsense"],
        &["/errors"],
        "our JSON parser names the place, and does not quote",
    ),
    known(
        "kv1",
        &["write a list", "write a text"],
        &["/errors"],
        "our JSON parser says it in its own words",
    ),
    known(
        "errors",
        &["nonsense", "half an object", "a list", "a number"],
        &["/errors"],
        "our JSON parser says it in its own words",
    ),
    known(
        "kv2",
        &[
            "read a bad version",
            "write a text for data",
            "write a list for data",
            "subkeys with a bad depth",
            "undelete bad versions",
            "metadata with a bad duration",
            "metadata with a negative duration",
            "metadata with bad custom metadata",
            "metadata with a text for custom",
            "metadata with bad versions",
            "config with a bad duration",
        ],
        &["/errors"],
        "a decoding error names the field and the wanted type, never the value: it may be a secret",
    ),
    known(
        "kv2",
        &["config as a list", "the root", "a path of version 1", "a write of version 1"],
        &["/warnings"],
        "the warning names HashiCorp's command line, which Vault's users have",
    ),
    known("kv1", &["help", "help of the root"], &["/help", "/openapi"], "help is in our own words"),
    known(
        "policies",
        &["write what cannot be parsed", "write an unknown capability", "write an unknown key"],
        &["/errors"],
        "our parser gives line and column, and says the path once",
    ),
    known(
        "state",
        &["unseal with a short key", "unseal with a wrong key"],
        &["/errors"],
        "the reason in our own words",
    ),
    known(
        "catalog",
        &["read with a bad version", "register a bad version", "deregister a bad version"],
        &["/errors"],
        "the text of older releases, which scripts match on, with a capital letter",
    ),
    // What HashiCorp's Vault says and OpenBao does not, or the other way.
    known(
        "state",
        &[
            "health",
            "health with codes",
            "health with standbyok",
            "health when sealed",
            "health when sealed with a code",
        ],
        &["/enterprise", "/performance_standby"],
        "Vault has these, and clients of Vault read them",
    ),
    known(
        "state",
        &["leader", "leader when sealed"],
        &["/active_time", "/is_self", "/leader_", "/performance_standby"],
        "Vault always has these members; OpenBao leaves them out where they are empty",
    ),
    known(
        "state",
        &[],
        &["/build_date", "/commit_date"],
        "Vault says when it was built, OpenBao when it was committed",
    ),
    known(
        "policies",
        &[],
        &[
            "/data/allow_",
            "/data/cas_required",
            "/data/version",
            "/data/modified",
            "/allow_",
            "/cas_required",
            "/version",
            "/modified",
        ],
        "what OpenBao has added to policies and Vault has not",
    ),
    known(
        "policies",
        &["write in capitals"],
        &["status", "content-type", "body"],
        "Vault warns that the name was changed",
    ),
    known(
        "catalog",
        &["read kv"],
        &["/data/declarative", "/data/oci"],
        "OpenBao's images are no part of this server",
    ),
    known("catalog", &["reload kv"], &["/warnings"], "Vault warns where nothing was reloaded"),
    // Better on purpose.
    known(
        "kv1",
        &["list with a bad value"],
        &["/errors"],
        "the reason is given instead of nothing",
    ),
    known(
        "errors",
        &["two objects"],
        &["status", "body", "content-type"],
        "what follows the object is not ignored",
    ),
    known(
        "cubbyhole",
        &["write nothing"],
        &["status", "/errors"],
        "an empty write is the client's fault, not ours",
    ),
    known(
        "errors",
        &["the root"],
        &["content-type", "body"],
        "every error is in the same envelope",
    ),
    known(
        "errors",
        &["sys", "a double slash", "dots"],
        &["status", "content-type", "body"],
        "a path is taken as it is sent: a redirect would turn a write into a read",
    ),
    known(
        "kv1",
        &["list by GET with no", "wrapped away"],
        &["/warnings"],
        "which parameters OpenBao calls unrecognized is new there",
    ),
    known("errors", &["spaces"], &["/errors"], "a body of spaces is no JSON"),
    known(
        "mounts",
        &[
            "enable with a bad ttl",
            "tune with a bad ttl",
            "tune with a default above the maximum",
            "enable with nonsense",
        ],
        &["/errors"],
        "the reason in our own words",
    ),
    known(
        "mounts",
        &["tune with a bad plugin version"],
        &["/errors"],
        "the text of older releases, with a capital letter",
    ),
    known(
        "tokens",
        &[
            "create with a bad ttl",
            "create with a negative ttl",
            "create with nonsense",
            "renew with a bad increment",
            "create of an unknown type",
        ],
        &["/errors"],
        "the reason in our own words, or with the name of the type",
    ),
    known(
        "tokens",
        &["create by PUT"],
        &["/auth/", "/warnings"],
        "a list may be one text with commas, as in all other places",
    ),
    known(
        "roles",
        &["look up full"],
        &["/data/explicit_max_ttl", "/data/period"],
        "limits that come from the role are shown too",
    ),
    known("roles", &["tidy"], &["/warnings/0"], "the text of Vault"),
    known(
        "leases",
        &[
            "renew nobody by PUT",
            "renew nobody by the old path",
            "revoke nobody by the old path",
            "revoke nobody by the old name",
            "revoke a prefix by the old path",
            "force by the old path",
        ],
        &["status", "content-type", "body", "/errors/0"],
        "OpenBao gave the old paths up, which Vault still has",
    ),
    known("leases", &["tidy"], &["/warnings/0"], "the text of Vault"),
    known("leases", &["a bad limit"], &["/errors/0"], "the reason without Go's name for it"),
    known(
        "wrapping",
        &["wrap", "rewrap", "wrap nothing", "wrap a token"],
        &["/request_id"],
        "the request can be found in the audit log by it",
    ),
    known("wrapping", &["wrap a bad ttl"], &["/errors/0"], "the reason in our own words"),
    known(
        "wrapping",
        &["keep nothing"],
        &["status", "/errors/0"],
        "what the caller leaves out is no fault of the server",
    ),
    // What this server does not have yet.
    known(
        "errors",
        &["a bad query"],
        &["/data/x/", "/x/"],
        "what stands behind an object is refused, not overlooked; so this mount was not made",
    ),
    known(
        "state",
        &["internal mounts of a stranger"],
        &["status", "/"],
        "an open path shows a caller with a worthless token what it shows to one without",
    ),
    known(
        "mounts",
        &["mounts as a list"],
        &["status", "/errors"],
        "the path is there, its list is not",
    ),
    known("mounts", &["move"], &["/warnings"], "the move is not queued: it is done"),
    known("kv2", &["data without a path"], &["/"], "our answer says what is wrong with the path"),
    known(
        "tokens",
        &["create with an id"],
        &["/warnings"],
        "such a token is hashed like any other",
    ),
    known(
        "identity",
        &["list entities", "list aliases", "list groups", "list group aliases"],
        &["/data/key_info"],
        "its keys are ids, which are random; identity.rs looks at what stands there",
    ),
    known(
        "identity",
        &["metadata without a key", "metadata with a blank", "too long a value"],
        &["/errors"],
        "the error does not quote the value",
    ),
    known("identity", &["a circle", "in itself"], &["/errors"], "the text names a random id"),
    known(
        "identity",
        &["the entity of the alias"],
        &["/data/name"],
        "a name that is made is random",
    ),
    known(
        "identity",
        &["an emptied group"],
        &["/data/policies"],
        "OpenBao shows an empty list until it is started anew, and null from then on",
    ),
    known(
        "identity",
        &["metadata that is none"],
        &["/errors"],
        "a decoding error names the field and the wanted type",
    ),
    known(
        "database",
        &["a plugin that is not there"],
        &["/errors/0"],
        "the reason is given once, not once for each protocol that was tried",
    ),
    known(
        "database",
        &["a version that is none"],
        &["/errors/0"],
        "the text of older releases, which scripts match on, with a capital letter",
    ),
    known(
        "database",
        &["the connection", "the changed connection", "the address without it"],
        &["/data/running_plugin_version"],
        "Vault says which version runs, and OpenBao does not",
    ),
    known(
        "database",
        &["a password in the address"],
        &["/warnings"],
        "OpenBao warns of a parameter as unrecognized that its plugin reads",
    ),
    known(
        "database",
        &["the role with certificates"],
        &["/data/credential_config/ca_private_key"],
        "whoever may read a role is not told the key of its authority",
    ),
    known(
        "database",
        &["a reset of nothing", "a root rotation of nothing"],
        &["/errors/0"],
        "the error stands alone, as everywhere here, not in a list of one",
    ),
];
