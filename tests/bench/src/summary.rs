//! The summary for the README, in Markdown, and its insertion into the file.

use crate::plan::{ROWS, Round};
use crate::report::{Comparison, Figures, decimal, grouped, keys, short};
use std::fmt::Write;
use std::path::Path;

const BEGIN: &str = "<!-- bench: begin (written by `make bench PROFILE=record`) -->";
const END: &str = "<!-- bench: end -->";

/// The summary of a run: the rows of the first comparison, and the means of the others.
pub fn markdown(figures: &Figures) -> String {
    let mut out = format!(
        "Measured in one run of {} minutes on this machine: {}.\n",
        grouped((figures.seconds / 60.0).ceil()),
        figures.machine
    );
    if let Some(first) = figures.comparisons.first() {
        rows(&mut out, first);
        totals(&mut out, first);
    }
    means(&mut out, figures);
    growth(&mut out, figures);
    if !figures.left_out.is_empty() {
        let _ = writeln!(out, "\nLeft out for want of time: {}.", figures.left_out.join("; "));
    }
    out
}

fn name(comparison: &Comparison, engine: usize) -> String {
    let each = &comparison.engines[engine];
    format!("{}{}", each.name, if each.assertions { " (assertions on)" } else { "" })
}

fn heading(out: &mut String, comparison: &Comparison, first: &str, last: &str) {
    let _ = write!(out, "\n| {first} |");
    (0..comparison.engines.len()).for_each(|engine| {
        let _ = write!(out, " {} |", name(comparison, engine));
    });
    let _ = write!(out, "{last}\n|---|{}", "--:|".repeat(comparison.engines.len()));
    out.push_str(if last.is_empty() { "\n" } else { "--:|\n" });
}

fn rows(out: &mut String, comparison: &Comparison) {
    let plan = &comparison.plan;
    let _ = writeln!(
        out,
        "\nProfile `{}`, {} keys, {} reads, {} thread{}, medians of {} rounds. Microseconds of an operation (in parentheses CPU \
         microseconds, background threads included); the ratio is the time of the best peer by ours, above 1 we are faster.",
        plan.profile.name,
        grouped(plan.num as f64),
        grouped(plan.reads as f64),
        plan.threads,
        if plan.threads == 1 { "" } else { "s" },
        comparison.rounds(),
    );
    heading(out, comparison, "row", " ratio |");
    for row in ROWS {
        let cells: Vec<_> =
            (0..comparison.engines.len()).map(|engine| comparison.cell(engine, row)).collect();
        if cells.iter().all(Option::is_none) {
            continue;
        }
        let _ = write!(out, "| {row} |");
        for cell in cells {
            let _ = match cell {
                Some(cell) => write!(out, " {} ({}) |", decimal(cell.micros), decimal(cell.cpu_micros)),
                None => write!(out, " |"),
            };
        }
        let ratio = comparison.ratio(row).map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
        let _ = writeln!(out, " {ratio} |");
    }
    if let Some((mean, count)) = comparison.mean_ratio() {
        let blanks = " |".repeat(comparison.engines.len());
        let _ = writeln!(
            out,
            "| **geometric mean** of {count} ratios (without `settle`) |{blanks} **{mean:.2}** |"
        );
    }
}

fn totals(out: &mut String, comparison: &Comparison) {
    heading(out, comparison, "over all rows", "");
    type Figure = fn(&Round) -> u64;
    let totals: [(&str, Figure); 5] = [
        ("user data written", |round| round.user_bytes),
        ("bytes to the device", |round| round.device_bytes),
        ("size on disk, settled", |round| round.disk_bytes[0]),
        ("size on disk, compacted", |round| round.disk_bytes[1]),
        ("peak resident memory, mapped tables included", |round| round.peak_bytes),
    ];
    for (title, of) in totals {
        let _ = write!(out, "| {title} |");
        (0..comparison.engines.len()).for_each(|engine| {
            let _ = write!(out, " {} |", short(comparison.total(engine, of)));
        });
        out.push('\n');
    }
}

/// One line for every table: its geometric mean, and the rows in which a peer is faster.
fn means(out: &mut String, figures: &Figures) {
    let shown = figures.comparisons.iter().filter(|each| each.plan.profile.name != "growth");
    let _ = write!(
        out,
        "\n| profile | threads | keys | rounds | geometric mean of the ratios | rows where a peer is faster |\n\
         |---|--:|--:|--:|--:|---|\n"
    );
    for each in shown {
        let slower: Vec<String> = ROWS
            .iter()
            .filter_map(|row| {
                let ratio = each.ratio(row).filter(|ratio| *ratio < 0.995)?;
                Some(format!("{row} {ratio:.2}"))
            })
            .collect();
        let mean = each.mean_ratio().map_or("-".to_owned(), |(mean, _)| format!("{mean:.2}"));
        let (plan, slower) =
            (&each.plan, if slower.is_empty() { "none".to_owned() } else { slower.join(", ") });
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {mean} | {slower} |",
            plan.profile.name,
            plan.threads,
            keys(plan.num as f64),
            each.rounds()
        );
    }
}

fn growth(out: &mut String, figures: &Figures) {
    let sizes: Vec<&Comparison> =
        figures.comparisons.iter().filter(|each| each.plan.profile.name == "growth").collect();
    let Some(first) = sizes.first() else { return };
    let _ = writeln!(out, "\nHow cost grows, microseconds of an operation (one round):");
    heading(out, first, "row, keys", " ratio |");
    for row in crate::case::GROWTH_ROWS {
        for each in &sizes {
            let _ = write!(out, "| {row}, {} |", keys(each.plan.num as f64));
            for engine in 0..each.engines.len() {
                let cell = each.cell(engine, row).map_or(String::new(), |cell| decimal(cell.micros));
                let _ = write!(out, " {cell} |");
            }
            let ratio = each.ratio(row).map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
            let _ = writeln!(out, " {ratio} |");
        }
    }
    for each in &sizes {
        let _ = write!(out, "| memory without mapped tables, {} |", keys(each.plan.num as f64));
        for engine in 0..each.engines.len() {
            let _ = write!(out, " {} |", short(each.total(engine, most_anonymous)));
        }
        let _ = writeln!(out, " |");
    }
}

/// Peak anonymous memory of a round (without mapped files).
fn most_anonymous(round: &Round) -> u64 {
    round.measurements.iter().map(|each| each.anonymous_bytes).max().unwrap_or(0)
}

/// Writes the summary between the marks of a file.
pub fn paste(path: &Path, summary: &str) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let pasted = between_marks(&text, summary)
        .ok_or_else(|| format!("{}: the marks \"{BEGIN}\" and \"{END}\" are not there", path.display()))?;
    std::fs::write(path, pasted).map_err(failed)
}

fn between_marks(text: &str, summary: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{summary}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_replaces_what_was_between_the_marks() {
        let text = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        let new = between_marks(&text, "new\n").expect("both marks are there");
        assert_eq!(new, format!("a\n{BEGIN}\nnew\n{END}\nb\n"));
        assert_eq!(between_marks(&new, "new\n").as_ref(), Some(&new));
        assert_eq!(between_marks("no marks", "new"), None);
    }

    #[test]
    fn the_readme_has_the_marks() {
        let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
        let text = std::fs::read_to_string(readme).expect("the README");
        assert!(between_marks(&text, "").is_some());
    }
}
