//! What the cursor passes in one step (a grapheme cluster, a line end, a token), and what a word is.
//!
//! A token is two characters in the text: [`MARK`], which stands for nothing in any text, and one that names it.

use unicode_segmentation::UnicodeSegmentation;

/// Begins a token. It is a noncharacter of Unicode, which no text holds that comes from elsewhere.
pub const MARK: char = '\u{fdd0}';
/// The character that names token 0; there is room for 65,000.
const FIRST: u32 = 0x10_0000;

/// Token number `index` as it stands in the text.
pub fn token(index: usize) -> Option<String> {
    let name =
        u32::try_from(index).ok().filter(|index| *index < 65_000).and_then(|index| char::from_u32(FIRST + index));
    name.map(|name| [MARK, name].iter().collect())
}

/// Which token a unit is, if it is one.
pub fn token_index(unit: &str) -> Option<usize> {
    let name = unit.strip_prefix(MARK)?.chars().next()?;
    u32::from(name).checked_sub(FIRST).map(|index| index as usize)
}

/// Text from elsewhere, in which nothing is taken for a token, and lines end as they do here.
pub fn clean(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n").replace(MARK, "\u{fffd}")
}

/// The unit that begins at `at`; empty at the end.
pub fn after(text: &str, at: usize) -> &str {
    let rest = &text[at..];
    if rest.starts_with(MARK) {
        let length = rest.chars().take(2).map(char::len_utf8).sum();
        return &rest[..length];
    }
    let unit = rest.graphemes(true).next().unwrap_or_default();
    // A mark joins nothing.
    unit.find(MARK).map_or(unit, |end| &unit[..end])
}

/// The unit that ends at `at`; empty at the beginning.
pub fn before(text: &str, at: usize) -> &str {
    let line = line_start(text, at);
    if line == at {
        return &text[at.saturating_sub(1)..at];
    }
    let head = &text[line..at];
    let unit = head.graphemes(true).next_back().unwrap_or_default();
    let start = at - unit.len();
    if text[line..start].ends_with(MARK) {
        let name = unit.chars().next().map_or(0, char::len_utf8);
        // What combines with the token's name in the eyes of Unicode is a unit of its own.
        return if name == unit.len() { &text[start - MARK.len_utf8()..at] } else { &text[start + name..at] };
    }
    unit
}

/// The beginning of the line that `at` is in.
pub fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |end| end + 1)
}

/// The end of the line that `at` is in, before its line end.
pub fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |end| at + end)
}

/// What makes a word of neighbours: units of one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Space,
    Punctuation,
    Letters,
    Han,
    Hiragana,
    Katakana,
    Emoji,
    Token,
}

impl Class {
    pub fn of(unit: &str) -> Self {
        match unit.chars().next() {
            None => Self::Space,
            Some(MARK) => Self::Token,
            Some(character) if character.is_whitespace() => Self::Space,
            Some('\u{3040}'..='\u{309f}') => Self::Hiragana,
            Some('\u{30a0}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{ff66}'..='\u{ff9f}') => Self::Katakana,
            Some('\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}') => Self::Han,
            Some('\u{20000}'..='\u{323af}') => Self::Han,
            Some('\u{1f000}'..='\u{1faff}') => Self::Emoji,
            Some(character) if character.is_alphanumeric() || character == '_' => Self::Letters,
            Some(_) => Self::Punctuation,
        }
    }

    /// Whether a motion by words stops here. Two tokens are two words.
    pub fn is_word(self) -> bool {
        !matches!(self, Self::Space | Self::Punctuation)
    }
}

/// From `at` over what is no word and then over a word, as Alt-F goes.
pub fn word_end(text: &str, at: usize) -> usize {
    let start = skip(text, at, |class| !class.is_word());
    run_end(text, start)
}

/// Back from `at` over what is no word and then over a word, as Alt-B goes.
pub fn word_start(text: &str, at: usize) -> usize {
    let end = skip_back(text, at, |class| !class.is_word());
    run_start(text, end)
}

