//! The guide can be relied on: its links lead somewhere, its index names every page, what it has typed is understood by the
//! program and does what it is for, and the reference of settings is what the program knows of them.

#[path = "../common/mod.rs"]
mod common;
mod guide;
#[cfg(unix)]
#[path = "../common/pty.rs"]
#[allow(dead_code)]
mod pty;
#[cfg(unix)]
mod running;
#[cfg(unix)]
mod world;

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::error::ErrorKind;
use common::program::Home;
use guide::{Page, filled, guide, help, pages_of_docs, root, words};
use tuichat::cli::{Arguments, definition};
use tuichat::config::{About, Directories, SAMPLE, Settings, SettingsFile, about_settings, variable_of};
use tuichat::ui::counts_from;
use tuichat::ui::slash::{self, Written};

const INDEX: &str = "docs/README.md";
const REFERENCE: &str = "docs/configuration.md";
const WRITE: &str = "UPDATE_DOCS";
/// What the reference begins with.
const INTRODUCTION: &str = "\
# All settings
This page is written by a test from what the program knows of its settings. F6 in the chat shows the same, with what each is \
at the moment, and `tuichat config print-sample` prints them as a file. [settings.md](settings.md) says how they are \
changed, and what a change does.

Each has one name: it stands in `config.toml`, the flag is typed, the variable is set in the environment. The command line \
goes before the environment, the environment before the file, and the file before the default. The default is given here \
as the line that the file would have: texts stand in quotes, lists in brackets. Switches are \
`true` and `false`, or the words on, off, yes and no, in quotes; flags and variables take the same words.
";
/// Commands of other programs, with which ours are compared.
const OF_OTHERS: [&str; 4] = ["/clear", "/glob", "/read", "/regen"];

/// Whether the program understands a call; help is an answer, too.
fn understood(call: &[String]) -> Result<(), clap::Error> {
    Arguments::read(call).map(drop).or_else(|error| if error.exit_code() == 0 { Ok(()) } else { Err(error) })
}

/// Whether what a sentence quotes is understood, where it may leave out the last value, or name a command alone.
fn is_named_rightly(call: &[String]) -> Result<(), clap::Error> {
    let is_short = |error: &clap::Error| {
        use ErrorKind::{DisplayHelpOnMissingArgumentOrSubcommand, MissingRequiredArgument, MissingSubcommand};
        [DisplayHelpOnMissingArgumentOrSubcommand, MissingRequiredArgument, MissingSubcommand].contains(&error.kind())
    };
    match understood(call) {
        Err(error) if !is_short(&error) => understood(&[call, &["3".to_owned()]].concat()).map_err(|_| error),
        _ => Ok(()),
    }
}

