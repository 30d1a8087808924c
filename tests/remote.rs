//! A server that answers instead of this program, from outside: one on this machine, which misbehaves when told to.
#![cfg(unix)]

mod common;

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::chat_server::{ChatServer, Way};
use common::program::{Home, Ran};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Asks the server, as a script would.
fn ask(home: &Home, server: &ChatServer, arguments: &[&str]) -> Ran {
    home.run(&[&["--engine", &server.url()], arguments].concat())
}

#[test]
fn an_answer_is_that_of_the_server_and_nothing_else() {
    let (home, server) = (Home::new(), ChatServer::start([Way::Words(vec!["Hello", " there", ", you"])]));
    let ran = ask(&home, &server, &["-p", "Hi", "--system", "Be kind.", "--temp", "0", "--seed", "3"]);
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "Hello there, you\n", ""));
    let asked = &server.completions()[0];
    assert_eq!(asked.path, "/v1/chat/completions");
    assert_eq!(asked.body["messages"][0]["content"], "Be kind.");
    assert_eq!(asked.body["messages"][1]["content"], "Hi");
    assert_eq!((&asked.body["model"], &asked.body["seed"]), (&"tiny".into(), &3.into()));
}

#[test]
fn what_a_server_does_not_tell_is_null_and_not_zero() {
    let (home, server) = (Home::new(), ChatServer::start([]));
    let object = ask(&home, &server, &["-p", "Hi", "-o", "json"]).json();
    assert_eq!((&object["text"], &object["usage"]["completion_tokens"]), (&"Hello there".into(), &2.into()));
    assert_eq!(object["usage"]["prompt_tokens"], 7);
    for place in [
        "/usage/cached_prompt_tokens",
        "/usage/evicted_tokens",
        "/timings/prefill_ms",
        "/timings/prefill_tokens_per_second",
        "/speculative",
        "/kv",
        "/device",
        "/model/sha256",
        "/model/parameters",
        "/server/context",
    ] {
        assert_eq!(object.pointer(place), Some(&serde_json::Value::Null), "{place}");
    }
    assert!(object["timings"]["time_to_first_token_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(object["server"]["is_on_this_machine"], true);
}

#[test]
fn thoughts_are_apart_from_the_answer_however_they_come() {
    let ways = [Way::Thinking("Hm.", "Yes."), Way::Words(vec!["<think>", "Hm.", "</think>\n\n", "Yes."])];
    let (home, server) = (Home::new(), ChatServer::start(ways));
    for _ in 0..2 {
        let object = ask(&home, &server, &["-p", "Hi", "-o", "json"]).json();
        assert_eq!((&object["thinking"], &object["text"]), (&"Hm.".into(), &"Yes.".into()));
    }
}

#[test]
fn a_server_that_dies_in_the_middle_leaves_what_it_said_and_a_sentence() {
    let ways = [Way::Dies("Half"), Way::Fails("Half", "out of memory"), Way::Raw("data: {\"choices\": [{\"delta\": ")];
    let (home, server) = (Home::new(), ChatServer::start(ways));
    for said in ["Half", "Half", ""] {
        let ran = ask(&home, &server, &["-p", "Hi", "-o", "json"]);
        let object = ran.json();
        assert_eq!((ran.code, &object["text"], &object["error"]["kind"]), (Some(6), &said.into(), &"server".into()));
        assert!(ran.stderr.starts_with("error: engine `127.0.0.1:"), "{}", ran.stderr);
    }
    assert_eq!(server.completions().len(), 3, "what was begun is not asked again");
}

#[test]
fn a_busy_server_is_asked_again_and_one_that_asks_for_patience_is_left_alone() {
    let (home, server) = (Home::new(), ChatServer::start([Way::Busy(1)]));
    let began = Instant::now();
    let ran = ask(&home, &server, &["-p", "Hi"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "Hello there\n"), "{}", ran.stderr);
    assert!(began.elapsed() >= Duration::from_secs(1));
    let server = ChatServer::start([Way::Busy(600)]);
    let ran = ask(&home, &server, &["-p", "Hi"]);
    assert_eq!(ran.code, Some(6));
    assert!(ran.stderr.contains("too many requests") && ran.stderr.contains("600 s"), "{}", ran.stderr);
}

#[test]
fn a_server_that_loads_its_model_is_waited_for() {
    let (home, server) = (Home::new(), ChatServer::start([]).loading());
    let ran = ask(&home, &server, &["-p", "Hi"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "Hello there\n"), "{}", ran.stderr);
}

#[test]
fn two_engines_in_one_line_are_a_contradiction() {
    let home = Home::new();
    home.write("home/config/config.toml", "[engines.lab]\nurl = \"http://lab.invalid:8000\"\n");
    let ran = home.run(&["--engine", "llama", "-m", "small@lab", "-p", "Hi", "--private"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("names one engine and `--engine llama` another"), "{}", ran.stderr);
}

#[test]
fn a_server_that_takes_only_plain_requests_gets_one() {
    let (home, server) = (Home::new(), ChatServer::start([Way::Status(400, "unknown field top_k")]));
    let ran = ask(&home, &server, &["-p", "Hi"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "Hello there\n"));
    let asked = server.completions();
    assert!(asked[0].body.get("top_k").is_some() && asked[1].body.get("top_k").is_none());
    let server = ChatServer::start([Way::Status(400, "too long"), Way::Status(400, "too long")]);
    let items = "{\"prompt\": \"a\"}\n{\"prompt\": \"b\"}\n";
    home.write("items.ndjson", items);
    home.run(&["batch", "items.ndjson", "--engine", &server.url(), "--parallel", "1"]);
    let asked = server.completions();
    assert!(asked[2].body.get("top_k").is_some(), "what is refused for its length is no reason to ask for less");
}

#[test]
fn a_key_comes_from_the_environment_or_a_file_of_ones_own_and_its_lack_is_told() {
    let (home, server) = (Home::new(), ChatServer::start([]).wanting("sk-7"));
    let ran = ask(&home, &server, &["-p", "Hi"]);
    assert_eq!(ran.code, Some(6));
    assert!(
        ran.stderr.contains("status 401: Invalid API key") && ran.stderr.contains("TUICHAT_ENGINE_KEY"),
        "{}",
        ran.stderr
    );
    let mut command = home.command(&["--engine", &server.url(), "-p", "Hi"]);
    let output = command.env("TUICHAT_ENGINE_KEY", "sk-7").stdin(Stdio::null()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "Hello there\n");
    home.write("home/config/config.toml", format!("[engines.lab]\nurl = \"{}\"\nkey_env = \"LAB\"\n", server.url()));
    let mut command = home.command(&["--engine", "lab", "-p", "Hi"]);
    let output = command.env("LAB", "sk-7").stdin(Stdio::null()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "Hello there\n", "{}", String::from_utf8_lossy(&output.stderr));
    let ran = home.run(&["engines", "check", "lab"]);
    assert!(ran.stderr.contains("`export LAB=") && !ran.stderr.contains("sk-7"), "{}", ran.stderr);
}

#[test]
fn a_schema_is_passed_on_and_the_answer_is_checked_here() {
    let ways = [Way::Words(vec!["{\"name\": \"Ada\", \"age\": 36}"]), Way::Words(vec!["no JSON"])];
    let (home, server) = (Home::new(), ChatServer::start(ways));
    let schema = ["-p", "Who?", "--schema", "name, age int"];
    assert_eq!(ask(&home, &server, &schema).code, Some(0));
    let format = &server.completions()[0].body["response_format"];
    assert_eq!(format["json_schema"]["schema"]["required"][0], "name", "{format}");
    assert_eq!(ask(&home, &server, &schema).code, Some(7), "a server may not know schemas");
    let refusal = "Input should be 'text' or 'json_object' (response_format)";
    let ways =
        [Way::Status(500, refusal), Way::Status(500, refusal), Way::Words(vec!["{\"name\": \"Ada\", \"age\": 36}"])];
    let server = ChatServer::start(ways);
    assert_eq!(ask(&home, &server, &schema).code, Some(0));
    assert_eq!(server.completions()[2].body["response_format"]["type"], "json_object", "as servers had it before");
}

#[test]
fn a_batch_is_answered_side_by_side_and_a_bad_answer_is_one_line() {
    let mut ways: Vec<Way> = (0..49).map(|_| Way::Slow("well", Duration::from_millis(60))).collect();
    ways.insert(20, Way::Status(500, "no"));
    let (home, server) = (Home::new(), ChatServer::start(ways));
    let items: String =
        (0..50).map(|number| format!("{{\"id\": {number}, \"prompt\": \"Item {number}\"}}\n")).collect();
    home.write("items.ndjson", items);
    let ran = home.run(&["batch", "items.ndjson", "--engine", &server.url(), "--parallel", "8"]);
    let lines: Vec<serde_json::Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ids: Vec<u64> = lines.iter().map(|line| line["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, (0..50).collect::<Vec<u64>>());
    let failed = lines.iter().filter(|line| !line["error"].is_null()).count();
    assert_eq!((failed, server.completions().len()), (1, 50), "{}", ran.stderr);
    assert!(lines.iter().filter(|line| line["text"] == "well").count() == 49);
    assert_eq!(server.most_under_way(), 8);
}

#[test]
fn a_stopped_answer_closes_its_connection() {
    let (home, server) = (Home::new(), ChatServer::start([Way::Slow("Well", Duration::from_secs(60))]));
    let mut command = home.command(&["--engine", &server.url(), "-p", "Hi"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut word = [0; 4];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut word).unwrap();
    assert_eq!(&word, b"Well");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let began = Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(began.elapsed() < Duration::from_secs(10));
    let mut rest = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(rest.next().is_none_or(|line| !line.unwrap().contains("panicked")));
}

#[test]
fn among_several_models_one_is_named_and_the_list_has_them_beside_those_here() {
    let (home, server) = (Home::new(), ChatServer::start([]).with_models(&["small", "/models/large.gguf"]));
    let ran = ask(&home, &server, &["-p", "Hi"]);
    assert_eq!(ran.code, Some(6));
    assert!(ran.stderr.contains("name one with `-m`: `small`, `large`"), "{}", ran.stderr);
    home.write("home/config/config.toml", format!("[engines.lab]\nurl = \"{}\"\n", server.url()));
    assert_eq!(home.run(&["-m", "large@lab", "-p", "Hi"]).stdout, "Hello there\n");
    assert_eq!(server.completions()[0].body["model"], "/models/large.gguf");
    let listed = home.run(&["models", "list"]).stdout;
    assert!(listed.contains("On lab, this machine:\nsmall@lab\nlarge@lab\n"), "{listed}");
    let listed = home.run(&["engines", "list"]).stdout;
    assert!(listed.contains("lab") && listed.contains("this machine"), "{listed}");
}

#[test]
fn nobody_is_spoken_to_where_that_is_not_wanted() {
    let home = Home::new();
    home.write("home/config/config.toml", "[engines.lab]\nurl = \"http://lab.invalid:8000\"\n");
    let ran = home.run(&["--engine", "lab", "--offline", "-p", "Hi"]);
    assert_eq!(ran.code, Some(6));
    assert!(ran.stderr.contains("another machine (lab.invalid), and `offline` is set"), "{}", ran.stderr);
    home.write("home/config/config.toml", "engine = \"lab\"\n[engines.lab]\nurl = \"http://lab.invalid:8000\"\n");
    let ran = home.run(&["--private", "-p", "Hi"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("`private` is set") && ran.stderr.contains("`--engine lab`"), "{}", ran.stderr);
    home.write("home/config/config.toml", "model = \"m@lab\"\n[engines.lab]\nurl = \"http://lab.invalid:8000\"\n");
    let ran = home.run(&["--engine", "llama", "--offline", "-p", "Hi"]);
    assert!(!ran.stderr.contains("lab"), "what is typed goes before what is set: {}", ran.stderr);
    let server = ChatServer::start([]);
    assert_eq!(ask(&home, &server, &["--offline", "-p", "Hi"]).code, Some(0), "a server of this machine is no network");
}

#[test]
fn an_engine_that_is_not_there_is_a_sentence() {
    let home = Home::new();
    for (engine, code, part) in [
        ("http://127.0.0.1:1", 6, "`tuichat engines check http://127.0.0.1:1/v1` tells"),
        ("nowhere", 2, "there is no engine `nowhere`"),
        ("localhost:8080", 2, "`http://localhost:8080`"),
    ] {
        let ran = home.run(&["--engine", engine, "-p", "Hi"]);
        assert_eq!(ran.code, Some(code), "{engine}: {}", ran.stderr);
        assert!(ran.stderr.contains(part), "{engine}: {}", ran.stderr);
    }
}

#[test]
fn a_model_of_an_engine_that_is_not_there_is_a_sentence_about_both() {
    let home = Home::new();
    home.write("home/config/config.toml", "[engines.lab]\nurl = \"http://127.0.0.1:1\"\n");
    for arguments in [&["-m", "small@nowhere", "-p", "Hi"][..], &["bench", "small@nowhere"]] {
        let ran = home.run(arguments);
        assert_eq!(ran.code, Some(1), "{}", ran.stderr);
        let sentence =
            "no model named `small@nowhere` is here, and there is no engine `nowhere`: config.toml describes `lab`";
        assert!(ran.stderr.contains(sentence), "{}", ran.stderr);
    }
    for path in ["./small@2.gguf", "small@2.gguf", "at@home/small"] {
        let ran = home.run(&["-m", path, "-p", "Hi"]);
        assert!(ran.code == Some(1) && !ran.stderr.contains("engine"), "a path is no server: {}", ran.stderr);
    }
}

#[test]
fn a_server_that_cannot_be_asked_is_shown_with_its_address_and_the_reason() {
    let home = Home::new();
    home.write("home/config/config.toml", "[engines.lab]\nurl = \"http://127.0.0.1:1\"\nkey_env = \"NO_SUCH_KEY\"\n");
    let listed = home.run(&["engines", "list"]).stdout;
    assert!(listed.contains("http://127.0.0.1:1/v1") && listed.contains("`export NO_SUCH_KEY=…`"), "{listed}");
    let listed = home.run(&["engines", "list", "--json"]).json();
    let lab = &listed[0];
    assert_eq!((&lab["url"], &lab["has_key"]), (&"http://127.0.0.1:1/v1".into(), &Value::Null));
    assert!(lab["problem"].as_str().is_some_and(|problem| problem.contains("NO_SUCH_KEY")), "{lab}");
}

#[test]
fn a_check_that_fails_tells_a_script_why() {
    let ran = Home::new().run(&["engines", "check", "http://127.0.0.1:1", "--json"]);
    let object = ran.json();
    assert_eq!((ran.code, &object["models"], &object["tells"]), (Some(6), &Value::Null, &Value::Null));
    assert_eq!(object["url"], "http://127.0.0.1:1/v1");
    let problem = object["problem"].as_str().expect("a sentence");
    assert!(ran.stderr.contains(problem), "{problem}: {}", ran.stderr);
}

#[test]
fn an_answer_that_goes_round_in_circles_is_ended() {
    let (home, server) = (Home::new(), ChatServer::start([Way::Words(vec!["again "; 600])]));
    let object = ask(&home, &server, &["-p", "Hi", "-o", "json"]).json();
    assert_eq!((&object["finish_reason"], &object["repetition"]["period"]), (&"loop".into(), &1.into()));
}
