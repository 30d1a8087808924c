//! Answers under JSON schemas and grammars, with a tiny random model: whatever it would like to say, what it says is
//! valid, and whatever it is held to, nothing crashes.

mod common;

use std::collections::BTreeSet;

use common::engine::{Answer, Running, prompt, settings};
use common::tiny_gguf::TinyModel;
use proptest::prelude::*;
use serde_json::{Value, json};
use tuichat::chat::{Ended, Message, Role, Sampling};
use tuichat::engine::constraint::{self, Validator};
use tuichat::engine::protocol::{Constraint, EngineError, GenerateOptions, Work};

const CELLS: u32 = 1024;

/// An engine with a tiny model loaded.
struct Fixture {
    engine: Running,
    _folder: tempfile::TempDir,
}

impl Fixture {
    fn new(model: TinyModel) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiny.gguf");
        model.write(&path).unwrap();
        Self { engine: Running::with(settings(&path, CELLS, 1)), _folder: folder }
    }

    fn ask(&self, constraint: Constraint, options: GenerateOptions) -> Result<Answer, EngineError> {
        let options = GenerateOptions { constraint: Some(constraint), ..options };
        self.engine.submit(Work::Generate(prompt(None, &[Message::new(Role::User, "go on")]), options));
        self.engine.whole_answer()
    }
}

fn options(seed: u32, max_tokens: u32) -> GenerateOptions {
    let sampling =
        Sampling { temperature: 1.5, top_k: 0, top_p: 1.0, min_p: 0.0, seed: Some(seed), ..Sampling::default() };
    GenerateOptions { sampling, max_tokens: Some(max_tokens), ..GenerateOptions::default() }
}

fn grammar(text: &str) -> Constraint {
    Constraint::Grammar(text.into())
}

fn schema(schema: &Value) -> Constraint {
    Constraint::Schema(schema.to_string())
}

/// A schema the answers to which are short with a model that ends nothing by itself.
fn random_schema(random: &mut fastrand::Rng, depth: u32) -> Value {
    if depth == 0 {
        return random_scalar(random);
    }
    let inner = |random: &mut fastrand::Rng| random_schema(random, depth - 1);
    match random.u32(..11) {
        0..3 => random_object(random, depth),
        3 => {
            let least = random.u32(..3);
            json!({"type": "array", "items": inner(random), "minItems": least, "maxItems": least + random.u32(..3)})
        }
        4 => json!({"type": "array", "prefixItems": [inner(random), inner(random)], "items": false}),
        5 => json!({"anyOf": [inner(random), inner(random), {"type": "null"}]}),
        6 => json!({"oneOf": [{"type": "null"}, {"type": "boolean"}, {"type": "string", "maxLength": 4},
            {"type": "object", "properties": {"a": inner(random)}, "required": ["a"]}]}),
        7 => json!({"allOf": [{"type": "object", "properties": {"a": inner(random)}},
            {"type": "object", "properties": {"b": inner(random)}}]}),
        8 => json!({"$ref": (["#/$defs/leaf", "#/$defs/list", "#/$defs/tree"][random.usize(..3)])}),
        _ => random_scalar(random),
    }
}

fn random_object(random: &mut fastrand::Rng, depth: u32) -> Value {
    let names = ["a", "ab", "b", "name", "x-y", "é \"q\\", "]^"];
    let (mut properties, mut required) = (serde_json::Map::new(), Vec::new());
    for name in names.into_iter().take(random.usize(..5)) {
        properties.insert(name.into(), random_schema(random, depth - 1));
        if random.bool() {
            required.push(name);
        }
    }
    let others = random.u32(..6);
    if others != 1 && random.u32(..8) == 0 {
        required.push("undescribed");
    }
    let mut object = json!({"type": "object", "properties": properties, "required": required});
    match others {
        0 => object["additionalProperties"] = json!({"type": "integer", "minimum": 0, "maximum": 9}),
        1 => object["additionalProperties"] = json!(false),
        _ => {}
    }
    object
}

