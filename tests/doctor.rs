//! `tuichat doctor`, as a person and a script see it, in homes that something is wrong with.

mod common;

use std::path::Path;

use common::program::{Home, Ran};
use common::tiny_gguf::TinyModel;
use serde_json::Value;
use tuichat::store::Store;

/// Its JSON, and the exit code.
fn examined(home: &Home) -> (Option<i32>, Value) {
    with(home, &[])
}

/// The same with these variables.
fn with(home: &Home, variables: &[(&str, &str)]) -> (Option<i32>, Value) {
    let mut command = home.command(&["doctor", "--json"]);
    for name in ["HF_ENDPOINT", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HTTPS_PROXY", "https_proxy"] {
        command.env_remove(name);
    }
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let json = serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}"));
    (output.status.code(), json)
}

/// The findings of a section: their level, what, and remedy.
fn findings<'j>(json: &'j Value, section: &str) -> Vec<(&'j str, &'j str, Option<&'j str>)> {
    let all = json["findings"].as_array().unwrap();
    let of_section = all.iter().filter(|finding| finding["section"] == section);
    let text = |value: &'j Value| value.as_str();
    of_section
        .map(|finding| (text(&finding["level"]).unwrap(), text(&finding["what"]).unwrap(), text(&finding["remedy"])))
        .collect()
}

fn problem<'j>(json: &'j Value, section: &str) -> (&'j str, &'j str) {
    let all = findings(json, section);
    let found = all.iter().find(|(level, ..)| *level == "problem");
    let (_, what, remedy) = found.unwrap_or_else(|| panic!("{section}: {json:#}"));
    (what, remedy.unwrap())
}

fn paths_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        paths.extend(paths_below(&entry.path()));
        paths.push(entry.path());
    }
    paths.sort();
    paths
}

#[test]
fn a_new_home_has_no_problem_and_nothing_is_made_in_it() {
    let home = Home::new();
    let (code, json) = examined(&home);
    assert_eq!(code, Some(0), "{json:#}");
    assert_eq!(json["schema"], 1);
    let sections =
        ["program", "processor", "memory", "gpu", "models", "disk", "chats", "terminal", "config", "network"];
    for section in sections {
        assert!(json[section].is_object(), "{section}");
    }
    for finding in json["findings"].as_array().unwrap() {
        let needs_remedy = finding["level"] != "ok";
        assert_eq!(finding["remedy"].is_string(), needs_remedy, "{finding}");
        assert!(sections.iter().any(|section| finding["section"] == *section), "{finding}");
    }
    assert_eq!(paths_below(&home.path("home")), Vec::<std::path::PathBuf>::new());
}

#[test]
fn without_a_terminal_the_page_is_plain_and_fits_80_columns() {
    let home = Home::new();
    let Ran { code, stdout, stderr } = home.run(&["doctor"]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert!(!stdout.contains('\x1b'), "{stdout}");
    for title in
        ["Program", "Processor", "Memory", "Graphics", "Models", "Disk", "Chats", "Terminal", "Settings", "Network"]
    {
        assert!(stdout.lines().any(|line| line.starts_with(&format!("{title}: "))), "{title}: {stdout}");
    }
    assert!(stdout.lines().last().unwrap().starts_with("Summary: "), "{stdout}");
    let wide: Vec<&str> = stdout.lines().filter(|line| line.chars().count() > 80).collect();
    // Only what cannot be cut, such as a long path, may be wider.
    assert!(
        wide.iter().all(|line| line.trim().split("  ").last().is_some_and(|last| !last.trim().contains(' '))),
        "{wide:#?}"
    );
}

#[test]
fn a_broken_config_is_what_it_is_for() {
    let home = Home::new();
    home.write("home/config/config.toml", "temp = 0.5\ntop_p = 7\n");
    let (code, json) = examined(&home);
    assert_eq!(code, Some(1));
    let (what, remedy) = problem(&json, "config");
    assert!(what.contains("config.toml, line 2, column 9: 7 is not between 0 and 1"), "{what}");
    assert!(remedy.contains("correct the file"), "{remedy}");
    assert!(json["models"].is_object());
}

#[test]
fn an_unknown_key_and_what_the_environment_overrides_are_told() {
    let home = Home::new();
    home.write("home/config/config.toml", "tempo = 0.5\nsystem = \"a\"\n");
    let (code, json) = with(&home, &[("TUICHAT_SYSTEM", "hush"), ("TUICHAT_TEMPO", "1")]);
    assert_eq!(code, Some(0));
    let found = findings(&json, "config");
    assert_eq!(
        (found[0].0, found[0].1),
        ("warning", "config.toml, line 1, column 1: there is no setting `tempo`; `temp` may be meant")
    );
    assert!(found.iter().any(|(level, what, _)| *level == "note" && what.contains("TUICHAT_TEMPO")), "{found:?}");
    assert_eq!(json["config"]["overridden"], serde_json::json!(["system"]));
    assert!(!json.to_string().contains("hush"));
}

#[test]
fn a_variable_that_cannot_be_understood_is_a_problem_and_the_rest_is_looked_at() {
    let (code, json) = with(&Home::new(), &[("TUICHAT_TEMP", "hot"), ("HF_TOKEN", "hf_secret")]);
    assert_eq!(code, Some(1));
    assert!(problem(&json, "config").0.contains("`TUICHAT_TEMP` cannot be `hot`"));
    assert_eq!(json["network"]["has_token"], true);
    assert!(!json.to_string().contains("hf_secret"));
}

#[test]
fn without_a_home_it_runs_all_the_same() {
    let home = Home::new();
    let mut command = home.command(&["doctor", "--json"]);
    let output = command.env_remove("HOME").env_remove("TUICHAT_HOME").output().unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(matches!(output.status.code(), Some(0 | 1)), "{json:#}");
    assert!(json["processor"].is_object() && json["config"].is_object());
}

#[cfg(unix)]
#[test]
fn a_home_in_which_nothing_can_be_written_is_told_and_left_alone() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    let folder = home.path("home");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o500)).unwrap();
    let is_privileged = std::fs::write(folder.join("try"), "").is_ok();
    let _ = std::fs::remove_file(folder.join("try"));
    let (code, json) = examined(&home);
    if !is_privileged {
        assert_eq!(code, Some(1));
        assert!(problem(&json, "disk").1.contains("--private"));
    }
    assert_eq!(paths_below(&folder), Vec::<std::path::PathBuf>::new());
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_file_where_the_home_should_be_is_a_problem() {
    let home = Home::new();
    home.write("home", "not a folder");
    let (code, json) = examined(&home);
    assert_eq!(code, Some(1));
    assert!(problem(&json, "disk").0.contains("something else has its name"), "{json:#}");
}

