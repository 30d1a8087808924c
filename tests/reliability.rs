//! The page about faults names tests that there are.

use std::collections::BTreeSet;
use std::path::Path;

const PAGE: &str = include_str!("../docs/reliability.md");

/// Adds the names of the functions in the Rust files of a folder, and of those below it.
fn functions(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            functions(&entry.path(), names);
        } else if entry.path().extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            let after_fn = text.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next());
            names.extend(after_fn.map(str::to_owned));
        }
    }
}

#[test]
fn every_fault_has_a_row_and_every_test_that_is_named_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut names = BTreeSet::new();
    functions(&root.join("src"), &mut names);
    functions(&root.join("tests"), &mut names);
    let rows: Vec<Vec<&str>> = PAGE
        .lines()
        .filter(|line| line.starts_with("| "))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .filter(|cells: &Vec<&str>| cells[0].parse::<u32>().is_ok())
        .collect();
    let numbers: Vec<u32> = rows.iter().map(|cells| cells[0].parse().unwrap()).collect();
    assert_eq!(numbers, (1..=53).collect::<Vec<u32>>());
    for cells in &rows {
        assert_eq!(cells.len(), 5, "{cells:?}");
        assert!(cells[4].starts_with("passed"), "row {}: {}", cells[0], cells[4]);
        for name in cells[3].split('`').skip(1).step_by(2).filter(|name| name.contains('_')) {
            assert!(names.contains(name), "row {}: there is no test {name}", cells[0]);
        }
    }
}
