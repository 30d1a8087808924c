//! What the pages of the guide have in them: links, headings, and what is to be typed.

use std::collections::HashMap;
use std::path::Path;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// What stands for a number in what is to be typed, for a size, for the name and the value of a setting.
const PLACEHOLDERS: [(&[&str], &str); 4] =
    [(&["N", "K", "ID", "SECONDS"], "3"), (&["SIZE"], "2M"), (&["NAME"], "temp"), (&["VALUE"], "0.5")];

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The pages of the guide itself, by their names.
pub fn pages_of_docs() -> Vec<String> {
    let entries = std::fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().file_name());
    let names = entries.map(|name| format!("docs/{}", name.to_string_lossy()));
    let mut pages: Vec<String> = names.filter(|name| name.ends_with(".md")).collect();
    pages.sort();
    pages
}

/// The pages for users, read.
pub fn guide() -> Vec<(String, Page)> {
    let names = std::iter::once("README.md".to_owned()).chain(pages_of_docs());
    names.map(|name| (name.clone(), Page::at(&root().join(name)))).collect()
}

/// What `tuichat help` tells of topics, as pages whose indented lines are to be typed.
pub fn help() -> Vec<(String, Page)> {
    let folder = root().join("assets/help");
    let names = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
    let page = |name: std::ffi::OsString| {
        let text = std::fs::read_to_string(folder.join(&name)).unwrap();
        let typed: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("  ")).collect();
        let page = Page { blocks: vec![("sh".into(), typed.join("\n"))], ..Page::default() };
        (format!("assets/help/{}", name.to_string_lossy()), page)
    };
    let mut pages: Vec<(String, Page)> = names.map(page).collect();
    pages.sort_by(|one, other| one.0.cmp(&other.0));
    pages
}

/// What a page has in it.
#[derive(Default)]
pub struct Page {
    pub links: Vec<String>,
    /// What leads to its headings.
    pub anchors: Vec<String>,
    /// Code within a sentence.
    pub spans: Vec<String>,
    /// Blocks of code, with their languages.
    blocks: Vec<(String, String)>,
}

impl Page {
    pub fn at(path: &Path) -> Self {
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
    pub fn calls(&self) -> Vec<Call> {
        let is_shell = |language: &str| ["", "sh", "console"].contains(&language);
        self.blocks.iter().filter(|(language, _)| is_shell(language)).flat_map(|(_, code)| calls(code)).collect()
    }
}

/// What leads to a heading, as GitHub has it.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|it| it.is_alphanumeric() || [' ', '-', '_'].contains(it));
    kept.flat_map(char::to_lowercase).map(|it| if it == ' ' { '-' } else { it }).collect()
}

/// A call of the program as it is written down.
pub struct Call {
    pub words: Vec<String>,
    /// Something is put into it.
    pub is_piped: bool,
}

/// The calls of the program in a block: where a line begins, behind a prompt or a pipe.
fn calls(code: &str) -> Vec<Call> {
    let before = |at: usize| code[..at].rsplit('\n').next().unwrap_or_default();
    let begins = |before: &str| before.is_empty() || before == "$ " || before.ends_with("| ");
    let places = code.match_indices("tuichat ").filter(|(at, _)| begins(before(*at)));
    let call = |at: usize| {
        let line = code[at..].lines().next().unwrap_or_default();
        Call { words: words(&code[at..]), is_piped: before(at).ends_with("| ") || line.contains(" < ") }
    };
    places.map(|(at, _)| call(at)).collect()
}

/// The words up to the end of a call: that of its line, a pipe, a redirection, or what explains it behind two spaces.
pub fn words(text: &str) -> Vec<String> {
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
    words
}

/// The words with something in the place of what stands for it. What is left open is left out, but for an option's value.
pub fn filled(words: &[String]) -> Vec<String> {
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
