//! The regular expressions of JSON schemas, written so that llama.cpp's converter follows them.
//!
//! The converter knows a part of the syntax, takes what it does not know for any text, and puts quotes and backslashes
//! into JSON as they are. So a pattern is understood here and written again with what the converter knows, as the
//! JSON text that the string becomes. What is written may allow less than the pattern, and never more.

use regex_syntax::hir::{Class, Hir, HirKind, Look, Repetition};
use regex_syntax::{ParserBuilder, hir};

/// Characters that stand for themselves in a JSON string.
const PLAIN: [(char, char); 5] =
    [('\u{20}', '\u{21}'), ('\u{23}', '\u{5b}'), ('\u{5d}', '\u{7e}'), ('\u{80}', '\u{d7ff}'), ('\u{e000}', char::MAX)];
/// llama.cpp's limit on repetitions.
const MOST_REPETITIONS: u32 = 2000;
/// The converter gives up at 100 parentheses in one another; every step down writes two.
const MOST_DEPTH: usize = 40;

/// The pattern for the converter, with its anchors; `None` if it cannot be written so.
pub fn rewrite(pattern: &str) -> Option<String> {
    let hir = ParserBuilder::new().nest_limit(100).build().parse(&with_ascii_classes(pattern)).ok()?;
    let alternatives = match hir.kind() {
        HirKind::Alternation(alternatives) => alternatives.iter().map(whole).collect::<Option<Vec<_>>>()?,
        _ => vec![whole(&hir)?],
    };
    Some(format!("^({})$", alternatives.join("|")))
}

/// The classes of ECMA 262 are of ASCII, those of the parser are of Unicode.
fn with_ascii_classes(pattern: &str) -> String {
    let mut written = String::with_capacity(pattern.len());
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            written.push(character);
            continue;
        }
        match characters.next() {
            Some('d') => written.push_str("[0-9]"),
            Some('D') => written.push_str("[^0-9]"),
            Some('w') => written.push_str("[0-9A-Za-z_]"),
            Some('W') => written.push_str("[^0-9A-Za-z_]"),
            Some(other) => written.extend(['\\', other]),
            None => written.push('\\'),
        }
    }
    written
}

/// An alternative of the whole text: where it is not anchored, any text may stand around it.
fn whole(hir: &Hir) -> Option<String> {
    let parts = match hir.kind() {
        HirKind::Concat(parts) => parts.as_slice(),
        _ => std::slice::from_ref(hir),
    };
    let is = |part: Option<&Hir>, look| part.is_some_and(|part| *part.kind() == HirKind::Look(look));
    let begins = is(parts.first(), Look::Start);
    let parts = if begins { &parts[1..] } else { parts };
    let ends = is(parts.last(), Look::End);
    let parts = if ends { &parts[..parts.len() - 1] } else { parts };
    let any = format!("{}*", class(PLAIN));
    let mut written = if begins { String::new() } else { any.clone() };
    for part in parts {
        written.push_str(&write(part, 1)?);
    }
    if !ends {
        written.push_str(&any);
    }
    Some(written)
}

fn write(hir: &Hir, depth: usize) -> Option<String> {
    if depth > MOST_DEPTH {
        return None;
    }
    let write_all = |parts: &[Hir]| parts.iter().map(|part| write(part, depth + 1)).collect::<Option<Vec<_>>>();
    match hir.kind() {
        HirKind::Empty => Some(String::new()),
        HirKind::Literal(hir::Literal(bytes)) => {
            Some(std::str::from_utf8(bytes).ok()?.chars().map(character).collect())
        }
        HirKind::Class(Class::Unicode(unicode)) => {
            let ranges: Vec<_> = unicode.iter().map(|range| (range.start(), range.end())).collect();
            write_class(&ranges)
        }
        HirKind::Class(Class::Bytes(_)) | HirKind::Look(_) => None,
        HirKind::Capture(capture) => write(&capture.sub, depth),
        HirKind::Concat(parts) => Some(write_all(parts)?.concat()),
        HirKind::Alternation(parts) => Some(format!("({})", write_all(parts)?.join("|"))),
        HirKind::Repetition(repetition) => write_repetition(repetition, depth),
    }
}

