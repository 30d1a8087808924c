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
        &["-o", "json", "-p", "x", "--quiet", "yes"],
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
    assert_eq!(error["message"], "line 1: `max_token` is no key of an item");
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

#[test]
fn an_error_of_a_form_names_where_the_form_is_from() {
    let home = Home::new();
    home.write("wrong.json", "{\"properties\": {\"a\": {\"type\": \"objekt\"}}}");
    home.write("wrong.gbnf", "root ::= item");
    for (arguments, start) in [
        (
            &["--schema", "wrong.json"][..],
            "error: the JSON schema in `wrong.json` (`--schema`) cannot be used: at `#/properties/a/type`: `objekt` is none \
             of the types `string`, `integer`, `number`, `boolean`, `object`, `array` and `null`\nhint: `object` may be \
             meant\n",
        ),
        (
            &["--schema", "{\"type\": 3}"],
            "error: the JSON schema of `--schema` cannot be used: at `#/type`: it is `3`, and",
        ),
        (&["--grammar", "wrong.gbnf"], "error: the grammar in `wrong.gbnf` (`--grammar`) cannot be used: line 1: "),
        (
            &["--schema", "age imt"],
            "error: `--schema`: as the short form of a schema, `age imt` is wrong at character 5",
        ),
        (&["--schema", "@no.json"], "error: `--schema`: cannot read `no.json`"),
        (&["--schema", "@"], "error: `--schema`: no file is named behind the `@`\n"),
        (&["--system", "@"], "error: `--system`: no file is named behind the `@`\n"),
        (&["--system", "@no.txt"], "error: `--system`: cannot read `no.txt`"),
    ] {
        let ran = ask(&home, &[&["-p", "x"], arguments].concat());
        assert!(ran.code == Some(2) && ran.stderr.starts_with(start), "{arguments:?}: {}", ran.stderr);
    }
    let mut command = home.command(&["-p", "x", "--engine", "scripted:script.toml"]);
    let output = command.env("TUICHAT_SCHEMA", "@wrong.json").output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.starts_with("error: the JSON schema in `wrong.json` (`TUICHAT_SCHEMA`) cannot be used: "), "{told}");
    home.write("home/config/config.toml", "schema = \"age imt\"\n");
    let told = ask(&home, &["-p", "x"]).stderr;
    let file = home.path("home/config/config.toml");
    assert!(told.starts_with(&format!("error: `schema` in {}: as the short form", file.display())), "{told}");
}

#[test]
fn a_short_form_that_is_a_files_name_too_is_said_to_be_no_file() {
    let home = Home::new();
    home.write("name", "{\"type\": \"null\"}");
    let script = "[[answer]]\ntext = '{\"name\": \"Ann\"}'\n";
    let ran = home.ask(script, &["-p", "x", "--schema", "name"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "{\"name\": \"Ann\"}\n"), "{}", ran.stderr);
    assert_eq!(ran.stderr, "warning: `--schema`: `name` is taken as the short form of a schema; `@name` is the file\n");
    assert_eq!(home.ask(script, &["-p", "x", "--schema", "@name"]).code, Some(7));
}

#[test]
fn of_an_option_that_is_there_twice_the_last_one_counts() {
    let home = Home::new();
    let ran = ask(&home, &["-p", "a", "-o", "json", "--max-tokens", "3", "--max-tokens", "1", "-o", "text"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "Hello\n"), "{}", ran.stderr);
    let ran = home.run(&["--temp", "1", "--temp", "0.5", "--stop", "a", "--stop", "b", "config", "show"]);
    let shown = ["temp = 0.5  # --temp\n", "stop = [\"a\", \"b\"]  # --stop\n"];
    assert!(shown.iter().all(|line| ran.stdout.contains(line)), "{}", ran.stdout);
}

#[test]
fn a_variable_that_is_no_setting_is_told_once_and_not_where_it_is_quiet() {
    let home = Home::new();
    home.write("script.toml", HELLO);
    let told = |name: &str, more: &[&str]| {
        let arguments = [&["-p", "x", "--engine", "scripted:script.toml"], more].concat();
        let output = home.command(&arguments).env(name, "1").stdin(std::process::Stdio::null()).output().unwrap();
        assert_eq!(output.stdout, b"Hello there, you\n");
        String::from_utf8(output.stderr).unwrap()
    };
    let sentence = "warning: the environment variable `TUICHAT_TMEP` is no setting; `TUICHAT_TEMP` may be meant\n";
    assert_eq!(told("TUICHAT_TMEP", &[]), sentence);
    assert_eq!(told("TUICHAT_TMEP", &["--quiet"]), "");
    assert_eq!(told("TUICHAT_TEMP", &[]), "");
}

#[test]
fn a_home_that_is_a_file_is_told_with_its_variable() {
    let home = Home::new();
    let file = home.write("file", "");
    for arguments in [&["-p", "x"][..], &["models", "list"], &["config", "path"]] {
        let output = home.command(arguments).env("TUICHAT_HOME", &file).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(
            told.starts_with("error: `TUICHAT_HOME` cannot be `") && told.contains("is no folder\nhint: "),
            "{told}"
        );
    }
}

