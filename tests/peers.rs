//! Other programs measured beside this one: servers on this machine that answer well, badly, or not at all, and a program
//! in the place of llama-bench.
#![cfg(unix)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use common::hub_server::sha256;
use common::program::{Home, Ran};
use common::tiny_gguf::TinyModel;
use serde_json::{Value, json};

type Requests = Arc<Mutex<Vec<(String, Value)>>>;

/// A server on this machine that writes what `answer` does with a path and a body.
fn serve(answer: impl Fn(&str, &Value, &mut TcpStream) + Send + 'static) -> (String, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let requests = Requests::default();
    let seen = Arc::clone(&requests);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let Some((path, body)) = request(&stream) else { continue };
            seen.lock().unwrap().push((path.clone(), body.clone()));
            answer(&path, &body, &mut stream);
        }
    });
    (address, requests)
}

fn request(stream: &TcpStream) -> Option<(String, Value)> {
    let mut reader = BufReader::new(stream);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).ok()?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim().to_lowercase();
        match line.strip_prefix("content-length:") {
            Some(number) => length = number.trim().parse().ok()?,
            None if line.is_empty() => break,
            None => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let path = first.split(' ').nth(1)?.to_owned();
    Some((path, serde_json::from_slice(&body).unwrap_or_default()))
}

fn respond(stream: &mut TcpStream, status: u16, body: &Value) {
    let body = body.to_string();
    let _ = write!(stream, "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
}

fn begin_stream(stream: &mut TcpStream) {
    let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n");
}

fn event(stream: &mut TcpStream, data: &Value) {
    let _ = write!(stream, "data: {data}\n\n").and_then(|()| stream.flush());
}

fn piece(text: &str, finish: Option<&str>) -> Value {
    json!({"choices": [{"index": 0, "text": text, "finish_reason": finish}]})
}

fn count(body: &Value) -> u64 {
    match &body["prompt"] {
        Value::Array(tokens) => tokens.len() as u64,
        text => text.as_str().unwrap().split_whitespace().count() as u64,
    }
}

/// Answers as llama-server does, with its times: 2000 tokens a second read, 200 written.
fn complete(body: &Value, stream: &mut TcpStream) {
    let written = body["max_tokens"].as_u64().unwrap();
    begin_stream(stream);
    event(stream, &piece("a", None));
    let mut last = piece("", Some("length"));
    let prompt = count(body);
    last["timings"] = json!({
        "prompt_n": prompt, "prompt_ms": prompt as f64 / 2.0,
        "predicted_n": written, "predicted_ms": (written - 1) as f64 * 5.0,
    });
    event(stream, &last);
    let _ = write!(stream, "data: [DONE]\n\n");
}

/// A server that answers so many questions, and breaks off in the middle of every later answer.
fn serve_and_break_off(whole: u32) -> String {
    let answered = Mutex::new(0);
    let (address, _) = serve(move |path, body, stream| match path {
        "/v1/models" => respond(stream, 200, &json!({"data": [{"id": "tiny"}]})),
        "/v1/completions" => {
            let mut answered = answered.lock().unwrap();
            *answered += 1;
            if *answered <= whole {
                complete(body, stream);
            } else {
                begin_stream(stream);
                event(stream, &piece("a", None));
            }
        }
        _ => respond(stream, 404, &json!({})),
    });
    address
}

fn home() -> Home {
    let home = Home::new();
    TinyModel::default().context(2048).write(&home.path("tiny.gguf")).unwrap();
    home
}

fn bench(home: &Home, peers: &[String]) -> Ran {
    let mut arguments = vec!["bench", "./tiny.gguf", "--rounds", "3", "--threads", "1", "--json", "--private"];
    arguments.extend(["--power", "none", "--cool-down", "off"]);
    for peer in peers {
        arguments.extend(["--peer", peer]);
    }
    home.run(&arguments)
}

/// The cases of a program.
fn cases(ran: &Ran, runtime: &str) -> Vec<Value> {
    let lines = ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["record"] == "case" && line["runtime"] == runtime).collect()
}

fn speeds(cases: &[Value]) -> Vec<(String, f64)> {
    cases.iter().map(|case| (case["test"].as_str().unwrap().into(), case["avg_ts"].as_f64().unwrap())).collect()
}

