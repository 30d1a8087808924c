//! Finding the passages that a question is about, by its words (Okapi BM25, Robertson and Zaragoza 2009): pure.

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
pub fn search(passages: &[&str], question: &str) -> Vec<usize> {
    let mut found = scores(passages, question);
    found.sort_by(|one, other| other.1.total_cmp(&one.1));
    let best = found.first().map_or(0.0, |found| found.1);
    found.into_iter().take_while(|found| found.1 >= LEAST_OF_BEST * best).map(|found| found.0).collect()
}

/// The passages that have enough of the question's words, by their numbers, with what speaks for each.
fn scores(passages: &[&str], question: &str) -> Vec<(usize, f32)> {
    let mut asked = words(question);
    asked.sort_unstable();
    asked.dedup();
    let counted: Vec<Counted> = passages.iter().map(|passage| Counted::of(passage, &asked)).collect();
    let count = passages.len() as f32;
    let weights: Vec<f32> = (0..asked.len())
        .map(|word| {
            let with = counted.iter().filter(|passage| passage.times.iter().any(|(of, _)| *of == word)).count() as f32;
            ((count - with + 0.5) / (with + 0.5) + 1.0).ln()
        })
        .collect();
    let all: f32 = weights.iter().sum();
    let mean_length = (counted.iter().map(|passage| passage.length).sum::<usize>() as f32 / count.max(1.0)).max(1.0);
    let mut found: Vec<(usize, f32)> = Vec::new();
    for (index, passage) in counted.iter().enumerate() {
        let covered: f32 = passage.times.iter().map(|(word, _)| weights[*word]).sum();
        let longer = 1.0 - B + B * passage.length as f32 / mean_length;
        let part = |(word, times): &(usize, f32)| weights[*word] * times * (K1 + 1.0) / (times + K1 * longer);
        if covered > 0.0 && covered >= LEAST_COVERAGE * all {
            found.push((index, passage.times.iter().map(part).sum()));
        }
    }
    found
}

/// What is counted of a passage: not its words themselves, which would be much for a long conversation.
struct Counted {
    /// Words.
    length: usize,
    /// How often it has which words of the question, for those that it has.
    times: Vec<(usize, f32)>,
}

impl Counted {
    /// `asked` is in order.
    fn of(passage: &str, asked: &[String]) -> Self {
        let mut counted = Self { length: 0, times: Vec::new() };
        for word in words(passage) {
            counted.length += 1;
            if let Ok(place) = asked.binary_search(&word) {
                match counted.times.iter_mut().find(|(of, _)| *of == place) {
                    Some((_, times)) => *times += 1.0,
                    None => counted.times.push((place, 1.0)),
                }
            }
        }
        counted
    }
}

/// The words of a text as they are compared: without case, and without the `'s` of English.
fn words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    lower.unicode_words().map(|word| word.trim_end_matches("'s").trim_end_matches("’s").to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSAGES: [&str; 5] = [
        "The weather in the north is cold in the winter.",
        "The code of the Porto office is 1234567.",
        "The code of the Lisbon office is 7394155.",
        "The office opens at nine.",
        "我们的猫叫小花。",
    ];

    #[test]
    fn the_passage_with_the_rare_words_of_the_question_comes_first() {
        assert_eq!(search(&PASSAGES, "What is the code of the Lisbon office?")[0], 2);
        assert_eq!(search(&PASSAGES, "And Porto's code?")[0], 1);
        assert_eq!(search(&PASSAGES, "小花是谁？"), [4]);
    }

    #[test]
    fn a_passage_scores_as_okapi_has_it() {
        let passages = ["red red fox", "red dog sleeps in the old house", "blue fox", "red hen"];
        let found = scores(&passages, "Red fox?");
        let expected = [1.247_128, 0.253_124, 0.840_509, 0.432_503];
        assert_eq!(found.len(), expected.len());
        for ((index, score), expected) in found.iter().zip(expected) {
            assert!((score - expected).abs() < 1e-5, "{index}: {score}, not {expected}");
        }
        assert_eq!(search(&passages, "Red fox?"), [0, 2], "the others have too little of what the best has");
    }

    #[test]
    fn nothing_is_found_for_words_that_are_nowhere_or_everywhere() {
        assert!(search(&PASSAGES, "Sing a song!").is_empty());
        assert!(search(&[], "What?").is_empty());
        assert!(search(&PASSAGES, "").is_empty());
        assert!(!search(&PASSAGES, "Is the cat or the dog the better?").contains(&2));
    }
}
