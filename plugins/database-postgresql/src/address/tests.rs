//! What a `connection_url` means.

use tokio_postgres::config::Host;

use super::*;

const PASSWORD: &str = "p@ss:w/o?r#d%41 'x'";

fn read(text: &str, escaped: bool) -> Result<Address, String> {
    let password = SecretText::new(PASSWORD);
    Address::read(text, "ro:ot@", &password, escaped, Material::default())
        .map_err(|failure| failure.to_string())
}

fn good(text: &str) -> Address {
    match read(text, true) {
        Ok(address) => address,
        Err(why) => panic!("{text}: {why}"),
    }
}

fn login(address: &Address) -> (&str, &str) {
    let password = address.driver.get_password().unwrap_or_default();
    (address.driver.get_user().unwrap(), std::str::from_utf8(password).unwrap())
}

#[test]
fn no_character_of_a_password_changes_what_the_text_says() {
    for text in [
        "postgresql://{{username}}:{{password}}@db:6543/app?sslmode=disable",
        "postgres://db:6543/app?user={{username}}&password={{password}}&sslmode=disable",
        "host=db port=6543 user={{username}} password={{password}} dbname=app sslmode=disable",
        "host=db port=6543 user='{{username}}' password='{{password}}' dbname = app sslmode=disable",
    ] {
        let address = good(text);
        assert_eq!(login(&address), ("ro:ot@", PASSWORD), "{text}");
        assert_eq!(address.driver.get_hosts(), [Host::Tcp("db".to_owned())]);
        assert_eq!(address.driver.get_ports(), [6543]);
        assert_eq!(address.driver.get_dbname(), Some("app"));
        assert_eq!(address.secrets.len(), 2);
    }
}

#[test]
fn without_escaping_the_text_is_what_it_becomes() {
    let text = "host=db user=x password={{password}}";
    let password = SecretText::new(r"a\ b'c");
    let address = Address::read(text, "", &password, false, Material::default()).ok().unwrap();
    assert_eq!(login(&address), ("x", "a b'c"));
    let text = "postgres://x:{{password}}@db";
    let password = SecretText::new("a%20b");
    let address = Address::read(text, "", &password, false, Material::default()).ok().unwrap();
    assert_eq!(login(&address), ("x", "a b"));
}

#[test]
fn hosts_ports_and_sockets_are_read_as_libpq_reads_them() {
    let address = good("postgres://u@a:1,b,[::1]:3/d?sslmode=disable");
    let hosts: Vec<Host> = ["a", "b", "::1"].iter().map(|h| Host::Tcp((*h).to_owned())).collect();
    assert_eq!(address.driver.get_hosts(), hosts);
    assert_eq!(address.driver.get_ports(), [1, 5432, 3]);
    for text in
        ["postgres://u@%2Frun%2Fpg/d", "postgres://u@/d?host=/run/pg", "user=u host=/run/pg"]
    {
        let address = good(text);
        assert_eq!(address.driver.get_hosts(), [Host::Unix("/run/pg".into())], "{text}");
        assert!(address.tls.attempts().iter().all(|attempt| !attempt.is_protected()), "{text}");
    }
    let address = good("postgres://u@db");
    assert_eq!(address.driver.get_dbname(), Some("u"));
}

#[test]
fn parameters_that_are_not_ours_go_to_the_database() {
    let address =
        good("postgres://u@db?search_path=a,b&statement_timeout=2s&timezone=CET&pool_max_conns=9");
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(
        address.session,
        [
            pair("TimeZone", "UTC"),
            pair("search_path", "a,b"),
            pair("statement_timeout", "2s"),
            pair("timezone", "CET"),
        ]
    );
    assert_eq!(address.call, Duration::from_secs(7));
    assert_eq!(good("postgres://u@db?statement_timeout=0").call, CALL);
    assert_eq!(good("postgres://u@db?connect_timeout=3").connect, Duration::from_secs(3));
    assert_eq!(address.driver.get_application_name(), Some("vault"));
}

#[test]
fn what_cannot_be_read_is_refused_without_quoting_it() {
    for (text, why) in [
        ("mysql://u:{{password}}@db", "unable to parse connection url"),
        ("nonsense {{password}}", "unable to parse connection url"),
        ("host='db", "unable to parse connection url"),
        ("postgres://u@[::1/d", "unable to parse connection url"),
        ("postgres://u@db/d?x", "unable to parse connection url"),
        ("postgres://u@db:port/d", "must be a number"),
        ("postgres://u@db:99999/d", "must be a number"),
        ("postgres://u@db?sslmode=maybe", "sslmode"),
        ("postgres://u@db?passfile=/etc/shadow", "must not have passfile"),
        ("postgres://u@db?connect_timeout=soon", "number of seconds"),
        ("host=a,b port=1,2,3 user=u", "another number of ports"),
        ("postgres://u@db?sslrootcert=/nowhere", "sslrootcert"),
    ] {
        let error = read(text, true).err().unwrap_or_default();
        assert!(error.contains(why) && !error.contains("p@ss"), "{text}: {error}");
    }
}