/// The end of the units of one class that begin at `at`.
pub fn run_end(text: &str, at: usize) -> usize {
    let unit = after(text, at);
    let class = Class::of(unit);
    if class == Class::Token { at + unit.len() } else { skip(text, at, |other| other == class) }
}

/// The beginning of the units of one class that end at `at`.
pub fn run_start(text: &str, at: usize) -> usize {
    let unit = before(text, at);
    let class = Class::of(unit);
    if class == Class::Token { at - unit.len() } else { skip_back(text, at, |other| other == class) }
}

/// Forward from `at` while the units are such.
pub fn skip(text: &str, mut at: usize, is_such: impl Fn(Class) -> bool) -> usize {
    loop {
        let unit = after(text, at);
        if unit.is_empty() || !is_such(Class::of(unit)) {
            return at;
        }
        at += unit.len();
    }
}

/// Backward from `at` while the units are such.
pub fn skip_back(text: &str, mut at: usize, is_such: impl Fn(Class) -> bool) -> usize {
    loop {
        let unit = before(text, at);
        if unit.is_empty() || !is_such(Class::of(unit)) {
            return at;
        }
        at -= unit.len();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn forward(text: &str) -> Vec<&str> {
        let mut at = 0;
        std::iter::from_fn(|| {
            let unit = after(text, at);
            at += unit.len();
            (!unit.is_empty()).then_some(unit)
        })
        .collect()
    }

    fn backward(text: &str) -> Vec<&str> {
        let mut at = text.len();
        let mut units: Vec<&str> = std::iter::from_fn(|| {
            let unit = before(text, at);
            at -= unit.len();
            (!unit.is_empty()).then_some(unit)
        })
        .collect();
        units.reverse();
        units
    }

    #[test]
    fn emoji_flags_and_combining_marks_are_passed_in_one_step() {
        for text in ["👨‍👩‍👧", "🇫🇷", "e\u{301}", "👍🏽", "한", "\n", "क्षि"] {
            assert_eq!(forward(text), [text]);
            assert_eq!(backward(text), [text]);
        }
        assert_eq!(backward("🇫🇷🇩🇪\n🇮🇹"), ["🇫🇷", "🇩🇪", "\n", "🇮🇹"]);
    }

    #[test]
    fn a_token_is_one_unit_whatever_stands_around_it() {
        let token = token(3).unwrap();
        for (head, tail) in [("", ""), ("a", "\u{301}"), ("\u{200d}", "\u{200d}"), ("\n", "\n")] {
            let text = format!("{head}{token}{tail}");
            assert!(forward(&text).contains(&token.as_str()), "{text:?}");
            assert_eq!(forward(&text), backward(&text), "{text:?}");
        }
        assert_eq!(token_index(&token), Some(3));
        assert_eq!(token_index("x"), None);
    }

    #[test]
    fn words_are_runs_of_letters_and_each_script_of_japanese_is_one() {
        let text = "let x_1 = 東京タワーへ行く, ok";
        let mut stops = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let end = word_end(text, at);
            stops.push(&text[at..end]);
            at = end;
        }
        assert_eq!(stops, ["let", " x_1", " = 東京", "タワー", "へ", "行", "く", ", ok"]);
        assert_eq!(&text[word_start(text, text.len())..], "ok");
    }

    #[test]
    fn what_comes_from_elsewhere_is_no_token() {
        let forged = token(0).unwrap();
        assert!(token_index(&clean(&forged)).is_none());
        assert_eq!(clean("a\r\nb\rc"), "a\nb\nc");
    }

    proptest! {
        #[test]
        fn both_directions_stop_at_the_same_places(text in "[a\u{301}\u{200d}👍🏽🇫🇷\n \u{fdd0}\u{100001}ㄱ가क्]{0,12}") {
            // A mark in the text always begins a whole token.
            let text: String = text.chars().flat_map(|character| match character {
                MARK => vec![MARK, '\u{100002}'],
                other => vec![other],
            }).collect();
            prop_assert_eq!(forward(&text), backward(&text));
        }
    }
}