#[test]
fn a_server_is_measured_in_the_same_rounds_with_the_same_tokens() {
    let (address, requests) = serve(|path, body, stream| match path {
        "/v1/models" => respond(stream, 200, &json!({"data": [{"id": "tiny"}]})),
        "/props" => respond(stream, 200, &json!({"build_info": "b77-abc"})),
        _ => complete(body, stream),
    });
    let ran = bench(&home(), &[format!("openai={address}")]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("whether `tiny` is made of the same file cannot be told"), "{}", ran.stderr);
    let theirs = cases(&ran, "openai");
    let expected = [("pp512".to_owned(), 2000.0), ("tg128".to_owned(), 200.0)];
    for ((test, speed), (name, wanted)) in speeds(&theirs).into_iter().zip(expected) {
        assert!(test == name && (speed / wanted - 1.0).abs() < 1e-6, "{test}: {speed}");
    }
    assert_eq!((theirs.len(), theirs[0]["samples_ts"].as_array().unwrap().len()), (2, 3));
    assert_eq!((&theirs[0]["n_prompt"], &theirs[1]["n_gen"]), (&512.into(), &128.into()));
    assert_eq!(theirs[0]["runtime_version"], "b77-abc");
    let ours = cases(&ran, "tuichat");
    let ours = ours.iter().find(|case| case["test"] == "pp512").unwrap();
    let ratio = theirs[0]["ratio_to_tuichat"].as_f64().unwrap();
    let samples: Vec<f64> =
        ours["samples_ts"].as_array().unwrap().iter().map(|speed| speed.as_f64().unwrap()).collect();
    let mean = (samples.iter().map(|speed| speed.ln()).sum::<f64>() / samples.len() as f64).exp();
    assert!((ratio * mean / 2000.0 - 1.0).abs() < 1e-3, "of the geometric mean of the rounds: {ratio} {samples:?}");
    assert!(theirs[0]["ratio_ci95_low"].as_f64().unwrap() <= ratio);

    let requests = requests.lock().unwrap();
    let long: Vec<&Value> = requests.iter().map(|(_, body)| body).filter(|body| body["max_tokens"] == 1).collect();
    assert_eq!(long.len(), 4, "three rounds, and one to warm up");
    assert!(long.iter().all(|body| count(body) == 512 && body["cache_prompt"] == false && body["ignore_eos"] == true));
    assert!(long.windows(2).all(|pair| pair[0]["prompt"] != pair[1]["prompt"]), "no cache of prompts helps");
}

