//! The settings, the files that are written, and the subcommands, as a script sees them.

mod common;

use std::path::{Path, PathBuf};

use common::hub_server::{HubServer, REPOSITORY};
use common::program::{HELLO, Home};
use common::tiny_gguf::TinyModel;
use tuichat::chat::Role;
use tuichat::store::Store;

#[test]
fn a_broken_config_is_no_half_config() {
    let home = Home::new();
    home.write("home/config/config.toml", "temp = 0.5\ntop_p = 7\n");
    let ran = home.ask(HELLO, &["-p", "hi"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
    assert!(ran.stderr.contains("config.toml, line 2, column 9: 7 is not between 0 and 1"), "{}", ran.stderr);
    assert_eq!(home.run(&["config", "path"]).code, Some(0));
}

#[test]
fn an_unknown_setting_is_a_warning() {
    let home = Home::new();
    home.write("home/config/config.toml", "tempo = 0.5\n");
    let ran = home.ask(HELLO, &["-p", "hi"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "Hello there, you\n"));
    assert_eq!(
        ran.stderr,
        "warning: config.toml, line 1, column 1: there is no setting `tempo`; `temp` may be meant\n"
    );
}

#[test]
fn the_environment_is_over_the_file_and_the_command_line_over_both() {
    let home = Home::new();
    home.write("home/config/config.toml", "temp = 0.1\ntop_k = 1\nseed = 1\n");
    let mut command = home.command(&["--seed", "3", "config", "show"]);
    let output = command.env("TUICHAT_SEED", "2").env("TUICHAT_TOP_K", "2").output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    for line in ["temp = 0.1  # config.toml", "top_k = 2  # TUICHAT_TOP_K", "seed = 3  # --seed", "min_p = 0.05"] {
        assert!(told.lines().any(|shown| shown == line), "no `{line}` in:\n{told}");
    }
    let shown: toml::Table = told.parse().unwrap();
    let number = |key: &str| shown[key].as_integer();
    assert_eq!((shown["temp"].as_float(), number("top_k"), number("seed")), (Some(0.1), Some(2), Some(3)));
    assert_eq!(shown["min_p"].as_float(), Some(0.05));
}

#[test]
fn the_sample_config_that_is_printed_is_one_that_is_read() {
    let home = Home::new();
    let sample = home.run(&["config", "print-sample"]).stdout;
    assert!(sample.contains("top_k = 40"), "{sample}");
    home.write("home/config/config.toml", sample);
    let ran = home.ask(HELLO, &["-p", "hi"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_setting_is_told_and_changed_in_the_file_where_comments_stay() {
    let home = Home::new();
    home.write("home/config/config.toml", "# mine\ntop_k = 1 # few\n");
    let run = |arguments: &[&str]| home.run(&[&["config"], arguments].concat());
    assert_eq!(run(&["get", "top-k"]).stdout, "1\n");
    for arguments in [&["set", "top-k", "7"][..], &["set", "temp", "0"], &["set", "stop", "a, b"]] {
        let ran = run(arguments);
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "", ""), "{arguments:?}");
    }
    let file = || std::fs::read_to_string(home.path("home/config/config.toml")).unwrap();
    assert_eq!(file(), "# mine\ntop_k = 7 # few\ntemp = 0.0\nstop = [\"a\", \"b\"]\n");
    assert_eq!(run(&["get", "stop"]).stdout, "a, b\n");
    assert_eq!(run(&["unset", "top_k"]).code, Some(0));
    assert_eq!((run(&["get", "top_k"]).stdout.as_str(), file().contains("#top_k = 40 # few")), ("40\n", true));
    for (arguments, words) in [
        (&["set", "temp", "hot"][..], "`temp` cannot be `hot`: it must be a number between 0 and 5"),
        (&["set", "tempo", "1"], "`temp` may be meant"),
        (&["get", "nothing"], "there is no setting `nothing`"),
    ] {
        let ran = run(arguments);
        assert!(ran.code == Some(2) && ran.stderr.contains(words), "{}", ran.stderr);
    }
    let mut command = home.command(&["config", "set", "temp", "0.5"]);
    let output = command.env("TUICHAT_TEMP", "1").output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && told.contains("`TUICHAT_TEMP` goes before the file and says `1.0`"), "{told}");
    home.write("home/config/config.toml", "temp = \"hot\"\n");
    let ran = run(&["set", "top_k", "3"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("it was not changed"), "{}", ran.stderr);
    assert_eq!(file(), "temp = \"hot\"\n");
}

#[test]
fn help_shows_what_scripts_need() {
    let help = Home::new().run(&["--help"]);
    assert_eq!(help.code, Some(0));
    for part in ["--prompt", "--model", "--resume", "--private", "models", "chats", "config", "Examples:"] {
        assert!(help.stdout.contains(part), "{part}");
    }
    assert!(!help.stdout.contains("scripted"), "hidden options are shown");
}

#[test]
fn help_is_short_and_has_more_for_whoever_asks() {
    let home = Home::new();
    let help = |words: &[&str]| {
        let ran = home.run(&[&["help"], words].concat());
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{words:?}");
        ran.stdout
    };
    let short = home.run(&["--help"]).stdout;
    assert_eq!(home.run(&["-h"]).stdout, short);
    assert!(!short.contains("--gpu-layers") && short.lines().count() < 100, "{short}");
    assert!(help(&["options"]).contains("--gpu-layers"));
    assert!(help(&[]).starts_with(&short) && help(&[]).contains("  exit-codes    Exit codes: how a run may end."));
    assert!(help(&["schema"]).contains("name, age int, tags [str]"));
    assert!(help(&["keys"]).contains("send the message"));
    assert!(help(&["oneshot"]).contains("stdout is the answer and nothing else"));
    let models = help(&["models"]);
    assert!(models.contains("Usage: tuichat models") && models.contains("tuichat models import model.gguf --link"));
    assert!(help(&["models", "pull"]).contains("Usage: tuichat models pull"));
    for words in [&["nosuch"][..], &["models", "nosuch"], &["__probe"]] {
        let ran = home.run(&[&["help"], words].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
        assert!(
            ran.stderr.contains(&format!("there is no command, option or topic `{}`", words.join(" "))),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn a_model_that_is_not_there_is_told_with_what_to_type() {
    let home = Home::new();
    for (arguments, code) in
        [(&["-m", "nosuch", "-p", "x"][..], 1), (&["--offline", "-p", "x"], 6), (&["models", "rm", "x"], 1)]
    {
        let ran = home.run(arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(code), ""), "{arguments:?}");
        assert!(ran.stderr.starts_with("error: ") && ran.stderr.contains("`tuichat models pull`"), "{}", ran.stderr);
    }
}

#[test]
fn a_file_that_is_no_model_is_code_4_before_anything_is_loaded() {
    let home = Home::new();
    home.write("bad.gguf", "GGUF, but not really");
    for arguments in [&["-m", "./bad.gguf", "-p", "x"][..], &["models", "check", "./bad.gguf"]] {
        let ran = home.run(arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(4), ""), "{arguments:?} {}", ran.stderr);
        assert!(ran.stderr.contains("bad.gguf"), "{}", ran.stderr);
    }
}

#[test]
fn a_prompt_is_shown_as_a_template_makes_it() {
    let home = Home::new();
    home.write("messages.json", r#"[{"role": "user", "content": "Why?"}]"#);
    home.write("template.jinja", "{% for message in messages %}<{{ message.role }}>{{ message.content }}{% endfor %}");
    let ran = home.run(&["debug", "prompt", "--messages", "messages.json", "--template", "template.jinja"]);
    assert_eq!(ran.json(), serde_json::json!({"text": "<user>Why?"}), "{}", ran.stderr);
    home.write("messages.json", r#"[{"role": "robot", "content": "Why?"}]"#);
    let ran = home.run(&["debug", "prompt", "--messages", "messages.json", "--template", "template.jinja"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("hint: "), "{}", ran.stderr);
}

#[test]
fn offline_downloads_nothing() {
    let ran = Home::new().run(&["models", "pull", "--offline"]);
    assert_eq!(ran.code, Some(6));
    assert!(ran.stderr.contains("hint: "), "{}", ran.stderr);
}

#[test]
fn a_model_is_imported_listed_shown_found_and_removed() {
    let home = Home::new();
    let file = home.path("tiny.gguf");
    TinyModel::default().write(&file).unwrap();
    let imported = home.run(&["models", "import", "tiny.gguf", "--name", "mine"]);
    assert_eq!((imported.code, imported.stdout.as_str()), (Some(0), "mine\n"), "{}", imported.stderr);
    let listed = home.run(&["models", "list", "--json"]).json();
    assert_eq!((listed[0]["name"].as_str(), listed.as_array().map(Vec::len)), (Some("mine"), Some(1)));
    assert!(home.run(&["models", "list"]).stdout.starts_with("mine "));
    let shown = home.run(&["models", "show", "mine", "--json"]).json();
    assert_eq!((shown["sha256"].clone(), shown["architecture"].as_str()), (listed[0]["sha256"].clone(), Some("llama")));
    let path = home.run(&["models", "path", "mine"]).stdout;
    assert!(path.starts_with(home.run(&["models", "path"]).stdout.trim_end()), "{path}");
    let checked = home.run(&["models", "check", "mine"]);
    assert!(checked.stdout.contains(listed[0]["sha256"].as_str().unwrap()), "{}", checked.stderr);
    let wrong = home.run(&["models", "import", "tiny.gguf", "--name", "other", "--sha256", &"0".repeat(64)]);
    assert_eq!(wrong.code, Some(4), "{}", wrong.stderr);
    assert_eq!(home.run(&["models", "rm", "mine"]).code, Some(0));
    assert_eq!(home.run(&["models", "list", "--json"]).stdout, "[]\n");
}

#[test]
fn a_model_is_pulled_from_the_hub_and_one_that_is_not_there_is_code_6() {
    let home = Home::new();
    let server = HubServer::start(TinyModel::default().bytes());
    let pull = |reference: &str| {
        let mut command = home.command(&["models", "pull", reference]);
        command.env("HF_ENDPOINT", server.endpoint()).env_remove("HF_TOKEN").env("HF_HOME", home.path("hub"));
        command.output().unwrap()
    };
    let output = pull(&format!("hf:{REPOSITORY}"));
    assert_eq!((output.status.code(), output.stdout), (Some(0), b"model-q4_k_m\n".to_vec()));
    assert_eq!(home.run(&["models", "list", "--json"]).json()[0]["name"], "model-q4_k_m");
    let gone = HubServer::start(Vec::new()).refusals([404]);
    let mut command = home.command(&["models", "pull", "hf:no/such"]);
    let output = command.env("HF_ENDPOINT", gone.endpoint()).env("HF_HOME", home.path("hub")).output().unwrap();
    assert_eq!((output.status.code(), output.stdout), (Some(6), Vec::new()));
}

#[test]
fn chats_are_listed_shown_and_removed() {
    let home = Home::new();
    assert_eq!(home.run(&["chats", "list", "--json"]).stdout, "[]\n");
    let mut store = Store::open(&home.path("home/data/chats.db")).unwrap();
    let chat = store.create_chat("A \u{1b}title", Some("Be brief")).unwrap();
    let question = store.add_message(chat, None, Role::User, "Why?").unwrap();
    store.add_message(chat, Some(question), Role::Assistant, "Because.").unwrap();
    let id = chat.to_string();
    assert_eq!(home.run(&["chats", "list", "--json"]).json()[0]["message_count"], 2);
    let line = home.run(&["chats", "list"]).stdout;
    assert!(line.contains("A <U+001B>title"), "{line}");
    let shown = home.run(&["chats", "show", &id]).stdout;
    assert!(shown.contains("## user\n\nWhy?") && shown.contains("## assistant\n\nBecause."), "{shown}");
    let object = home.run(&["chats", "show", &id, "--json"]).json();
    assert_eq!(object["messages"][1]["content"], "Why?");
    assert_eq!(object["messages"][1]["pinned"], false);
    store.pin_message(question, true).unwrap();
    let object = home.run(&["chats", "show", &id, "--json"]).json();
    assert_eq!((&object["messages"][1]["pinned"], &object["messages"][2]["pinned"]), (&true.into(), &false.into()));
    assert!(home.run(&["chats", "show", &id]).stdout.contains("## user [pinned]\n\nWhy?"));
    assert_eq!(home.run(&["chats", "rm", &id]).code, Some(0));
    let gone = home.run(&["chats", "show", &id]);
    assert_eq!(gone.code, Some(1));
    assert!(gone.stderr.contains("`tuichat chats list`"), "{}", gone.stderr);
}

#[test]
fn chats_are_searched_tagged_and_put_away() {
    let home = Home::new();
    let mut store = Store::open(&home.path("home/data/chats.db")).unwrap();
    let mut begin = |title: &str, text: &str| {
        let chat = store.create_chat(title, None).unwrap();
        store.add_message(chat, None, Role::User, text).unwrap();
        chat.to_string()
    };
    let (bread, weather) = (begin("Bread", "How to bake\u{1b}[31m bread?"), begin("天气", "今天天气很好"));
    drop(store);
    let found = home.run(&["chats", "search", "BREAD", "bak", "-o", "json"]).json();
    assert_eq!((&found[0]["chat"], &found[0]["role"]), (&bread.parse::<i64>().unwrap().into(), &"user".into()));
    assert_eq!(found[0]["matches"], serde_json::json!([[7, 10], [17, 22]]));
    let text = home.run(&["chats", "search", "天气"]).stdout;
    assert!(text.contains("今天[天气]很好") && text.contains(&weather), "{text}");
    assert!(home.run(&["chats", "search", "bread"]).stdout.contains("<U+001B>[31m [bread]"));
    assert_eq!(home.run(&["chats", "search", "how to"]).stdout.lines().count(), 2, "as it stands together");
    assert_eq!(home.run(&["chats", "search", "bake how"]).stdout, "");

    assert_eq!(home.run(&["chats", "tag", &bread, "#Food", "home"]).stdout, "food\nhome\n");
    assert_eq!(home.run(&["chats", "tag", &bread, "--remove", "home"]).stdout, "food\n");
    assert!(home.run(&["chats", "tag", &bread, "a b"]).stderr.contains("is no tag"));
    assert!(home.run(&["chats", "list", "--tag", "food"]).stdout.ends_with("Bread  #food\n"));
    assert_eq!(home.run(&["chats", "rename", &bread, "Sour", "dough"]).code, Some(0));
    assert_eq!(home.run(&["chats", "archive", &bread]).code, Some(0));
    assert_eq!(home.run(&["chats", "list"]).stdout.lines().count(), 1);
    assert_eq!(home.run(&["chats", "list", "--all", "-o", "ndjson"]).stdout.lines().count(), 2);
    let archived = home.run(&["chats", "list", "--archived", "--json"]).json();
    assert_eq!((&archived[0]["title"], &archived[0]["tags"][0]), (&"Sour dough".into(), &"food".into()));
    assert_eq!(home.run(&["chats", "archive", "--undo", &bread]).code, Some(0));
    assert_eq!(home.run(&["chats", "list"]).stdout.lines().count(), 2);
}

#[test]
fn chats_are_exported_and_imported() {
    let home = Home::new();
    let mut store = Store::open(&home.path("home/data/chats.db")).unwrap();
    let chat = store.create_chat("Why <so>?", Some("Be brief")).unwrap();
    let question = store.add_message(chat, None, Role::User, "Why?").unwrap();
    store.add_message(chat, Some(question), Role::Assistant, "First").unwrap();
    store.add_message(chat, Some(question), Role::Assistant, "Second").unwrap();
    drop(store);
    let id = chat.to_string();
    let markdown = home.run(&["chats", "export", &id]).stdout;
    assert!(markdown.starts_with("# Why <so>?\n") && markdown.ends_with("## Assistant\n\nSecond\n"), "{markdown}");
    assert!(home.run(&["chats", "export", "last", "--format", "html"]).stdout.contains("<h1>Why &lt;so&gt;?</h1>"));
    let json = home.run(&["chats", "export", &id, "--out", "a.json"]);
    assert_eq!((json.code, json.stdout.as_str()), (Some(0), ""));
    let exported = std::fs::read_to_string(home.path("a.json")).unwrap();
    assert!(exported.contains("First"), "{exported}");
    let again = home.run(&["chats", "export", &id, "--out", "a.json"]);
    assert!(again.code == Some(1) && again.stderr.contains("--force"), "{}", again.stderr);
    assert_eq!(home.run(&["chats", "export", &id, "--out", "a.json", "--force"]).code, Some(0));
    assert_eq!(home.run(&["chats", "export", "--all", "--out", "folder", "--format", "txt"]).code, Some(0));
    assert!(home.path("folder").join(format!("{id}-why-so.txt")).is_file());
    let all = home.run(&["chats", "export", "--all", "--format", "json"]).stdout;
    assert_eq!(all.lines().count(), 1);

    assert_eq!(home.run(&["chats", "import", "a.json"]).stdout, "a.json: 0 chats imported, 1 here already\n");
    assert_eq!(home.run(&["chats", "rm", &id]).code, Some(0));
    home.write("more.jsonl", format!("{all}no json\n"));
    let ran = home.run(&["chats", "import", "a.json", "more.jsonl"]);
    let expected = "a.json: 1 chat imported\nmore.jsonl: 0 chats imported, 1 here already, 1 not imported\n";
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), expected));
    assert!(ran.stderr.contains("warning: more.jsonl: line 2 is no JSON"), "{}", ran.stderr);
    let list = home.run(&["chats", "list", "--json"]).json();
    let copy = list[0]["id"].to_string();
    assert_eq!(home.run(&["chats", "export", &copy, "--format", "json"]).stdout, exported);
    home.write("history", "Why is the sky blue?\n/bye\n");
    let told = home.run(&["chats", "import", "history", "--json"]).json();
    assert_eq!((&told["prompts"], &told["imported"]), (&1.into(), &0.into()));
    home.write("broken.json", "[{");
    assert_eq!(home.run(&["chats", "import", "broken.json"]).code, Some(1));
    let missing = home.run(&["chats", "import", "none.json"]);
    assert!(missing.code == Some(1) && missing.stderr.contains("cannot read `none.json`"), "{}", missing.stderr);
}

/// All files and folders below.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        found.push(entry.path());
        found.extend(below(&entry.path()));
    }
    found
}

#[cfg(unix)]
#[test]
fn what_is_written_is_for_the_owner_alone_whatever_the_umask() {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Stdio;
    let home = Home::new();
    home.write("script.toml", HELLO);
    home.write("tiny.gguf", TinyModel::default().bytes());
    let line = "umask 000; \"$0\" --engine scripted:script.toml -p hi -o json && \"$0\" chats list && \
                \"$0\" models import tiny.gguf";
    let status = std::process::Command::new("sh")
        .args(["-c", line, env!("CARGO_BIN_EXE_tuichat")])
        .env("TUICHAT_HOME", home.path("home"))
        .current_dir(home.folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let written = below(&home.path("home"));
    assert!(written.iter().any(|path| path.ends_with("logs/tuichat.log")), "{written:?}");
    for path in written {
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} is {mode:o}", path.display());
    }
}

#[test]
fn private_leaves_nothing_on_disk() {
    let home = Home::new();
    assert_eq!(home.ask(HELLO, &["-p", "hi", "--private"]).stdout, "Hello there, you\n");
    assert_eq!(below(&home.path("home")), Vec::<PathBuf>::new());
}

#[test]
fn the_log_holds_nothing_of_what_is_said() {
    let home = Home::new();
    home.ask("[[answer]]\ntext = \"canary-answer\"\n", &["-p", "canary-question", "--verbose"]);
    let log = std::fs::read_to_string(home.path("home/logs/tuichat.log")).unwrap();
    assert!(!log.contains("canary"), "{log}");
}
