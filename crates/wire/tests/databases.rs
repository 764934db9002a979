//! Messages of database plugins there and back, through their bytes; and what a hostile peer may
//! send.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, SystemTime};

use boltwork_logical::{Credential, Data, NewUser, SecretText, UserChange};
use boltwork_wire::dbplugin::{self, v5};
use boltwork_wire::{
    WireError, change_from_wire, change_to_wire, config_from_json, config_to_json,
    create_user_to_wire, created_user_from_wire, made_user_from_wire, new_user_from_wire,
    new_user_to_wire, renew_user_to_wire, revoke_user_to_wire, set_credentials_to_wire,
};
use prost::Message;
use prost_types::Timestamp;

fn through<M: Message + Default>(message: &M) -> M {
    M::decode(&*message.encode_to_vec()).unwrap()
}

fn texts(name: &str) -> Vec<String> {
    vec![format!("{name}-1"), format!("{name}-2")]
}

fn end() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::new(1_800_000_000, 123_000_000)
}

fn user(credential: Credential, expiration: Option<SystemTime>) -> NewUser {
    NewUser {
        display_name: "token-alice".into(),
        role_name: "reader".into(),
        credential,
        expiration,
        statements: texts("make"),
        rollback_statements: texts("undo"),
        renew_statements: texts("renew"),
        revocation_statements: texts("revoke"),
    }
}

/// What a credential is, with its content.
fn shown(credential: &Credential) -> String {
    match credential {
        Credential::Password(password) => format!("password {}", password.expose()),
        Credential::PublicKey(key) => format!("key {key:?}"),
        Credential::Subject(subject) => format!("subject {subject}"),
        _ => "another".to_owned(),
    }
}

fn credentials() -> Vec<Credential> {
    vec![
        Credential::Password(SecretText::new("hunter2")),
        Credential::PublicKey(vec![1, 2, 255]),
        Credential::Subject("CN=app".into()),
    ]
}

#[test]
fn a_new_user_crosses_with_each_sort_of_credential() {
    for (number, credential) in credentials().into_iter().enumerate() {
        for expiration in [None, Some(end())] {
            let sent = user(credential.clone(), expiration);
            let wire = through(&new_user_to_wire(&sent));
            assert_eq!(usize::try_from(wire.credential_type).unwrap(), number);
            let got = new_user_from_wire(wire).unwrap();
            assert_eq!(shown(&got.credential), shown(&sent.credential));
            assert_eq!(got.expiration, expiration);
            assert_eq!((&*got.display_name, &*got.role_name), ("token-alice", "reader"));
            assert_eq!(got.statements, texts("make"));
            assert_eq!(got.rollback_statements, texts("undo"));
            // Version 5 has no room for these.
            assert!(got.renew_statements.is_empty() && got.revocation_statements.is_empty());
        }
    }
}

#[test]
fn a_user_without_an_end_has_the_zero_time_of_go() {
    let wire = new_user_to_wire(&user(Credential::Subject("CN=x".into()), None));
    assert_eq!(wire.expiration, Some(Timestamp { seconds: -62_135_596_800, nanos: 0 }));
    let absent = v5::NewUserRequest { expiration: None, ..wire };
    assert_eq!(new_user_from_wire(absent).unwrap().expiration, None);
}

#[test]
fn a_new_user_that_makes_no_sense_is_refused() {
    let good = || new_user_to_wire(&user(Credential::Password("p".into()), None));
    let refused = |change: &dyn Fn(&mut v5::NewUserRequest)| {
        let mut request = good();
        change(&mut request);
        new_user_from_wire(request).err().unwrap()
    };
    assert_eq!(refused(&|r| r.username_config = None), WireError::Missing("username_config"));
    for number in [-1, 3, i32::MAX, i32::MIN] {
        let error = refused(&|r| r.credential_type = number).to_string();
        assert!(error.contains("unknown credential type"), "{error}");
    }
    for (seconds, nanos) in [(i64::MAX, 0), (i64::MIN, 0), (0, -1), (0, i32::MAX)] {
        let error = refused(&|r| r.expiration = Some(Timestamp { seconds, nanos })).to_string();
        assert!(error.contains("NewUserRequest.expiration"), "{error}");
    }
}

