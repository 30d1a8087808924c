//! The title of a chat: the first words of its first message that say something, or of the answer where none do, until
//! it is given another. No model is asked.

use super::App;
use super::elsewhere::NOT_HERE;
use crate::text::escape_line;
use crate::text_file;
use crate::ui::msg::Effect;
use crate::ui::transcript::Entry;

const TITLE_CHARACTERS: usize = 48;

impl App {
    /// Gives the chat another title. One that has no message yet gets it with its first.
    pub(super) fn rename(&mut self, title: &str) -> Vec<Effect> {
        if !self.saves {
            self.notice("this chat is not saved, so it has no title");
            return Vec::new();
        }
        if self.elsewhere.is_some() {
            self.notice(NOT_HERE);
            return Vec::new();
        }
        let title = escape_line(title.trim());
        self.notice(format!("this chat is called `{title}`"));
        let is_begun = self.chat.get().is_some() || self.last_saved().is_some();
        let rename = is_begun.then(|| Effect::Rename { chat: self.chat.clone(), title: title.clone() });
        self.title = Some(title);
        rename.into_iter().collect()
    }

    /// After the first answer: a chat whose question says nothing is called by what was answered.
    pub(super) fn name_by_answer(&mut self) -> Option<Effect> {
        let messages: Vec<&Entry> =
            self.transcript.messages().filter_map(|place| self.transcript.entries().get(place)).collect();
        let [Entry::Question(question), Entry::Answer(answer)] = messages[..] else { return None };
        let is_ours = self.saves && self.title.is_none() && self.elsewhere.is_none();
        if !is_ours || !is_thin(question.text.text()) || is_thin(answer.document.text()) {
            return None;
        }
        let title = title(answer.document.text());
        self.title = Some(title.clone());
        Some(Effect::Rename { chat: self.chat.clone(), title })
    }

    /// What the chat is called whose first message this is.
    pub(super) fn title_for(&self, first: &str) -> String {
        self.title.clone().unwrap_or_else(|| title(first))
    }
}

/// Words that say nothing about a chat where they stand first, in lower case.
const POLITE: [&str; 22] = [
    "hi",
    "hello",
    "hey",
    "dear",
    "please",
    "ok",
    "okay",
    "so",
    "well",
    "thanks",
    "could you",
    "can you",
    "would you",
    "will you",
    "i would like you to",
    "i want you to",
    "help me to",
    "tell me",
    "hallo",
    "bitte",
    "good morning",
    "good evening",
];
/// A message of fewer characters says nothing either, in a script of letters.
const TELLING: usize = 6;

/// The first words of a message that say something, on one line.
fn title(text: &str) -> String {
    let text = text_file::behind_files(text);
    let said = said(text);
    let title = shortened(&said);
    let title = title.trim_end_matches([':', ',', ';', ' ']).to_owned();
    if escape_line(text.trim()).starts_with(&said) {
        return title;
    }
    // What stood before it is left out, so this is the beginning now.
    let mut characters = title.chars();
    characters.next().map_or(String::new(), |first| first.to_uppercase().chain(characters).collect())
}

/// Whether a message says too little for a title: a greeting, an emoji.
fn is_thin(text: &str) -> bool {
    let said = said(text_file::behind_files(text));
    let letters = said.chars().filter(|character| character.is_alphanumeric()).count();
    // A word of Chinese or Japanese is short.
    let is_dense = said.chars().any(|character| u32::from(character) >= 0x2e80);
    letters < if is_dense { 2 } else { TELLING } || is_politeness(&said)
}

/// Whether a line is a greeting or a request alone.
fn is_politeness(line: &str) -> bool {
    POLITE.contains(&line.to_lowercase().trim_matches(|character: char| !character.is_alphanumeric()))
}

/// The first paragraph that says something, without marks of Markdown, and without the politeness before it.
fn said(text: &str) -> String {
    let words = |line: &str| {
        let line = line.trim_start_matches(['#', '>', '*', '-', '_', '~', '=', '|', ' ']);
        escape_line(&line.replace("**", "").replace('`', "")).trim_end_matches(['*', '_', '#', ' ']).to_owned()
    };
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with("```"));
    let mut said = String::new();
    for line in lines {
        let line = words(line);
        if line.is_empty() && !said.is_empty() {
            break;
        }
        if said.is_empty() && (is_politeness(&line) || !line.chars().any(char::is_alphanumeric)) {
            continue;
        }
        said.push_str(if said.is_empty() { "" } else { " " });
        said.push_str(&line);
        if said.len() > 8 * TITLE_CHARACTERS {
            break;
        }
    }
    match said.is_empty() {
        true => escape_line(text.trim()),
        false => without_politeness(&said).to_owned(),
    }
}

