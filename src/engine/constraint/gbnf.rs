//! GBNF, llama.cpp's form of a grammar: read, and laid out into the same plain rules that llama.cpp makes of it, so
//! that what would make it fail, abort or never come back is a sentence before it gets there.
//!
//! It is stricter than llama.cpp where that takes a text in silence and does something else: a rule that is defined
//! twice, an empty set `[]`, a range that goes backwards, an upper bound of repetitions that is taken as none. Tokens
//! (`<think>`, `<[12]>`) are refused, because an answer holds no control tokens.

use std::collections::HashMap;

use super::scanner::{MOST_REPETITIONS, Scanner};
use super::soundness;

/// Longer grammars are refused.
const MOST_BYTES: usize = 2 << 20;
/// Rules and their symbols after repetitions were written out.
const MOST_RULES: usize = 250_000;
const MOST_SYMBOLS: usize = 1_000_000;
/// Parentheses in parentheses: llama.cpp reads them by recursion.
const MOST_DEPTH: u32 = 100;

/// A grammar that llama.cpp can use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gbnf(String);

impl Gbnf {
    /// Checks a grammar whose first rule to be followed is `root`.
    ///
    /// # Errors
    /// What is wrong with it and where, without a verb in front: "line 3: …".
    pub fn check(text: String) -> Result<Self, String> {
        if text.len() > MOST_BYTES {
            return Err(format!("it is longer than {} MiB", MOST_BYTES >> 20));
        }
        if text.contains('\0') {
            return Err("it holds a NUL character".into());
        }
        let rules = Reader::new(&text).read()?;
        soundness::check(&rules)?;
        Ok(Self(text))
    }

    pub fn text(&self) -> &str {
        &self.0
    }
}

/// What a rule is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symbol {
    /// One character, whichever.
    Character,
    /// Whatever this rule stands for.
    Rule(usize),
}

#[derive(Clone, Debug)]
pub struct Rule {
    /// Index into [`Rules::names`] of the rule in the text that this one is, or is a part of.
    pub name: usize,
    pub alternatives: Vec<Vec<Symbol>>,
}

/// A grammar without parentheses and repetitions.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    pub rules: Vec<Rule>,
    pub names: Vec<String>,
}

/// What the next repetition would repeat: the symbols from `start` on, of which llama.cpp counts `weight` rules.
struct Last {
    start: usize,
    weight: u64,
}

struct Reader<'text> {
    scanner: Scanner<'text>,
    depth: u32,
    symbols: usize,
    rules: Rules,
    named: HashMap<&'text str, Named>,
}

/// A name that was met.
#[derive(Clone, Copy)]
struct Named {
    rule: usize,
    /// Behind its first use.
    at: usize,
    defined: bool,
}

impl<'text> Reader<'text> {
    fn new(text: &'text str) -> Self {
        Self { scanner: Scanner::new(text), depth: 0, symbols: 0, rules: Rules::default(), named: HashMap::new() }
    }

    fn read(mut self) -> Result<Rules, String> {
        self.scanner.space(true);
        while self.scanner.peek().is_some() {
            self.definition()
                .map_err(|problem| format!("line {}: {problem}", self.scanner.line_of(self.scanner.at)))?;
        }
        if !self.named.get("root").is_some_and(|root| root.defined) {
            return Err("it has no rule `root`, with which it would begin".into());
        }
        let undefined = self.named.iter().filter(|(_, named)| !named.defined).min_by_key(|(_, named)| named.at);
        match undefined {
            Some((name, named)) => Err(format!("line {}: there is no rule `{name}`", self.scanner.line_of(named.at))),
            None => Ok(self.rules),
        }
    }

    /// `name ::= alternatives`, and the end of the line.
    fn definition(&mut self) -> Result<(), String> {
        let name = self
            .scanner
            .name()
            .ok_or_else(|| format!("a rule begins with its name, and not with {}", self.scanner.found()))?;
        let rule = self.rule_named(name)?;
        if let Some(named) = self.named.get_mut(name)
            && std::mem::replace(&mut named.defined, true)
        {
            return Err(format!("the rule `{name}` is defined twice"));
        }
        self.scanner.space(false);
        self.scanner.expect("::=")?;
        self.scanner.space(true);
        self.rules.rules[rule].alternatives = self.alternatives(rule, false)?;
        match self.scanner.peek() {
            None | Some(b'\n' | b'\r') => {}
            Some(_) => return Err(format!("{} does not belong here", self.scanner.found())),
        }
        self.scanner.space(true);
        Ok(())
    }