#[test]
fn a_change_crosses_in_each_of_its_parts() {
    for credential in [None, Some(credentials()[0].clone()), Some(credentials()[1].clone())] {
        for expiration in [None, Some((end(), texts("until")))] {
            for own in [None, Some(SecretText::new("old"))] {
                let sent = UserChange {
                    username: "u".into(),
                    credential: credential.clone().map(|it| (it, texts("set"))),
                    expiration: expiration.clone(),
                    self_managed_password: own,
                };
                let got = change_from_wire(through(&change_to_wire(&sent))).unwrap();
                let parts = |change: &UserChange| {
                    let credential = change.credential.as_ref();
                    let own = change.self_managed_password.as_ref();
                    (
                        change.username.clone(),
                        credential.map(|(it, statements)| (shown(it), statements.clone())),
                        change.expiration.clone(),
                        own.map(|password| password.expose().to_owned()),
                    )
                };
                assert_eq!(parts(&got), parts(&sent));
            }
        }
    }
}

#[test]
fn what_is_there_without_a_value_is_no_change() {
    let empty = v5::UpdateUserRequest {
        username: "u".into(),
        password: Some(v5::ChangePassword::default()),
        public_key: Some(v5::ChangePublicKey::default()),
        expiration: Some(v5::ChangeExpiration::default()),
        ..v5::UpdateUserRequest::default()
    };
    let change = change_from_wire(empty).unwrap();
    assert!(change.credential.is_none() && change.expiration.is_none());
    assert!(change.self_managed_password.is_none());
}

#[test]
fn of_two_new_credentials_the_named_sort_counts() {
    let both = |credential_type| v5::UpdateUserRequest {
        password: Some(v5::ChangePassword { new_password: "p".into(), statements: None }),
        public_key: Some(v5::ChangePublicKey { new_public_key: vec![7], statements: None }),
        credential_type,
        ..v5::UpdateUserRequest::default()
    };
    let chosen = |number| shown(&change_from_wire(both(number)).unwrap().credential.unwrap().0);
    assert_eq!((chosen(0), chosen(1)), ("password p".to_owned(), "key [7]".to_owned()));
}

#[test]
fn a_made_user_has_the_password_it_was_given() {
    let made = made_user_from_wire(v5::NewUserResponse { username: "v-x".into() });
    assert_eq!(made.username, "v-x");
    assert!(made.password.is_none());
}

#[test]
fn version_4_takes_all_statements_at_once_and_no_password() {
    let sent = user(Credential::Password("not sent".into()), Some(end()));
    let wire = through(&create_user_to_wire(&sent));
    assert!(!wire.encode_to_vec().windows(8).any(|part| part == b"not sent"));
    let statements = wire.statements.unwrap();
    assert_eq!(statements.creation, texts("make"));
    assert_eq!(statements.rollback, texts("undo"));
    assert_eq!(statements.renewal, texts("renew"));
    assert_eq!(statements.revocation, texts("revoke"));
    assert_eq!(wire.username_config.unwrap().role_name, "reader");
    assert_eq!(wire.expiration.unwrap().nanos, 123_000_000);

    let response = dbplugin::CreateUserResponse { username: "v4".into(), password: "made".into() };
    let made = created_user_from_wire(response);
    assert_eq!((&*made.username, made.password.unwrap().expose()), ("v4", "made"));
    assert!(created_user_from_wire(dbplugin::CreateUserResponse::default()).password.is_none());
}

#[test]
fn version_4_has_a_sort_of_statement_for_each_change() {
    let renewed = through(&renew_user_to_wire("u", end(), &texts("renew")));
    assert_eq!(renewed.statements.unwrap().renewal, texts("renew"));
    assert_eq!(renewed.expiration.unwrap().seconds, 1_800_000_000);
    let set = through(&set_credentials_to_wire("u", &"new".into(), &texts("rotate")));
    assert_eq!(set.statements.unwrap().rotation, texts("rotate"));
    let config = set.static_user_config.unwrap();
    assert_eq!((&*config.username, &*config.password, config.create), ("u", "new", false));
    let revoked = through(&revoke_user_to_wire("u", &texts("revoke")));
    assert_eq!(revoked.statements.unwrap().revocation, texts("revoke"));
}

#[test]
fn version_4_sends_its_configuration_as_json() {
    let config = Data::parse(br#"{"port": 5432}"#.to_vec()).unwrap();
    assert_eq!(config_to_json(&config), br#"{"port": 5432}"#);
    assert_eq!(config_to_json(&Data::null()), b"{}");
    let got = config_from_json("InitResponse.config", br#"{"a":1}"#.to_vec()).unwrap();
    assert_eq!(got.unwrap().as_str(), r#"{"a":1}"#);
    assert!(config_from_json("InitResponse.config", Vec::new()).unwrap().is_none());
    let error = config_from_json("InitResponse.config", b"hunter2".to_vec()).err().unwrap();
    assert!(error.to_string().contains("InitResponse.config"), "{error}");
    assert!(!error.to_string().contains("hunter2"));
}
