//! Cutting a text's tokens into what is evicted or kept as a whole: sentences and lines. A fact that loses two of its
//! tokens is a wrong fact.

use std::ops::Range;

/// A segment that has so many tokens ends at the next comma.
const LONG_TOKENS: usize = 48;
/// No segment is longer.
const MOST_TOKENS: usize = 96;

/// Cuts tokens into segments, given the bytes that each token stands for.
pub fn segments(pieces: &[Vec<u8>]) -> Vec<Range<usize>> {
    let mut segments = Vec::new();
    let mut start = 0;
    for (index, piece) in pieces.iter().enumerate() {
        let length = index + 1 - start;
        let next = pieces.get(index + 1).map_or(&[][..], Vec::as_slice);
        let is_end =
            ends_sentence(piece, next) || (length >= LONG_TOKENS && ends_clause(piece)) || length >= MOST_TOKENS;
        if is_end || index + 1 == pieces.len() {
            segments.push(start..index + 1);
            start = index + 1;
        }
    }
    segments
}

fn ends_sentence(piece: &[u8], next: &[u8]) -> bool {
    if piece.contains(&b'\n') {
        return true;
    }
    let text = String::from_utf8_lossy(piece);
    let text = text.trim_end().trim_end_matches(['"', '\'', ')', ']', '”', '’', '»']);
    if text.ends_with(['。', '！', '？']) {
        return true;
    }
    // Not in 3.14, and not between a sentence and its closing quotation mark.
    text.ends_with(['.', '!', '?']) && (next.first().is_none_or(u8::is_ascii_whitespace) || ends_with_space(piece))
}

fn ends_with_space(piece: &[u8]) -> bool {
    piece.last().is_some_and(u8::is_ascii_whitespace)
}

fn ends_clause(piece: &[u8]) -> bool {
    let text = String::from_utf8_lossy(piece);
    text.trim_end().ends_with([',', ';', ':', '，', '；', '、'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(pieces: &[&str]) -> Vec<String> {
        let bytes: Vec<Vec<u8>> = pieces.iter().map(|piece| piece.as_bytes().to_vec()).collect();
        let segments = segments(&bytes);
        assert!(segments.iter().zip(segments.iter().skip(1)).all(|(one, next)| one.end == next.start));
        segments.into_iter().map(|range| pieces[range].concat()).collect()
    }

    #[test]
    fn sentences_and_lines_stay_whole() {
        assert_eq!(cut(&["It", " is", " 3", ".", "14", ".", " Yes", "!"]), ["It is 3.14.", " Yes!"]);
        assert_eq!(cut(&["let", " a", ";\n", "let", " b", ";\n\n"]), ["let a;\n", "let b;\n\n"]);
        assert_eq!(cut(&["\"", "Go", ".\"", " He", " went"]), ["\"Go.\"", " He went"]);
        assert_eq!(cut(&["Go", ". ", "He", " went"]), ["Go. ", "He went"]);
        assert_eq!(cut(&["你好", "。", "再见"]), ["你好。", "再见"]);
        assert_eq!(cut(&[]), Vec::<String>::new());
    }

    #[test]
    fn a_long_sentence_ends_at_a_comma_or_at_last_somewhere() {
        let mut words = vec![" word"; 60];
        words[50] = ",";
        words.extend(vec![" word"; 100]);
        let lengths: Vec<usize> = segments(&words.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>())
            .iter()
            .map(Range::len)
            .collect();
        assert_eq!(lengths, [51, MOST_TOKENS, 160 - 51 - MOST_TOKENS]);
    }
}
