//! Text that comes from outside: token bytes joined to whole UTF-8, and control or direction characters made
//! visible before they can reach a terminal.

pub mod plain;
pub mod wrapped;

use std::borrow::Cow;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Joins the bytes of tokens, which may end in the middle of a character, to text that never does.
#[derive(Debug, Default)]
pub struct Utf8Stream {
    pending: Vec<u8>,
}

impl Utf8Stream {
    /// The characters that are whole now. Bytes that can still become a character are kept back; bytes that
    /// cannot become U+FFFD.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let mut text = String::new();
        loop {
            match std::str::from_utf8(&self.pending) {
                Ok(valid) => {
                    text.push_str(valid);
                    self.pending.clear();
                    return text;
                }
                Err(error) => {
                    let valid = error.valid_up_to();
                    text.push_str(&String::from_utf8_lossy(&self.pending[..valid]));
                    match error.error_len() {
                        Some(length) => {
                            text.push(char::REPLACEMENT_CHARACTER);
                            self.pending.drain(..valid + length);
                        }
                        None => {
                            self.pending.drain(..valid);
                            return text;
                        }
                    }
                }
            }
        }
    }

    /// The bytes that are kept back.
    pub fn pending(&self) -> &[u8] {
        &self.pending
    }

    /// What is left when no more bytes will come: U+FFFD for an unfinished character, else nothing.
    pub fn finish(&mut self) -> String {
        let text = String::from_utf8_lossy(&self.pending).into_owned();
        self.pending.clear();
        text
    }
}

/// Whether a terminal or a reader could be misled by this character: controls but newline and tab, bidirectional
/// controls, invisible tag characters and other zero-width marks that are not part of ordinary text.
fn is_deceptive(character: char) -> bool {
    match character {
        '\n' | '\t' => false,
        '\u{200e}' | '\u{200f}' | '\u{061c}' => true,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{2028}' | '\u{2029}' => true,
        '\u{e0000}'..='\u{e007f}' => true,
        other => other.is_control(),
    }
}

/// Makes the deceptive characters of `text` visible as `<U+001B>`, so that what a model, a file or a server says
/// is text to the terminal and never a command. Newlines and tabs stay.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_deceptive) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_deceptive(character) {
            escaped.push_str(&format!("<U+{:04X}>", u32::from(character)));
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

/// [`escape`] for text that must stay on one line (a title, a model's name): newlines and tabs become spaces.
pub fn escape_line(text: &str) -> String {
    escape(text).replace(['\n', '\t'], " ")
}

/// `text` on one line, cut to this many columns.
pub fn fitted(text: &str, width: usize, ascii: bool) -> String {
    let line = escape_line(text);
    if line.width() <= width {
        return line;
    }
    let mut cut = String::new();
    let mut columns = 1;
    for grapheme in line.graphemes(true) {
        columns += grapheme.width();
        if columns > width {
            break;
        }
        cut.push_str(grapheme);
    }
    if width > 0 {
        cut.push(if ascii { '~' } else { '…' });
    }
    cut
}

/// Why the system refused, in its words, without the number that is of use to programmers.
pub fn cause(error: &std::io::Error) -> String {
    let words = error.to_string();
    match words.split_once(" (os error ") {
        Some((cause, _)) => cause.to_lowercase(),
        None => words,
    }
}

/// So many bytes in whole mebibytes, rounded up.
pub fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

/// `1 token`, `3 tokens`.
pub fn counted(count: impl Into<u64>, noun: &str) -> String {
    match count.into() {
        1 => format!("1 {noun}"),
        count => format!("{count} {noun}s"),
    }
}

/// The size of a file, in the unit that people compare files in.
pub fn file_size(bytes: u64) -> String {
    if bytes < 1_000_000_000 {
        format!("{:.1} MB", bytes as f64 / 1e6)
    } else {
        format!("{:.2} GB", bytes as f64 / 1e9)
    }
}

/// How many weights a model has: `134.52 M`.
pub fn parameters(count: u64) -> String {
    let count = count as f64;
    if count < 1e9 { format!("{:.2} M", count / 1e6) } else { format!("{:.2} B", count / 1e9) }
}

