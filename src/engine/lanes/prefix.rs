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

    #[test]
    fn one_prompt_shares_nothing() {
        assert!(shared(&[&[1, 2, 3]], true).is_empty() && shared(&[], true).is_empty());
        assert!(shared(&[&[1, 2], &[3, 4]], true).is_empty() && shared(&[&[], &[1]], false).is_empty());
    }
}
