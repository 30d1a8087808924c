//! What a script or a new user is told about a mistake: a sentence, what to type, the exit code, and an object where one
//! was asked for.

mod common;

use common::program::{HELLO, Home, Ran};
use serde_json::Value;

fn ask(home: &Home, arguments: &[&str]) -> Ran {
    home.ask(HELLO, arguments)
}

#[test]
fn an_empty_text_from_a_variable_that_was_never_set_is_refused() {
    let home = Home::new();
    home.write("items.ndjson", "{\"prompt\": \"hi\"}\n");
    for option in
        ["--schema", "--grammar", "--stop", "--extract", "--prompt-name", "--model", "--draft-model", "--file"]
    {
        let ran = ask(&home, &["-p", "hi", option, ""]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{option}");
        assert!(
            ran.stderr.starts_with(&format!("error: `{option}` has no value\nhint: leave it out")),
            "{}",
            ran.stderr
        );
    }
    for option in ["--schema", "--grammar", "--stop", "--model"] {
        let ran = home.run(&["batch", "items.ndjson", option, "", "--engine", "scripted:script.toml"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{option}");
        assert!(ran.stderr.contains(&format!("`{option}` has no value")), "{}", ran.stderr);
    }
    let mut command = home.command(&["--engine", "scripted:script.toml", "-p", "hi"]);
    let output = command.env("TUICHAT_SCHEMA", "").env("TUICHAT_MODEL", "").stdin(std::process::Stdio::null()).output();
    assert_eq!(output.unwrap().stdout, b"Hello there, you\n", "a variable that is empty is none");
}

#[test]
fn a_schema_or_a_grammar_of_all_answers_can_be_taken_back() {
    let home = Home::new();
    home.write("home/config/config.toml", "schema = \"name, age int\"\n");
    assert_eq!(ask(&home, &["-p", "hi"]).code, Some(7));
    assert_eq!(ask(&home, &["-p", "hi", "--schema", "off"]).code, Some(0));
    home.write("home/config/config.toml", "grammar = 'root ::= \"yes\"'\n");
    let ran = ask(&home, &["-p", "hi", "--grammar", "off", "--schema", "name"]);
    assert!(ran.code == Some(7) && ran.stderr.contains("not JSON"), "{}", ran.stderr);
}

#[test]
fn a_grammar_may_be_typed() {
    let home = Home::new();
    assert_eq!(ask(&home, &["-p", "hi", "--grammar", "root ::= \"yes\" | \"no\""]).code, Some(0));
    let ran = ask(&home, &["-p", "hi", "--grammar", "root ::= item"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("there is no rule `item`"), "{}", ran.stderr);
    let ran = ask(&home, &["-p", "hi", "--grammar", "yes or no"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.ends_with("hint: a grammar that is typed has `root ::= …` in it\n"), "{}", ran.stderr);
}

#[test]
fn whoever_asks_for_json_is_told_every_mistake_as_json() {
    let home = Home::new();
    for arguments in [
        &["-p", "x", "--temp", "9", "-o", "json"][..],
        &["-o", "json", "-p", "x", "--nosuch"],
        &["-ojson", "-p", "x", "--resume"],
        &["-p", "x", "--output=json", "--schema", "no/such.json"],
        &["-p", "x", "-o", "json", "--schema", "age imt"],
        &["-p", "x", "-o", "json", "--prompt-name", ""],
        &["-o", "json", "Sum up"],
        &["-o", "json", "--file", "a", "b"],
    ] {
        let ran = ask(&home, arguments);
        assert_eq!(ran.code, Some(2), "{arguments:?}");
        let error = &ran.json()["error"];
        assert_eq!((&error["kind"], &error["exit_code"]), (&"usage".into(), &2.into()), "{arguments:?}");
        let told = format!("error: {}\n", error["message"].as_str().unwrap());
        assert!(ran.stderr.starts_with(&told), "{arguments:?}: {}", ran.stderr);
        assert!(ran.json().get("usage").is_some(), "every key is there");
    }
    let ran = ask(&home, &["-p", "x", "-o", "ndjson", "--temp", "9"]);
    assert_eq!(serde_json::from_str::<Value>(&ran.stdout).unwrap()["type"], "error");
    assert_eq!(ask(&home, &["-p", "x", "--temp", "9"]).stdout, "", "nobody asked for JSON");
    assert_eq!(ask(&home, &["models", "list", "-o", "json"]).stdout, "", "a command has no such object");

    let with = |name: &str, value: &str, arguments: &[&str]| {
        let output = home.command(arguments).env(name, value).stdin(std::process::Stdio::null()).output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (stdout, stderr) = with("TUICHAT_TOP_K", "hot", &["-p", "x", "-o", "json"]);
    let object: Value = serde_json::from_str(&stdout).unwrap();
    let sentence = "the environment variable `TUICHAT_TOP_K` cannot be `hot`: it must be a whole number, 0 or more";
    assert_eq!((&object["error"]["message"], stderr), (&sentence.into(), format!("error: {sentence}\n")));
    let (stdout, _) = with("TUICHAT_OUTPUT", "json", &["-p", "x", "--nosuch"]);
    assert!(stdout.starts_with('{'), "{stdout}");
    home.write("home/config/config.toml", "temp = \"hot\"\n");
    let object = ask(&home, &["-p", "x", "-o", "json"]).json();
    let message = object["error"]["message"].as_str().unwrap();
    assert!(message.ends_with("it is the text \"hot\", and must be a number between 0 and 5"), "{message}");
}

#[test]
fn a_question_in_the_wrong_place_is_told_where_it_goes() {
    let home = Home::new();
    home.write("a.txt", "milk");
    for arguments in [
        &["Sum up"][..],
        &["--file", "a.txt", "Sum up"],
        &["--prompt-name", "review", "--file", "a.txt", "Sum up"],
        &["-p", "x", "Sum up"],
    ] {
        let ran = ask(&home, arguments);
        assert_eq!(ran.code, Some(2), "{arguments:?}");
        assert!(ran.stderr.contains("Sum up") && ran.stderr.contains("a question goes behind `-p`"), "{}", ran.stderr);
    }
    let ran = ask(&home, &["-p", "x", "--resume"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("`tuichat -p TEXT --continue`"), "{}", ran.stderr);
}

#[test]
fn a_word_that_is_nearly_right_is_understood() {
    let home = Home::new();
    home.write("items.ndjson", "{\"prompt\": \"hi\", \"max_token\": 3}\n");
    for (arguments, part) in [
        (&["help", "schemas"][..], "hint: `tuichat help schema` may be meant"),
        (&["help", "nothing"], "hint: `tuichat help` lists them"),
        (&["-p", "x", "--extract", "jsn"], "`json` may be meant"),
        (&["-p", "x", "--promt-name", "review"], "`--prompt-name` may be meant"),
        (&["chat", "list"], "`tuichat chats` may be meant"),
        (&["batch", "-o", "json", "items.ndjson"], "each result is a line of JSON"),
        (&["batch", "items.ndjson", "--extract", "json"], "`--extract` has no effect on a batch"),
        (&["batch", "no.ndjson"], "error: cannot read `no.ndjson`: no such file or directory\n"),
    ] {
        let ran = home.run(arguments);
        assert!(ran.code == Some(2) && ran.stderr.contains(part), "{arguments:?}: {}", ran.stderr);
    }
    home.write("script.toml", HELLO);
    let line = home.run(&["batch", "items.ndjson", "--engine", "scripted:script.toml"]).json();
    let error = &line["error"];
    assert_eq!(error["message"], "`max_token` is no key of an item");
    assert_eq!(error["hint"], "`max_tokens` may be meant");
    for (words, part) in
        [(&["help", "pipes"][..], "What is piped in"), (&["help", "continue"], "Go on with a saved chat")]
    {
        let ran = home.run(words);
        assert!(ran.code == Some(0) && ran.stdout.contains(part), "{words:?}: {}{}", ran.stdout, ran.stderr);
    }
}

#[test]
fn no_mistake_is_told_in_the_words_of_programmers() {
    let home = Home::new();
    home.write("broken.json", "{type: \"object\"}");
    home.write("items.ndjson", "{\"prompt\": 1}\n{prompt}\n{\"prompt\": \"x\", \"temp\": \"hot\"}\n");
    let said = [
        ask(&home, &["-p", "x", "--schema", "broken.json"]).stderr,
        ask(&home, &["-p", "x", "--schema", "{\"anyOf\": [{\"type\": \"null\"}, {\"type\": \"object\"}]}"]).stderr,
        ask(&home, &["-p", "x", "--schema", "{}"]).stderr,
        home.run(&["batch", "items.ndjson", "--engine", "scripted:script.toml"]).stdout,
        home.run(&["batch", "no.ndjson"]).stderr,
        ask(&home, &["-p", "x", "--top-k", "hot"]).stderr,
    ]
    .join("\n");
    for word in ["f64", "u32", "os error", "expected", "EOF", "ident", "keyword", "invalid", "digit"] {
        assert!(!said.contains(word), "{word}: {said}");
    }
    assert!(said.contains("a name must stand in double quotes (line 1, column 2)"), "{said}");
}

#[test]
fn a_batch_without_items_says_so() {
    let home = Home::new();
    home.write("script.toml", HELLO);
    let run = |arguments: &[&str]| home.run(&[&["batch", "-", "--engine", "scripted:script.toml"], arguments].concat());
    let ran = run(&[]);
    assert_eq!(
        (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
        (Some(0), "", "note: there are no items on stdin\n")
    );
    assert_eq!(run(&["--quiet"]).stderr, "");
}

#[test]
fn a_manual_page_names_the_program_and_its_version() {
    let page = Home::new().run(&["man", "models", "pull"]).stdout;
    let head = page.lines().find(|line| line.starts_with(".TH")).unwrap();
    let source = format!("\"tuichat {}\"", env!("CARGO_PKG_VERSION"));
    assert!(head.starts_with(".TH tuichat-models-pull 1") && head.contains(&source), "{head}");
}

#[test]
fn an_option_behind_p_is_no_prompt() {
    let home = Home::new();
    for arguments in [&["-p", "--offline"][..], &["-p", "-o", "json"], &["--prompt", "--max-tokens", "3"]] {
        let ran = home.run(arguments);
        assert_eq!(ran.code, Some(2), "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(&format!("`-p` has no prompt: `{}` is an option", arguments[1])), "{}", ran.stderr);
    }
}

#[test]
fn an_empty_file_is_no_form_of_an_answer() {
    let home = Home::new();
    home.write("s.json", b"\n");
    for option in ["--schema", "--grammar"] {
        let ran = home.run(&["-p", "x", option, "s.json"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{}", ran.stderr);
        assert!(ran.stderr.contains("s.json` is empty"), "{}", ran.stderr);
    }
}
