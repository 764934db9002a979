//! What a registration must fulfil before anything is run, in Vault's order and words (wire spec
//! 5.3, rules 1 to 11).

use boltwork_logical::{Error, PluginKind, Registration, Version};

/// A registration whose form is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// `None`: to be found out by running it.
    pub kind: Option<PluginKind>,
    /// May contain `/`.
    pub name: String,
    /// Canonical, or empty to take what the plugin reports.
    pub version: String,
    /// Raw digest of the binary.
    pub sha256: [u8; 32],
    /// Relative to the plugin directory, without arguments.
    pub command: String,
    pub args: Vec<String>,
    /// `KEY=value` each.
    pub env: Vec<String>,
    /// The configuration asks for it.
    pub declarative: bool,
}

/// Longest name or command, in bytes.
const MAX_TEXT: usize = 1024;

/// Most arguments, and most variables.
const MAX_LIST: usize = 256;

/// Checks the form. `permissions` is asked in its place in the order (rule 7).
pub fn check(
    from: Registration,
    permissions: impl FnOnce(&str) -> Result<(), Error>,
) -> Result<Checked, Error> {
    if from.name.is_empty() {
        return Err(Error::invalid("missing plugin name"));
    }
    let kind = match from.kind.as_str() {
        "" | "unknown" => None,
        word => Some(PluginKind::parse(word).map_err(|e| Error::internal(e.to_string()))?),
    };
    let version = version(&from.version)?;
    if !from.oci_image.is_empty() || !from.runtime.is_empty() {
        return Err(Error::invalid(
            "plugins in container images are not supported by this server: put the binary into the \
             plugin directory and register it with command and sha256",
        ));
    }
    if from.sha256.is_empty() {
        return Err(Error::invalid("missing SHA-256 value"));
    }
    if from.command.is_empty() {
        return Err(Error::invalid("missing command value"));
    }
    permissions(&from.command)?;
    let (command, args) = split_command(from.command, from.args)?;
    let sha256 = sha256(&from.sha256)?;
    bounded(&from.name, &command, &args, &from.env)?;
    if [&from.name, &command].iter().any(|text| text.contains("..")) {
        return Err(Error::internal("path cannot contain parent references"));
    }
    check_env(&from.env)?;
    let (name, env) = (from.name, from.env);
    Ok(Checked { kind, name, version, sha256, command, args, env, declarative: false })
}

fn version(text: &str) -> Result<String, Error> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let version = Version::parse_strict(text).map_err(|e| {
        Error::invalid(format!("version {text:?} is not a valid semantic version: {e}"))
    })?;
    if version.is_builtin() {
        return Err(Error::invalid(format!(
            "version {:?} is not allowed because 'builtin' is a reserved metadata identifier",
            version.to_string()
        )));
    }
    Ok(version.to_string())
}

/// Arguments may stand behind the command, as before there was a field for them.
fn split_command(command: String, args: Vec<String>) -> Result<(String, Vec<String>), Error> {
    match command.split_once(' ') {
        None => Ok((command, args)),
        Some(_) if !args.is_empty() => {
            Err(Error::invalid("must not specify args in command and args field"))
        }
        Some((command, rest)) => {
            Ok((command.to_owned(), rest.split(' ').map(str::to_owned).collect()))
        }
    }
}

fn sha256(text: &str) -> Result<[u8; 32], Error> {
    let bytes =
        hex::decode(text).map_err(|_| Error::invalid("Could not decode SHA-256 value from Hex"))?;
    bytes.try_into().map_err(|_| Error::invalid("Decoded SHA-256 value is not 32 bytes"))
}

fn bounded(name: &str, command: &str, args: &[String], env: &[String]) -> Result<(), Error> {
    let long = |text: &str| text.len() > MAX_TEXT;
    let strange = |text: &str| text.chars().any(char::is_control);
    if long(name) || long(command) || args.len() > MAX_LIST || env.len() > MAX_LIST {
        return Err(Error::invalid(format!(
            "name and command may have at most {MAX_TEXT} bytes, and there may be at most \
             {MAX_LIST} arguments and {MAX_LIST} variables"
        )));
    }
    if strange(name) || strange(command) || name.starts_with('/') || name.ends_with('/') {
        return Err(Error::invalid(
            "name and command must not contain control characters, nor may the name begin or end with a slash",
        ));
    }
    if args.iter().chain(env).any(|text| text.contains('\0')) {
        return Err(Error::invalid("arguments and variables must not contain a NUL character"));
    }
    Ok(())
}

fn check_env(env: &[String]) -> Result<(), Error> {
    let bad =
        env.iter().position(|pair| pair.split_once('=').is_none_or(|(name, _)| name.is_empty()));
    match bad {
        None => Ok(()),
        // The text itself may be a secret.
        Some(index) => Err(Error::invalid(format!(
            "env {index}: environment variable must contain '=' to separate variable name from value"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Registration {
        Registration {
            kind: "secret".into(),
            name: "kv".into(),
            sha256: "ab".repeat(32),
            command: "kv".into(),
            ..Registration::default()
        }
    }

    #[test]
    fn each_rule_has_its_text() {
        type Change = fn(&mut Registration);
        let cases: [(Change, &str); 11] = [
            (|r| r.name.clear(), "missing plugin name"),
            (|r| r.kind = "foo".into(), "\"foo\" is not a supported plugin type"),
            (
                |r| r.version = "x".into(),
                "version \"x\" is not a valid semantic version: Malformed version: x",
            ),
            (
                |r| r.version = "1.0.0+builtin".into(),
                "version \"v1.0.0+builtin\" is not allowed because 'builtin' is a reserved metadata identifier",
            ),
            (|r| r.sha256.clear(), "missing SHA-256 value"),
            (|r| r.command.clear(), "missing command value"),
            (
                |r| {
                    r.command = "kv -a".into();
                    r.args = vec!["-b".into()];
                },
                "must not specify args in command and args field",
            ),
            (|r| r.sha256 = "zz".into(), "Could not decode SHA-256 value from Hex"),
            (|r| r.sha256 = "ab".into(), "Decoded SHA-256 value is not 32 bytes"),
            (|r| r.command = "../kv".into(), "path cannot contain parent references"),
            (
                |r| r.env = vec!["A=1".into(), "secret".into()],
                "env 1: environment variable must contain '=' to separate variable name from value",
            ),
        ];
        for (change, text) in cases {
            let mut registration = good();
            change(&mut registration);
            let error = check(registration, |_| Ok(())).unwrap_err();
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn arguments_behind_the_command_are_split_off() {
        let registration = Registration { command: "kv -a -b".into(), ..good() };
        let checked = check(registration, |_| Ok(())).unwrap();
        assert_eq!((checked.command.as_str(), checked.args.len()), ("kv", 2));
    }

    #[test]
    fn a_version_is_made_canonical() {
        let registration = Registration { version: "1.0".into(), ..good() };
        assert_eq!(check(registration, |_| Ok(())).unwrap().version, "v1.0.0");
    }
}