/// `text` with spaces behind it up to this many columns of a terminal, of which wide characters take two.
pub fn filled(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(text.width())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_takes_as_many_columns_whatever_its_script() {
        assert_eq!((filled("ab", 4), filled("模型", 6)), ("ab  ".into(), "模型  ".into()));
        assert_eq!((filled("模型", 3), filled("", 1)), ("模型".into(), " ".into()));
    }
    use proptest::prelude::*;

    #[test]
    fn one_is_told_without_an_s() {
        assert_eq!(
            [counted(1u32, "chat"), counted(0u32, "chat"), counted(2u64, "chat")],
            ["1 chat", "0 chats", "2 chats"]
        );
    }

    #[test]
    fn a_character_split_between_tokens_comes_out_whole() {
        let mut stream = Utf8Stream::default();
        let family = "👨‍👩‍👧";
        let joined: String = family.bytes().map(|byte| stream.push(&[byte])).collect();
        assert_eq!(joined + &stream.finish(), family);
    }

    #[test]
    fn a_refusal_of_the_system_is_told_in_words() {
        assert_eq!(cause(&std::io::Error::from_raw_os_error(2)), "no such file or directory");
        assert_eq!(cause(&std::io::Error::other("the cable is out")), "the cable is out");
    }

    #[test]
    fn a_byte_that_cannot_begin_a_character_is_replaced_at_once() {
        let mut stream = Utf8Stream::default();
        assert_eq!(stream.push(b"a\xffb"), "a\u{fffd}b");
    }

    #[test]
    fn an_unfinished_character_is_replaced_only_at_the_end() {
        let mut stream = Utf8Stream::default();
        assert_eq!(stream.push(&"é".as_bytes()[..1]), "");
        assert_eq!(stream.finish(), "\u{fffd}");
    }

    #[test]
    fn what_is_kept_back_is_the_beginning_of_a_character() {
        let mut stream = Utf8Stream::default();
        assert_eq!(stream.push(b"caf\xc3"), "caf");
        assert_eq!(stream.pending(), b"\xc3");
        assert_eq!(stream.push(b"\xa9"), "é");
        assert!(stream.pending().is_empty());
    }

    #[test]
    fn sizes_are_told_in_the_unit_that_they_are_compared_in() {
        assert_eq!([mebibytes(1), mebibytes(3 << 20)], ["1 MiB", "3 MiB"]);
        assert_eq!([file_size(999_900_000), file_size(1_000_000_000)], ["999.9 MB", "1.00 GB"]);
        assert_eq!([parameters(134_515_008), parameters(1_000_000_000)], ["134.52 M", "1.00 B"]);
    }

    #[test]
    fn escape_sequences_and_direction_overrides_become_visible() {
        assert_eq!(escape("a\x1b]52;c;x\x07b"), "a<U+001B>]52;c;x<U+0007>b");
        assert_eq!(escape("\u{202e}evil\u{9b}"), "<U+202E>evil<U+009B>");
        assert_eq!(escape("one\n\ttwo"), "one\n\ttwo");
        assert_eq!(escape_line("one\ntwo"), "one two");
    }

    #[test]
    fn what_is_cut_is_seen_to_be() {
        assert_eq!([fitted("whole", 5, false), fitted("not whole", 5, false)], ["whole", "not …"]);
        assert_eq!([fitted("中文", 3, true), fitted("one\ntwo", 9, true)], ["中~", "one two"]);
        assert_eq!([fitted("a", 0, false), fitted("ab", 1, false)], ["", "…"]);
    }

    #[test]
    fn text_without_controls_is_not_copied() {
        assert!(matches!(escape("plain 中文 👍🏽"), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn any_split_of_any_text_joins_to_the_same_text(text in "\\PC{0,40}", cut in 1usize..5) {
            let mut stream = Utf8Stream::default();
            let joined: String = text.as_bytes().chunks(cut).map(|chunk| stream.push(chunk)).collect();
            prop_assert_eq!(joined + &stream.finish(), text);
        }

        #[test]
        fn nothing_escaped_holds_a_control_character(text in any::<String>()) {
            prop_assert!(!escape(&text).chars().any(is_deceptive));
        }
    }
}
