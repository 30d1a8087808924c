//! Whether plain rules can be followed: by llama.cpp, which descends into them without a limit of its own, and to an
//! end.

use super::gbnf::{Rules, Symbol};

/// Ways to read the grammar that may be open at once at one place.
const MOST_READINGS: u64 = 10_000;
/// Rules at whose beginning another one stands, one in the other: llama.cpp follows them by recursion.
const MOST_DEPTH: u32 = 2000;
/// Steps of llama.cpp's own search for left recursion, which visits a rule once for every way that leads to it.
const MOST_STEPS: u64 = 20_000_000;

/// # Errors
/// Why the grammar cannot be followed.
pub fn check(rules: &Rules) -> Result<(), String> {
    let name = |rule: usize| &rules.names[rules.rules[rule].name];
    if let Some(rule) = derivable(rules, true).iter().position(|ends| !ends) {
        return Err(format!("the rule `{}` never comes to an end", name(rule)));
    }
    let beginnings = beginnings(rules, &derivable(rules, false));
    let order = inner_first(&beginnings).map_err(|rule| {
        format!("the rule `{}` begins with itself (left recursion), perhaps after something empty", name(rule))
    })?;
    let mut steps = 0_u64;
    let mut reached = vec![Reach::default(); rules.rules.len()];
    for rule in order {
        let reach = Reach::of(&rules.rules[rule].alternatives, &beginnings[rule], &reached);
        steps = steps.saturating_add(reach.steps);
        if reach.depth > MOST_DEPTH || steps > MOST_STEPS || reach.ends.saturating_add(reach.empty) > MOST_READINGS {
            return Err(format!("the rule `{}` can begin in too many ways", name(rule)));
        }
        reached[rule] = reach;
    }
    Ok(())
}

/// Which rules derive a text of finite length; without `characters`, which derive the empty one.
fn derivable(rules: &Rules, characters: bool) -> Vec<bool> {
    let mut derivable = vec![false; rules.rules.len()];
    // Alternatives that are still open: whose they are, and how many of their rules are not known to derive a text.
    let mut open = Vec::new();
    let mut uses = vec![Vec::new(); rules.rules.len()];
    let mut known = Vec::new();
    for (rule, alternative) in rules
        .rules
        .iter()
        .enumerate()
        .flat_map(|(index, rule)| rule.alternatives.iter().map(move |alternative| (index, alternative)))
    {
        if !characters && alternative.contains(&Symbol::Character) {
            continue;
        }
        let before = open.len();
        let mut missing = 0_usize;
        for symbol in alternative {
            if let Symbol::Rule(used) = symbol {
                uses[*used].push(before);
                missing += 1;
            }
        }
        open.push((rule, missing));
        if missing == 0 {
            known.push(rule);
        }
    }
    while let Some(rule) = known.pop() {
        if std::mem::replace(&mut derivable[rule], true) {
            continue;
        }
        for alternative in &uses[rule] {
            let (owner, missing) = &mut open[*alternative];
            *missing -= 1;
            if *missing == 0 {
                known.push(*owner);
            }
        }
    }
    derivable
}

/// For each rule the rules with which it can begin.
fn beginnings(rules: &Rules, may_be_empty: &[bool]) -> Vec<Vec<usize>> {
    let of_alternative = |alternative: &[Symbol]| {
        let mut first = Vec::new();
        for symbol in alternative {
            let Symbol::Rule(rule) = symbol else { break };
            first.push(*rule);
            if !may_be_empty[*rule] {
                break;
            }
        }
        first
    };
    rules.rules.iter().map(|rule| rule.alternatives.iter().flat_map(|all| of_alternative(all)).collect()).collect()
}

