//! Each crate that is depended on directly is named, with its reason, in docs/dependencies.md.

use std::collections::BTreeSet;

const MANIFEST: &str = include_str!("../Cargo.toml");
const PAGE: &str = include_str!("../docs/dependencies.md");

/// Every name in the tables of dependencies: for all, for tests, for builds, and for some systems alone.
fn named_in_the_manifest() -> BTreeSet<String> {
    let manifest: toml::Table = MANIFEST.parse().unwrap();
    let mut tables = vec![&manifest];
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    tables.extend(targets.into_iter().flat_map(|targets| targets.values()).filter_map(toml::Value::as_table));
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    let of_a_kind = |table: &toml::Table, kind| {
        let names = table.get(kind).and_then(toml::Value::as_table);
        names.into_iter().flat_map(|names| names.keys().cloned()).collect::<Vec<_>>()
    };
    tables.into_iter().flat_map(|table| kinds.into_iter().flat_map(move |kind| of_a_kind(table, kind))).collect()
}

#[test]
fn every_dependency_has_its_reason_on_the_page_and_the_page_names_no_other() {
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let (names, reasons): (Vec<String>, Vec<&str>) = rows.map(|(name, reason)| (name.to_owned(), reason)).unzip();
    let page: BTreeSet<String> = names.iter().cloned().collect();
    assert_eq!(page, named_in_the_manifest());
    assert_eq!(page.len(), names.len(), "a crate has one reason");
    assert!(reasons.iter().all(|reason| reason.trim_end_matches(['|', ' ']).len() > 10), "{reasons:?}");
}