#[test]
fn chats_of_a_newer_version_and_damaged_ones_are_problems_and_stay_as_they_are() {
    let home = Home::new();
    let file = home.path("home/data/chats.db");
    Store::open(&file).unwrap().create_chat("Kept", None).unwrap();
    let (code, json) = examined(&home);
    assert_eq!((code, &json["chats"]["chats"], &json["chats"]["is_whole"]), (Some(0), &1.into(), &true.into()));

    let connection = rusqlite::Connection::open(&file).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let before = std::fs::read(&file).unwrap();
    let (code, json) = examined(&home);
    assert_eq!(code, Some(1));
    let (what, remedy) = problem(&json, "chats");
    assert!(what.contains("newer tuichat (schema 99") && remedy.contains("update tuichat"), "{what}: {remedy}");
    assert_eq!(std::fs::read(&file).unwrap(), before);

    std::fs::write(&file, "no database ".repeat(500)).unwrap();
    let (code, json) = examined(&home);
    assert_eq!(code, Some(1));
    assert!(problem(&json, "chats").1.contains("mv "), "{json:#}");
}

#[cfg(unix)]
#[test]
fn chats_that_others_may_read_are_a_warning_with_the_command_that_ends_it() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    let file = home.path("home/data/chats.db");
    Store::open(&file).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (code, json) = examined(&home);
    assert_eq!(code, Some(0));
    let found = findings(&json, "disk");
    let is_it = |remedy: &str| remedy.starts_with("`chmod 600 ");
    assert!(found.iter().any(|(level, _, remedy)| *level == "warning" && remedy.is_some_and(is_it)), "{found:?}");
}

#[test]
fn models_are_counted_and_one_that_is_set_and_not_there_is_a_problem() {
    let home = Home::new();
    let model = home.write("tiny.gguf", TinyModel::default().bytes());
    assert_eq!(home.run(&["models", "import", "tiny.gguf", "--name", "mine"]).code, Some(0));
    home.write("person/.lmstudio/models/someone/some/other.gguf", TinyModel::default().bytes());
    let (code, json) = examined(&home);
    assert_eq!(code, Some(0), "{json:#}");
    assert_eq!(json["models"]["default"]["name"], "mine");
    assert_eq!(json["models"]["installed_bytes"], model.metadata().unwrap().len());
    assert_eq!(json["models"]["stores"][0]["owner"], "lm_studio");
    let (code, json) = with(&home, &[("TUICHAT_MODEL", "nosuch")]);
    assert_eq!(code, Some(1));
    assert!(problem(&json, "models").0.contains("nosuch"));
}

#[test]
fn names_with_commands_for_the_terminal_are_harmless_on_the_page() {
    let home = Home::new();
    home.write("home/config/config.toml", "\"temp\\u001b[31mo\" = 1\n");
    let ran = home.run(&["doctor"]);
    assert!(!ran.stdout.contains('\x1b') && ran.stdout.contains("<U+001B>"), "{}", ran.stdout);
}

#[test]
fn options_of_an_answer_say_what_is_examined() {
    let ran = Home::new().run(&["--threads", "500", "doctor", "--json"]);
    let json = ran.json();
    assert_eq!((ran.code, &json["processor"]["threads"]), (Some(0), &500.into()));
    assert!(
        findings(&json, "processor").iter().any(|(level, what, _)| *level == "warning" && what.contains("500 threads"))
    );
    assert_eq!(Home::new().run(&["-p", "hi", "doctor"]).code, Some(2));
}

#[test]
fn an_engine_that_is_typed_goes_before_the_one_of_the_model_that_is_set() {
    let home = Home::new();
    home.write("home/config/config.toml", "model = \"m@lab\"\n[engines.lab]\nurl = \"http://localhost:1\"\n");
    assert_eq!(home.run(&["doctor", "--json"]).json()["config"]["engine"], "lab");
    let typed = home.run(&["--engine", "llama", "doctor", "--json"]).json();
    assert_eq!(typed["config"]["engine"], serde_json::Value::Null);
}
