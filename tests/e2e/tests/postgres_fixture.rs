//! That the PostgreSQL which other tests rely on is what it claims to be.
//!
//! Left out on purpose: Boltwork.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use boltwork_e2e::postgres::{Postgres, SUPERUSER};
use boltwork_e2e::{process, wait_for};

/// In its environment, this test is the process that is killed.
const HOLDS: &str = "BOLTWORK_TEST_HOLDS_POSTGRES";

#[test]
fn only_the_right_password_opens_the_database() {
    let Some(postgres) = Postgres::default().start() else { return };
    assert_eq!(postgres.query("SELECT 1 + 1, current_user"), [format!("2|{SUPERUSER}")]);
    let refused = postgres.ask(SUPERUSER, "guessed", "SELECT 1").unwrap_err();
    assert!(refused.contains("password authentication failed"), "{refused}");
    assert!(!postgres.has_role("nobody_at_all") && postgres.has_role(SUPERUSER));
}

#[test]
fn what_was_committed_survives_a_crash_of_the_database() {
    let Some(mut postgres) = Postgres::default().start() else { return };
    postgres.query("CREATE ROLE keeps_on");
    postgres.crash();
    assert!(!postgres.admits(SUPERUSER, postgres.password()));
    postgres.recover();
    assert!(postgres.has_role("keeps_on"));
}

#[test]
fn a_killed_test_leaves_no_database_behind() {
    if std::env::var_os(HOLDS).is_some() {
        let postgres = Postgres::default().start();
        println!("pid={}", postgres.as_ref().map_or(0, boltwork_e2e::postgres::Running::pid));
        let _ = std::io::stdin().read(&mut [0]);
        return;
    }
    let mut test = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_killed_test_leaves_no_database_behind", "--nocapture"])
        .env(HOLDS, "yes")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(test.stdout.take().unwrap());
    let pid = output.lines().map_while(Result::ok).find_map(|line| {
        line.split_once("pid=").map(|(_, pid)| pid.trim().parse::<u32>().unwrap())
    });
    let pid = pid.expect("the other test says which process it started");
    process::kill9(test.id());
    test.wait().unwrap();
    if pid == 0 {
        return;
    }
    wait_for("the end of PostgreSQL", || (!process::runs(pid)).then_some(()));
}