fn random_scalar(random: &mut fastrand::Rng) -> Value {
    let patterns = [
        "^[a-z]{2,4}-[0-9]+$",
        r"^\d{3}\.\w$",
        "b",
        "^(yes|no)?$",
        r#"^["\\]{2}[^a]$"#,
        "^a|z$",
        r"^é{1,2}\n?[\w.+-]$",
    ];
    let least = random.i64(-1200..1200);
    let most = least + random.i64(..2000).abs();
    match random.u32(..13) {
        0 => json!({"type": "boolean"}),
        1 => json!({"type": ["null", "integer"], "exclusiveMinimum": least}),
        2 => json!({"type": "integer", "minimum": least, "maximum": most}),
        3 => json!({"type": "integer", "minimum": least}),
        4 => json!({"type": "integer", "exclusiveMaximum": f64::from(random.i32(-500..500)) + 0.5}),
        5 => json!({"type": "number"}),
        6 => json!({"enum": [null, "q\"\\\n", "é", -1.5e10, {"a": [true]}, []]}),
        7 => json!({"const": {"k": ["v", random.u32(..1000)]}}),
        8 => json!({"type": "string", "format": (["date", "time", "date-time", "uuid"][random.usize(..4)])}),
        9 => json!({"type": "string", "minLength": 2, "maxLength": 5}),
        10 => json!({"type": "string", "pattern": (patterns[random.usize(..patterns.len())])}),
        11 => json!({"type": ["string", "null"], "maxLength": 6}),
        _ => json!({"type": "null"}),
    }
}

#[test]
fn answers_under_random_schemas_are_always_valid() {
    let fixture = Fixture::new(TinyModel::default());
    let random = &mut fastrand::Rng::with_seed(5);
    let (mut whole, mut cut) = (0, 0);
    for seed in 0..1200 {
        let mut asked = random_schema(random, 1 + seed % 3);
        asked["$defs"] = json!({
            "leaf": random_scalar(random),
            "list": {"type": "array", "items": {"$ref": "#/$defs/leaf"}, "maxItems": 2},
            "tree": {"type": "object", "properties": {"value": {"$ref": "#/$defs/leaf"},
                "next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/tree"}]}}, "required": ["value", "next"]},
        });
        assert_eq!(constraint::check(&schema(&asked)), Ok(()), "{asked}");
        let answer = fixture.ask(schema(&asked), options(seed, 300)).unwrap_or_else(|error| panic!("{error}: {asked}"));
        match answer.finish.ended {
            Ended::Length => cut += 1,
            _ => {
                whole += 1;
                let checked = Validator::new(&asked.to_string()).unwrap().check(&answer.text);
                assert_eq!(checked, Ok(()), "seed {seed}: {} under {asked}", answer.text);
            }
        }
    }
    assert!(cut * 20 < whole, "{cut} answers were cut and {whole} were not");
}

#[test]
fn a_day_is_one_of_the_calendar() {
    let fixture = Fixture::new(TinyModel::default());
    for (seed, month) in (0..200).map(|seed| (seed, ["date", "date-time"][seed as usize % 2])) {
        let asked = json!({"type": "string", "format": month});
        let answer = fixture.ask(schema(&asked), options(seed, 60)).unwrap();
        let day: String = answer.text.chars().skip(1).take(10).collect();
        assert!(day.parse::<jiff::civil::Date>().is_ok_and(|day| day.year() > 0), "{day} in {}", answer.text);
    }
}

/// `scripts/check-schemas.py` has them answered by a real model, and the answers judged by another validator.
#[test]
fn answers_under_the_schemas_of_the_fixture_are_whole_and_valid() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("fixtures/schemas.json")).unwrap();
    assert_eq!(cases.len(), 50);
    let fixture = Fixture::new(TinyModel::default());
    for case in cases {
        let asked = &case["schema"];
        assert_eq!(constraint::check(&schema(asked)), Ok(()), "{case}");
        let answer = fixture.ask(schema(asked), options(3, 900)).unwrap();
        assert_eq!(Validator::new(&asked.to_string()).unwrap().check(&answer.text), Ok(()), "{case}: {}", answer.text);
    }
}

/// A grammar whose language a matcher of a few lines decides.
#[derive(Debug)]
enum Node {
    Text(String),
    /// Ranges of characters, or all but those.
    Set(bool, Vec<(char, char)>),
    Any,
    All(Vec<Node>),
    OneOf(Vec<Node>),
    Repeat(Box<Node>, usize, Option<usize>),
    Rule(usize),
}

