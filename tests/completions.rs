//! What a shell is told while a command is typed, and the manual page.

mod common;

use std::process::Command;

use common::program::Home;
use common::tiny_gguf::TinyModel;

/// What bash completes the last of these words to, with the script in force.
fn completed(home: &Home, words: &[&str]) -> Vec<String> {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_tuichat"));
    let script = r#"source <(tuichat completions bash)
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_TYPE=9
        _clap_complete_tuichat tuichat "${!#}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}""#;
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", script, "bash", "tuichat"]).args(words);
    bash.env("PATH", path).env("TUICHAT_HOME", home.path("home")).current_dir(home.folder.path());
    let output = bash.output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let replies = String::from_utf8(output.stdout).unwrap();
    replies.lines().map(|reply| reply.trim_end().to_owned()).filter(|reply| !reply.is_empty()).collect()
}

#[test]
fn commands_flags_and_values_complete() {
    let home = Home::new();
    assert_eq!(completed(&home, &["mod"]), ["models"]);
    assert!(completed(&home, &["models", ""]).contains(&"check".into()));
    assert_eq!(completed(&home, &["--kv-ev"]), ["--kv-evict"]);
    assert_eq!(completed(&home, &["--device", "c"]), ["cpu", "cuda"]);
    assert_eq!(completed(&home, &["completions", "z"]), ["zsh"]);
    assert!(!completed(&home, &[""]).iter().any(|reply| reply.starts_with("__")));
}

#[test]
fn names_of_models_complete_where_they_are_meant() {
    let home = Home::new();
    home.write("tiny.gguf", TinyModel::default().bytes());
    assert_eq!(home.run(&["models", "import", "tiny.gguf", "--name", "smart-one"]).code, Some(0));
    for words in [
        &["-m", "sm"][..],
        &["--model", "sm"],
        &["--draft-model", "sm"],
        &["models", "rm", "sm"],
        &["models", "check", "sm"],
        &["models", "path", "sm"],
        &["bench", "sm"],
        &["bench", "other", "sm"],
    ] {
        assert_eq!(completed(&home, words), ["smart-one"], "{words:?}");
    }
    assert_eq!(completed(&home, &["models", "show", "sma"]), ["smart-one"]);
    assert_eq!(completed(&home, &["models", "show", "smollm2-1"]), ["smollm2-1.7b-instruct", "smollm2-135m-instruct"]);
    assert_eq!(completed(&home, &["models", "pull", "smollm2-13"]), ["smollm2-135m-instruct"]);
    assert_eq!(completed(&home, &["-m", "./ti"]), ["./tiny.gguf"]);
}

#[test]
fn chats_texts_and_topics_complete_where_they_are_meant() {
    let home = Home::new();
    std::fs::create_dir_all(home.path("home/data")).unwrap();
    let mut store = tuichat::store::Store::open(&home.path("home/data/chats.db")).unwrap();
    for title in ["Bread", "Rust\u{1b}[31m"] {
        let chat = store.create_chat(title, None).unwrap();
        store.add_message(chat, None, tuichat::chat::Role::User, title).unwrap();
    }
    drop(store);
    // Its value may be left out, so other words may follow.
    assert_eq!(completed(&home, &["--resume", ""])[..3], ["1", "2", "last"]);
    assert_eq!(completed(&home, &["--continue", ""])[..3], ["1", "2", "last"]);
    assert_eq!(completed(&home, &["chats", "show", ""])[..3], ["1", "2", "last"]);
    assert_eq!(completed(&home, &["chats", "rm", "2"]), ["2"]);
    home.write("home/config/prompts/mail.md", "Dear {{to}}");
    assert_eq!(completed(&home, &["--prompt-name", "m"]), ["mail"]);
    assert_eq!(completed(&home, &["--prompt-name", "e"]), ["explain"]);
    assert_eq!(completed(&home, &["--extract", "j"]), ["json"]);
    assert_eq!(completed(&home, &["help", "sc"]), ["schema", "scripting"]);
    assert_eq!(completed(&home, &["man", "ch"]), ["chats"]);
    assert_eq!(completed(&home, &["man", "models", "pu"]), ["pull"]);
    assert_eq!(completed(&home, &["config", "set", "mouse", "o"]), ["off", "on"]);
    home.write("home/data/bench/2026-11-27-2016-quick.jsonl", "");
    assert_eq!(completed(&home, &["bench", "show", ""])[..2], ["2026-11-27-2016-quick", "last"]);
    assert_eq!(completed(&home, &["bench", "--continue", "2"]), ["2026-11-27-2016-quick"]);
    assert_eq!(completed(&home, &["config", "set", "loop"]), ["loop_breaker"]);
}

