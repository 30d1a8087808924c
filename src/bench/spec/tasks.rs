//! What is asked for: five classes of tasks, which repeat more or less of what was said before. Their texts are drawn
//! from the seed.

use std::collections::BTreeMap;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::bench::draw::Draw;
use crate::bench::texts::{TEXTS, Text};

/// Characters of a text that is summed up, and of one that is translated.
const DOCUMENT: usize = 2200;
const PASSAGE: usize = 700;
/// Lines of a program that is edited, at least, and characters at most.
const PROGRAM_LINES: usize = 30;
const PROGRAM: usize = 2400;
/// How often the name that is changed stands in the program.
const LEAST_TIMES: usize = 2;
const MOST_TIMES: usize = 4;

const STORIES: [&str; 8] = [
    "a lighthouse keeper who finds a letter in a bottle",
    "a clockmaker who repairs the wrong clock",
    "two sisters who inherit a ferry",
    "a night train that stops where there is no station",
    "a beekeeper in a city of glass",
    "the last cinema of a small town",
    "a child who draws maps of places that do not exist",
    "a gardener who talks to the frost",
];
const SENDERS: [&str; 6] =
    ["Petra Gathercole", "Silas Brackenbury", "Imogen Ashdown", "Tobias Netherby", "Orla Jessamy", "Edwin Lovelace"];
const THINGS: [&str; 6] =
    ["brass compasses", "walnut bookends", "pewter lanterns", "cedar flutes", "enamel inkwells", "copper sundials"];
const STREETS: [&str; 6] = ["Harbour Street", "Mill Lane", "Chapel Row", "Station Road", "Orchard Way", "Quarry Hill"];
const TOWNS: [&str; 6] = ["Larkhope", "Oxlade", "Birkhollow", "Wexcombe", "Pendrift", "Stavely"];
const MONTHS: [&str; 6] = ["March", "April", "May", "June", "September", "October"];
const NEW_NAMES: [&str; 4] = ["candidate", "reading", "outcome", "leftover"];

/// A class of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// A story
    Prose,
    /// A program again with another name in it
    Edit,
    /// What a letter says, as JSON
    Json,
    /// A page in five sentences
    Summary,
    /// A passage in another language
    Translation,
}

/// Something to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    pub class: Class,
    pub prompt: String,
    /// An answer that is longer is cut.
    pub most_tokens: u32,
}

impl Class {
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Prose => "prose",
            Class::Edit => "edit",
            Class::Json => "json",
            Class::Summary => "summary",
            Class::Translation => "translation",
        }
    }

    /// The task of this class with this number.
    pub fn task(self, seed: u64, number: u32) -> Task {
        let mut draw = Draw::new(seed, u64::from(number) * 8 + self as u64);
        let (prompt, most_tokens) = match self {
            Class::Prose => (format!("Write a short story about {}.", draw.one_of(&STORIES)), 160),
            Class::Edit => (edit(&mut draw), 640),
            Class::Json => (Letter::from(&mut draw).prompt(), 160),
            Class::Summary => {
                (format!("Summarise this text in five sentences:\n\n{}", passage(&TEXTS[0], DOCUMENT, &mut draw)), 140)
            }
            Class::Translation => {
                (format!("Translate this text to German:\n\n{}", passage(&TEXTS[1], PASSAGE, &mut draw)), 140)
            }
        };
        Task { class: self, prompt, most_tokens }
    }
}

/// Whole pieces of a text, up to so many characters.
fn passage(text: &Text, most: usize, draw: &mut Draw) -> String {
    let pieces = text.pieces();
    let start = draw.below(pieces.len() / 2);
    let mut passage = String::new();
    for piece in &pieces[start..] {
        if !passage.is_empty() && passage.len() + piece.len() > most {
            break;
        }
        passage += piece;
    }
    passage.trim().to_owned()
}

fn edit(draw: &mut Draw) -> String {
    let (program, old) = program(draw);
    let new = draw.one_of(&NEW_NAMES);
    format!(
        "Rename `{old}` to `{new}` in this code. Print the whole code again, unchanged otherwise.\n\n```rust\n{program}\n```"
    )
}

/// Some whole functions of a program, and a name in them that stands there a few times.
fn program(draw: &mut Draw) -> (String, String) {
    let code = TEXTS[3].text;
    let starts: Vec<usize> = code
        .match_indices("\n\n")
        .map(|(place, _)| place + 2)
        .filter(|place| {
            ["fn ", "pub fn ", "impl", "struct", "pub struct"].iter().any(|it| code[*place..].starts_with(it))
        })
        .collect();
    loop {
        let first = draw.below(starts.len());
        let ends = starts[first + 1..].iter().map(|end| code[starts[first]..*end].trim_end());
        let found = ends.take_while(|program| program.len() <= PROGRAM).last().and_then(|program| {
            let names = names(program);
            (program.lines().count() >= PROGRAM_LINES && !names.is_empty())
                .then(|| (program.to_owned(), names[draw.below(names.len())].to_owned()))
        });
        if let Some(found) = found {
            return found;
        }
    }
}

