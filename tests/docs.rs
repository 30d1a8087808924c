//! The guide can be relied on: its links lead somewhere, its index names every page, what it has typed is understood by the
//! program, and the reference of settings is what the program knows of them.

mod common;

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use common::program::Home;
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};
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
/// What stands for a number in what is to be typed, for a size, for the name and the value of a setting.
const PLACEHOLDERS: [(&[&str], &str); 4] =
    [(&["N", "K", "ID", "SECONDS"], "3"), (&["SIZE"], "2M"), (&["NAME"], "temp"), (&["VALUE"], "0.5")];
/// Commands of other programs, with which ours are compared.
const OF_OTHERS: [&str; 4] = ["/clear", "/glob", "/read", "/regen"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The pages of the guide itself, by their names.
fn pages_of_docs() -> Vec<String> {
    let entries = std::fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().file_name());
    let names = entries.map(|name| format!("docs/{}", name.to_string_lossy()));
    let mut pages: Vec<String> = names.filter(|name| name.ends_with(".md")).collect();
    pages.sort();
    pages
}

/// The pages for users, read.
fn guide() -> Vec<(String, Page)> {
    let names = std::iter::once("README.md".to_owned()).chain(pages_of_docs());
    names.map(|name| (name.clone(), Page::at(&root().join(name)))).collect()
}

/// What a page has in it.
#[derive(Default)]
struct Page {
    links: Vec<String>,
    /// What leads to its headings.
    anchors: Vec<String>,
    /// Code within a sentence.
    spans: Vec<String>,
    /// Blocks of code, with their languages.
    blocks: Vec<(String, String)>,
}

impl Page {
    fn at(path: &Path) -> Self {
        Self::of(&std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    fn of(text: &str) -> Self {
        let mut page = Self::default();
        let (mut heading, mut block) = (None::<String>, None::<(String, String)>);
        let mut same: HashMap<String, u32> = HashMap::new();
        for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    let anchor = anchor(&heading.take().unwrap_or_default());
                    let before = same.entry(anchor.clone()).or_default();
                    page.anchors.push(if *before == 0 { anchor } else { format!("{anchor}-{before}") });
                    *before += 1;
                }
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.links.push(dest_url.into_string());
                }
                Event::Start(Tag::CodeBlock(kind)) => {
                    let language = match kind {
                        CodeBlockKind::Fenced(language) => language.into_string(),
                        CodeBlockKind::Indented => String::new(),
                    };
                    block = Some((language, String::new()));
                }
                Event::End(TagEnd::CodeBlock) => page.blocks.extend(block.take()),
                Event::Text(text) => match (&mut block, &mut heading) {
                    (Some((_, code)), _) => code.push_str(&text),
                    (None, Some(heading)) => heading.push_str(&text),
                    (None, None) => {}
                },
                Event::Code(code) => {
                    heading.iter_mut().for_each(|heading| heading.push_str(&code));
                    page.spans.push(code.into_string());
                }
                _ => {}
            }
        }
        page
    }

    /// The calls of the program in its blocks of shell.
    fn calls(&self) -> Vec<Vec<String>> {
        let is_shell = |language: &str| ["", "sh", "console"].contains(&language);
        self.blocks.iter().filter(|(language, _)| is_shell(language)).flat_map(|(_, code)| calls(code)).collect()
    }
}

/// What leads to a heading, as GitHub has it.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|it| it.is_alphanumeric() || [' ', '-', '_'].contains(it));
    kept.flat_map(char::to_lowercase).map(|it| if it == ' ' { '-' } else { it }).collect()
}

/// The words of each call of the program in a block: where a line begins, behind a prompt or a pipe.
fn calls(code: &str) -> Vec<Vec<String>> {
    let begins = |before: &str| {
        let line = before.rsplit('\n').next().unwrap_or_default();
        line.is_empty() || line == "$ " || line.ends_with("| ")
    };
    let places = code.match_indices("tuichat ").filter(|(at, _)| begins(&code[..*at]));
    places.map(|(at, _)| words(&code[at..])).collect()
}

/// The words up to the end of a call: that of its line, a pipe, a redirection, or what explains it behind two spaces.
/// Placeholders are replaced by what may stand there.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(mark), _) if mark == character => quote = None,
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, '\\') if characters.next_if_eq(&'\n').is_some() => while characters.next_if_eq(&' ').is_some() {},
            (None, '\n' | ')') => break,
            (None, ' ') => {
                words.extend(word.take());
                if characters.peek() == Some(&' ') {
                    break;
                }
            }
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    let is_end = |word: &String| ["|", "||", "&&", "#"].contains(&word.as_str()) || word.starts_with(['<', '>']);
    let end = words.iter().position(is_end).unwrap_or(words.len());
    words.truncate(end);
    filled(&words)
}

/// The words with something in the place of what stands for it. What is left open is left out, but for an option's value.
fn filled(words: &[String]) -> Vec<String> {
    let mut filled: Vec<String> = Vec::new();
    for word in words {
        let bare = word.trim_matches(['[', ']']).trim_end_matches('…');
        let meant = PLACEHOLDERS.iter().find(|(names, _)| names.contains(&bare)).map(|(_, meant)| *meant);
        match (meant, filled.last()) {
            (Some(meant), _) => filled.push(meant.to_owned()),
            (None, Some(option)) if bare.is_empty() && option.starts_with('-') => filled.push("3".into()),
            (None, _) if bare.is_empty() => {}
            (None, _) if word.ends_with('…') => filled.push(bare.to_owned()),
            (None, _) => filled.push(word.clone()),
        }
    }
    filled
}

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
    for (name, page) in guide() {
        let calls = page.calls();
        let spans = page.spans.iter().filter(|span| span.starts_with("tuichat ")).map(|span| words(span));
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