    fn alternatives(&mut self, owner: usize, nested: bool) -> Result<Vec<Vec<Symbol>>, String> {
        let mut alternatives = vec![self.sequence(owner, nested)?];
        while self.scanner.peek() == Some(b'|') {
            self.scanner.at += 1;
            self.scanner.space(true);
            alternatives.push(self.sequence(owner, nested)?);
        }
        Ok(alternatives)
    }

    fn sequence(&mut self, owner: usize, nested: bool) -> Result<Vec<Symbol>, String> {
        let mut sequence = Vec::new();
        let mut last = Last { start: 0, weight: 1 };
        while let Some(byte) = self.scanner.peek() {
            if let Some((least, most)) = self.scanner.repetition()? {
                self.repeat(owner, &mut sequence, &mut last, least, most)?;
                self.scanner.space(nested);
                continue;
            }
            last = Last { start: sequence.len(), weight: 1 };
            match byte {
                b'"' => {
                    let length = self.scanner.literal()?;
                    self.grow(length)?;
                    sequence.resize(sequence.len() + length, Symbol::Character);
                }
                b'[' => {
                    self.scanner.set()?;
                    sequence.push(Symbol::Character);
                }
                b'.' => {
                    self.scanner.at += 1;
                    sequence.push(Symbol::Character);
                }
                b'(' => {
                    let before = self.rules.rules.len();
                    sequence.push(Symbol::Rule(self.group(owner)?));
                    last.weight = (self.rules.rules.len() - before) as u64;
                }
                b'<' | b'!' => return Err("tokens (`<…>`) cannot be used in a grammar here; write text".into()),
                _ => match self.scanner.name() {
                    Some(name) => sequence.push(Symbol::Rule(self.rule_named(name)?)),
                    None => break,
                },
            }
            self.grow(1)?;
            self.scanner.space(nested);
        }
        Ok(sequence)
    }

