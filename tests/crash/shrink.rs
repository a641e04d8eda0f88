//! Shortens a failing workload, and prints it as a test.

use super::states::Violation;
use super::workload::{Operation, Workload};
use std::time::{Duration, Instant};

/// The longest time for shortening a failure; the shortest workload found by then is printed.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a shorter workload runs before it counts as passing: background threads have no fixed order.
const TRIES: u64 = 3;

/// The shortest failing workload that was found, and its violation. `check` runs a workload.
pub fn shrink(
    mut workload: Workload,
    mut violation: Violation,
    check: &dyn Fn(&Workload) -> Result<(), Violation>,
) -> (Workload, Violation) {
    let end = Instant::now() + PATIENCE;
    let fails = |workload: &Workload| (0..TRIES).find_map(|_| check(workload).err());
    for part in [Workload::operations_mut, Workload::before_mut] {
        let mut stretch = part(&mut workload).len().div_ceil(2);
        while stretch > 0 {
            let mut start = 0;
            let mut dropped_any = false;
            while start < part(&mut workload).len() {
                if Instant::now() > end {
                    return (workload, violation);
                }
                let mut shorter = workload.clone();
                let operations = part(&mut shorter);
                operations.drain(start..(start + stretch).min(operations.len()));
                match fails(&shorter) {
                    None => start += stretch,
                    Some(still) => (workload, violation, dropped_any) = (shorter, still, true),
                }
            }
            if !dropped_any || stretch > 1 {
                stretch /= 2;
            }
        }
    }
    (workload, violation)
}

impl Workload {
    fn operations_mut(&mut self) -> &mut Vec<Operation> {
        &mut self.operations
    }

    fn before_mut(&mut self) -> &mut Vec<Operation> {
        &mut self.before
    }
}

/// The message of a failing test: the violation, and a test that shows it.
pub fn report(workload: &Workload, violation: &Violation, call: &str) -> String {
    format!(
        "{violation}\n\nthe shortest workload found, as a test to be named after its symptom:\n\n\
         #[test]\nfn symptom() {{\n{workload}    {call}\n}}\n"
    )
}
