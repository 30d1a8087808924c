//! Where formulas stand in Markdown. Markdown would read their stars, underscores and lines as its own marks, so they
//! are hidden from it behind letters of the same length, and put back when the text between them is drawn.

use std::borrow::Cow;
use std::ops::Range;

use pulldown_cmark::{Event, LinkType, Parser, Tag, TagEnd};

use crate::ui::markdown::page::is_empty;
use crate::ui::markdown::sheet::options;

/// What stands in for each byte of a formula.
const STAND_IN: &str = "x";

/// Reading a text once more for each formula of several lines would take for ever in one of thousands.
const MOST_READINGS: usize = 16;

/// A formula with its delimiters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Formula {
    pub range: Range<usize>,
    /// What stands between the delimiters.
    pub inner: Range<usize>,
    /// It is to stand on lines of its own.
    pub is_display: bool,
}

/// Markdown whose formulas are hidden.
#[derive(Debug)]
pub struct Marked<'a> {
    /// As long as the source, byte by byte.
    pub text: Cow<'a, str>,
    pub formulas: Vec<Formula>,
    /// The line in which a formula begins whose end may be yet to come.
    pub unclosed: Option<usize>,
}

/// Finds the formulas of clean Markdown: `$…$`, `$$…$$`, `\(…\)` and `\[…\]`, outside of code.
pub fn find(source: &str) -> Marked<'_> {
    if !source.contains('$') && !source.contains("\\(") && !source.contains("\\[") {
        return Marked { text: Cow::Borrowed(source), formulas: Vec::new(), unclosed: None };
    }
    let mut search = Search {
        source,
        text: source.to_owned(),
        excluded: excluded(source),
        formulas: Vec::new(),
        unclosed: None,
        readings: 1,
    };
    search.run();
    Marked { text: Cow::Owned(search.text), formulas: search.formulas, unclosed: search.unclosed }
}

/// Code, HTML and addresses, in the order of the source: no formula touches them.
fn excluded(source: &str) -> Vec<Range<usize>> {
    let mut excluded = Vec::new();
    let parser = Parser::new_ext(source, options());
    excluded.extend(parser.reference_definitions().iter().map(|(_, definition)| definition.span.clone()));
    let mut text_end = 0;
    for (event, range) in parser.into_offset_iter() {
        match event {
            Event::Code(_) | Event::InlineHtml(_) | Event::Html(_) => excluded.push(range.clone()),
            Event::Start(
                Tag::CodeBlock(_) | Tag::HtmlBlock | Tag::Link { link_type: LinkType::Autolink | LinkType::Email, .. },
            ) => excluded.push(range),
            Event::Start(_) => text_end = range.start + 1,
            Event::End(TagEnd::Link | TagEnd::Image) => {
                excluded.push(text_end.min(range.end)..range.end);
                text_end = range.end;
            }
            _ => text_end = range.end,
        }
    }
    excluded.sort_by_key(|range| range.start);
    excluded
}

struct Search<'a> {
    source: &'a str,
    /// The same with the formulas out of sight.
    text: String,
    excluded: Vec<Range<usize>>,
    formulas: Vec<Formula>,
    unclosed: Option<usize>,
    /// How often Markdown was read to know what is excluded.
    readings: usize,
}

