//! What each part of a line of code is, by the syntax definitions that `bat` ships ([`languages`]).

use std::str::FromStr;
use std::sync::OnceLock;

use ratatui::style::Style;
use syntect::highlighting::{
    Color, HighlightIterator, HighlightState, Highlighter, ScopeSelectors, StyleModifier, Theme as ScopeTheme,
    ThemeItem, ThemeSettings,
};
use syntect::parsing::{ParseState, ScopeStack};

use super::languages::Language;
use crate::ui::theme::Theme;

/// Longer lines are shown without colours: the definitions' regular expressions can take seconds on them.
const LONGEST_ANALYSED_LINE_BYTES: usize = 1_000;

/// A part of code, as far as colours tell parts apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Plain,
    Comment,
    Keyword,
    String,
    Constant,
    Function,
    TypeName,
    Attribute,
    Inserted,
    Deleted,
}

/// Which scopes of the syntax definitions are which part. The most specific selector wins.
const SELECTORS: [(Part, &str); 9] = [
    (Part::Comment, "comment"),
    (Part::Keyword, "keyword, storage, entity.name.tag, punctuation.definition.heading, markup.heading"),
    (Part::String, "string, markup.raw"),
    (Part::Constant, "constant, support.constant"),
    (Part::Function, "entity.name.function, support.function, variable.function"),
    (
        Part::TypeName,
        "entity.name.type, entity.name.class, entity.name.struct, entity.name.enum, entity.name.trait, \
         entity.name.namespace, entity.other.inherited-class, support.type, support.class, storage.type.numeric",
    ),
    (Part::Attribute, "entity.other.attribute-name, variable.annotation, meta.annotation, support.type.property-name"),
    (Part::Inserted, "markup.inserted"),
    (Part::Deleted, "markup.deleted"),
];

/// Operators are keywords to the definitions; colouring them all is noise.
const PLAIN_SELECTORS: &str = "keyword.operator, punctuation.separator, punctuation.terminator";

const PARTS: [Part; 10] = [
    Part::Plain,
    Part::Comment,
    Part::Keyword,
    Part::String,
    Part::Constant,
    Part::Function,
    Part::TypeName,
    Part::Attribute,
    Part::Inserted,
    Part::Deleted,
];

impl Part {
    /// The style of this part of code.
    pub fn style(self, theme: &Theme) -> Style {
        let Some(syntax) = theme.syntax else {
            return theme.code_block;
        };
        theme.code_block.patch(match self {
            Part::Plain => Style::new(),
            Part::Comment => syntax.comment,
            Part::Keyword => syntax.keyword,
            Part::String => syntax.string,
            Part::Constant => syntax.constant,
            Part::Function => syntax.function,
            Part::TypeName => syntax.type_name,
            Part::Attribute => syntax.attribute,
            Part::Inserted => syntax.inserted,
            Part::Deleted => syntax.deleted,
        })
    }
}

/// syntect's themes know colours only, so the part travels as one: its index is the red channel.
fn as_colour(part: Part) -> Color {
    Color { r: part as u8, g: 0, b: 0, a: u8::MAX }
}

fn as_part(colour: Color) -> Part {
    PARTS.get(usize::from(colour.r)).copied().unwrap_or(Part::Plain)
}

fn scope_theme() -> ScopeTheme {
    let item = |(part, selectors): (Part, &str)| {
        let style = StyleModifier { foreground: Some(as_colour(part)), ..StyleModifier::default() };
        ScopeSelectors::from_str(selectors).ok().map(|scope| ThemeItem { scope, style })
    };
    ScopeTheme {
        settings: ThemeSettings { foreground: Some(as_colour(Part::Plain)), ..ThemeSettings::default() },
        scopes: SELECTORS.into_iter().chain([(Part::Plain, PLAIN_SELECTORS)]).filter_map(item).collect(),
        ..ScopeTheme::default()
    }
}

fn highlighter() -> &'static Highlighter<'static> {
    static SCOPE_THEME: OnceLock<ScopeTheme> = OnceLock::new();
    static HIGHLIGHTER: OnceLock<Highlighter<'static>> = OnceLock::new();
    HIGHLIGHTER.get_or_init(|| Highlighter::new(SCOPE_THEME.get_or_init(scope_theme)))
}

