//! What an answer is held to: a JSON schema or a grammar. Both become a grammar of llama.cpp, under which the answer
//! is sampled; everything that llama.cpp could abort on is refused before.

mod gbnf;
mod guide;
mod keywords;
mod pattern;
mod scanner;
mod schema;
mod short;
mod soundness;
mod validator;
mod values;

pub use gbnf::Gbnf;
pub(super) use guide::Guide;
pub use schema::Schema;
pub use short::schema_of;
pub use validator::Validator;

use super::llama;
use super::protocol::Constraint;

/// The converter descends into a schema by recursion; its limits in [`schema`] keep it within this.
const CONVERTER_STACK_BYTES: usize = 64 << 20;

/// What is put in other words than the converter's, because those allow what is no JSON to everybody, or what only takes
/// time.
const REPAIRS: [(&str, &str); 6] = [
    // Between values: one blank or none. Where lines and indentation were allowed, a model of half a billion parameters
    // wrote 856 tokens for what are 484 so.
    (r#"space ::= | " " | "\n"{1,2} [ \t]{0,20}"#, r#"space ::= " "?"#),
    // Nobody writes one before a colon.
    (r#" space ":" "#, r#" ":" "#),
    // Numbers with an exponent of many digits are infinite to most readers.
    ("([eE] [-+]? integral-part)?", "([eE] [-+]? [0-9]{1,2})?"),
    // Half of a surrogate pair is no character.
    (r#""u" [0-9a-fA-F]{4})"#, r#""u" ([0-9abcefABCEF] [0-9a-fA-F]{3} | [dD] [0-7] [0-9a-fA-F]{2}))"#),
    // There is no 31st of April, and no year 0 to most readers. (And no 29th of February here: it is a day of few years.)
    (
        r#"[0-9]{4} "-" ( "0" [1-9] | "1" [0-2] ) "-" ( "0" [1-9] | [1-2] [0-9] | "3" [0-1] )"#,
        r#"( "000" [1-9] | "00" [1-9] [0-9] | "0" [1-9] [0-9]{2} | [1-9] [0-9]{3} ) "-" ( ( "0" [13578] | "1" [02] ) "-" ( "0" [1-9] | [12] [0-9] | "3" [01] ) | ( "0" [469] | "11" ) "-" ( "0" [1-9] | [12] [0-9] | "30" ) | "02-" ( "0" [1-9] | "1" [0-9] | "2" [0-8] ) )"#,
    ),
    // Names of further properties would hold backslashes and control characters.
    (r#"[^""#, r#"[^"\\\x7F\x00-\x1F"#),
];

/// Whether answers can be held to this.
///
/// # Errors
/// A sentence that says why not.
pub fn check(constraint: &Constraint) -> Result<(), String> {
    check_from(constraint, "")
}

/// The same, with a word in messages about where it is from: `in x.json`.
///
/// # Errors
/// A sentence that says why not.
pub fn check_from(constraint: &Constraint, origin: &str) -> Result<(), String> {
    let checked = match constraint {
        // Made ready first: that keeps it within limits.
        Constraint::Schema(text) => {
            Schema::prepare(text).and_then(|_| keywords::check(text)).and_then(|()| Validator::new(text).map(drop))
        }
        Constraint::Grammar(_) => Ok(()),
    };
    let checked = checked.and_then(|()| grammar_of(constraint).map(drop));
    checked.map_err(|problem| unusable(constraint, origin, &problem))
}

fn unusable(constraint: &Constraint, origin: &str, problem: &str) -> String {
    let what = match constraint {
        Constraint::Schema(_) => "JSON schema",
        Constraint::Grammar(_) => "grammar",
    };
    let space = if origin.is_empty() { "" } else { " " };
    format!("the {what}{space}{origin} cannot be used: {problem}")
}

/// The grammar that the answer follows.
fn grammar(constraint: &Constraint) -> Result<Gbnf, String> {
    grammar_of(constraint).map_err(|problem| unusable(constraint, "", &problem))
}

fn grammar_of(constraint: &Constraint) -> Result<Gbnf, String> {
    match constraint {
        Constraint::Grammar(text) => Gbnf::check(text.clone()),
        Constraint::Schema(text) => grammar_of_schema(text),
    }
}

fn grammar_of_schema(text: &str) -> Result<Gbnf, String> {
    let schema = Schema::prepare(text)?;
    let converted = std::thread::Builder::new()
        .name("schema".into())
        .stack_size(CONVERTER_STACK_BYTES)
        .spawn(move || llama::json_schema_to_grammar(&schema))
        .map_err(|error| format!("no thread could be started for it ({error})"))?
        .join();
    let grammar = converted.ok().flatten().ok_or("llama.cpp cannot make a grammar of it; try a simpler one")?;
    Gbnf::check(repair(&grammar))
        .map_err(|problem| format!("llama.cpp cannot follow the grammar it becomes ({problem})"))
}

fn repair(grammar: &str) -> String {
    let [everywhere @ .., name] = REPAIRS;
    let grammar = everywhere.iter().fold(grammar.to_owned(), |text, (theirs, ours)| text.replace(theirs, ours));
    let mut repaired = String::with_capacity(grammar.len());
    for line in grammar.lines() {
        let rule = line.split(' ').next().unwrap_or_default().trim_end_matches(|digit: char| digit.is_ascii_digit());
        match rule.ends_with("additional-k") {
            true => repaired.push_str(&line.replace(name.0, name.1)),
            false => repaired.push_str(line),
        }
        repaired.push('\n');
    }
    repaired
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_repaired_is_what_the_converter_writes() {
        let text =
            r#"{"properties": {"a": {"type": ["number", "string"]}}, "additionalProperties": {"format": "date"}}"#;
        let written = llama::json_schema_to_grammar(&Schema::prepare(text).unwrap()).unwrap();
        for (theirs, _) in REPAIRS {
            assert!(written.contains(theirs), "{theirs} in {written}");
        }
        let repaired = repair(&written);
        let names = repaired.lines().find(|line| line.starts_with("additional-k ::= ")).unwrap();
        assert_eq!(names, r#"additional-k ::= ["] ( [a] char+ | [^"\\\x7F\x00-\x1Fa] char* )? ["]"#);
        assert!(repaired.contains(r#"[^"\\\x7F\x00-\x1F] | [\\]"#), "the rule of characters is as it was: {repaired}");
        assert!(!repaired.contains("([eE] [-+]? integral-part)?"));
        assert!(repaired.lines().any(|line| line == r#"space ::= " "?"#), "{repaired}");
        assert!(repaired.contains(r#"a-kv ::= "\"a\"" ":" space a"#), "{repaired}");
    }

    #[test]
    fn the_sentence_says_what_is_wrong_with_what() {
        let problem = |constraint: Constraint| check(&constraint).unwrap_err();
        assert_eq!(
            problem(Constraint::Grammar("root ::= a".into())),
            "the grammar cannot be used: line 1: there is no rule `a`"
        );
        let sentence = problem(Constraint::Schema(r#"{"type": "sting"}"#.into()));
        assert!(
            sentence
                .starts_with("the JSON schema cannot be used: at `#/type`: `sting` is none of the types `string`, "),
            "{sentence}"
        );
        let from = check_from(&Constraint::Grammar("root ::= a".into()), "in `list.gbnf` (`--grammar`)").unwrap_err();
        assert!(from.starts_with("the grammar in `list.gbnf` (`--grammar`) cannot be used: line 1: "), "{from}");
        let sentence = problem(Constraint::Schema(r#"{"properties": {"a": {"minlength": 1}}}"#.into()));
        assert!(sentence.ends_with("at `#/properties/a`: there is no keyword `minlength`; `minLength` may be meant, and a word of your own begins with `x-`"), "{sentence}");
        let endless = r##"{"$ref": "#/$defs/a", "$defs": {"a": {"type": "array", "items": {"$ref": "#/$defs/a"}, "minItems": 1}}}"##;
        assert!(problem(Constraint::Schema(endless.into())).contains("never comes to an end"));
    }
}