impl Search<'_> {
    fn run(&mut self) {
        let mut at = 0;
        let mut next_excluded = 0;
        while let Some(found) = self.source[at..].find(['$', '\\']) {
            at += found;
            while self.excluded.get(next_excluded).is_some_and(|range| range.end <= at) {
                next_excluded += 1;
            }
            if let Some(range) = self.excluded.get(next_excluded).filter(|range| range.contains(&at)) {
                at = range.end;
                continue;
            }
            let formula = self.formula(at).filter(|formula| self.hide(formula));
            at = match formula {
                Some(formula) => {
                    let end = formula.range.end;
                    if self.has_several_lines(&formula) {
                        next_excluded = 0;
                    }
                    self.formulas.push(formula);
                    end
                }
                None => self.after_mark(at),
            };
        }
    }

    fn has_several_lines(&self, formula: &Formula) -> bool {
        self.source[formula.range.clone()].contains('\n')
    }

    /// Takes a formula out of sight. Its lines may look like a list or another block, so what stands behind it is then read
    /// anew. `false`, and nothing is done, if that makes code of a formula.
    fn hide(&mut self, formula: &Formula) -> bool {
        let range = formula.range.clone();
        self.text.replace_range(range.clone(), &STAND_IN.repeat(range.len()));
        if !self.has_several_lines(formula) || self.readings == MOST_READINGS {
            return true;
        }
        self.readings += 1;
        let seen = excluded(&self.text);
        let mut found = self.formulas.iter().chain([formula]);
        let is_possible = !found.any(|formula| seen.iter().any(|excluded| touch(excluded, &formula.range)));
        if is_possible {
            self.excluded = seen;
        } else {
            self.text.replace_range(range.clone(), &self.source[range]);
        }
        is_possible
    }

    /// Behind a mark that opens nothing; with a backslash goes what it escapes.
    fn after_mark(&self, at: usize) -> usize {
        let mut characters = self.source[at..].char_indices();
        let is_escape = characters.next().is_some_and(|(_, character)| character == '\\');
        let skipped = if is_escape || self.source[at..].starts_with("$$") { 2 } else { 1 };
        let rest = self.source[at..].char_indices().nth(skipped);
        rest.map_or(self.source.len(), |(length, _)| at + length)
    }

    fn formula(&mut self, at: usize) -> Option<Formula> {
        let rest = &self.source[at..];
        if rest.starts_with("$$") {
            self.display(at, "$$")
        } else if rest.starts_with("\\[") {
            self.display(at, "\\]")
        } else if rest.starts_with("\\(") {
            let inner = at + 2..self.end_on_line(at + 2, "\\)")?;
            let is_formula = !is_word_in_parentheses(&self.source[inner.clone()]);
            self.checked(at..inner.end + 2, inner, false).filter(|_| is_formula)
        } else if rest.starts_with('$') {
            self.between_dollars(at)
        } else {
            None
        }
    }

    fn checked(&self, range: Range<usize>, inner: Range<usize>, is_display: bool) -> Option<Formula> {
        let is_formula = self.source[inner.clone()].contains(char::is_alphanumeric)
            && !self.excluded.iter().any(|excluded| touch(excluded, &range));
        is_formula.then_some(Formula { range, inner, is_display })
    }

    /// Where `mark` stands behind `from`, on the same line and not behind a backslash.
    fn end_on_line(&self, from: usize, mark: &str) -> Option<usize> {
        let line = self.source[from..].split('\n').next().unwrap_or_default();
        position(line, mark).map(|length| from + length)
    }

    /// A formula that may go over several lines if nothing stands before it on its first one, or nothing behind.
    fn display(&mut self, at: usize, mark: &str) -> Option<Formula> {
        let inner = at + 2;
        let line_start = self.source[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let before = &self.source[line_start..at];
        if let Some(end) = self.end_on_line(inner, mark) {
            let behind = self.source[end + 2..].split('\n').next().unwrap_or_default();
            let stands_alone = before.trim().is_empty() && behind.trim().is_empty();
            let is_formula = stands_alone || mark == "$$" || is_marked_as_mathematics(&self.source[inner..end]);
            return self.checked(at..end + 2, inner..end, true).filter(|_| is_formula);
        }
        let is_margin = |character: char| {
            character.is_whitespace()
                || character.is_ascii_digit()
                || matches!(character, '>' | '-' | '*' | '+' | '.' | ')')
        };
        let mut lines = self.source[inner..].split_inclusive('\n');
        let first = lines.next().unwrap_or_default();
        if !before.chars().all(is_margin) && !first.trim().is_empty() {
            return None;
        }
        let mut end = inner + first.len();
        for line in lines {
            if is_empty(line) {
                return None;
            }
            if let Some(length) = position(line, mark) {
                end += length;
                return self.checked(at..end + 2, inner..end, true);
            }
            end += line.len();
        }
        self.unclosed.get_or_insert(line_start);
        None
    }

    /// `$…$`, but not two prices or variables of a shell.
    fn between_dollars(&self, at: usize) -> Option<Formula> {
        let before = self.source[..at].chars().next_back();
        if before.is_some_and(|character| character.is_alphanumeric() || character == '$') {
            return None;
        }
        let end = self.end_on_line(at + 1, "$")?;
        let inner = &self.source[at + 1..end];
        let after = self.source[end + 1..].chars().next();
        let goes_on =
            after.is_some_and(|character| character.is_alphanumeric() || matches!(character, '$' | '{' | '_' | '('));
        let is_tight = !inner.starts_with(char::is_whitespace) && !inner.ends_with(char::is_whitespace);
        if !is_tight || goes_on || !looks_like_mathematics(inner) {
            return None;
        }
        self.checked(at..end + 1, at + 1..end, false)
    }
}