/// The rules in an order in which each comes after those it begins with; the error is one that begins with itself.
fn inner_first(beginnings: &[Vec<usize>]) -> Result<Vec<usize>, usize> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; beginnings.len()];
    let mut order = Vec::with_capacity(beginnings.len());
    for start in 0..beginnings.len() {
        // A stack of our own: rules can be as deep as there are rules.
        let mut path = Vec::new();
        if marks[start] == Mark::New {
            marks[start] = Mark::Open;
            path.push((start, 0));
        }
        while let Some((rule, next)) = path.last_mut() {
            let rule = *rule;
            match beginnings[rule].get(*next) {
                None => {
                    marks[rule] = Mark::Done;
                    order.push(rule);
                    path.pop();
                }
                Some(&first) => {
                    *next += 1;
                    match marks[first] {
                        Mark::Open => return Err(first),
                        Mark::Done => {}
                        Mark::New => {
                            marks[first] = Mark::Open;
                            path.push((first, 0));
                        }
                    }
                }
            }
        }
    }
    Ok(order)
}

/// What lies at the beginning of a rule, counted once for every way that leads to it.
#[derive(Clone, Copy, Debug, Default)]
struct Reach {
    /// Characters with which it can begin.
    ends: u64,
    /// Ways in which it is empty.
    empty: u64,
    steps: u64,
    depth: u32,
}

impl Reach {
    fn of(alternatives: &[Vec<Symbol>], beginnings: &[usize], reached: &[Reach]) -> Self {
        let mut reach = Reach { steps: 1, depth: 1, ..Reach::default() };
        for first in beginnings {
            reach.steps = reach.steps.saturating_add(reached[*first].steps);
            reach.depth = reach.depth.max(reached[*first].depth + 1);
        }
        for alternative in alternatives {
            let mut empty = 1_u64;
            for symbol in alternative {
                let (ends, empty_here) = match symbol {
                    Symbol::Character => (1, 0),
                    Symbol::Rule(rule) => (reached[*rule].ends, reached[*rule].empty),
                };
                reach.ends = reach.ends.saturating_add(empty.saturating_mul(ends));
                empty = empty.saturating_mul(empty_here);
                if empty == 0 {
                    break;
                }
            }
            reach.empty = reach.empty.saturating_add(empty);
        }
        reach
    }
}

#[cfg(test)]
mod tests {
    use super::super::gbnf::Gbnf;

    fn problem(text: &str) -> String {
        Gbnf::check(text.into()).unwrap_err()
    }

    #[test]
    fn left_recursion_is_found_however_it_hides() {
        for text in [
            "root ::= root \"a\" | \"b\"",
            "root ::= a\na ::= b \"x\"\nb ::= root | \"y\"",
            // llama.cpp itself does not see that `c` is empty through `d`, and would never come back.
            "root ::= c root \"x\" | \"y\"\nc ::= d\nd ::= \"\" | \"z\"",
            "root ::= (\"a\"*)*",
            "root ::= (\"a\"?)+",
            "root ::= \"a\"**",
        ] {
            assert!(problem(text).contains("left recursion"), "{text}: {}", problem(text));
        }
    }

    #[test]
    fn a_rule_without_an_end_is_told() {
        assert_eq!(problem("root ::= \"a\" root"), "the rule `root` never comes to an end");
        assert!(problem("root ::= \"a\" | b\nb ::= \"x\" c\nc ::= \"y\" b").contains("never comes to an end"));
    }

    #[test]
    fn rules_that_double_at_every_step_are_refused() {
        let chain: String = (0..60).map(|rule| format!("r{rule} ::= r{0} \"x\" | r{0} \"y\"\n", rule + 1)).collect();
        assert!(problem(&format!("root ::= r0\n{chain}r60 ::= \"z\"")).contains("too many ways"));
        let same: String = (0..60).map(|rule| format!("r{rule} ::= r{0} | r{0}\n", rule + 1)).collect();
        assert!(problem(&format!("root ::= r0\n{same}r60 ::= \"z\"")).contains("too many ways"));
    }

    #[test]
    fn a_chain_too_deep_for_recursion_is_refused_and_one_of_a_thousand_is_not() {
        let chain = |length: usize| {
            let rules: String = (0..length).map(|rule| format!("r{rule} ::= r{}\n", rule + 1)).collect();
            format!("root ::= r0\n{rules}r{length} ::= \"z\"")
        };
        assert!(problem(&chain(50_000)).contains("too many ways"));
        assert!(Gbnf::check(chain(1000)).is_ok());
    }
}
