//! The one table: each measure with both figures, their ratio, the aim, and whether it is met.
//!
//! Left out on purpose: judging the figures by anything but the aims of the project.

use crate::Plan;

/// What a figure counts.
#[derive(Debug, Clone, Copy)]
pub enum Unit {
    /// Requests in a second: more is better.
    PerSecond,
    /// Less is better.
    Milliseconds,
    /// Less is better.
    Microseconds,
    /// Mebibytes; less is better.
    Megabytes,
}

/// What is aimed at.
#[derive(Debug, Clone, Copy)]
pub enum Aim {
    /// Ours divided by theirs is at least this.
    AtLeast(f64),
    /// Ours divided by theirs is at most this.
    AtMost(f64),
    /// Ours is at most this, whatever theirs is.
    Absolute(f64),
    /// Shown for knowledge only.
    None,
}

/// One measure.
#[derive(Debug, Clone)]
pub struct Row {
    /// What was measured.
    pub name: String,
    /// In what.
    pub unit: Unit,
    /// Boltwork's median.
    pub ours: f64,
    /// OpenBao's median.
    pub theirs: f64,
    /// What is aimed at.
    pub aim: Aim,
}

impl Row {
    fn ratio(&self) -> f64 {
        self.ours / self.theirs
    }

    fn figure(&self, value: f64) -> String {
        match self.unit {
            Unit::PerSecond => format!("{value:.0}/s"),
            Unit::Milliseconds => format!("{value:.0} ms"),
            Unit::Microseconds => format!("{value:.0} us"),
            Unit::Megabytes => format!("{value:.1} MiB"),
        }
    }

    fn verdict(&self) -> (String, &'static str) {
        let (aim, met) = match self.aim {
            Aim::AtLeast(ratio) => (format!(">= {ratio:.2}"), self.ratio() >= ratio),
            Aim::AtMost(ratio) => (format!("<= {ratio:.2}"), self.ratio() <= ratio),
            Aim::Absolute(value) => (format!("<= {}", self.figure(value)), self.ours <= value),
            Aim::None => return ("-".into(), "-"),
        };
        (aim, if met { "met" } else { "MISSED" })
    }
}

/// What stands above the table: how it was measured.
pub fn heading(plan: Plan) -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!(
        "{} alternating rounds of {} s each; servers and load share {cores} cores; medians; ratio = boltwork / bao\n",
        plan.rounds,
        plan.round.as_secs()
    )
}

/// The table in Markdown.
pub fn render(rows: &[Row]) -> String {
    let mut cells = vec![["measure", "boltwork", "bao", "ratio", "aim", ""].map(str::to_owned)];
    for row in rows {
        let (aim, met) = row.verdict();
        let ratio = format!("{:.2}", row.ratio());
        cells.push([
            row.name.clone(),
            row.figure(row.ours),
            row.figure(row.theirs),
            ratio,
            aim,
            met.to_owned(),
        ]);
    }
    let width = |column: usize| {
        cells.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..6).map(width).collect();
    let mut lines: Vec<String> = cells.iter().map(|row| line(row, &widths)).collect();
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    lines.insert(1, format!("| {} |", rule.join(" | ")));
    lines.join("\n")
}

fn line(row: &[String; 6], widths: &[usize]) -> String {
    let padded: Vec<String> = row
        .iter()
        .zip(widths)
        .enumerate()
        .map(
            |(column, (cell, width))| {
                if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            },
        )
        .collect();
    format!("| {} |", padded.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aim_that_is_missed_says_so() {
        let row =
            |ours, aim| Row { name: "x".into(), unit: Unit::PerSecond, ours, theirs: 10.0, aim };
        assert_eq!(row(40.0, Aim::AtLeast(4.0)).verdict().1, "met");
        assert_eq!(row(39.0, Aim::AtLeast(4.0)).verdict().1, "MISSED");
        assert_eq!(row(4.0, Aim::AtMost(0.33)).verdict().1, "MISSED");
        assert_eq!(row(29.0, Aim::Absolute(30.0)).verdict().1, "met");
    }
}