/// The names of variables that stand in a program a few times, in order.
fn names(program: &str) -> Vec<&str> {
    let words = program.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    let mut times = BTreeMap::new();
    for word in words.filter(|word| word.len() >= 4) {
        *times.entry(word).or_insert(0) += 1;
    }
    let is_bound =
        |name: &str| program.contains(&format!("let {name} =")) || program.contains(&format!("let mut {name} ="));
    let is_new = |name: &str| !NEW_NAMES.contains(&name);
    times.retain(|name, times| (LEAST_TIMES..=MOST_TIMES).contains(times) && is_bound(name) && is_new(name));
    times.into_keys().collect()
}

/// A letter, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    text: String,
    /// Names and values of what is to be found in it.
    pub fields: [(&'static str, String); 8],
}

impl Letter {
    /// The letter with this number.
    pub fn draw(seed: u64, number: u32) -> Self {
        Self::from(&mut Draw::new(seed, u64::from(number) * 8 + Class::Json as u64))
    }

    fn from(draw: &mut Draw) -> Self {
        let sender = *draw.one_of(&SENDERS);
        let email = format!("{}@example.org", sender.to_lowercase().replace(' ', "."));
        let (month, day) = (draw.one_of(&MONTHS), 1 + draw.below(9));
        let (order, quantity, product) = (1000 + draw.below(9000), 2 + draw.below(40), *draw.one_of(&THINGS));
        let address = format!("{} {}, {}", 1 + draw.below(90), draw.one_of(&STREETS), draw.one_of(&TOWNS));
        let (date, phone) = (format!("{day} {month} 2024"), format!("555 {}", 1000 + draw.below(9000)));
        let text = format!(
            "From: {sender} <{email}>\nDate: {date}\nSubject: Order {order}\n\n\
             Dear team, please send {quantity} {product} to {address}, before the {} of {month}. \
             My phone is {phone}.\nRegards, {sender}",
            day + 14
        );
        let fields = [
            ("sender", sender.to_owned()),
            ("email", email),
            ("date", date),
            ("order", order.to_string()),
            ("product", product.to_owned()),
            ("quantity", quantity.to_string()),
            ("address", address),
            ("phone", phone),
        ];
        Self { text, fields }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Asks for what it says.
    pub fn prompt(&self) -> String {
        let names = self.fields.each_ref().map(|(name, _)| *name).join(", ");
        format!("Extract {names} as a JSON object:\n\n{}", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_drawn_from_its_seed_and_number() {
        for class in Class::value_variants() {
            assert_eq!(class.task(1, 0), class.task(1, 0));
            let different = |one: Task, other: Task| one.prompt != other.prompt;
            assert!((1..9).any(|seed| different(class.task(0, 0), class.task(seed, 0))), "{class:?}");
            assert!((1..9).any(|number| different(class.task(0, 0), class.task(0, number))), "{class:?}");
        }
    }

    #[test]
    fn what_is_edited_is_whole_functions_with_a_name_that_stands_there_a_few_times() {
        for seed in 0..60 {
            let (program, name) = program(&mut Draw::new(seed, 0));
            assert!(program.lines().count() >= PROGRAM_LINES && program.len() <= PROGRAM, "{program}");
            let times = program.match_indices(&name).count();
            assert!(times >= LEAST_TIMES, "{name} stands {times} times");
            let last = program.lines().last().unwrap();
            assert!(last.starts_with(['}', ')']) || !last.starts_with(' '), "{last}");
        }
    }

    #[test]
    fn a_letter_says_what_is_asked_for() {
        for number in 0..40 {
            let letter = Letter::draw(3, number);
            assert!(letter.fields.iter().all(|(_, value)| letter.text.contains(value)), "{letter:?}");
            assert!(letter.prompt().starts_with("Extract sender, email, date, order,"));
        }
    }

    #[test]
    fn passages_are_whole_sentences_of_the_length_that_is_wanted() {
        for seed in 0..40 {
            let text = passage(&TEXTS[0], DOCUMENT, &mut Draw::new(seed, 1));
            assert!((DOCUMENT / 2..=DOCUMENT).contains(&text.len()), "{}", text.len());
        }
    }
}