#[test]
fn every_link_leads_to_a_page_and_every_anchor_to_a_heading() {
    let others = ["ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(str::to_owned);
    let pages = others.map(|name| (name.clone(), Page::at(&root().join(name))));
    for (name, page) in pages.into_iter().chain(guide()) {
        for link in &page.links {
            if link.contains(':') {
                let address = reqwest::Url::parse(link).ok().filter(|url| url.scheme() == "https" && url.has_host());
                assert!(address.is_some(), "{name}: `{link}` is no address");
                continue;
            }
            let (path, anchor) = link.split_once('#').map_or((link.as_str(), None), |(path, it)| (path, Some(it)));
            let here = root().join(&name);
            let target: PathBuf = if path.is_empty() { here } else { here.parent().unwrap().join(path) };
            assert!(target.exists(), "{name}: `{link}` leads nowhere");
            if let Some(anchor) = anchor {
                let is_there = Page::at(&target).anchors.iter().any(|known| known == anchor);
                assert!(is_there, "{name}: `{link}` leads to no heading");
            }
        }
    }
}

#[test]
fn every_page_is_in_the_index() {
    let index: BTreeSet<String> =
        Page::at(&root().join(INDEX)).links.iter().map(|link| format!("docs/{link}")).collect();
    for page in pages_of_docs() {
        assert!(page == INDEX || index.contains(&page), "{page} is not in {INDEX}");
    }
}

#[test]
fn every_call_of_the_program_that_is_written_down_is_understood() {
    let (mut count, mut topics) = (0, BTreeSet::new());
    for (name, page) in guide().into_iter().chain(help()) {
        let calls: Vec<Vec<String>> = page.calls().iter().map(|call| filled(&call.words)).collect();
        let spans = page.spans.iter().filter(|span| span.starts_with("tuichat ")).map(|span| filled(&words(span)));
        let spans: Vec<Vec<String>> = spans.collect();
        for call in &calls {
            understood(call).unwrap_or_else(|error| panic!("{name}: {call:?}: {error}"));
        }
        for call in &spans {
            is_named_rightly(call).unwrap_or_else(|error| panic!("{name}: {call:?}: {error}"));
        }
        count += calls.len() + spans.len();
        let is_placeholder = |topic: &String| topic.chars().all(char::is_uppercase);
        let asked = calls.iter().chain(&spans).filter(|call| call.len() > 2 && call[1] == "help");
        topics.extend(asked.filter(|call| !is_placeholder(&call[2])).map(|call| call[1..].to_vec()));
    }
    assert!(count > 150, "only {count} were found");
    let home = Home::new();
    for topic in topics {
        let words: Vec<&str> = topic.iter().map(String::as_str).collect();
        assert_eq!(home.run(&words).code, Some(0), "{topic:?}");
    }
}

#[test]
fn every_command_of_the_chat_that_is_written_down_is_one() {
    for (name, page) in guide() {
        for span in page.spans.iter().filter(|span| span.starts_with('/') && !span[1..].starts_with('/')) {
            let first = span.split(' ').next().unwrap_or_default();
            if first[1..].contains('/') || OF_OTHERS.contains(&first) {
                continue;
            }
            let rest: Vec<String> = span.split(' ').skip(1).map(str::to_owned).collect();
            let written = [&[first.to_owned()][..], &filled(&rest)].concat().join(" ");
            if let Written::Mistake(sentence) = slash::read(&written) {
                // Something has to follow some of them, which a sentence need not say.
                let is_named_alone = rest.is_empty() && slash::called(&first[1..]).is_some();
                assert!(is_named_alone, "{name}: `{span}`: {sentence}");
            }
        }
    }
}

#[test]
fn the_reference_of_settings_is_what_the_program_knows_of_them() {
    let (path, expected) = (root().join(REFERENCE), reference());
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let is_same = std::fs::read_to_string(&path).is_ok_and(|text| text == expected);
    assert!(is_same, "{REFERENCE} is an old one; type `{WRITE}=1 cargo test --release --test docs`");
}

fn reference() -> String {
    let home = tempfile::tempdir().unwrap();
    let directories = Directories::find(Some(home.path().into())).unwrap();
    let file = SettingsFile::find(&directories, |_| None, Settings::default()).unwrap();
    let (mut text, mut group) = (INTRODUCTION.to_owned(), "");
    for about in about_settings() {
        if about.group != group {
            group = &about.group;
            text.push_str(&format!("\n## {group}\n"));
        }
        let About { key, explanation, .. } = about;
        let (flag, variable, counts) = (key.replace('_', "-"), variable_of(key), counts_from(about));
        let default = SAMPLE.lines().find_map(|line| line.strip_prefix(&format!("#{key} = "))).unwrap();
        let values = values(about, &file);
        text.push_str(&format!(
            "\n### `{key}`\n{explanation}\n\n`--{flag}`, `{variable}`. Default: `{key} = {default}`. Values: {values}. A \
             change counts {counts}.\n"
        ));
    }
    text
}

/// What a setting may be, as the program tells who gives it something else; where it takes any text, or does not tell
/// that in these words, as the option names it.
fn values(about: &About, file: &SettingsFile) -> String {
    let refusal = file.change(&about.key, Some("?")).err().unwrap_or_default();
    let told = refusal.split_once(": it must be ").map(|(_, told)| told.trim_end_matches(", or `yes` or `no`"));
    let named = || {
        let definition = definition();
        let option = definition.get_arguments().find(|option| option.get_id() == about.key.as_str()).unwrap();
        let names = option.get_value_names().unwrap_or_default().iter().flat_map(|name| name.split('|'));
        names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    };
    let values = told.map_or_else(named, str::to_owned);
    if about.is_list { format!("a list of {values}") } else { values }
}
