//! What ARCHITECTURE.md says of the code as a whole is true: who uses whom, and how long files and functions are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const ARCHITECTURE: &str = include_str!("../ARCHITECTURE.md");
const MOST_LINES_OF_A_FILE: usize = 600;
const MOST_LINES_OF_A_FUNCTION: usize = 60;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources_in(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources_in(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}

/// The part below a heading.
fn part(heading: &str) -> &'static str {
    let (_, rest) = ARCHITECTURE.split_once(&format!("\n## {heading}\n")).unwrap();
    rest.split("\n## ").next().unwrap()
}

/// The rooms by their height, as the drawing has them from left to right.
fn heights() -> BTreeMap<&'static str, usize> {
    let drawing = part("Who may use whom").split("```").nth(1).unwrap();
    let levels = drawing.split('←').map(|level| level.split(',').map(str::trim).filter(|room| !room.is_empty()));
    levels.enumerate().flat_map(|(height, rooms)| rooms.map(move |room| (room, height))).collect()
}

/// Which file or room a file of the sources belongs to: the first part of its path.
fn room(file: &Path) -> String {
    let path = file.strip_prefix(root().join("src")).unwrap();
    path.iter().next().unwrap().to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// The files that a file declares for tests alone: `#[cfg(test)]`, and `mod name;` below.
fn files_for_tests(file: &Path, text: &str) -> Vec<PathBuf> {
    let folder = match file.file_stem().unwrap().to_str().unwrap() {
        "mod" | "lib" | "main" => file.parent().unwrap().to_owned(),
        name => file.with_file_name(name),
    };
    let lines: Vec<&str> = text.lines().collect();
    let declared = lines.windows(2).filter(|pair| pair[0].trim() == "#[cfg(test)]").filter_map(|pair| {
        let (_, name) = pair[1].trim().strip_suffix(';')?.rsplit_once("mod ")?;
        Some([folder.join(format!("{name}.rs")), folder.join(name).join("mod.rs")])
    });
    declared.flatten().collect()
}

/// What is compiled of a file outside of tests, without comments.
fn without_tests(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    text[..end].lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

/// The rooms that are named behind `crate::`.
fn used(text: &str) -> BTreeSet<String> {
    let word = |text: &str| text.chars().take_while(|it| it.is_alphanumeric() || *it == '_').collect::<String>();
    let mut rooms = BTreeSet::new();
    for behind in text.split("crate::").skip(1) {
        match behind.strip_prefix('{') {
            Some(list) => {
                let mut depth = 0;
                let list = list.chars().take_while(|it| {
                    depth += i32::from(*it == '{') - i32::from(*it == '}');
                    depth >= 0
                });
                let list: String = list.collect();
                rooms.extend(list.split(',').map(|entry| word(entry.trim())).filter(|name| name.len() > 1));
            }
            None => drop(rooms.insert(word(behind))),
        }
    }
    rooms
}

#[test]
fn no_room_uses_one_above_it() {
    let heights = heights();
    let files: Vec<(PathBuf, String)> = sources_in(&root().join("src"))
        .into_iter()
        .map(|file| (file.clone(), fs::read_to_string(file).unwrap()))
        .collect();
    let for_tests: BTreeSet<PathBuf> = files.iter().flat_map(|(file, text)| files_for_tests(file, text)).collect();
    let mut upward = Vec::new();
    for (file, text) in &files {
        let room = room(file);
        if for_tests.contains(file) || for_tests.iter().any(|above| file.starts_with(above.with_extension(""))) {
            continue;
        }
        let Some(height) = heights.get(room.as_str()) else {
            assert!(matches!(room.as_str(), "lib" | "main"), "`{room}` is not in the drawing of ARCHITECTURE.md");
            continue;
        };
        for other in used(&without_tests(text)).iter().filter(|other| **other != room) {
            if heights.get(other.as_str()).is_some_and(|its| its >= height) {
                upward.push(format!("{} uses {other}", file.display()));
            }
        }
    }
    assert_eq!(upward, [""; 0]);
}

#[test]
fn no_file_is_longer_than_a_newcomer_reads() {
    let folders = ["src", "tests", "fuzz/fuzz_targets"].map(|folder| root().join(folder));
    let lines = |file: &Path| fs::read_to_string(file).unwrap().lines().count();
    let long: Vec<String> = folders
        .iter()
        .flat_map(|folder| sources_in(folder))
        .filter(|file| lines(file) > MOST_LINES_OF_A_FILE)
        .map(|file| format!("{}: {} lines", file.display(), lines(&file)))
        .collect();
    assert_eq!(long, [""; 0]);
}

/// The functions of a formatted file with their numbers of lines: the one that closes is indented as the one that opens.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let opens = |line: &str| {
        let mut words = line.split_whitespace().skip_while(|word| {
            matches!(*word, "pub" | "async" | "const" | "unsafe" | "extern" | "\"C\"") || word.starts_with("pub(")
        });
        let name = words.next().filter(|word| *word == "fn").and(words.next())?;
        Some(name.chars().take_while(|it| it.is_alphanumeric() || *it == '_').collect::<String>())
    };
    let length = |first: usize| {
        let line = lines[first];
        if line.ends_with(';') || line.ends_with('}') {
            return 1;
        }
        let end = format!("{}}}", &line[..line.len() - line.trim_start().len()]);
        lines[first..].iter().position(|line| *line == end).map_or(1, |count| count + 1)
    };
    (0..lines.len()).filter_map(|first| Some((opens(lines[first])?, length(first)))).collect()
}

#[test]
fn a_function_that_is_longer_than_a_screen_has_its_reason_written_down() {
    let named = part("Long functions").split('`').skip(1).step_by(2);
    let named = named.filter(|name| !name.ends_with(".rs"));
    let reasons: BTreeSet<&str> = named.filter_map(|name| name.rsplit("::").next()).collect();
    let mut long = BTreeSet::new();
    for file in ["src", "tests"].iter().flat_map(|folder| sources_in(&root().join(folder))) {
        let functions = functions(&fs::read_to_string(&file).unwrap());
        long.extend(functions.into_iter().filter(|(_, lines)| *lines > MOST_LINES_OF_A_FUNCTION).map(|(name, _)| name));
    }
    let without: Vec<_> = long.iter().filter(|name| !reasons.contains(name.as_str())).collect();
    assert!(without.is_empty(), "split them, or write the reason into ARCHITECTURE.md: {without:?}");
    let gone: Vec<_> = reasons.iter().filter(|name| !long.contains(**name)).collect();
    assert!(gone.is_empty(), "they are not long any more: {gone:?}");
}

#[test]
fn what_is_looked_for_is_found() {
    assert_eq!(functions("    pub fn a(\n        b: u8,\n    ) {\n        c();\n    }\n"), [("a".to_owned(), 5)]);
    let found = used("use crate::{text, ui::{msg, app}, store};\ncrate::exit::Exit");
    assert!(["text", "ui", "store", "exit"].iter().all(|room| found.contains(*room)), "{found:?}");
}
