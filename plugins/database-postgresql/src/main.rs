//! The PostgreSQL database plugin as a program of its own.

use boltwork_database_postgresql::{PostgreSql, VERSION};
use boltwork_sdk::ServeDatabase;

fn main() -> std::process::ExitCode {
    ServeDatabase::new(PostgreSql::default).version(VERSION).run()
}
