//! What many prompts begin with alike. Pure.

use std::collections::HashMap;

use crate::engine::llama::Token;

/// A beginning that is worth computing once, before the prompts themselves: it is followed token by token as most of
/// them go on, as long as there are two of them; or all, where a cache cannot be cut and a prompt needs the whole of it.
/// The last token of a prompt is not part of it, since an answer begins with what is computed for that.
pub fn shared(prompts: &[&[Token]], can_be_cut: bool) -> Vec<Token> {
    let mut left: Vec<&[Token]> = prompts.iter().filter_map(|prompt| Some(prompt.split_last()?.1)).collect();
    let least = if can_be_cut { 2 } else { prompts.len().max(2) };
    let mut shared = Vec::new();
    loop {
        let place = shared.len();
        let mut counts: HashMap<Token, usize> = HashMap::new();
        for token in left.iter().filter_map(|prompt| prompt.get(place)) {
            *counts.entry(*token).or_default() += 1;
        }
        // Of equally many, the one with the lowest number: the same prompts have the same beginning in every run.
        let most = counts.into_iter().max_by_key(|(token, count)| (*count, std::cmp::Reverse(*token)));
        let Some((token, _)) = most.filter(|(_, count)| *count >= least) else { return shared };
        left.retain(|prompt| prompt.get(place) == Some(&token));
        shared.push(token);
    }
}

/// A beginning beside the first one has to save so many tokens to be worth a sequence.
const LEAST_SAVED: usize = 64;
/// A prompt that has so many more in common with another one than is shared already has a beginning to be looked for.
const LEAST_MORE: usize = 16;
/// Beginnings that are looked at without being worth it, before no more are.
const MOST_VAIN: usize = 8;

/// More beginnings for prompts of which `shared` is there, or those of `known`: what groups of them have in common beside
/// that. At most `most`, of not more than `room` tokens beside the shared ones together; those that save the most
/// tokens are found first, or nearly so.
pub fn more(
    prompts: &[&[Token]],
    shared: &[Token],
    known: &[&[Token]],
    most: usize,
    mut room: usize,
) -> Vec<Vec<Token>> {
    let mut covered: Vec<usize> = prompts
        .iter()
        .map(|prompt| known.iter().fold(of(prompt, shared, true), |most, known| most.max(of(prompt, known, true))))
        .collect();
    let potential = in_common_with_another(prompts);
    let (mut found, mut vain) = (Vec::new(), 0);
    while found.len() < most && vain < MOST_VAIN {
        let left: Vec<usize> = (0..prompts.len()).filter(|at| potential[*at] >= covered[*at] + LEAST_MORE).collect();
        let candidates: Vec<&[Token]> = left.iter().map(|at| prompts[*at]).collect();
        if candidates.len() < 2 {
            break;
        }
        let beginning = self::shared(&candidates, true);
        let own = beginning.len() - beginning.iter().zip(shared).take_while(|(one, other)| one == other).count();
        let lengths: Vec<usize> = prompts.iter().map(|prompt| of(prompt, &beginning, true)).collect();
        let saved: usize = lengths.iter().zip(&covered).map(|(length, covered)| length.saturating_sub(*covered)).sum();
        let is_worth_it = saved >= own + LEAST_SAVED && own <= room;
        for (covered, length) in covered.iter_mut().zip(&lengths) {
            *covered = (*covered).max(*length);
        }
        if is_worth_it {
            room -= own;
            found.push(beginning);
        } else {
            vain += 1;
            // Whatever they have in common, it is not looked for again.
            for at in left.into_iter().filter(|at| lengths[*at] + LEAST_MORE > beginning.len()) {
                covered[at] = potential[at];
            }
        }
    }
    found
}

/// How many tokens each prompt has in common with the other one that is most like it, its last one left out.
fn in_common_with_another(prompts: &[&[Token]]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..prompts.len()).collect();
    order.sort_unstable_by_key(|at| prompts[*at]);
    let mut most = vec![0; prompts.len()];
    for pair in order.windows(2) {
        let (one, other) = (prompts[pair[0]], prompts[pair[1]]);
        let common = one.iter().zip(other).take_while(|(one, other)| one == other).count();
        for at in [pair[0], pair[1]] {
            most[at] = most[at].max(common.min(prompts[at].len().saturating_sub(1)));
        }
    }
    most
}