    /// `( alternatives )` becomes a rule of its own.
    fn group(&mut self, owner: usize) -> Result<usize, String> {
        self.scanner.at += 1;
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return Err(format!("there are more than {MOST_DEPTH} parentheses in one another"));
        }
        self.scanner.space(true);
        let rule = self.add_rule(self.rules.rules[owner].name)?;
        self.rules.rules[rule].alternatives = self.alternatives(owner, true)?;
        if self.scanner.peek() != Some(b')') {
            return Err(format!("a parenthesis is not closed before {}", self.scanner.found()));
        }
        self.scanner.at += 1;
        self.depth -= 1;
        Ok(rule)
    }

    /// Writes a repetition out, in the way llama.cpp does.
    fn repeat(
        &mut self,
        owner: usize,
        sequence: &mut Vec<Symbol>,
        last: &mut Last,
        least: u64,
        most: Option<u64>,
    ) -> Result<(), String> {
        if last.start == sequence.len() {
            return Err("there is nothing to repeat".into());
        }
        let times = most.filter(|most| *most > 0).unwrap_or(least.max(1));
        if last.weight * times > MOST_REPETITIONS {
            return Err(format!("its repetitions in one another are more than {MOST_REPETITIONS}; use fewer"));
        }
        last.weight *= times;
        let item = sequence[last.start..].to_vec();
        if least == 0 {
            sequence.truncate(last.start);
        }
        for _ in 1..least {
            self.grow(item.len())?;
            sequence.extend_from_slice(&item);
        }
        let mut inner = None;
        for _ in 0..most.map_or(1, |most| most - least) {
            let rule = self.add_rule(self.rules.rules[owner].name)?;
            self.grow(item.len() + 1)?;
            let mut repeated = item.clone();
            repeated.extend(if most.is_none() { Some(Symbol::Rule(rule)) } else { inner });
            self.rules.rules[rule].alternatives = vec![repeated, Vec::new()];
            inner = Some(Symbol::Rule(rule));
        }
        sequence.extend(inner);
        Ok(())
    }

    /// The rule of this name, which may be defined later.
    fn rule_named(&mut self, name: &'text str) -> Result<usize, String> {
        if let Some(named) = self.named.get(name) {
            return Ok(named.rule);
        }
        self.rules.names.push(name.to_owned());
        let rule = self.add_rule(self.rules.names.len() - 1)?;
        self.named.insert(name, Named { rule, at: self.scanner.at, defined: false });
        Ok(rule)
    }

    fn add_rule(&mut self, name: usize) -> Result<usize, String> {
        if self.rules.rules.len() >= MOST_RULES {
            return Err(format!("it has more than {MOST_RULES} rules, counted with its repetitions"));
        }
        self.rules.rules.push(Rule { name, alternatives: Vec::new() });
        Ok(self.rules.rules.len() - 1)
    }

    fn grow(&mut self, symbols: usize) -> Result<(), String> {
        self.symbols += symbols;
        if self.symbols > MOST_SYMBOLS {
            return Err(format!("it is longer than {MOST_SYMBOLS} characters, counted with its repetitions"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        Gbnf::check(text.into()).unwrap_err()
    }

    #[test]
    fn ordinary_grammars_are_taken() {
        for text in [
            "root ::= \"yes\" | \"no\"",
            "# a list\nroot ::= item (\", \" item)* # here\n\nitem ::= [a-z]+ |\n  \"\\\"\" [^\"]{2,5} \"\\\"\"\r\n",
            "root ::= (\n  \"a\"\n  | \"b\" )? .\n",
            "root ::= \"é\\x41\\u00e9\\U0001F600\\n\\t\\\\\" [\\]\\-a-]",
            "root ::= list\nlist ::= \"(\" list? \")\"",
            "root ::= ",
            "root ::= \"a\"{0} \"b\"{3} \"c\"{2,}",
        ] {
            assert_eq!(Gbnf::check(text.into()).err(), None, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, expected) in [
            ("", "no rule `root`"),
            ("# nothing", "no rule `root`"),
            ("start ::= \"a\"", "no rule `root`"),
            ("root ::= \"a\"\nother \"b\"", "line 2: there must be `::=` instead of `\"`"),
            ("root ::= a\na ::= b c\nc ::= \"x\"", "line 2: there is no rule `b`"),
            ("root ::= \"a", "line 1: a text in quotes is not closed"),
            ("root ::= [a", "line 1: a set in brackets is not closed"),
            ("root ::= []", "a set in brackets has no characters"),
            ("root ::= [z-a]", "a range in brackets goes backwards"),
            ("root ::= (\"a\"", "a parenthesis is not closed before the end"),
            ("root ::= \"a\")", "`)` does not belong here"),
            ("root ::= * \"a\"", "there is nothing to repeat"),
            ("root ::= \"\"*", "there is nothing to repeat"),
            ("root ::= \"a\"{3,2}", "repeats at least more often than at most"),
            ("root ::= \"a\"{", "needs a number"),
            ("root ::= \"a\"{1;2}", "there must be `}` instead of `;`"),
            ("root ::= \"\\q\"", "there is no escape `\\q`"),
            ("root ::= \"\\x4\"", "needs 2 hexadecimal digits"),
            ("root ::= \"\\Uffffffff\"", "there is no character FFFFFFFF"),
            ("root ::= \"a\\", "there is no escape"),
            ("root ::= \"a\"\nroot ::= \"b\"", "line 2: the rule `root` is defined twice"),
            ("root ::= <think>", "tokens"),
            ("root ::= !<[3]>", "tokens"),
            ("root ::= \"a\0\"", "NUL"),
            ("ro_ot ::= \"a\"", "there must be `::=` instead of `_`"),
            ("::= \"a\"", "a rule begins with its name"),
            ("root ::= \"a\"\n| \"b\"", "line 2: a rule begins with its name"),
        ] {
            assert!(problem(text).contains(expected), "{text}: {}", problem(text));
        }
    }

    #[test]
    fn what_would_take_too_much_is_refused() {
        for (text, expected) in [
            ("root ::= \"a\"{2001}".to_owned(), "more than 2000 repetitions"),
            ("root ::= \"a\"{99999999999999999999}".to_owned(), "more than 2000 repetitions"),
            ("root ::= \"a\"{1,4294967297}".to_owned(), "more than 2000 repetitions"),
            ("root ::= ((\"a\"{0,100}){0,100}){0,100}".to_owned(), "repetitions in one another"),
            (format!("root ::= \"{}\"{{2000}}", "a".repeat(1000)), "longer than 1000000 characters"),
            (format!("root ::= {}", "\"a\"{0,2000} ".repeat(150)), "more than 250000 rules"),
            (format!("root ::= {}\"a\"{}", "(".repeat(101), ")".repeat(101)), "parentheses in one another"),
            (format!("root ::= \"{}\"", "a".repeat(3 << 20)), "longer than 2 MiB"),
        ] {
            assert!(problem(&text).contains(expected), "{expected}: {}", problem(&text));
        }
    }
}
