//! The first run: there is no model yet. The chat opens on a list of them and downloads the one that is chosen, while a
//! message can be sent already; an answer in a script gets a model after saying so.
#![cfg(unix)]

mod common;
#[allow(dead_code)]
#[path = "common/pty.rs"]
mod pty;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use common::hub_server::{Fault, HubServer};
use common::program::{Home, Ran};
use common::tiny_gguf::{TinyModel, Value};
use portable_pty::CommandBuilder;
use pty::Pty;
use rustix::process::{Pid, Signal, kill_process};
use tuichat::models::catalog;

const CTRL_C: &str = "\x03";
const CTRL_U: &str = "\x15";
const ESCAPE: &str = "\x1b";
const F4: &str = "\x1bOS";
const DELETE: &str = "\x1b[3~";
const DOWN: &str = "\x1b[B";

static MODEL: LazyLock<Vec<u8>> = LazyLock::new(|| TinyModel::default().bytes());

/// A model that the person's own catalogue adds, without a hash, so that any content will do.
struct Known {
    name: &'static str,
    repository: &'static str,
    file: &'static str,
}

const ENTRY: Known = Known { name: "wee-model", repository: "somebody/wee-GGUF", file: "wee-Q4_K_M.gguf" };

fn entry() -> &'static Known {
    &ENTRY
}

fn write_catalogue(home: &Home) {
    let Known { name, repository, file } = ENTRY;
    let text = format!(
        "[[model]]\nname = \"{name}\"\ntitle = \"Wee\"\nrepository = \"{repository}\"\nlicense = \"MIT\"\n\
         good_for = \"tests\"\ncontext = 1024\nparameters = 400_000\nshape = {{ layers = 2, embedding = 128, \
         feed_forward = 256, heads = 4, kv_heads = 2, head_dim = 32, vocabulary = 272 }}\n[[model.file]]\n\
         quantization = \"Q4_K_M\"\nname = \"{file}\"\nbytes = 1_500_000_000\n"
    );
    home.write("home/config/models.toml", text);
}

/// A hub that has the tiny model in the place of [`entry`].
fn hub() -> HubServer {
    HubServer::start(MODEL.clone()).named(entry().repository, entry().file)
}

/// A hub that says nothing any more in the middle of the file, for so long; then it is as it should be.
fn slow_hub(stall: Duration) -> HubServer {
    hub().stalling_for(stall).faults([Fault::StallAfter(MODEL.len() / 2)])
}

/// Nothing of the machine's own is seen: no models of other programs, no token.
fn environment(home: &Home, hub: &HubServer) -> Vec<(&'static str, PathBuf)> {
    write_catalogue(home);
    vec![("HOME", home.path("person")), ("HF_ENDPOINT", hub.endpoint().into()), ("TUICHAT_HOME", home.path("home"))]
}

fn clear(name: &str) -> bool {
    ["HF_", "XDG_", "OLLAMA_", "LLAMA_", "TUICHAT_"].iter().any(|prefix| name.starts_with(prefix))
}

fn chat(home: &Home, hub: &HubServer, more: &[&str]) -> Pty {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_tuichat"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| clear(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    for (name, value) in environment(home, hub) {
        command.env(name, value);
    }
    command.cwd(home.folder.path());
    command.args(["--ctx", "256", "--max-tokens", "8"]);
    command.args(more);
    Pty::run(command, 100, 30)
}

fn leave(chat: &mut Pty) {
    chat.send(CTRL_C);
    chat.wait_for("press Ctrl-C again to leave");
    chat.send(CTRL_C);
    assert!(chat.wait_for_end().success());
    chat.assert_given_back();
}

/// Chooses [`entry`] in the list that is open.
fn choose_entry(chat: &mut Pty) {
    chat.wait_for("Choose a model");
    chat.send(entry().name);
    chat.wait_for(&format!("> {}", entry().name));
    chat.send("\r");
}

/// The same, and says yes to the download.
fn get_entry(chat: &mut Pty) {
    choose_entry(chat);
    let screen = chat.wait_for("Download this model?");
    assert!(
        screen.contains(entry().repository) && screen.contains("1.50 GB") && screen.contains("are free"),
        "{screen}"
    );
    chat.send("\r");
}

/// Closes the list. Escape and what comes at once behind it would be another key.
fn close(chat: &mut Pty) -> String {
    chat.send(ESCAPE);
    // The heading and the last line: what is drawn may be seen half.
    let is_closed = |screen: &str| !screen.contains("Choose a model") && !screen.contains("Esc closes");
    chat.wait_until("the chat without the list", is_closed)
}

