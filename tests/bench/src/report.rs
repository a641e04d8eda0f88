//! Medians, tables and JSON.

use crate::plan::{EnginePath, Measurement, Plan, ROWS, Round};
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// Rows that are not in the geometric mean: the time of a wait depends on the work that the rows before it
/// have deferred.
const OUTSIDE_THE_MEAN: [&str; 2] = ["settle", "settle.deleted"];

/// All rounds of all engines under one profile and number of threads.
#[derive(Serialize, Deserialize)]
pub struct Comparison {
    /// The plan of every child.
    pub plan: Plan,
    pub engines: Vec<EnginePath>,
    rounds: Vec<Vec<Round>>,
}

/// An engine that settles in less than this time had no deferred work.
const SETTLED_MICROS: f64 = 20_000.0;

/// A line under the table: its title and its figure.
type Total = (&'static str, fn(&Round) -> u64);

/// The medians of one row of one engine.
#[derive(Clone, Copy)]
pub struct Cell {
    /// Microseconds per operation.
    pub micros: f64,
    /// CPU microseconds per operation.
    pub cpu_micros: f64,
    /// Bytes that went to the device, per operation.
    pub device_bytes: f64,
}

impl Comparison {
    /// `rounds[engine][round]`.
    pub fn new(plan: Plan, engines: &[EnginePath], rounds: Vec<Vec<Round>>) -> Comparison {
        Comparison { plan, engines: engines.to_vec(), rounds }
    }

    /// The engine whose ratio is shown: the one named terrace, else the first.
    pub fn subject(&self) -> usize {
        self.engines.iter().position(|engine| engine.name == "terrace").unwrap_or(0)
    }

    fn measured(&self, engine: usize, row: &str) -> Vec<&Measurement> {
        let all = self.rounds[engine].iter().flat_map(|round| &round.measurements);
        all.filter(|measurement| measurement.row == row).collect()
    }

    /// The medians of a row.
    pub fn cell(&self, engine: usize, row: &str) -> Option<Cell> {
        let measured = self.measured(engine, row);
        let per_operation = |of: fn(&Measurement) -> f64| {
            median(measured.iter().map(|each| of(each) / each.operations.max(1) as f64))
        };
        Some(Cell {
            micros: per_operation(|each| each.wall_micros)?,
            cpu_micros: per_operation(|each| each.cpu_micros)?,
            device_bytes: per_operation(|each| each.device_bytes as f64)?,
        })
    }

    /// How many times faster the subject is than the fastest other engine.
    pub fn ratio(&self, row: &str) -> Option<f64> {
        let subject = self.subject();
        let own = self.cell(subject, row)?.micros;
        let others = (0..self.engines.len()).filter(|engine| *engine != subject);
        let best = others.filter_map(|engine| Some(self.cell(engine, row)?.micros)).min_by(f64::total_cmp)?;
        // If both engines had no deferred work, the ratio means nothing.
        let nothing = row.starts_with("settle") && own.min(best) < SETTLED_MICROS;
        (!nothing).then(|| best / own)
    }

    /// The geometric mean of all ratios, and their number.
    pub fn mean_ratio(&self) -> Option<(f64, usize)> {
        let rows = ROWS.iter().filter(|row| !OUTSIDE_THE_MEAN.contains(row));
        let logarithms: Vec<f64> = rows.filter_map(|row| Some(self.ratio(row)?.ln())).collect();
        let count = logarithms.len();
        (count > 0).then(|| ((logarithms.iter().sum::<f64>() / count as f64).exp(), count))
    }

    /// The median of a figure over the rounds of one engine.
    pub fn total(&self, engine: usize, of: fn(&Round) -> u64) -> f64 {
        median(self.rounds[engine].iter().map(|round| of(round) as f64)).unwrap_or(0.0)
    }

    /// The number of rounds of each engine.
    pub fn rounds(&self) -> usize {
        self.rounds.first().map_or(0, Vec::len)
    }

    /// The table, for people.
    pub fn table(&self) -> String {
        let mut out = String::new();
        let (plan, profile) = (&self.plan, &self.plan.profile);
        let rounds = self.rounds();
        let _ = writeln!(
            out,
            "\nprofile {}, {} thread{}: {} keys of 16 bytes, values of {} bytes; medians of {rounds} rounds",
            profile.name,
            plan.threads,
            if plan.threads == 1 { "" } else { "s" },
            grouped(plan.num as f64),
            profile.value_size,
        );
        for engine in &self.engines {
            let _ = writeln!(out, "  {}", engine.describe());
        }
        let subject = &self.engines[self.subject()].name;
        let _ = writeln!(
            out,
            "us/op: microseconds of the row by its operations, all threads together; CPU: the same of CPU time, background\n\
             threads included; bytes: on their way to the device, of an operation; ratio: us/op of the best peer by that of {subject}, above 1 {subject} is faster\n",
        );
        let _ = write!(out, "{:<24}", "");
        for engine in &self.engines {
            let name = if engine.assertions {
                format!("{} (assertions on)", engine.name)
            } else {
                engine.name.clone()
            };
            let _ = write!(out, "  {name:^42}");
        }
        let _ = write!(out, "\n{:<24}", "row");
        for _ in &self.engines {
            let _ = write!(out, "  {:>10}{:>12}{:>10}{:>10}", "us/op", "ops/s", "CPU us", "bytes");
        }
        let _ = writeln!(out, "  {:>7}", "ratio");
        for row in ROWS {
            self.table_row(&mut out, row);
        }
        if let Some((mean, count)) = self.mean_ratio() {
            let _ = writeln!(out, "geometric mean of {count} ratios (without settle): {mean:.2}");
        }
        self.table_totals(&mut out);
        out
    }

    fn table_row(&self, out: &mut String, row: &str) {
        let cells: Vec<Option<Cell>> = (0..self.engines.len()).map(|engine| self.cell(engine, row)).collect();
        if cells.iter().all(Option::is_none) {
            return;
        }
        let _ = write!(out, "{row:<24}");
        for cell in cells {
            let _ = match cell {
                Some(Cell { micros, cpu_micros, device_bytes }) => write!(
                    out,
                    "  {:>10}{:>12}{:>10}{:>10}",
                    decimal(micros),
                    grouped(1e6 / micros.max(1e-3)),
                    decimal(cpu_micros),
                    short(device_bytes)
                ),
                None => write!(out, "  {:>42}", "-"),
            };
        }
        let ratio = self.ratio(row).map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
        let _ = writeln!(out, "  {ratio:>7}");
    }

    fn table_totals(&self, out: &mut String) {
        let totals: [Total; 7] = [
            ("user data written", |round| round.user_bytes),
            ("bytes of write calls", |round| round.written_bytes),
            ("bytes to the device", |round| round.device_bytes),
            ("on disk, settled", |round| round.disk_bytes[0]),
            ("on disk, compacted", |round| round.disk_bytes[1]),
            ("peak resident memory", |round| round.peak_bytes),
            ("largest anonymous", |round| {
                round.measurements.iter().map(|each| each.anonymous_bytes).max().unwrap_or(0)
            }),
        ];
        let _ = writeln!(out, "\n{:<24}  MiB, over all rows; mapped tables count as resident", "");
        for (title, of) in totals {
            let _ = write!(out, "{title:<24}");
            for rounds in &self.rounds {
                let mebibytes = median(rounds.iter().map(|round| of(round) as f64 / f64::from(1 << 20)));
                let _ = write!(out, "  {:>10}{:>32}", decimal(mebibytes.unwrap_or(0.0)), "");
            }
            let _ = writeln!(out);
        }
        let _ = write!(out, "{:<24}", "bytes to device / user");
        for rounds in &self.rounds {
            let amplification =
                median(rounds.iter().map(|round| round.device_bytes as f64 / round.user_bytes.max(1) as f64));
            let _ = write!(out, "  {:>10.2}{:>32}", amplification.unwrap_or(0.0), "");
        }
        let _ = writeln!(out);
    }

    /// Rows in which the engines found different results: the speed of a wrong answer means nothing.
    pub fn disagreements(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for row in ROWS {
            let found: Vec<(&str, u64)> = (0..self.engines.len())
                .flat_map(|engine| {
                    let name = &*self.engines[engine].name;
                    self.measured(engine, row).into_iter().filter_map(move |each| Some((name, each.found?)))
                })
                .collect();
            // The order of two threads' writes of a key is random, but the keys and the sizes of the values
            // are not.
            if found.windows(2).any(|pair| pair[0].1 != pair[1].1) {
                wrong.push(format!("{row}: the engines found different things: {found:?}"));
            }
        }
        wrong
    }
}

/// All results of a run of the benchmark: the contents of figures.json.
#[derive(Serialize, Deserialize)]
pub struct Figures {
    /// A description of the machine.
    pub machine: String,
    pub comparisons: Vec<Comparison>,
    /// Runs of the list that were left out for lack of time.
    pub left_out: Vec<String>,
    /// Duration of the run, in seconds.
    pub seconds: f64,
}

fn median(numbers: impl Iterator<Item = f64>) -> Option<f64> {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    match numbers.len() {
        0 => None,
        length if length % 2 == 1 => Some(numbers[middle]),
        _ => Some((numbers[middle - 1] + numbers[middle]) / 2.0),
    }
}

/// Formats a number of keys in a few characters.
pub fn keys(number: f64) -> String {
    match number {
        n if n >= 1e6 => format!("{}M", n / 1e6),
        n if n >= 1e3 => format!("{}k", n / 1e3),
        n => format!("{n}"),
    }
}

/// Formats a number of bytes in a few characters.
pub fn short(bytes: f64) -> String {
    match bytes {
        b if b >= 1e6 => format!("{}M", decimal(b / f64::from(1 << 20))),
        b => grouped(b),
    }
}

/// Formats a number with decimals that depend on its magnitude.
pub fn decimal(number: f64) -> String {
    match number {
        n if n >= 1000.0 => grouped(n),
        n if n >= 100.0 => format!("{n:.1}"),
        n if n >= 10.0 => format!("{n:.2}"),
        n => format!("{n:.3}"),
    }
}

/// Formats a whole number with thousands separators.
pub fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle() {
        assert_eq!(median([].into_iter()), None);
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), Some(2.5));
    }

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(["7", "1,000", "12,345,678"], [7.0, 1000.0, 12_345_678.0].map(grouped));
        assert_eq!(["0.123", "12.35", "123.5", "1,235"], [0.1234, 12.345, 123.45, 1234.6].map(decimal));
    }
}
