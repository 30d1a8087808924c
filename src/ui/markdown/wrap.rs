//! Rows of limited width: words for prose, columns for code. Widths are those of the screen's cells, counted by
//! grapheme cluster, so that nothing is cut by the terminal later.

use ratatui::buffer::CellWidth;
use ratatui::style::Style;
use ratatui::text::Span;
use unicode_segmentation::UnicodeSegmentation;

/// What fits on one line of the screen, in pieces of one style each.
pub type Row = Vec<Span<'static>>;

/// Tab stops are this far apart, as Markdown has it.
pub const TAB_COLUMNS: usize = 4;

/// Characters that must not begin a row, and those that must not end one, where text may break without a space.
const CLOSING: &str =
    ",.!?:;)]}%\"'”’…、。，．！？：；）］｝〕〉》」』】〗〙〛ー々ゝゞぁぃぅぇぉっゃゅょァィゥェォッャュョ％";
const OPENING: &str = "([{“‘（［｛〔〈《「『【〖〘〚";

/// One grapheme cluster in its style.
#[derive(Clone, Copy)]
struct Glyph<'a> {
    text: &'a str,
    width: usize,
    style: Style,
}

impl<'a> Glyph<'a> {
    fn new(text: &'a str, style: Style) -> Self {
        // A newline has no width of its own, and ratatui refuses to be asked for it.
        let width = if text == "\n" { 0 } else { usize::from(text.cell_width()) };
        Self { text, width, style }
    }

    fn is_space(&self) -> bool {
        self.text == " "
    }

    fn is_wide(&self) -> bool {
        self.width > 1
    }

    fn is_among(&self, characters: &str) -> bool {
        self.text.chars().next().is_some_and(|character| characters.contains(character))
    }
}

/// The columns that `text` takes on the screen.
pub fn width(text: &str) -> usize {
    text.graphemes(true).map(|cluster| Glyph::new(cluster, Style::new()).width).sum()
}