/// What follows greetings and requests; the same if nothing does.
fn without_politeness(line: &str) -> &str {
    let mut rest = line;
    loop {
        let lower = rest.to_ascii_lowercase();
        let found = POLITE.iter().filter(|word| lower.starts_with(**word)).max_by_key(|word| word.len());
        let Some(next) = found.and_then(|word| rest.get(word.len()..)) else { return rest };
        if !next.starts_with(|next: char| next == ' ' || ",.!:;".contains(next)) {
            return rest;
        }
        let next = next.trim_start_matches([' ', ',', '.', '!', ':', ';']);
        if next.is_empty() {
            return rest;
        }
        rest = next;
    }
}

/// As many words as a list has room for.
fn shortened(line: &str) -> String {
    let mut title = String::new();
    for word in line.split_whitespace() {
        let length = title.chars().count();
        if length + word.chars().count() >= TITLE_CHARACTERS {
            let room = TITLE_CHARACTERS.saturating_sub(length + 1);
            if title.is_empty() {
                title.extend(word.chars().take(room));
            }
            title.push('…');
            return title;
        }
        if !title.is_empty() {
            title.push(' ');
        }
        title.push_str(word);
    }
    title
}

#[cfg(test)]
mod tests {
    use super::{TITLE_CHARACTERS, title};
    use crate::chat::Ended;
    use crate::store::ChatId;
    use crate::ui::app::tester::{Tester, saves};
    use crate::ui::msg::{Effect, Save};

    #[test]
    fn a_chat_is_renamed_on_disk() {
        let mut tester = Tester::saving();
        tester.send("one");
        tester.question_is_saved(1);
        tester.token("first", 1);
        tester.finish(Ended::Stop);
        let effects = tester.send("/rename  Bread and butter");
        let [Effect::Rename { chat, title }] = &effects[..] else { panic!("{effects:?}") };
        assert_eq!((chat.get(), title.as_str()), (Some(&ChatId(1)), "Bread and butter"));
        assert!(tester.app.composer.is_empty());
        assert_eq!(tester.app.notices(), ["this chat is called `Bread and butter`"]);
    }

    #[test]
    fn a_chat_without_messages_gets_its_title_with_the_first() {
        let mut tester = Tester::saving();
        assert!(tester.send("/rename Bread").is_empty());
        let effects = tester.send("How long does it rise?");
        assert!(matches!(saves(&effects)[..], [Save::Question { title, .. }] if title == "Bread"));
    }

    #[test]
    fn a_title_is_asked_for_and_a_chat_that_is_not_saved_has_none() {
        let mut tester = Tester::saving();
        tester.send("/rename");
        assert!(tester.app.notices()[0].contains("`/rename TITLE`"), "{:?}", tester.app.notices());
        assert_eq!(tester.app.composer.text(), "/rename");
        let mut tester = Tester::ready();
        assert!(tester.send("/rename Bread").is_empty());
        assert!(tester.app.notices()[0].contains("not saved"));
    }

    #[test]
    fn a_title_is_what_the_first_message_is_about() {
        for (message, expected) in [
            ("Why is the sky blue?", "Why is the sky blue?"),
            ("Hi! Could you please explain lifetimes in Rust?", "Explain lifetimes in Rust?"),
            ("hello,\n\nhow long does dough rise", "How long does dough rise"),
            ("## review\n\nthis code", "Review"),
            ("```rust\nfn main() {}\n```\nWhat is this?", "Fn main() {} What is this?"),
            ("> quoted\ntext", "Quoted text"),
            ("please", "please"),
            ("highlight this word", "highlight this word"),
            ("今天天气怎么样？", "今天天气怎么样？"),
            ("\u{1b}[31m red", "<U+001B>[31m red"),
            ("👍", "👍"),
        ] {
            assert_eq!(title(message), expected, "{message:?}");
        }
        let long = title(&"word ".repeat(40));
        assert!(long.ends_with('…') && long.chars().count() <= TITLE_CHARACTERS, "{long}");
    }

    #[test]
    fn a_chat_that_begins_with_a_greeting_is_called_by_its_first_answer() {
        let begin = |question: &str, answer: &str| {
            let mut tester = Tester::saving();
            tester.send(question);
            tester.question_is_saved(1);
            tester.token(answer, 1);
            let effects = tester.finish(Ended::Stop);
            effects.into_iter().find_map(|effect| match effect {
                Effect::Rename { title, .. } => Some(title),
                _ => None,
            })
        };
        assert_eq!(begin("hi!", "**Bread** takes flour."), Some("Bread takes flour.".into()));
        assert_eq!(begin("👍", "Hello"), None, "nothing is said at all");
        assert_eq!(begin("How do I bake bread?", "With flour."), None);
        assert_eq!(begin("天气", "今天天气很好"), None);
    }
}
