//! The examples of the CommonMark specification: what each shows is the text of the HTML that the specification gives
//! for it, and streamed it looks as if it had come whole.
//!
//! The text of the HTML is compared with all that is drawn, at a width at which nothing is folded, with runs of white
//! space taken as one space. Lines of code are compared once more with their spaces. What a screen shows beside the
//! text is expected where the HTML has the element, and nowhere else:
//! - the bullet of its depth, or the number, before an item. Whether a dot or a parenthesis follows a number is not in
//!   the HTML: either will do.
//! - a rule, as wide as the screen
//! - `── language` above code that names one. The screen shows all that stands behind the fence, the HTML one word: the
//!   other words are not compared.
//! - the address in parentheses behind a link whose text is another, and `image: text (address)`. The HTML has
//!   addresses with `%` codes, the screen as they are written: both are decoded.
//! - bars beside quotes: the most in a row is the depth of the deepest quote with text in it; then they are left out.
//! - raw HTML is shown as it is written, so tags of the HTML that stand in the Markdown, too, are expected as text.
//!
//! No example is left out. In those of `UNUSED_DEFINITIONS` more is shown than the HTML has.

use serde::Deserialize;

use super::Document;
use crate::ui::theme::Theme;

const EXAMPLES: &str = include_str!("../../../tests/fixtures/commonmark-0.31.2.json");
/// Wide enough for every line of the examples.
const WIDE: u16 = 400;
/// Stands for the dot or the parenthesis behind a number.
const DELIMITER: char = '\u{fdd3}';

#[derive(Deserialize)]
struct Example {
    example: usize,
    section: String,
    markdown: String,
    html: String,
}

/// Definitions that nothing refers to are shown as they are written, below the rest; the HTML is without them.
const UNUSED_DEFINITIONS: &[(usize, &str)] = &[
    (207, "[foo]: /url"),
    (208, "[ foo ]: /url"),
    (210, "[foo]: /url"),
    (317, "[ref]: /url"),
    (536, "[ref]: /uri"),
    (537, "[ref]: /uri"),
    (538, "[ref]: /uri"),
    (545, "[foo!]: /url"),
    (563, "[foo]: /url \"title\""),
    (565, "[foo]: /url1"),
    (567, "[foo]: /url1"),
    (571, "[foo]: /url2"),
    (592, "[foo]: /url \"title\""),
];

fn examples() -> Vec<Example> {
    serde_json::from_str(EXAMPLES).expect("the examples are JSON")
}

fn settled(markdown: &str) -> Document {
    let mut document = Document::from_text(markdown);
    document.settle();
    document
}

fn rows(document: &mut Document, width: u16) -> Vec<String> {
    let text = |line: &ratatui::text::Line<'_>| line.spans.iter().map(|span| span.content.as_ref()).collect();
    document.lines(width, &Theme::plain()).iter().map(text).collect()
}

/// Text with every run of white space as one space.
fn collapsed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let code = tail.get(..2).and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()).filter(|_| first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What is drawn, without bars; and the most bars in a row.
fn shown(rows: &[String]) -> (String, usize) {
    let mut bars = 0;
    let mut text = String::new();
    for row in rows {
        bars = bars.max(row.matches('▌').count());
        let row = row.replace('▌', " ");
        let without_rule = row.trim_end_matches('─');
        if row.chars().count() - without_rule.chars().count() > 3 {
            text.push_str(&format!("{without_rule}───\n"));
            continue;
        }
        if let Some(at) = row.find("── ") {
            let label = row[at..].splitn(3, ' ').take(2).collect::<Vec<_>>().join(" ");
            text.push_str(&format!("{}{label}\n", &row[..at]));
            continue;
        }
        text.push_str(&row);
        text.push('\n');
    }
    (collapsed(&percent_decoded(&text)), bars)
}

/// What is to be drawn for some HTML.
#[derive(Default)]
struct Expected<'a> {
    markdown: &'a str,
    text: String,
    /// The numbers of the next items of the open lists.
    lists: Vec<Option<u64>>,
    /// Where the text of open links begins, and their addresses.
    links: Vec<(usize, String)>,
    quotes: usize,
    most_quotes: usize,
    /// The lines of code.
    code: Vec<String>,
    code_start: Option<usize>,
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let start = tag.find(&format!(" {name}=\""))? + name.len() + 3;
    tag[start..].split('"').next().map(unescaped)
}

