//! Plain text folded to lines of a width: questions, thoughts and notes. Not Markdown; that is `markdown`'s part.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::text::escape;

const TAB_COLUMNS: usize = 4;
const NO_BREAK_SPACE: char = '\u{a0}';

/// Text that grows at its end and remembers its lines at one width. Growing folds only the last paragraph again.
#[derive(Debug, Default)]
pub struct WrappedText {
    text: String,
    width: usize,
    lines: Vec<String>,
    /// Bytes of `text`, and the lines they made, that later text cannot change.
    settled_bytes: usize,
    settled_lines: usize,
    /// Bytes of `text` that `lines` shows.
    shown_bytes: usize,
    words: Words,
}

/// The words of a text that grows, counted once.
#[derive(Debug, Default)]
struct Words {
    count: usize,
    counted_bytes: usize,
    in_word: bool,
}

impl WrappedText {
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub fn push_str(&mut self, more: &str) {
        self.text.push_str(more);
    }

    /// How many words there are.
    pub fn words(&mut self) -> usize {
        for character in self.text[self.words.counted_bytes..].chars() {
            let in_word = !character.is_whitespace();
            self.words.count += usize::from(in_word && !self.words.in_word);
            self.words.in_word = in_word;
        }
        self.words.counted_bytes = self.text.len();
        self.words.count
    }

    /// The lines at this width; none for an empty text.
    pub fn lines(&mut self, width: usize) -> &[String] {
        let width = width.max(1);
        if width != self.width {
            self.width = width;
            self.lines.clear();
            (self.settled_bytes, self.settled_lines, self.shown_bytes) = (0, 0, 0);
        }
        if self.shown_bytes < self.text.len() {
            self.lines.truncate(self.settled_lines);
            let rest = &self.text[self.settled_bytes..];
            if let Some(end) = rest.rfind('\n') {
                fold(&rest[..end], width, &mut self.lines);
                self.settled_bytes += end + 1;
                self.settled_lines = self.lines.len();
            }
            if self.settled_bytes < self.text.len() {
                fold(&self.text[self.settled_bytes..], width, &mut self.lines);
            }
            self.shown_bytes = self.text.len();
        }
        &self.lines
    }
}

/// `text` as lines of at most `width` columns, broken between words where possible.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    fold(text, width.max(1), &mut lines);
    lines
}

fn fold(text: &str, width: usize, lines: &mut Vec<String>) {
    for paragraph in escape(text).split('\n') {
        let mut line = String::new();
        let mut columns = 0;
        for word in pieces(paragraph) {
            push_word(word, width, &mut line, &mut columns, lines);
        }
        lines.push(line);
    }
}

/// White space, and what stands between: a line is broken before a wide character, but not between a word and the
/// marks beside it.
fn pieces(paragraph: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for (at, word) in paragraph.split_word_bound_indices() {
        if at > start && !hold_together(&paragraph[start..at], word) {
            pieces.push(&paragraph[start..at]);
            start = at;
        }
    }
    pieces.push(&paragraph[start..]);
    pieces
}

fn hold_together(before: &str, after: &str) -> bool {
    let is_glue = |character: char| !character.is_whitespace() || character == NO_BREAK_SPACE;
    let is_narrow = |character: char| is_glue(character) && character.width().is_some_and(|wide| wide < 2);
    before.chars().next_back().is_some_and(is_narrow) && after.chars().next().is_some_and(is_narrow)
}

/// Puts a word on the line or, if it does not fit, on the next; a word wider than a line is broken. White space
/// where a line breaks is dropped.
fn push_word(word: &str, width: usize, line: &mut String, columns: &mut usize, lines: &mut Vec<String>) {
    let tab = " ".repeat(TAB_COLUMNS);
    let word = if word == "\t" { tab.as_str() } else { word };
    let wide = word.width();
    if *columns + wide <= width {
        line.push_str(word);
        *columns += wide;
        return;
    }
    if *columns > 0 {
        lines.push(std::mem::take(line));
        *columns = 0;
        if word.trim().is_empty() {
            return;
        }
    }
    for grapheme in word.graphemes(true) {
        let wide = grapheme.width();
        if *columns > 0 && *columns + wide > width {
            lines.push(std::mem::take(line));
            *columns = 0;
        }
        line.push_str(grapheme);
        *columns += wide;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_break_between_words_and_long_words_break_inside() {
        assert_eq!(wrap("one two three", 8), ["one two ", "three"]);
        assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("a\n\nb", 4), ["a", "", "b"]);
        assert_eq!(wrap("中文字", 4), ["中文", "字"]);
    }

    #[test]
    fn marks_stay_with_the_word_beside_them() {
        assert_eq!(wrap("it keeps its own (it goes", 18), ["it keeps its own ", "(it goes"]);
        assert_eq!(wrap("one two, three", 7), ["one ", "two, ", "three"]);
        assert_eq!(wrap("write `/set` now", 8), ["write ", "`/set` ", "now"]);
        assert_eq!(wrap("see 中文 (字)", 8), ["see 中文", "(字)"]);
        assert_eq!(wrap("like ‹\u{a0}1/2\u{a0}›", 9), ["like ", "‹\u{a0}1/2\u{a0}›"]);
    }

    #[test]
    fn control_characters_become_visible() {
        assert_eq!(wrap("a\x1b[2Jb", 40), ["a<U+001B>[2Jb"]);
    }

    #[test]
    fn an_empty_text_has_no_lines_until_it_grows() {
        let mut text = WrappedText::default();
        assert!(text.lines(10).is_empty());
        text.push_str("x");
        assert_eq!(text.lines(10), ["x"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn growing_gives_the_same_lines_as_folding_at_once(text in "[a-z中 \n\t]{0,60}", cut in 0usize..60, width in 1usize..20) {
            let cut = text.char_indices().nth(cut).map_or(text.len(), |(index, _)| index);
            let mut grown = WrappedText::new(&text[..cut]);
            grown.lines(width);
            grown.words();
            grown.push_str(&text[cut..]);
            let mut whole = WrappedText::new(text.clone());
            prop_assert_eq!(grown.lines(width), whole.lines(width));
            prop_assert_eq!(grown.words(), text.split_whitespace().count());
        }

        #[test]
        fn no_line_is_wider_than_asked(text in "\\PC{0,60}", width in 2usize..20) {
            for line in wrap(&text, width) {
                prop_assert!(line.width() <= width.max(2) || line.graphemes(true).count() == 1);
            }
        }
    }
}