fn touch(one: &Range<usize>, other: &Range<usize>) -> bool {
    one.start < other.end && other.start < one.end
}

/// Where `mark` begins in `text`, unless a backslash stands before it.
fn position(text: &str, mark: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        if !escaped && text[at..].starts_with(mark) {
            return Some(at);
        }
        escaped = character == '\\' && !escaped;
    }
    None
}

/// Words between two dollars are no formula unless something in them is written as only formulas are.
fn looks_like_mathematics(inner: &str) -> bool {
    let is_word = |word: &str| word.chars().filter(|character| character.is_alphabetic()).count() > 1;
    is_marked_as_mathematics(inner) || inner.split_whitespace().count() < 2 || !inner.split_whitespace().any(is_word)
}

fn is_marked_as_mathematics(inner: &str) -> bool {
    inner.contains(['\\', '^', '_', '=', '<', '>'])
}

/// Whether `\(` and `\)` are only parentheses that somebody kept from being Markdown.
fn is_word_in_parentheses(inner: &str) -> bool {
    let longest = inner.split(|character: char| !character.is_alphabetic()).map(|word| word.chars().count()).max();
    !is_marked_as_mathematics(inner) && longest.unwrap_or(0) > 3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formulas(source: &str) -> Vec<&str> {
        find(source).formulas.into_iter().map(|formula| &source[formula.inner]).collect()
    }

    #[test]
    fn formulas_are_found_in_all_their_delimiters() {
        assert_eq!(formulas(r"$x$ and \(a_1\), $$y$$ or \[z=*z\]."), ["x", "a_1", "y", "z=*z"]);
        assert_eq!(formulas("text\n$$\na\n- b\n$$\n> \\[\n> c\n> \\]"), ["\na\n- b\n", "\n> c\n> "]);
        assert_eq!(formulas("is $$\na\n$$"), ["\na\n"]);
    }

    #[test]
    fn prices_and_variables_are_no_formulas() {
        for text in [
            "$5 and $6",
            "from $5-$10, or $5/$6",
            "US$5 and US$6",
            "it costs $5, they said, or 10$",
            "$HOME and $PATH",
            "$PATH:$HOME",
            "${A}/bin:${B}",
            r"\$x\$",
            r"see \[1\] and \(optional\)",
            r"\[\\\]",
            "a $ b $ c",
            "$$",
            "$",
            "$ x $",
            "$a\nb$",
            "$$a\n\nb$$",
        ] {
            assert_eq!(formulas(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn code_and_addresses_are_not_touched() {
        for text in [
            "`$x$`",
            "```\n$x$\n```",
            "    $x$\n",
            "<b title=\"$x$\">",
            "[a](/$x$)",
            "<https://e.org/?$x$>",
            r"`\(x\)`",
            "$a `b$ c`",
        ] {
            assert_eq!(formulas(text), [""; 0], "{text}");
        }
        assert_eq!(formulas("[$x$](/a) `c` $y$"), ["x", "y"]);
        // The list is none, so the fence stands at the outermost level and ends nowhere.
        assert_eq!(formulas("$$\na\n- c\n$$\ntext\n  ```\n$y$ and \\[\nz\\]\n"), ["\na\n- c\n"]);
        // Without the list the sign of code before it would end behind it.
        assert_eq!(formulas("`$$\n- c\n$$\n$x$ `code`"), ["x"]);
    }

    #[test]
    fn what_is_hidden_is_as_long_as_before() {
        let source = "für $α_1$ *gilt*";
        let marked = find(source);
        assert_eq!(marked.text, format!("für {} *gilt*", "x".repeat("$α_1$".len())));
    }

    #[test]
    fn a_formula_that_is_not_closed_may_be_yet() {
        assert_eq!(find("text\n\n$$\na").unclosed, Some(6));
        assert_eq!(find("text\n\n$$\na\n\nb").unclosed, None);
        assert_eq!(find("\\[ a \\]").unclosed, None);
    }
}
