//! Boltwork and OpenBao side by side on one machine: the same requests, in rounds that alternate
//! between the two, and one table of the ratios of their medians. Everything that is started here
//! is stopped here, and nothing runs longer than its rounds.
//!
//! ```text
//! boltwork-bench [--rounds N] [--seconds S] [--connections C]
//! ```
//!
//! Left out on purpose: claims about other machines. Both servers and the load share the cores of
//! this one, so ratios mean something here and absolute figures little.

mod load;
mod measures;
mod mounts;
mod spawn;
mod start;
mod table;

use std::process::ExitCode;
use std::time::Duration;

/// How long and how hard to measure.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Rounds for each server and measure.
    pub rounds: usize,
    /// Length of a round.
    pub round: Duration,
    /// Connections that are kept open, each with one request under way.
    pub connections: usize,
}

impl Default for Plan {
    fn default() -> Self {
        Self { rounds: 5, round: Duration::from_secs(3), connections: 16 }
    }
}

impl Plan {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut plan = Self::default();
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{name} needs a number"))?;
            let number: usize =
                value.parse().map_err(|_| format!("{name} {value}: not a number"))?;
            if number == 0 {
                return Err(format!("{name} 0: at least one"));
            }
            match name.as_str() {
                "--rounds" => plan.rounds = number,
                "--seconds" => plan.round = Duration::from_secs(number as u64),
                "--connections" => plan.connections = number,
                _ => return Err(format!("unknown argument {name}")),
            }
        }
        Ok(plan)
    }
}

fn main() -> ExitCode {
    let plan = match Plan::parse(std::env::args().skip(1)) {
        Ok(plan) => plan,
        Err(why) => {
            eprintln!(
                "boltwork-bench: {why}\nusage: boltwork-bench [--rounds N] [--seconds S] [--connections C]"
            );
            return ExitCode::from(2);
        }
    };
    match measures::all(plan) {
        Some(rows) => {
            println!("{}", table::heading(plan));
            println!("{}", table::render(&rows));
            ExitCode::SUCCESS
        }
        // Which program is missing has been said already.
        None => ExitCode::FAILURE,
    }
}