impl Node {
    fn random(random: &mut fastrand::Rng, depth: u32, rule: usize, rules: usize) -> Self {
        let texts = ["a", "bc", "\"", "\\", "é", "🦀", "x\ny", "-]", "the", " and"];
        let set = |random: &mut fastrand::Rng| {
            let sets = [vec![('a', 'f')], vec![('0', '9'), ('é', 'é')], vec![(']', ']'), ('-', '-'), ('\\', '\\')]];
            Node::Set(random.u32(..4) == 0, sets[random.usize(..3)].clone())
        };
        let text = |random: &mut fastrand::Rng| Node::Text(texts[random.usize(..texts.len())].into());
        let inner = |random: &mut fastrand::Rng| Node::random(random, depth - 1, rule, rules);
        if depth == 0 {
            return if random.bool() { text(random) } else { set(random) };
        }
        match random.u32(..9) {
            0 | 1 => Node::All((0..random.usize(1..4)).map(|_| inner(random)).collect()),
            2 | 3 => Node::OneOf((0..random.usize(1..4)).map(|_| inner(random)).collect()),
            4 => {
                let least = random.usize(..3);
                Node::Repeat(Box::new(inner(random)), least, Some(least + random.usize(..3)))
            }
            // What is repeated without end must not be empty, and something must follow for the model to end it.
            5 => Node::All(vec![
                Node::Repeat(Box::new(Node::All(vec![text(random), inner(random)])), random.usize(..2), None),
                Node::Text("!".into()),
            ]),
            6 if rule + 1 < rules => Node::Rule(random.usize(rule + 1..rules)),
            // Every recursion begins in its own way; `a_grammar_of_countless_readings_…` is about the others.
            7 => Node::All(vec![
                Node::Text(format!("({}", random.u32(100..1000))),
                Node::Repeat(Box::new(Node::Rule(rule)), 0, Some(1)),
                Node::Text(")".into()),
            ]),
            _ => {
                if random.bool() {
                    Node::Any
                } else {
                    set(random)
                }
            }
        }
    }

    fn gbnf(&self) -> String {
        let join = |nodes: &[Node], between| nodes.iter().map(Node::gbnf).collect::<Vec<_>>().join(between);
        match self {
            Node::Text(text) => {
                format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
            }
            Node::Set(all_but, ranges) => {
                let escape = |character: char| format!("\\U{:08X}", u32::from(character));
                let ranges: String = ranges.iter().map(|(a, b)| format!("{}-{}", escape(*a), escape(*b))).collect();
                format!("[{}{ranges}]", if *all_but { "^" } else { "" })
            }
            Node::Any => ".".into(),
            Node::All(nodes) => format!("({})", join(nodes, " ")),
            Node::OneOf(nodes) => format!("({})", join(nodes, "\n  | ")),
            Node::Repeat(node, 0, None) => format!("({})*", node.gbnf()),
            Node::Repeat(node, 1, None) => format!("({})+", node.gbnf()),
            Node::Repeat(node, 0, Some(1)) => format!("({})?", node.gbnf()),
            Node::Repeat(node, least, most) => {
                format!("({}){{{least},{}}}", node.gbnf(), most.map(|most| most.to_string()).unwrap_or_default())
            }
            Node::Rule(rule) => rule_name(*rule),
        }
    }

    /// Where a match that begins at one of `starts` may end.
    fn ends(&self, rules: &[Node], text: &[char], starts: &BTreeSet<usize>) -> BTreeSet<usize> {
        let one = |belongs: &dyn Fn(char) -> bool| {
            starts
                .iter()
                .filter(|at| text.get(**at).is_some_and(|character| belongs(*character)))
                .map(|at| at + 1)
                .collect()
        };
        match self {
            Node::Text(wanted) => {
                let wanted: Vec<char> = wanted.chars().collect();
                starts.iter().filter(|at| text[**at..].starts_with(&wanted)).map(|at| at + wanted.len()).collect()
            }
            Node::Set(all_but, ranges) => {
                one(&|character| ranges.iter().any(|(first, last)| (*first..=*last).contains(&character)) != *all_but)
            }
            Node::Any => one(&|_| true),
            Node::All(nodes) => nodes.iter().fold(starts.clone(), |starts, node| node.ends(rules, text, &starts)),
            Node::OneOf(nodes) => nodes.iter().flat_map(|node| node.ends(rules, text, starts)).collect(),
            Node::Repeat(node, least, most) => {
                let mut now = starts.clone();
                let mut all = if *least == 0 { now.clone() } else { BTreeSet::new() };
                for times in 1..=most.unwrap_or(text.len() + 1) {
                    now = node.ends(rules, text, &now);
                    if now.is_empty() {
                        break;
                    }
                    if times >= *least {
                        all.extend(&now);
                    }
                }
                all
            }
            Node::Rule(_) if starts.is_empty() => BTreeSet::new(),
            Node::Rule(rule) => rules[*rule].ends(rules, text, starts),
        }
    }
}

fn rule_name(rule: usize) -> String {
    if rule == 0 { "root".into() } else { format!("rule-{rule}") }
}