/// The columns that `row` takes on the screen.
pub fn row_width(row: &[Span<'_>]) -> usize {
    row.iter().map(|span| width(&span.content)).sum()
}

/// The glyphs of `spans`, each tab as the spaces up to the next tab stop, and clusters too wide for `limit` taken
/// apart into characters.
fn glyphs<'a>(spans: &'a [Span<'_>], limit: usize) -> Vec<Glyph<'a>> {
    let mut glyphs = Vec::new();
    let mut column = 0;
    for span in spans {
        for cluster in span.content.graphemes(true) {
            if cluster == "\t" {
                let spaces = TAB_COLUMNS - column % TAB_COLUMNS;
                glyphs.extend(std::iter::repeat_n(Glyph::new(" ", span.style), spaces));
                column += spaces;
                continue;
            }
            let glyph = Glyph::new(cluster, span.style);
            column = if cluster == "\n" { 0 } else { column + glyph.width };
            if glyph.width > limit {
                glyphs.extend(split_characters(cluster).map(|part| Glyph::new(part, span.style)));
            } else {
                glyphs.push(glyph);
            }
        }
    }
    glyphs
}

fn split_characters(cluster: &str) -> impl Iterator<Item = &str> {
    cluster.char_indices().map(|(start, character)| &cluster[start..start + character.len_utf8()])
}

/// Adds a glyph to a row, joining neighbours of the same style.
fn push(row: &mut Row, glyph: Glyph<'_>) {
    match row.last_mut() {
        Some(last) if last.style == glyph.style => last.content.to_mut().push_str(glyph.text),
        _ => row.push(Span::styled(glyph.text.to_owned(), glyph.style)),
    }
}

/// Fills rows with words.
#[derive(Default)]
struct Filler<'a> {
    limit: usize,
    rows: Vec<Row>,
    row: Row,
    row_width: usize,
    /// The spaces before `word`: dropped where a row ends.
    gap: Vec<Glyph<'a>>,
    word: Vec<Glyph<'a>>,
}

impl<'a> Filler<'a> {
    fn take(&mut self, glyph: Glyph<'a>) {
        if glyph.text == "\n" {
            self.end_word();
            self.end_row();
        } else if glyph.is_space() {
            self.end_word();
            self.gap.push(glyph);
        } else {
            if self.word.last().is_some_and(|last| may_break_between(last, &glyph)) {
                self.end_word();
            }
            self.word.push(glyph);
        }
    }

    fn end_word(&mut self) {
        let word = std::mem::take(&mut self.word);
        if word.is_empty() {
            return;
        }
        let gap = std::mem::take(&mut self.gap);
        let columns = |glyphs: &[Glyph<'_>]| glyphs.iter().map(|glyph| glyph.width).sum::<usize>();
        if self.row.is_empty() {
            self.append(&word);
        } else if self.row_width + columns(&gap) + columns(&word) <= self.limit {
            self.append(&gap);
            self.append(&word);
        } else {
            self.end_row();
            self.append(&word);
        }
    }

    /// Adds glyphs to the row and goes on to the next one when they do not fit.
    fn append(&mut self, glyphs: &[Glyph<'a>]) {
        for &glyph in glyphs {
            if self.row_width + glyph.width > self.limit && !self.row.is_empty() {
                self.end_row();
            }
            push(&mut self.row, glyph);
            self.row_width += glyph.width;
        }
    }

    fn end_row(&mut self) {
        self.rows.push(std::mem::take(&mut self.row));
        self.row_width = 0;
        self.gap.clear();
    }
}

/// Scripts written without spaces break between any two characters but before or after certain punctuation.
fn may_break_between(before: &Glyph<'_>, after: &Glyph<'_>) -> bool {
    (before.is_wide() || after.is_wide()) && !after.is_among(CLOSING) && !before.is_among(OPENING)
}

/// Prose in rows of at most `limit` columns, broken at spaces and between wide characters; a longer word is
/// broken where the row ends. A newline begins a new row. Empty text has no rows.
pub fn wrap_words(spans: &[Span<'_>], limit: usize) -> Vec<Row> {
    let limit = limit.max(1);
    let mut filler = Filler { limit, ..Filler::default() };
    for glyph in glyphs(spans, limit) {
        filler.take(glyph);
    }
    filler.end_word();
    if !filler.row.is_empty() {
        filler.end_row();
    }
    filler.rows
}

/// One line of code in rows of at most `limit` columns, every space kept. An empty line is one empty row.
pub fn wrap_columns(spans: &[Span<'_>], limit: usize) -> Vec<Row> {
    let limit = limit.max(1);
    let mut filler = Filler { limit, ..Filler::default() };
    filler.append(&glyphs(spans, limit));
    filler.end_row();
    filler.rows
}

/// The width at which prose needs no wrapping.
pub fn natural_width(spans: &[Span<'_>]) -> usize {
    let glyphs = glyphs(spans, usize::MAX);
    let lines = glyphs.split(|glyph| glyph.text == "\n");
    lines.map(|line| line.iter().map(|glyph| glyph.width).sum()).max().unwrap_or(0)
}

/// The widest piece of prose that wrapping would rather not break.
pub fn longest_word(spans: &[Span<'_>]) -> usize {
    let glyphs = glyphs(spans, usize::MAX);
    let mut longest = 0;
    let mut columns = 0;
    for (index, glyph) in glyphs.iter().enumerate() {
        let begins = index == 0 || may_break_between(&glyphs[index - 1], glyph);
        columns = match glyph.text {
            " " | "\n" => 0,
            _ if begins => glyph.width,
            _ => columns + glyph.width,
        };
        longest = longest.max(columns);
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(rows: &[Row]) -> Vec<String> {
        rows.iter().map(|row| row.iter().map(|span| span.content.as_ref()).collect()).collect()
    }

    fn wrapped(words: &str, limit: usize) -> Vec<String> {
        text(&wrap_words(&[Span::raw(words.to_owned())], limit))
    }

    #[test]
    fn words_go_to_the_next_row_whole() {
        assert_eq!(wrapped("the quick brown fox", 10), ["the quick", "brown fox"]);
    }

    #[test]
    fn a_word_longer_than_the_row_is_broken_and_not_cut() {
        assert_eq!(wrapped("see https://example.org/a/b", 10), ["see", "https://ex", "ample.org/", "a/b"]);
    }

    #[test]
    fn wide_characters_break_anywhere_but_are_never_halved() {
        assert_eq!(wrapped("天地玄黄宇宙", 5), ["天地", "玄黄", "宇宙"]);
    }

    #[test]
    fn closing_punctuation_does_not_begin_a_row() {
        assert_eq!(wrapped("天地玄黄。", 8), ["天地玄", "黄。"]);
        assert_eq!(wrapped("天地（玄黄", 6), ["天地", "（玄黄"]);
    }

    #[test]
    fn an_emoji_sequence_stays_together() {
        assert_eq!(wrapped("aaa👨‍👩‍👧bbb", 4), ["aaa", "👨‍👩‍👧", "bbb"]);
    }

    #[test]
    fn a_word_keeps_together_across_styles() {
        let bold = Style::new().add_modifier(ratatui::style::Modifier::BOLD);
        let spans = [Span::raw("one th"), Span::styled("re", bold), Span::raw("e four")];
        let rows = wrap_words(&spans, 9);
        assert_eq!(text(&rows), ["one three", "four"]);
        assert_eq!(rows[0][1], Span::styled("re", bold));
    }

    #[test]
    fn code_keeps_its_spaces_and_expands_tabs_to_stops() {
        let rows = |code: &'static str| text(&wrap_columns(&[Span::raw(code)], 8));
        assert_eq!(rows("\tab\tc"), ["    ab  ", "c"]);
        assert_eq!(rows("  a  b  "), ["  a  b  "]);
        assert_eq!(rows(""), [""]);
    }

    #[test]
    fn the_longest_word_is_what_needs_the_most_room() {
        assert_eq!(longest_word(&[Span::raw("a three"), Span::raw("four 字字字")]), 9);
        assert_eq!(longest_word(&[]), 0);
    }

    proptest! {
        #[test]
        fn no_row_is_wider_than_the_limit_and_no_word_is_lost(words in "(\\PC| |\t|\n|字|👩‍🚀){0,60}", limit in 4usize..20) {
            let visible = |text: &str| text.split_whitespace().collect::<String>();
            for rows in [wrap_words(&[Span::raw(words.clone())], limit), wrap_columns(&[Span::raw(words.replace('\n', " "))], limit)] {
                for row in &rows {
                    prop_assert!(row_width(row) <= limit, "{row:?}");
                }
                prop_assert_eq!(visible(&text(&rows).join(" ")), visible(&words));
            }
        }
    }
}