#[cfg(unix)]
#[test]
fn output_to_a_closed_stdout_is_no_success() {
    let home = Home::new();
    home.write("script.toml", HELLO);
    home.write("items.ndjson", "{\"prompt\": \"hi\"}\n");
    let run = |line: &str| {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", line]).envs(home.command(&[]).get_envs().filter_map(|(name, value)| Some((name, value?))));
        let path = std::path::Path::new(env!("CARGO_BIN_EXE_tuichat")).parent().unwrap().to_owned();
        shell.env("PATH", format!("{}:{}", path.display(), std::env::var("PATH").unwrap()));
        let output = shell.current_dir(home.folder.path()).stdin(std::process::Stdio::null()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for line in [
        "tuichat --engine scripted:script.toml -p hi >&-",
        "tuichat --engine scripted:script.toml -p hi -o json >&-",
        "tuichat batch items.ndjson --engine scripted:script.toml >&-",
        "tuichat models list >&-",
        "tuichat doctor >&-",
        "tuichat help >&-",
        "tuichat --version >&-",
    ] {
        let (code, told) = run(line);
        assert_eq!(code, Some(5), "{line}: {told}");
        assert!(told.contains("error: cannot write the output: stdout is closed\nhint: "), "{line}: {told}");
    }
    assert_eq!(run("tuichat --engine scripted:script.toml -p hi > /dev/null"), (Some(0), String::new()));
    assert_eq!(run("tuichat --engine scripted:script.toml -p hi <> /dev/null 1<> /dev/null").0, Some(0));
    assert_eq!(run("tuichat batch items.ndjson --output out --engine scripted:script.toml >&-").0, Some(0));
    assert_eq!(run("tuichat --engine scripted:script.toml -p hi 2>&- >&-").0, Some(5));
}

#[test]
fn what_has_no_effect_is_said_to_have_none() {
    let home = Home::new();
    let ran = ask(&home, &["-p", "x", "--think", "on"]);
    assert_eq!(
        (ran.stdout.as_str(), ran.stderr.as_str()),
        ("Hello there, you\n", "note: `--think` asks for thoughts, and scripted had none; perhaps it cannot think\n")
    );
    assert_eq!(ask(&home, &["-p", "x", "--think", "on", "--quiet"]).stderr, "");
    assert_eq!(ask(&home, &["-p", "x", "--think", "off"]).stderr, "");
    std::fs::create_dir_all(home.path("home/data")).unwrap();
    let mut store = tuichat::store::Store::open(&home.path("home/data/chats.db")).unwrap();
    let chat = store.create_chat("Trees", Some("Be brief")).unwrap();
    store.add_message(chat, None, tuichat::chat::Role::User, "What is a tree?").unwrap();
    drop(store);
    let ran = ask(&home, &["-p", "x", "--continue", "--system", "Be long"]);
    let note = "note: chat 1 keeps the system prompt it began with, and `--system` is left out\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), note));
    assert_eq!(ask(&home, &["-p", "x", "--continue"]).stderr, "");
}

#[test]
fn an_option_and_its_variable_are_explained() {
    let home = Home::new();
    for (words, part) in [
        (&["help", "--file"][..], "Put a file's text before the prompt"),
        (&["help", "-p"], "Answer TEXT on stdout"),
        (&["help", "TUICHAT_TOP_K"], "In config.toml: top_k = 40"),
        (&["help", "max_tokens"], "In the environment: TUICHAT_MAX_TOKENS"),
        (&["help", "--quiet"], "Say nothing on stderr but errors"),
        (&["help", "batch", "--as-done"], "Write each result when it is there"),
        (&["help", "schema"], "In the environment: TUICHAT_SCHEMA"),
        (&["help", "--help"], "Usage: tuichat help"),
    ] {
        let ran = home.run(words);
        assert!(ran.code == Some(0) && ran.stdout.contains(part), "{words:?}: {}{}", ran.stdout, ran.stderr);
    }
    let ran = home.run(&["help", "--fiel"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("hint: `tuichat help file` may be meant"), "{}", ran.stderr);
}

#[test]
fn what_is_no_batch_is_refused_in_one_sentence() {
    let home = Home::new();
    home.write("script.toml", HELLO);
    home.write("questions.txt", "Why?\nHow?\n");
    home.write("model.gguf", b"GGUF\x03\0\0\0\x01\n\xff\n\xfe\n");
    for (file, part) in [
        ("questions.txt", "hint: `jq -Rc '{prompt: .}' questions.txt | tuichat batch -` makes items of them\n"),
        ("model.gguf", "error: `model.gguf` is not UTF-8 text (byte 5), so there are no items in it\n"),
    ] {
        let ran = home.run(&["batch", file, "--engine", "scripted:script.toml"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{}", ran.stderr);
        assert!(ran.stderr.contains(part) && ran.stderr.lines().count() == 2, "{}", ran.stderr);
    }
}