#[test]
fn answers_under_random_grammars_are_always_in_their_language() {
    let fixture = Fixture::new(TinyModel::default());
    let random = &mut fastrand::Rng::with_seed(7);
    let (mut whole, mut cut, mut refused) = (0, 0, 0);
    for seed in 0.. {
        if whole + cut == 800 {
            break;
        }
        let count = random.usize(1..4);
        let rules: Vec<Node> = (0..count).map(|rule| Node::random(random, 1 + seed % 4, rule, count)).collect();
        let lines = rules.iter().enumerate().map(|(rule, node)| format!("{} ::= {}\n", rule_name(rule), node.gbnf()));
        let text: String = lines.collect();
        if let Err(sentence) = constraint::check(&grammar(&text)) {
            // Random grammars can be empty where they are repeated.
            assert!(sentence.contains("left recursion") || sentence.contains("repeat"), "{sentence}: {text}");
            refused += 1;
            continue;
        }
        let answer = fixture.ask(grammar(&text), options(seed, 300)).unwrap_or_else(|error| panic!("{error}: {text}"));
        if answer.finish.ended == Ended::Length {
            cut += 1;
            continue;
        }
        whole += 1;
        let characters: Vec<char> = answer.text.chars().collect();
        let ends = rules[0].ends(&rules, &characters, &BTreeSet::from([0]));
        assert!(ends.contains(&characters.len()), "seed {seed}: {:?} under\n{text}", answer.text);
    }
    assert!(cut * 10 < whole && refused < whole, "{cut} were cut, {whole} were not, {refused} were refused");
}

/// As when a grammar or a schema is given: one sentence, before any model is loaded.
fn refusal(constraint: Constraint) -> String {
    let sentence = constraint::check(&constraint).expect_err("a refusal");
    assert!(sentence.contains(" cannot be used: ") && sentence.len() < 600, "{sentence}");
    sentence
}

#[test]
fn hostile_grammars_are_sentences_to_the_engine_too() {
    let fixture = Fixture::new(TinyModel::default());
    for text in [
        "",
        "\0",
        "root",
        "root ::=",
        "root ::= root",
        "root ::= a",
        "root ::= \"a\"{2,1}",
        "root ::= \"a\"{18446744073709551615}",
        "root ::= [^]",
        "root ::= <think>",
        "root ::= c root \"x\" | \"y\"\nc ::= d\nd ::= \"\" | \"z\"",
        &format!("root ::= {}\"a\"{}", "(".repeat(100_000), ")".repeat(100_000)),
        &(0..30_000).map(|rule| format!("r{rule} ::= r{}\n", rule + 1)).collect::<String>(),
    ] {
        if text == "root ::=" {
            let answer = fixture.ask(grammar(text), options(1, 5)).unwrap();
            assert_eq!(
                (answer.text.as_str(), answer.finish.ended),
                ("", Ended::Stop),
                "the empty text is a language too"
            );
            continue;
        }
        let sentence = refusal(grammar(text));
        let error = fixture.ask(grammar(text), options(1, 5)).unwrap_err();
        assert_eq!(error.to_string(), sentence);
    }
}