/// The output of a shell that runs a script in a home with a model and a text; `None`, with a word about it, where this
/// machine has no such shell.
fn in_shell(shell: &str, arguments: &[&str], home: &Home) -> Option<String> {
    if Command::new(shell).arg("--version").output().is_err() {
        println!("skipped: there is no {shell} here");
        return None;
    }
    home.write("tiny.gguf", TinyModel::default().bytes());
    assert_eq!(home.run(&["models", "import", "tiny.gguf", "--name", "smart-one"]).code, Some(0));
    home.write("home/config/prompts/mail.md", "Dear {{to}}");
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_tuichat"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("timeout");
    command.arg("60").arg(shell).args(arguments).env("PATH", path).env("TERM", "xterm");
    for (name, value) in home.command(&[]).get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let output = command.current_dir(home.folder.path()).stdin(std::process::Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn fish_completes_what_is_typed() {
    let home = Home::new();
    for (typed, expected) in [
        ("tuichat --model sm", "smart-one"),
        ("tuichat -m ", "smart-one"),
        ("tuichat mod", "models"),
        ("tuichat models rm sm", "smart-one"),
        ("tuichat --kv-ev", "--kv-evict"),
        ("tuichat --prompt-name m", "mail"),
        ("tuichat -p x --output nd", "ndjson"),
    ] {
        let script = format!("source (tuichat completions fish | psub); complete -C '{typed}'");
        let Some(told) = in_shell("fish", &["--no-config", "-c", &script], &home) else { return };
        let names: Vec<&str> = told.lines().map(|line| line.split('\t').next().unwrap_or_default()).collect();
        assert_eq!(names.first(), Some(&expected), "{typed}: {told}");
        std::fs::remove_dir_all(home.path("home/models")).unwrap();
    }
}

/// Types into a zsh in a terminal of its own, and prints what then stands in its line.
const IN_ZSH: &str = r#"
zmodload zsh/zpty
zpty inner zsh -f -i
line() {
    local all= chunk= n=0
    while (( n++ < 600 )); do
        if zpty -rt inner chunk 2>/dev/null; then all+=$chunk; else sleep 0.05; fi
        [[ $all == *"LINE<"*">"* ]] && { all=${all##*LINE<}; print -r -- "${all%%>*}"; return }
    done
    print -r -- "nothing came: $all"
}
zpty -w inner 'PS1=; autoload -Uz compinit; compinit -u -D; source <(tuichat completions zsh)'
zpty -w inner 'show() { zle -I; print -r -- "LINE"\<"$BUFFER"\>; zle kill-whole-line }; zle -N show; bindkey "^T" show'
for typed in "$@"; do
    zpty -w -n inner "$typed"$'\t\x14'
    line
done
zpty -d inner
"#;

#[test]
fn zsh_completes_what_is_typed() {
    let home = Home::new();
    let typed = [
        ("tuichat --model sm", "tuichat --model smart-one "),
        ("tuichat mod", "tuichat models "),
        ("tuichat models rm sm", "tuichat models rm smart-one "),
        ("tuichat --kv-ev", "tuichat --kv-evict "),
        ("tuichat --prompt-name m", "tuichat --prompt-name mail "),
        ("tuichat -p x --output nd", "tuichat -p x --output ndjson "),
    ];
    let words: Vec<&str> = typed.iter().map(|(typed, _)| *typed).collect();
    let Some(told) = in_shell("zsh", &[&["-f", "-c", IN_ZSH, "zsh"][..], &words].concat(), &home) else { return };
    let expected: Vec<&str> = typed.iter().map(|(_, expected)| *expected).collect();
    let lines: Vec<&str> = told.lines().map(|line| line.trim_end_matches('\r')).collect();
    assert_eq!(lines, expected, "{told}");
}

#[test]
fn a_folder_that_cannot_be_read_is_no_word_and_no_name() {
    let home = Home::new();
    home.write("home/models", "a file where a folder should be");
    assert!(completed(&home, &["-m", "x"]).is_empty());
    let ran = home.command(&["--", "tuichat", "models"]).env("_TUICHAT_COMPLETE", "nosuchshell").output().unwrap();
    assert_eq!((ran.status.code(), ran.stdout.len(), ran.stderr.len()), (Some(0), 0, 0));
}

#[test]
fn there_is_a_script_for_each_shell() {
    for (shell, part) in
        [("bash", "complete "), ("zsh", "compdef"), ("fish", "complete "), ("powershell", "Register-ArgumentCompleter")]
    {
        let script = Home::new().run(&["completions", shell]);
        assert!(script.code == Some(0) && script.stdout.contains(part), "{shell}: {}", script.stdout);
    }
}

#[test]
fn the_manual_page_has_the_options_and_every_command() {
    let page = Home::new().run(&["man"]);
    assert_eq!((page.code, page.stderr.as_str()), (Some(0), ""));
    for part in [
        ".TH tuichat 1",
        "\\-\\-prompt",
        ".SH TUICHAT MODELS CHECK",
        "\\-\\-no\\-load",
        "Examples:",
        "Layers of the model",
    ] {
        assert!(page.stdout.contains(part), "{part}");
    }
    assert!(!page.stdout.contains("PROBE"), "hidden commands are shown");
}

#[test]
fn every_command_has_a_page_of_its_own() {
    let home = Home::new();
    let page = home.run(&["man", "models", "pull"]);
    assert_eq!((page.code, page.stderr.as_str()), (Some(0), ""));
    assert!(page.stdout.contains("Download no faster"), "{}", page.stdout);
    assert!(page.stdout.contains(".TH tuichat-models-pull 1") && page.stdout.contains("REFERENCE"), "{}", page.stdout);
    for words in [&["man", "nosuch"][..], &["man", "models", "nosuch"], &["man", "__probe"]] {
        let ran = home.run(words);
        assert!(ran.code == Some(2) && ran.stderr.contains("there is no command `"), "{words:?}: {}", ran.stderr);
    }
    for (words, near) in
        [(&["man", "bathc"][..], "`tuichat man batch`"), (&["man", "modles", "pull"], "`tuichat man models pull`")]
    {
        let ran = home.run(words);
        assert!(ran.code == Some(2) && ran.stderr.ends_with(&format!("{near} may be meant\n")), "{}", ran.stderr);
    }
    assert_eq!(home.run(&["man", "--out", "pages"]).code, Some(0));
    let mut names: Vec<_> = std::fs::read_dir(home.path("pages")).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
    names.sort_by_key(std::fs::DirEntry::file_name);
    let names: Vec<_> = names.iter().map(|entry| entry.file_name().into_string().unwrap()).collect();
    for name in ["tuichat.1", "tuichat-models.1", "tuichat-models-pull.1", "tuichat-chats-show.1", "tuichat-doctor.1"] {
        assert!(names.iter().any(|written| written == name), "{name} in {names:?}");
    }
    assert!(!names.iter().any(|name| name.contains("probe") || name.contains("help")), "{names:?}");
    home.write("file", "");
    let ran = home.run(&["man", "--out", "file/pages"]);
    assert!(ran.code == Some(5) && ran.stderr.contains("cannot write pages to file/pages"), "{}", ran.stderr);
}
