//! What is done to a model's text before it is read as Markdown: nothing in it can command the terminal, and
//! nothing that Markdown would swallow without a trace is swallowed.

use crate::text;

/// A character that no text holds (Unicode calls it a noncharacter). Put between two characters, it keeps them
/// from being markup together; [`visible`] takes it out again.
const SEPARATOR: char = '\u{fdd0}';

/// What has come of a line so far.
#[derive(Clone, Copy, Debug, Default)]
enum Line {
    /// Nothing but spaces and the marks of quotes.
    #[default]
    Margin,
    /// So many of a fence's mark, and perhaps spaces behind them.
    Marks(char, usize),
    Words,
}

impl Line {
    fn with(self, next: char) -> Self {
        match (self, next) {
            (_, '\n') => Line::Margin,
            (Line::Margin, ' ' | '\t' | '>') => Line::Margin,
            (Line::Margin, '`' | '~') => Line::Marks(next, 1),
            (Line::Marks(mark, count), _) if next == mark => Line::Marks(mark, count + 1),
            (Line::Marks(..), ' ' | '\t' | '\r') => self,
            _ => Line::Words,
        }
    }

    fn is_fence(self) -> bool {
        matches!(self, Line::Marks(_, count) if count >= 3)
    }
}

/// Prepares text piece by piece.
#[derive(Debug, Default)]
pub struct Cleaner {
    /// A last `\r` or `]`, whose meaning the next character decides.
    last: Option<char>,
    line: Line,
    /// Definitions of links and footnotes are left as such.
    keeps_definitions: bool,
}

impl Cleaner {
    /// For text that is all there: what it defines can be looked up.
    pub fn for_whole_text() -> Self {
        Self { keeps_definitions: true, ..Self::default() }
    }

    /// Appends `delta` to `clean`: controls made visible, `\r\n` as `\n`, a separator where a definition would vanish
    /// (`]:`), and a tab behind a fence as a space: CommonMark closes a block there, pulldown-cmark does not.
    pub fn push(&mut self, delta: &str, clean: &mut String) {
        let mut piece = String::with_capacity(delta.len() + 8);
        for character in delta.chars() {
            match (self.last, character) {
                (Some('\r'), '\n') => {}
                (Some('\r'), _) => piece.push('\r'),
                (Some(']'), ':') if !self.keeps_definitions => piece.push(SEPARATOR),
                _ => {}
            }
            match character {
                SEPARATOR => piece.push_str("<U+FDD0>"),
                '\r' => {}
                '\t' if self.line.is_fence() => piece.push(' '),
                other => piece.push(other),
            }
            self.line = self.line.with(character);
            self.last = Some(character);
        }
        clean.push_str(&text::escape(&piece));
    }
}

/// What a reader sees of text that was read as Markdown. It is made harmless once more: `&#27;` has become a
/// control character only now.
pub fn visible(text: &str) -> String {
    text::escape(&text.replace(SEPARATOR, "")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(pieces: &[&str]) -> String {
        let (mut cleaner, mut clean) = (Cleaner::default(), String::new());
        pieces.iter().for_each(|piece| cleaner.push(piece, &mut clean));
        clean
    }

    #[test]
    fn controls_become_visible_and_line_ends_alike() {
        assert_eq!(clean(&["a\x1b[2J\r", "\nb\rc"]), "a<U+001B>[2J\nb<U+000D>c");
    }

    #[test]
    fn what_is_separated_reads_as_before() {
        let text = "[a]: b";
        assert_ne!(clean(&[text]), text);
        assert_eq!(visible(&clean(&[text])), text);
    }

    #[test]
    fn a_tab_behind_a_fence_is_a_space_and_stays_anywhere_else() {
        assert_eq!(clean(&["> ```\t\n\t~~~~ \t\n"]), "> ``` \n\t~~~~  \n");
        let untouched = "``\t\na ```\t\n```a\tb\n";
        assert_eq!(clean(&[untouched]), untouched);
    }

    #[test]
    fn pieces_make_no_difference() {
        let text = "[a]: b\r\n\r\u{fdd0}\u{202e}\n```\t\r\n";
        let single: Vec<String> = text.chars().map(String::from).collect();
        let single: Vec<&str> = single.iter().map(String::as_str).collect();
        assert_eq!(clean(&single), clean(&[text]));
    }
}