#[test]
fn hostile_schemas_are_sentences() {
    let deep = (0..100).fold(json!({}), |inner, _| json!({"type": ["object", "array"], "items": inner.clone(), "properties": {"a": {"$ref": "#/$defs/x"}}}));
    for hostile in [
        json!([]),
        json!({"type": "sting"}),
        json!({"type": "string", "pattern": "("}),
        json!({"enum": []}),
        json!({"anyOf": []}),
        json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}),
        json!({"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"$ref": "#/$defs/a"}}}),
        json!({"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, {"type": "null"}]}}}),
        json!({"$ref": "#/$defs/a", "$defs": {"a": {"type": "array", "items": {"$ref": "#/$defs/a"}, "minItems": 1}}}),
        json!({"$ref": "file:///etc/passwd"}),
        json!({"type": "array", "minItems": 4294967297_u64}),
        json!({"type": "string", "minLength": 3, "maxLength": 1}),
        json!({"const": "\0"}),
        deep,
    ] {
        refusal(schema(&hostile));
    }
    for text in
        ["", "{", "nonsense", &"{\"items\":".repeat(100_000), &format!("{{\"const\": \"{}\"}}", "a".repeat(2 << 20))]
    {
        refusal(Constraint::Schema(text.into()));
    }
    // A chain of references as deep as schemas may be is followed, or refused, and overflows no stack.
    let chain: serde_json::Map<String, Value> = (0..4000)
        .map(|at| (format!("d{at}"), json!({"type": "object", "properties": {"a": {"$ref": format!("#/$defs/d{}", at + 1)}}, "required": ["a"]})))
        .chain([("d4000".to_owned(), json!({"type": "null"}))])
        .collect();
    let _ = constraint::check(&schema(&json!({"$ref": "#/$defs/d0", "$defs": chain})));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What the check lets through must be taken by llama.cpp, which tells nothing but that it failed, and on stderr.
    #[test]
    fn whatever_the_check_takes_llama_cpp_takes(texts in prop::collection::vec(GRAMMAR_LIKE, 40)) {
        thread_local!(static FIXTURE: Fixture = Fixture::new(TinyModel::default()));
        for text in texts {
            let text = format!("root ::= {text}");
            if constraint::check(&grammar(&text)).is_ok() {
                let answer = FIXTURE.with(|fixture| fixture.ask(grammar(&text), options(1, 2)));
                let dead_end = |error: &EngineError| error.to_string().contains("allows nothing that the model could write");
                prop_assert!(answer.as_ref().err().is_none_or(dead_end), "{answer:?}: {text}");
            }
        }
    }
}

const GRAMMAR_LIKE: &str = r#"((\"[a\\n]{0,2}\"|\[\^?[a-c\\x]{1,3}\]|\.|root|b|\(|\)|\||[*+?]|\{[0-3],?[0-3]?\}|#|<|!)[ \n]?){1,10}(\nb ::= (\"x\"|root|b)[*+?]?)?"#;

#[test]
fn a_grammar_of_countless_readings_is_given_up_in_time() {
    let fixture = Fixture::new(TinyModel::default());
    // The readings double with every parenthesis, and this model is all but certain to write nothing else.
    let text = "root ::= \"(\" root \")\" | \"(\" root \"]\" | \"é\"";
    let error = fixture.ask(grammar(text), options(1, 200)).unwrap_err();
    assert!(error.to_string().contains("too many ways"), "{error}");
}

#[test]
fn an_answer_ends_where_the_grammar_ends_and_only_there() {
    let fixture = Fixture::new(TinyModel::default());
    let answer = fixture.ask(grammar("root ::= \"yes\" | \"no\""), options(3, 50)).unwrap();
    assert!(["yes", "no"].contains(&answer.text.as_str()) && answer.finish.ended == Ended::Stop, "{answer:?}");
    let answer = fixture.ask(grammar("root ::= [a-z]+"), options(3, 20)).unwrap();
    assert!(answer.text.len() >= 20 && answer.finish.ended == Ended::Length, "{answer:?}");
    let stops = GenerateOptions { stop: vec!["c".into()], ..options(3, 500) };
    let answer = fixture.ask(grammar("root ::= [a-z]+"), stops).unwrap();
    assert!(!answer.text.contains('c') && answer.finish.ended == Ended::StopString, "{answer:?}");
    // This model would end its turn at once.
    let ending = Fixture::new(TinyModel::default().ending());
    let answer = ending.ask(grammar("root ::= [a-z]{3} \"é\"?"), options(3, 50)).unwrap();
    assert_eq!((answer.text.len(), answer.finish.ended), (3, Ended::Stop), "{answer:?}");
}

#[test]
fn a_grammar_that_no_token_fits_is_an_error() {
    let fixture = Fixture::new(TinyModel::default());
    let error = fixture.ask(grammar("root ::= \"a\" [^\\x00-\\U0010FFFF]"), options(1, 9)).unwrap_err();
    assert!(error.to_string().contains("allows nothing that the model could write next"), "{error}");
}

#[test]
fn the_names_of_control_tokens_are_spelled_and_never_said() {
    let fixture = Fixture::new(TinyModel::default());
    let answer = fixture.ask(grammar("root ::= \"<|im_start|>\""), options(1, 50)).unwrap();
    assert_eq!((answer.text.as_str(), answer.finish.ended), ("<|im_start|>", Ended::Stop));
}

#[test]
fn thoughts_are_free_and_the_answer_is_not() {
    // The prompt opens the thoughts, and the model would end its turn among them.
    let template = "{{ messages[0]['content'] }}<think>";
    let ending = Fixture::new(TinyModel::default().template(Some(template)).ending());
    let answer = ending.ask(grammar("root ::= \"yes\""), options(1, 50)).unwrap();
    assert_eq!((answer.text.as_str(), answer.finish.ended), ("yes", Ended::Stop), "{answer:?}");
    let endless = Fixture::new(TinyModel::default().template(Some(template)));
    let answer = endless.ask(grammar("root ::= \"yes\""), options(1, 50)).unwrap();
    assert!(answer.text.is_empty() && answer.thoughts.len() > 20 && answer.finish.ended == Ended::Length, "{answer:?}");
}