/// How long the tag, comment, or other markup at the start of `html` is.
fn markup_length(html: &str) -> usize {
    let end =
        [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")].into_iter().find(|(start, _)| html.starts_with(start));
    let end = end.map_or(">", |(_, end)| end);
    html.find(end).map_or(html.len(), |at| at + end.len())
}

impl<'a> Expected<'a> {
    fn of(example: &'a Example) -> Self {
        let mut expected = Expected { markdown: &example.markdown, ..Expected::default() };
        let mut rest = example.html.as_str();
        while let Some(first) = rest.chars().next() {
            let length = if first == '<' { markup_length(rest) } else { rest.find('<').unwrap_or(rest.len()) };
            let (part, tail) = rest.split_at(length);
            if first != '<' {
                expected.text.push_str(&unescaped(part));
                if !part.trim().is_empty() {
                    expected.most_quotes = expected.most_quotes.max(expected.quotes);
                }
            } else if expected.markdown.contains(part) {
                expected.text.push_str(part);
            } else {
                expected.tag(part);
            }
            rest = tail;
        }
        expected
    }

    fn tag(&mut self, tag: &str) {
        let name = tag.trim_matches(['<', '>', '/']).split([' ', '/']).next().unwrap_or_default();
        let is_end = tag.starts_with("</");
        match (name, is_end) {
            ("em" | "strong", _) => {}
            ("code", false) => {
                if let Some(class) = attribute(tag, "class") {
                    self.text.push_str(&format!(" ── {}\n", class.trim_start_matches("language-")));
                }
                self.code_start = Some(self.text.len());
            }
            ("code", true) => {}
            ("pre", false) => self.text.push(' '),
            ("pre", true) => {
                let start = self.code_start.take().unwrap_or_default();
                self.code.extend(self.text[start..].lines().map(str::to_owned));
                self.text.push(' ');
            }
            ("a", false) => self.links.push((self.text.len(), attribute(tag, "href").unwrap_or_default())),
            ("a", true) => self.end_link(),
            ("img", _) => {
                self.text.push_str("image: ");
                self.links.push((self.text.len(), attribute(tag, "src").unwrap_or_default()));
                self.text.push_str(&attribute(tag, "alt").unwrap_or_default());
                self.end_link();
            }
            ("ul", false) => self.lists.push(None),
            ("ol", false) => {
                let start = attribute(tag, "start").and_then(|start| start.parse().ok());
                self.lists.push(Some(start.unwrap_or(1)));
            }
            ("ul" | "ol", true) => {
                self.lists.pop();
                self.text.push(' ');
            }
            ("li", false) => self.item(),
            ("hr", _) => self.text.push_str(" ─── "),
            ("blockquote", false) => self.quotes += 1,
            ("blockquote", true) => self.quotes -= 1,
            _ => self.text.push(' '),
        }
    }

    fn item(&mut self) {
        let bullet = ["•", "◦", "▪"][(self.lists.len() - 1) % 3];
        let mark = match self.lists.last_mut() {
            Some(Some(number)) => {
                *number += 1;
                format!(" {}{DELIMITER} ", *number - 1)
            }
            _ => format!(" {bullet} "),
        };
        self.text.push_str(&mark);
    }

    fn end_link(&mut self) {
        let Some((start, address)) = self.links.pop() else { return };
        let shown = percent_decoded(&self.text[start..]);
        let target = percent_decoded(&address);
        if !target.is_empty() && shown != target && format!("mailto:{shown}") != target {
            let space = if shown.is_empty() { "" } else { " " };
            self.text.push_str(&format!("{space}({address})"));
        }
    }
}

fn matches(expected: &str, shown: &str) -> bool {
    let is_same = |(expected, shown): (char, char)| match expected {
        DELIMITER => matches!(shown, '.' | ')'),
        _ => expected == shown,
    };
    expected.chars().count() == shown.chars().count() && expected.chars().zip(shown.chars()).all(is_same)
}

/// A line of code with its tabs as spaces, as far as it is seen.
fn code_line(line: &str) -> String {
    let mut text = String::new();
    for character in line.chars() {
        match character {
            '\t' => text.push_str(&" ".repeat(4 - text.chars().count() % 4)),
            _ => text.push(character),
        }
    }
    text.trim_end().to_owned()
}

#[test]
fn every_example_shows_the_text_of_its_html() {
    let mut wrong = Vec::new();
    let examples = examples();
    assert_eq!(examples.len(), 652);
    for example in &examples {
        let rows = rows(&mut settled(&example.markdown), WIDE);
        let (shown, bars) = shown(&rows);
        let expected = Expected::of(example);
        let unused = UNUSED_DEFINITIONS.iter().find(|(number, _)| *number == example.example);
        let mut text = collapsed(&percent_decoded(&expected.text));
        if let Some((_, definitions)) = unused {
            text = collapsed(&format!("{text} {definitions}"));
        }
        let code = expected.code.iter().map(|line| code_line(line));
        let lost: Vec<_> =
            code.filter(|line| !line.is_empty() && !rows.iter().any(|row| row.trim_end().ends_with(line))).collect();
        if !matches(&text, &shown) || bars != expected.most_quotes || !lost.is_empty() {
            wrong.push(format!(
                "{} ({}): {:?}\n  expected {text:?}\n  shown    {shown:?} {bars} {lost:?}",
                example.example, example.section, example.markdown
            ));
        }
    }
    assert!(wrong.is_empty(), "{} examples:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_example_streamed_by_characters_looks_as_if_it_had_come_whole() {
    for example in examples() {
        for width in [4, 20, 80] {
            let mut streamed = Document::new();
            for character in example.markdown.chars() {
                streamed.push_str(character.encode_utf8(&mut [0; 4]));
                streamed.lines(width, &Theme::plain());
            }
            let mut whole = Document::from_text(&example.markdown);
            assert_eq!(rows(&mut streamed, width), rows(&mut whole, width), "{} at {width}", example.example);
            streamed.settle();
            assert_eq!(
                rows(&mut streamed, width),
                rows(&mut settled(&example.markdown), width),
                "{} at {width}",
                example.example
            );
        }
    }
}
