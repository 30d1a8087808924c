//! Finding the passages that a question is about, by its words (Okapi BM25, Robertson and Zaragoza 2009): pure.

use std::collections::{HashMap, HashSet};

use unicode_segmentation::UnicodeSegmentation;

/// How soon a word that comes again stops to count.
const K1: f32 = 1.2;
/// How much longer passages are held back.
const B: f32 = 0.75;
/// A passage is about the question if it has this part of what the question's words tell.
const LEAST_COVERAGE: f32 = 0.2;
/// Others are taken if they score at least this part of the best.
const LEAST_OF_BEST: f32 = 0.4;

/// The passages that the question is about, by their numbers, the best first. Words that are in many passages count
/// little.
pub fn search(passages: &[String], question: &str) -> Vec<usize> {
    let words: Vec<Vec<String>> = passages.iter().map(|passage| words(passage)).collect();
    let asked: HashSet<String> = self::words(question).into_iter().collect();
    let mut passages_with: HashMap<&str, usize> = HashMap::new();
    for passage in &words {
        let distinct: HashSet<&str> = passage.iter().map(String::as_str).filter(|word| asked.contains(*word)).collect();
        for word in distinct {
            *passages_with.entry(word).or_default() += 1;
        }
    }
    let count = passages.len() as f32;
    let weight = |word: &str| {
        let with = passages_with.get(word).copied().unwrap_or(0) as f32;
        ((count - with + 0.5) / (with + 0.5) + 1.0).ln()
    };
    let all: f32 = asked.iter().map(|word| weight(word)).sum();
    let mean_length = (words.iter().map(Vec::len).sum::<usize>() as f32 / count.max(1.0)).max(1.0);
    let mut found: Vec<(usize, f32)> = Vec::new();
    for (index, passage) in words.iter().enumerate() {
        let mut times: HashMap<&str, f32> = HashMap::new();
        for word in passage.iter().filter(|word| asked.contains(*word)) {
            *times.entry(word).or_default() += 1.0;
        }
        let covered: f32 = times.keys().map(|word| weight(word)).sum();
        let longer = 1.0 - B + B * passage.len() as f32 / mean_length;
        let score = times.iter().map(|(word, times)| weight(word) * times * (K1 + 1.0) / (times + K1 * longer)).sum();
        if covered > 0.0 && covered >= LEAST_COVERAGE * all {
            found.push((index, score));
        }
    }
    found.sort_by(|one, other| other.1.total_cmp(&one.1));
    let best = found.first().map_or(0.0, |found| found.1);
    found.into_iter().take_while(|found| found.1 >= LEAST_OF_BEST * best).map(|found| found.0).collect()
}

/// The words of a text as they are compared: without case, and without the `'s` of English.
fn words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    lower.unicode_words().map(|word| word.trim_end_matches("'s").trim_end_matches("’s").to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(passages: &[&str], question: &str) -> Vec<usize> {
        search(&passages.iter().map(|passage| (*passage).to_owned()).collect::<Vec<_>>(), question)
    }

    const PASSAGES: [&str; 5] = [
        "The weather in the north is cold in the winter.",
        "The code of the Porto office is 1234567.",
        "The code of the Lisbon office is 7394155.",
        "The office opens at nine.",
        "我们的猫叫小花。",
    ];

    #[test]
    fn the_passage_with_the_rare_words_of_the_question_comes_first() {
        assert_eq!(found(&PASSAGES, "What is the code of the Lisbon office?")[0], 2);
        assert_eq!(found(&PASSAGES, "And Porto's code?")[0], 1);
        assert_eq!(found(&PASSAGES, "小花是谁？"), [4]);
    }

    #[test]
    fn nothing_is_found_for_words_that_are_nowhere_or_everywhere() {
        assert!(found(&PASSAGES, "Sing a song!").is_empty());
        assert!(found(&[], "What?").is_empty());
        assert!(found(&PASSAGES, "").is_empty());
        assert!(!found(&PASSAGES, "Is the cat or the dog the better?").contains(&2));
    }
}
