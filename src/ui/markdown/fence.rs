//! Fences of code blocks at the outermost level, read line by line: inside of one nothing else has a meaning, so
//! its lines can be drawn for good as they come.

use std::borrow::Cow;

use pulldown_cmark::{CodeBlockKind, CowStr, Event, Parser, Tag};

use super::source::visible;
use super::wrap::TAB_COLUMNS;
use crate::text;

/// The line that opened a code block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    mark: char,
    length: usize,
    indent: usize,
    /// What stands behind the fence: the language, usually.
    pub info: String,
}

/// What stands behind a fence, as one line.
pub fn info(info: &CowStr<'_>) -> String {
    text::escape_line(&visible(info))
}

/// A line without its indentation of up to three spaces, and that indentation.
fn dedent(line: &str) -> Option<(usize, &str)> {
    let text = line.trim_start_matches(' ');
    let indent = line.len() - text.len();
    (indent <= 3).then_some((indent, text))
}

impl Fence {
    /// Reads `line`, which is without its newline, as an opening fence.
    pub fn open(line: &str) -> Option<Self> {
        let Some(Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(text_behind)))) = Parser::new(line).next() else {
            return None;
        };
        let (indent, text) = dedent(line)?;
        let mark = text.chars().next()?;
        let length = text.chars().take_while(|&character| character == mark).count();
        Some(Self { mark, length, indent, info: info(&text_behind) })
    }

    /// Whether `line` ends the block.
    pub fn is_closed_by(&self, line: &str) -> bool {
        dedent(line).is_some_and(|(_, text)| {
            let rest = text.trim_start_matches(self.mark);
            text.len() - rest.len() >= self.length && rest.trim_matches([' ', '\t']).is_empty()
        })
    }

    /// The code in `line`: the fence's own indentation is not part of it, not even as part of a tab.
    pub fn code<'a>(&self, line: &'a str) -> Cow<'a, str> {
        let spaces = line.bytes().take(self.indent).take_while(|&byte| byte == b' ').count();
        let code = &line[spaces..];
        match code.strip_prefix('\t') {
            Some(behind_tab) if spaces < self.indent => {
                Cow::Owned(" ".repeat(TAB_COLUMNS.saturating_sub(self.indent)) + behind_tab)
            }
            _ => Cow::Borrowed(code),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_is_at_least_three_marks_indented_by_at_most_three_spaces() {
        assert_eq!(Fence::open("   ~~~~ rust ").map(|fence| fence.info), Some("rust".to_owned()));
        assert_eq!(Fence::open("    ```"), None);
        assert_eq!(Fence::open("``"), None);
        assert_eq!(Fence::open("```a`b```"), None);
    }

    #[test]
    fn a_fence_is_closed_by_at_least_as_many_of_the_same_marks_alone() {
        let fence = Fence::open("````md").expect("a fence");
        for (line, closes) in [("````", true), ("  ````` ", true), ("```", false), ("```` x", false), ("~~~~", false)] {
            assert_eq!(fence.is_closed_by(line), closes, "{line}");
        }
    }

    #[test]
    fn code_loses_no_more_indentation_than_the_fence_has() {
        let fence = Fence::open("  ```").expect("a fence");
        assert_eq!(["    a", " b", "\tc", "  \td"].map(|line| fence.code(line)), ["  a", "b", "  c", "\td"]);
    }
}