/// How many tokens of a prompt need not be computed where this was.
pub fn of(prompt: &[Token], shared: &[Token], can_be_cut: bool) -> usize {
    let most = prompt.len().saturating_sub(1);
    let common = prompt[..most].iter().zip(shared).take_while(|(one, other)| one == other).count();
    if can_be_cut || common == shared.len() { common } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_begin_with_is_shared_but_never_a_whole_prompt() {
        assert_eq!(shared(&[&[1, 2, 3, 4], &[1, 2, 3, 5], &[1, 2, 3]], true), [1, 2, 3]);
        assert_eq!(shared(&[&[1, 2, 3], &[1, 2, 3]], true), [1, 2]);
        assert_eq!(of(&[1, 2, 3], &[1, 2, 3], true), 2);
    }

    #[test]
    fn one_prompt_that_begins_otherwise_does_not_take_it_from_the_others() {
        let prompts: [&[Token]; 4] = [&[1, 2, 3, 4], &[9, 9, 9], &[1, 2, 3, 5], &[1, 7, 7]];
        let beginning = shared(&prompts, true);
        assert_eq!(beginning, [1, 2, 3]);
        let used: Vec<usize> = prompts.iter().map(|prompt| of(prompt, &beginning, true)).collect();
        assert_eq!(used, [3, 0, 3, 1]);
    }

    #[test]
    fn a_cache_that_cannot_be_cut_holds_what_all_have() {
        let prompts: [&[Token]; 3] = [&[1, 2, 3, 4], &[1, 2, 3, 5], &[1, 2, 7]];
        assert_eq!(shared(&prompts, false), [1, 2]);
        assert_eq!((of(&[1, 2, 3, 4], &[1, 2], false), of(&[1, 3, 4], &[1, 2], false)), (2, 0));
    }

    /// A prompt of a first token, a text of so many tokens that are all this one, and a question.
    fn prompt(text: Token, length: usize, question: Token) -> Vec<Token> {
        [1].into_iter().chain(std::iter::repeat_n(text, length)).chain([question, question + 1]).collect()
    }

    #[test]
    fn each_group_of_prompts_has_its_own_beginning_whatever_their_order() {
        let prompts: Vec<Vec<Token>> = (0..12).map(|item| prompt(100 + item % 3, 80, 200 + 10 * item)).collect();
        let prompts: Vec<&[Token]> = prompts.iter().map(Vec::as_slice).collect();
        let first = shared(&prompts, true);
        assert_eq!(first.len(), 81, "the text of one of the groups");
        let mut beginnings = more(&prompts, &first, &[], 6, 1000);
        assert_eq!(beginnings.len(), 2);
        beginnings.push(first.clone());
        beginnings.sort_unstable();
        assert_eq!(beginnings, [100, 101, 102].map(|text| prompt(text, 80, 0)[..81].to_vec()));
        assert_eq!(more(&prompts, &first, &[], 1, 1000).len(), 1);
        assert_eq!(more(&prompts, &first, &[], 6, 100).len(), 1, "there is room for one");
        let known: Vec<&[Token]> = beginnings.iter().map(Vec::as_slice).collect();
        assert!(more(&prompts, &first, &known, 6, 1000).is_empty(), "they are there");
    }

    #[test]
    fn what_saves_little_has_no_beginning_of_its_own() {
        let different: Vec<Vec<Token>> = (0..10).map(|item| prompt(100 + item, 80, 7)).collect();
        let different: Vec<&[Token]> = different.iter().map(Vec::as_slice).collect();
        assert!(more(&different, &[1], &[], 6, 1000).is_empty());
        let short: Vec<Vec<Token>> = (0..10).map(|item| prompt(100 + item % 5, 8, 10 * item)).collect();
        let short: Vec<&[Token]> = short.iter().map(Vec::as_slice).collect();
        assert!(more(&short, &[1], &[], 6, 1000).is_empty());
        let two = [prompt(5, 80, 7), prompt(5, 80, 9), prompt(6, 40, 7), prompt(6, 40, 9)];
        let two: Vec<&[Token]> = two.iter().map(Vec::as_slice).collect();
        assert_eq!(more(&two, &[1], &[], 6, 1000), [prompt(5, 80, 0)[..81].to_vec()], "40 tokens are not worth it");
        assert!(more(&[], &[], &[], 6, 1000).is_empty());
    }

    #[test]
    fn one_prompt_shares_nothing() {
        assert!(shared(&[&[1, 2, 3]], true).is_empty() && shared(&[], true).is_empty());
        assert!(shared(&[&[1, 2], &[3, 4]], true).is_empty() && shared(&[&[], &[1]], false).is_empty());
    }
}
