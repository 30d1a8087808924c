//! Whether an answer is exact.
//!
//! The rule: case does not matter; what stands between two digits and is neither a letter nor a digit counts for
//! nothing (`4 821 973` is `4821973`), any other such characters are a gap between words; and the expected words must
//! be in the answer, in order and next to each other.

/// Whether the answer holds what is expected.
pub fn holds(answer: &str, expected: &str) -> bool {
    occurrences(answer, expected) > 0
}

/// How often the expected words are in the text.
pub fn occurrences(text: &str, expected: &str) -> usize {
    let (text, expected) = (words(text), words(expected));
    if expected.is_empty() {
        return 0;
    }
    text.windows(expected.len()).filter(|window| *window == expected).count()
}

/// The words of a text, as they are compared.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut has_gap = false;
    for letter in text.chars() {
        if !letter.is_alphanumeric() {
            has_gap = true;
            continue;
        }
        let joins_digits = letter.is_ascii_digit() && word.ends_with(|last: char| last.is_ascii_digit());
        if has_gap && !word.is_empty() && !joins_digits {
            words.push(std::mem::take(&mut word));
        }
        has_gap = false;
        word.extend(letter.to_lowercase());
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_exact_whatever_stands_around_it_and_between_its_digits() {
        for answer in ["4821973", "The code is 4821973.", "**4,821,973**", "4 821-973!", "code:4821973"] {
            assert!(holds(answer, "4821973"), "{answer}");
        }
        for answer in ["", "482197", "48219731", "14821973", "4821974", "482 1974"] {
            assert!(!holds(answer, "4821973"), "{answer}");
        }
    }

    #[test]
    fn a_name_is_exact_in_any_case_and_as_a_whole() {
        assert!(holds("It was ORLA PENHALLOW,", "Orla Penhallow"));
        assert!(holds("\"Orla\nPenhallow\"", "Orla Penhallow"));
        for answer in ["Orla", "Orla of Penhallow", "Penhallow Orla", "Orla Penhallows"] {
            assert!(!holds(answer, "Orla Penhallow"), "{answer}");
        }
    }

    #[test]
    fn occurrences_are_counted() {
        assert_eq!(occurrences("A b, a B! ab", "a b"), 2);
        assert_eq!(occurrences("anything", "…"), 0);
    }
}