/// Reads code line by line and remembers where in the language it is.
#[derive(Clone, Debug)]
pub struct Analyser {
    /// `None` for a language that is not known: every line is plain.
    state: Option<(Language, ParseState, HighlightState)>,
}

impl Analyser {
    /// For the language that a fence names.
    pub fn new(info: &str) -> Self {
        let state = Language::named(info)
            .map(|language| (language, language.start(), HighlightState::new(highlighter(), ScopeStack::new())));
        Self { state }
    }

    /// Leaves every line plain.
    pub fn plain() -> Self {
        Self { state: None }
    }

    /// The parts of the next line, which is given without its newline. Neighbours are different parts.
    pub fn line(&mut self, line: &str) -> Vec<(Part, String)> {
        let Some((language, parse, highlight)) =
            self.state.as_mut().filter(|_| line.len() <= LONGEST_ANALYSED_LINE_BYTES)
        else {
            return vec![(Part::Plain, line.to_owned())];
        };
        // The definitions expect the newline; a line comment would not end without.
        let ended = format!("{line}\n");
        let Ok(changes) = parse.parse_line(&ended, &language.definitions()) else {
            return vec![(Part::Plain, line.to_owned())];
        };
        let mut parts: Vec<(Part, String)> = Vec::new();
        for (style, text) in HighlightIterator::new(highlight, &changes, &ended, highlighter()) {
            let (part, text) = (as_part(style.foreground), text.trim_end_matches('\n'));
            match parts.last_mut() {
                _ if text.is_empty() => {}
                Some((last, before)) if *last == part => before.push_str(text),
                _ => parts.push((part, text.to_owned())),
            }
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::ui::markdown::languages;

    fn parts(info: &str, code: &str) -> Vec<(Part, String)> {
        let mut analyser = Analyser::new(info);
        code.lines().flat_map(|line| analyser.line(line)).collect()
    }

    fn part_of(info: &str, code: &str, text: &str) -> Part {
        let parts = parts(info, code);
        let found = parts.iter().find(|(_, part_text)| part_text.trim() == text);
        found.unwrap_or_else(|| panic!("{text} is no part of its own in {parts:?}")).0
    }

    #[test]
    fn all_selectors_are_understood() {
        assert_eq!(scope_theme().scopes.len(), SELECTORS.len() + 1);
        assert!(PARTS.iter().enumerate().all(|(index, &part)| part as usize == index));
    }

    #[test]
    fn the_parts_of_code_are_told_apart() {
        let code = "// why\nfn main() { let x: u8 = 42; f(\"s\"); }";
        assert_eq!(part_of("rust", code, "fn"), Part::Keyword);
        assert_eq!(part_of("rust", code, "main"), Part::Function);
        assert_eq!(part_of("rust", code, "42"), Part::Constant);
        assert_eq!(part_of("rust", code, "\"s\""), Part::String);
        assert_eq!(part_of("rust", code, "// why"), Part::Comment);
        assert_eq!(part_of("diff", "+new\n-old", "+new"), Part::Inserted);
        assert_eq!(part_of("diff", "+new\n-old", "-old"), Part::Deleted);
    }

    #[test]
    fn what_a_line_means_depends_on_the_lines_before() {
        assert_eq!(part_of("c", "/* a\nb */ int", "b */"), Part::Comment);
        assert_eq!(part_of("js", "x = `a\nlet b\n`", "let b"), Part::String);
    }

    #[test]
    fn code_goes_on_where_it_was_after_its_language_was_forgotten() {
        let code = "x = `a\nlet b ${ f(1) }\n`; /* c\nd */ let e = 2\n<script>";
        let mut analyser = Analyser::new("js");
        let interrupted = code.lines().flat_map(|line| {
            let left = languages::forget_unused(Instant::now() + Duration::from_secs(3600));
            assert_eq!(left, None, "nothing is left");
            analyser.line(line)
        });
        assert_eq!(interrupted.collect::<Vec<_>>(), parts("js", code));
    }

    #[test]
    fn unknown_languages_and_very_long_lines_are_plain() {
        assert_eq!(parts("nonsense", "fn main"), [(Part::Plain, "fn main".to_owned())]);
        assert_eq!(parts("", "fn main"), [(Part::Plain, "fn main".to_owned())]);
        let long = "x".repeat(LONGEST_ANALYSED_LINE_BYTES + 1);
        assert_eq!(parts("rust", &long), [(Part::Plain, long)]);
    }
}