#[test]
fn a_server_that_tells_no_times_and_takes_no_tokens_is_timed_from_here() {
    let (address, requests) = serve(|path, body, stream| match path {
        "/v1/models" => respond(stream, 200, &json!({"data": [{"id": "tiny"}]})),
        "/v1/completions" if body["prompt"].is_array() => {
            respond(stream, 400, &json!({"error": {"message": "prompt must be a string"}}));
        }
        "/v1/completions" if body.get("ignore_eos").is_some() => {
            respond(stream, 422, &json!({"error": {"message": "unknown field"}}));
        }
        "/v1/completions" => {
            let written = body["max_tokens"].as_u64().unwrap();
            begin_stream(stream);
            thread::sleep(Duration::from_millis(20));
            for token in 0..written {
                thread::sleep(Duration::from_millis(1));
                event(stream, &piece("a", (token + 1 == written).then_some("length")));
            }
            event(stream, &json!({"choices": [], "usage": {"prompt_tokens": 500, "completion_tokens": written}}));
            let _ = write!(stream, "data: [DONE]\n\n");
        }
        _ => respond(stream, 404, &json!({})),
    });
    let ran = bench(&home(), &[format!("openai=http://{address}/v1")]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let theirs = cases(&ran, "openai");
    assert_eq!((theirs.len(), &theirs[0]["n_prompt"]), (2, &500.into()), "{}", ran.stderr);
    let speeds = speeds(&theirs);
    assert!(speeds[0].1 < 500.0 / 0.020 && speeds[1].1 < 1000.0, "no faster than it can have been: {speeds:?}");
    assert!(requests.lock().unwrap().iter().any(|(_, body)| body["prompt"].is_string()));
}

#[test]
fn a_server_of_ollama_is_asked_for_the_model_of_this_file() {
    let home = home();
    let hash = sha256(&std::fs::read(home.path("tiny.gguf")).unwrap());
    let (address, requests) = serve(move |path, body, stream| {
        let answer = match path {
            "/api/version" => json!({"version": "0.9.0"}),
            "/api/tags" => json!({"models": [{"name": "other:1b"}, {"name": "tiny:latest"}]}),
            "/api/show" if body["model"] == "tiny:latest" => {
                json!({"modelfile": format!("FROM /blobs/sha256-{hash}\n")})
            }
            "/api/show" => json!({"modelfile": "FROM /blobs/sha256-00\n"}),
            _ => {
                let written = body["options"]["num_predict"].as_u64().unwrap();
                json!({"done": true, "prompt_eval_count": 500, "prompt_eval_duration": 500_000_000_u64,
                    "eval_count": written, "eval_duration": (written - 1) * 10_000_000})
            }
        };
        respond(stream, 200, &answer);
    });
    let ran = bench(&home, &[format!("ollama={address}")]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let theirs = cases(&ran, "ollama");
    let speeds: Vec<u64> = speeds(&theirs).iter().map(|(_, speed)| speed.round() as u64).collect();
    assert_eq!((speeds, &theirs[0]["runtime_version"]), (vec![1000, 100], &"0.9.0".into()), "{}", ran.stderr);
    let requests = requests.lock().unwrap();
    let generated: Vec<&Value> =
        requests.iter().filter(|(path, _)| path == "/api/generate").map(|(_, it)| it).collect();
    assert!(generated.iter().all(|body| body["model"] == "tiny:latest" && body["raw"] == true));
    assert!(generated.iter().all(|body| body["options"]["num_thread"] == 1));
}

#[test]
fn what_a_peer_does_wrong_is_told_and_our_own_figures_stay() {
    let home = home();
    let (failing, _) = serve(|path, _, stream| match path {
        "/v1/models" => respond(stream, 200, &json!({"data": [{"id": "tiny"}]})),
        _ => respond(stream, 500, &json!({"error": {"message": "no slot\u{1b}[31m"}})),
    });
    // The trial, warming up and the first round are whole.
    let cut = serve_and_break_off(5);
    let (other, _) = serve(|_, _, stream| {
        respond(stream, 200, &json!({"data": [{"id": "big", "meta": {"n_params": 7, "size": 9}}]}));
    });
    let (several, _) = serve(|_, _, stream| respond(stream, 200, &json!({"data": [{"id": "a"}, {"id": "b"}]})));
    let (empty, _) = serve(|_, _, stream| respond(stream, 200, &json!({"models": []})));
    let program = home.write("llama-bench", "#!/bin/sh\necho 'cannot load the model' >&2\nexit 1\n");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let peers = [
        format!("openai={failing}"),
        format!("openai={cut}"),
        format!("openai={other}"),
        format!("openai={several}"),
        "openai=127.0.0.1:1".to_owned(),
        format!("ollama={empty}"),
        format!("llama-bench={}", program.display()),
        "llama-bench=/no/such/program".to_owned(),
    ];
    let ran = bench(&home, &peers);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for part in [
        "answers with status 500: no slot<U+001B>[31m",
        "openai 2 is left out from here on: it broke off in the middle of an answer",
        "its `big` is another model: it has 7 parameters, and this one",
        "it has several models (a, b); name one with `openai=URL#NAME`",
        "openai=http://127.0.0.1:1/ is left out: ",
        "none of its models () is made of this file",
        "llama-bench` failed: cannot load the model",
        "cannot start `/no/such/program`: no such file or directory",
    ] {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
    let ours = speeds(&cases(&ran, "tuichat"));
    assert!(ours.iter().any(|(test, _)| test == "pp512") && ours.iter().any(|(test, _)| test == "tg128"), "{ours:?}");
    let theirs = cases(&ran, "openai 2");
    assert_eq!(theirs[0]["samples_ts"].as_array().unwrap().len(), 1, "what it did counts: {}", ran.stderr);
}

#[test]
fn a_peer_that_is_none_or_of_no_use_is_refused() {
    let home = Home::new();
    for (arguments, part) in [
        (&["bench", "--peer", "vllm=http://x"][..], "`vllm` is no program that can be measured"),
        (&["bench", "--peer", "ollama"], "it must be `llama-bench=PATH`"),
        (&["bench", "--suite", "kv", "--peer", "ollama=localhost"], "`--peer` is for another suite"),
    ] {
        let ran = home.run(arguments);
        assert!(ran.code == Some(2) && ran.stderr.contains(part), "{arguments:?}: {}", ran.stderr);
    }
}