fn installed(home: &Home) -> Vec<String> {
    files(&home.path("home/models/names"))
}

fn parts(home: &Home) -> Vec<String> {
    files(&home.path("home/models/blobs")).into_iter().filter(|name| name.contains(".part")).collect()
}

fn files(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_message_that_is_sent_during_the_first_download_is_answered_when_the_model_is_there() {
    let (home, hub) = (Home::new(), slow_hub(Duration::from_secs(3)));
    let mut first = chat(&home, &hub, &[]);
    first.wait_for("Choose a model");
    get_entry(&mut first);
    first.wait_until("the download", |screen| {
        screen.contains(" downloading ") && screen.contains("You can write while")
    });
    first.send("Hello there\r");
    first.wait_for("› Hello there\n  waiting for the model");
    let screen = first.wait_for("tok/s");
    assert!(!screen.contains("no model is here yet"), "{screen}");
    first.wait_for("idle");
    leave(&mut first);
    assert_eq!(installed(&home), [format!("{}.json", entry().name)]);
    assert_eq!(std::fs::read_to_string(home.path("home/models/last-used")).unwrap(), entry().name);

    let mut second = chat(&home, &hub, &[]);
    let screen = second.wait_for("idle");
    assert!(screen.contains(entry().name) && !screen.contains("Choose a model"), "{screen}");
    leave(&mut second);
}

#[test]
fn nothing_is_downloaded_without_a_word_and_the_first_screen_is_calm() {
    let (home, hub) = (Home::new(), hub());
    let mut chat = chat(&home, &hub, &[]);
    choose_entry(&mut chat);
    let screen = chat.wait_for("Download this model?");
    assert!(screen.contains("Esc    download nothing"), "{screen}");
    chat.send(ESCAPE);
    chat.wait_for("Choose a model");
    let screen = close(&mut chat);
    assert!(screen.contains("· no model is here yet"), "it is no failure: {screen}");
    leave(&mut chat);
    assert_eq!(hub.requests().len(), 0);
}

#[test]
fn a_model_is_chosen_by_its_path_or_its_place_on_the_hub() {
    let (home, hub) = (Home::new(), hub());
    home.write("over there/file.gguf", MODEL.as_slice());
    let mut chat = chat(&home, &hub, &[]);
    chat.wait_for("Choose a model");
    close(&mut chat);
    chat.send("/model over there/file.gguf\r");
    chat.wait_for("idle");
    chat.send(&format!("/model hf:{}/{}\r", entry().repository, entry().file));
    let screen = chat.wait_for("Download this model?");
    assert!(screen.contains(entry().repository), "{screen}");
    chat.send("\r");
    chat.wait_until("the other model", |screen| screen.contains("idle") && screen.contains("wee-Q4_K_M"));
    chat.send("/model hf:nobody/nothing\r");
    chat.wait_for("nobody/nothing");
    chat.send("/model ./no-such.gguf\r");
    chat.wait_for("no-such.gguf");
    leave(&mut chat);
}

#[test]
fn a_download_is_stopped_in_the_list_and_gone_on_with() {
    let (home, hub) = (Home::new(), slow_hub(Duration::from_secs(30)));
    let mut chat = chat(&home, &hub, &[]);
    get_entry(&mut chat);
    chat.wait_for(" downloading ");
    chat.send(F4);
    chat.wait_for("Del stops the download");
    chat.send(DELETE);
    chat.wait_for("The download stopped at ");
    chat.send("\r");
    chat.wait_for("idle");
    leave(&mut chat);
    assert_eq!(installed(&home).len(), 1);
    assert!(hub.sent_bytes() <= MODEL.len() + 1000, "what was there was not fetched again: {}", hub.sent_bytes());
}

#[test]
fn leaving_in_mid_download_keeps_what_came_of_it() {
    let (home, hub) = (Home::new(), slow_hub(Duration::from_secs(30)));
    let mut chat = chat(&home, &hub, &[]);
    get_entry(&mut chat);
    chat.wait_for(" downloading ");
    let told = Instant::now();
    leave(&mut chat);
    assert!(told.elapsed() < Duration::from_secs(10), "{:?}", told.elapsed());
    assert_eq!(installed(&home), Vec::<String>::new());
    assert!(!parts(&home).is_empty());
}

#[test]
fn a_download_that_fails_is_a_sentence_and_another_can_be_chosen() {
    let (home, hub) = (Home::new(), hub().refusals([403]));
    let mut chat = chat(&home, &hub, &[]);
    get_entry(&mut chat);
    chat.wait_for("the hub does not let you read this repository");
    chat.wait_for("no model");
    chat.send("Hello\r");
    chat.wait_for("filter:");
    let screen = close(&mut chat);
    assert!(screen.contains("› Hello"), "{screen}");
    chat.send(CTRL_U);
    chat.send(F4);
    get_entry(&mut chat);
    chat.wait_for("idle");
    leave(&mut chat);
}

#[test]
fn a_model_of_the_catalogue_that_is_named_and_not_here_is_the_one_chosen() {
    let (home, hub) = (Home::new(), hub());
    let mut chat = chat(&home, &hub, &["-m", entry().name]);
    chat.wait_for(&format!("> {}", entry().name));
    let screen = close(&mut chat);
    assert!(screen.contains(&format!("`{}` is not here yet: F4 lists it", entry().name)), "{screen}");
    chat.send("/models\r");
    get_entry(&mut chat);
    chat.wait_for("idle");
    leave(&mut chat);
}

#[test]
fn without_the_network_the_list_says_what_to_do() {
    let (home, hub) = (Home::new(), hub());
    let mut chat = chat(&home, &hub, &["--offline"]);
    chat.wait_for("--offline=no");
    chat.send("\r");
    let screen = close(&mut chat);
    assert!(screen.contains("no model is here yet; nothing is downloaded"), "{screen}");
    leave(&mut chat);
    assert_eq!(hub.requests().len(), 0);
}

#[test]
fn a_chat_goes_on_with_another_model_and_comes_back_from_one_that_cannot_be_loaded() {
    let (home, hub) = (Home::new(), hub());
    let broken = TinyModel::default().set("tokenizer.ggml.model", Value::Text("llama".into()));
    for (name, model) in [("one", TinyModel::default()), ("two", TinyModel::default().seed(2)), ("broken", broken)] {
        home.write("file.gguf", model.bytes());
        let ran = home.run(&["models", "import", "file.gguf", "--name", name]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }
    let mut chat = chat(&home, &hub, &["-m", "one"]);
    chat.wait_for("idle");
    chat.send("Hello\r");
    chat.wait_for("tok/s");
    chat.wait_for("idle");
    chat.send(F4);
    chat.wait_until("the model in use", |screen| screen.contains("> one") && screen.contains("in use"));
    chat.send(DOWN);
    chat.wait_for("> two");
    chat.send("\r");
    chat.wait_for("`two` answers from here on");
    chat.send("And now\r");
    chat.wait_until("the second answer", |screen| screen.contains("tok/s") && screen.contains("idle"));

    chat.send(F4);
    chat.send("broken\r");
    chat.wait_for("`broken` cannot be used, so `two` is loaded again");
    chat.wait_until("the model of before", |screen| screen.contains("idle") && screen.contains("two ·"));
    leave(&mut chat);
    assert_eq!(std::fs::read_to_string(home.path("home/models/last-used")).unwrap(), "two");
}

/// A run as a script's, with nothing on stdin.
fn ask(home: &Home, hub: &HubServer, arguments: &[&str]) -> Ran {
    let output = command(home, hub, arguments).stdin(Stdio::null()).output().unwrap();
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn command(home: &Home, hub: &HubServer, arguments: &[&str]) -> std::process::Command {
    let mut command = home.command(&[arguments, &["-p", "hi", "--ctx", "256", "--max-tokens", "4"]].concat());
    for (name, _) in std::env::vars_os().filter(|(name, _)| clear(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    command.envs(environment(home, hub));
    command
}

#[test]
fn an_answer_of_a_model_that_is_not_here_gets_it_once_after_saying_so() {
    let (home, hub) = (Home::new(), hub());
    home.write("home/config/config.toml", format!("model = \"{}\"\n", entry().name));
    let ran = ask(&home, &hub, &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let note = format!("`{}` is not here: getting it", entry().name);
    assert!(ran.stderr.starts_with(&note) && ran.stderr.contains("`--model` chooses another"), "{}", ran.stderr);
    assert!(!ran.stdout.trim().is_empty() && !ran.stdout.contains("getting"), "{}", ran.stdout);
    let ran = ask(&home, &hub, &["-o", "json"]);
    assert_eq!((ran.code, ran.stderr.contains("getting")), (Some(0), false), "{}", ran.stderr);
    assert_eq!(ran.json()["model"]["name"], entry().name);
    assert_eq!(hub.downloads().len(), 1);
}

#[test]
fn an_answer_without_any_model_gets_the_smallest_and_checks_that_it_is_that() {
    let (home, smallest) = (Home::new(), catalog::smallest());
    let hub = HubServer::start(MODEL.clone()).named(&smallest.repository, &smallest.usual_file().name);
    let ran = ask(&home, &hub, &["-o", "json"]);
    let note = format!("no model is here: getting `{}` (", smallest.name);
    assert!(ran.stderr.starts_with(&note), "{}", ran.stderr);
    assert_eq!(ran.code, Some(4), "another file than the catalogue's is refused: {}", ran.stderr);
    assert_eq!(ran.json()["error"]["kind"], "bad_model");
    assert_eq!(hub.downloads().len(), 0, "the hub's own hash told that");
}

#[test]
fn the_real_smallest_model_answers_in_an_empty_home() {
    let smallest = catalog::smallest();
    let model = std::env::var_os("TUICHAT_TEST_MODEL").and_then(|path| std::fs::read(path).ok());
    let Some(model) = model.filter(|bytes| Some(common::hub_server::sha256(bytes)) == smallest.usual_file().sha256)
    else {
        println!("skipped: `make test` sets TUICHAT_TEST_MODEL to the smallest model of the catalogue");
        return;
    };
    let home = Home::new();
    let hub = HubServer::start(model).named(&smallest.repository, &smallest.usual_file().name);
    let ran = ask(&home, &hub, &["--temp", "0"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.starts_with(&format!("no model is here: getting `{}` (98.4 MB) once", smallest.name)));
    assert!(!ran.stdout.trim().is_empty());
}

#[test]
fn without_a_hub_an_answer_says_what_to_do() {
    let (home, hub) = (Home::new(), hub());
    let ran = ask(&home, &hub, &["--offline", "-o", "json"]);
    assert_eq!(ran.code, Some(6), "{}", ran.stderr);
    assert!(ran.stderr.contains("`offline` is set") && ran.stderr.contains("--offline=no"), "{}", ran.stderr);
    assert_eq!(ran.json()["error"]["kind"], "network");
    assert_eq!(hub.requests().len(), 0);

    let ran = ask(&home, &hub.refusals([403]), &["-m", entry().name]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(6), ""), "{}", ran.stderr);
    assert!(ran.stderr.contains("error: "), "{}", ran.stderr);
}

#[test]
fn nothing_is_downloaded_for_a_question_that_cannot_be_read() {
    let (home, hub) = (Home::new(), hub());
    let ran = ask(&home, &hub, &["-m", entry().name, "--file", "no.txt"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert_eq!(hub.requests().len(), 0);
}

#[test]
fn an_interrupt_during_the_download_keeps_what_came_of_it() {
    let (home, hub) = (Home::new(), slow_hub(Duration::from_secs(30)));
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let before = hub.downloads().len();
        let mut command = command(&home, &hub, &["-m", entry().name]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let patience = Instant::now() + Duration::from_secs(30);
        while parts(&home).is_empty() || hub.downloads().len() == before {
            assert!(Instant::now() < patience, "the download does not begin");
            std::thread::sleep(Duration::from_millis(10));
        }
        kill_process(Pid::from_child(&child), signal).unwrap();
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert!(output.stdout.is_empty() && stderr.contains("goes on where it stopped"), "{stderr}");
        assert!(!parts(&home).is_empty());
        let _ = hub.clone().faults([Fault::StallAfter(100)]);
    }
}

#[test]
fn a_person_is_told_that_there_is_nothing_and_a_script_reads_an_empty_list() {
    let home = Home::new();
    for (list, sentence) in [
        (["chats", "list"], "there is no chat; `tuichat` begins one"),
        (["models", "list"], "no model is here yet; "),
        (["bench", "list"], "no run is kept yet; `tuichat bench` makes one"),
    ] {
        let ran = home.run(&list);
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "", ""), "{list:?}");
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_tuichat"));
        command.env("TUICHAT_HOME", home.path("home"));
        command.env("HOME", home.path("person"));
        command.args(list);
        let mut terminal = Pty::run(command, 120, 24);
        terminal.wait_for(sentence);
        assert!(terminal.wait_for_end().success());
    }
}

#[test]
fn a_server_that_does_not_answer_is_at_the_end_of_the_list_with_the_reason_and_can_be_tried_again() {
    let (home, hub) = (Home::new(), hub());
    home.write("home/config/config.toml", "[engines.lab]\nurl = \"http://127.0.0.1:1\"\n");
    let mut chat = chat(&home, &hub, &[]);
    chat.wait_for("Choose a model");
    chat.send("lab");
    let screen = chat.wait_for("> lab");
    assert!(screen.contains("no answer") && screen.contains("Engine `lab`"), "{screen}");
    chat.send("\r");
    chat.wait_for("engines check lab");
    leave(&mut chat);
}