fn write_repetition(Repetition { min, max, sub, .. }: &Repetition, depth: usize) -> Option<String> {
    let may_be_empty = sub.properties().minimum_len().unwrap_or(0) == 0;
    if *min > MOST_REPETITIONS || max.is_some_and(|max| max > MOST_REPETITIONS) || (max.is_none() && may_be_empty) {
        return None;
    }
    let sub = write(sub, depth + 1)?;
    let most = max.map(|max| max.to_string()).unwrap_or_default();
    Some(format!("({sub}){{{min},{most}}}"))
}

/// A set: of its members those that JSON writes as they are, or, if there are none, the escapes of the others.
fn write_class(ranges: &[(char, char)]) -> Option<String> {
    let plain =
        ranges.iter().flat_map(|range| PLAIN.iter().map(move |other| (range.0.max(other.0), range.1.min(other.1))));
    let plain: Vec<_> = plain.filter(|(first, last)| first <= last).collect();
    if !plain.is_empty() {
        return Some(class(plain));
    }
    let escaped: Vec<String> = ranges.iter().flat_map(|(first, last)| *first..=*last).map(character).collect();
    (!escaped.is_empty()).then(|| format!("({})", escaped.join("|")))
}

/// A set in brackets, every character by its number.
fn class(ranges: impl IntoIterator<Item = (char, char)>) -> String {
    let ranges: String = ranges
        .into_iter()
        .map(|(first, last)| format!("\\U{:08X}-\\U{:08X}", u32::from(first), u32::from(last)))
        .collect();
    format!("[{ranges}]")
}

/// A character as JSON writes it in a string, each of which the converter takes for itself.
fn character(character: char) -> String {
    match character {
        '"' => "\\\\\"".into(),
        '\\' => "\\\\\\\\".into(),
        '\u{0}'..='\u{1f}' | '\u{7f}' => format!("\\\\u{:04x}", u32::from(character)),
        '0'..='9' | 'A'..='Z' | 'a'..='z' | ' ' => character.into(),
        other => format!("\\U{:08X}", u32::from(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_written_with_what_the_converter_knows() {
        for (pattern, expected) in [
            ("^ab$", "^(ab)$"),
            ("^[a-c]{2,3}$", r"^(([\U00000061-\U00000063]){2,3})$"),
            ("^(x|yz)+$", "^(((x|yz)){1,})$"),
            (r"^\d\.$", r"^([\U00000030-\U00000039]\U0000002E)$"),
            (r#"^"\\$"#, r#"^(\\"\\\\)$"#),
            (r#"^["\n]$"#, r#"^((\\u000a|\\"))$"#),
            ("^$", "^()$"),
        ] {
            assert_eq!(rewrite(pattern).as_deref(), Some(expected), "{pattern}");
        }
    }

    #[test]
    fn any_text_may_stand_around_what_is_not_anchored() {
        let any = format!("{}*", class(PLAIN));
        assert_eq!(rewrite("ab").unwrap(), format!("^({any}ab{any})$"));
        assert_eq!(rewrite("^a|b$").unwrap(), format!("^(a{any}|{any}b)$"));
    }

    #[test]
    fn a_set_loses_what_json_does_not_write_as_it_is() {
        assert_eq!(rewrite("^[!-#]$").as_deref(), Some(r"^([\U00000021-\U00000021\U00000023-\U00000023])$"));
    }

    #[test]
    fn what_cannot_be_written_is_left_to_the_check_afterwards() {
        for pattern in ["(?=a)b", r"^a\b$", "(a)\\1", "^(a*)*$", "^a{3000}$", "[", "a$b", &"(".repeat(300)] {
            assert_eq!(rewrite(pattern), None, "{pattern}");
        }
        assert_eq!(rewrite(&format!("^{}a{}$", "(b|c".repeat(60), ")".repeat(60))), None);
    }
}
