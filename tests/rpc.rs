//! Models that servers of llama.cpp's RPC compute. Where the build can use them and `TUICHAT_RPC_SERVER` names the program
//! (`ggml-rpc-server` of the same llama.cpp), two are started on this machine; else those tests say that they were skipped.

mod common;

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::program::{Home, Ran};
use common::real_models::{say_skipped, test_model};
use common::tiny_gguf::TinyModel;

const HAS_RPC: bool = cfg!(feature = "rpc");

/// A server on this machine, as long as this lives.
struct Server {
    child: Child,
    name: String,
}

impl Server {
    /// `None` if there is no program for it.
    fn start() -> Option<Self> {
        let program = std::env::var_os("TUICHAT_RPC_SERVER").filter(|_| HAS_RPC);
        let Some(program) = program else {
            say_skipped(
                "the build cannot use RPC, or `TUICHAT_RPC_SERVER` does not name llama.cpp's `ggml-rpc-server`",
            );
            return None;
        };
        let name = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let port = name.port().to_string();
        let child = Command::new(program)
            .args(["-H", "127.0.0.1", "-t", "1", "-p", &port])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(name).is_err() {
            assert!(Instant::now() < deadline, "the server does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Self { child, name: name.to_string() })
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

fn two_servers() -> Option<[Server; 2]> {
    Some([Server::start()?, Server::start()?])
}

fn device_of(servers: &[Server]) -> String {
    let names: Vec<&str> = servers.iter().map(|server| server.name.as_str()).collect();
    format!("rpc:{}", names.join(",rpc:"))
}

fn ask(home: &Home, model: &Path, device: &str, more: &[&str]) -> Ran {
    let arguments =
        ["-m", model.to_str().unwrap(), "-p", "What is the capital of France?", "-o", "json", "--temp", "0"];
    home.run(&[&arguments[..], &["--max-tokens", "24", "--device", device], more].concat())
}

#[test]
fn a_server_that_cannot_be_is_a_mistake_in_typing() {
    let home = Home::new();
    for wrong in ["rpc", "rpc:50052", "rpc:board:0", "rpc:a:1,,b:2"] {
        let ran = home.run(&["--device", wrong, "-p", "hi"]);
        assert_eq!(ran.code, Some(2), "{wrong}: {}", ran.stderr);
        assert!(ran.stderr.contains("rpc"), "{wrong}: {}", ran.stderr);
    }
}

#[test]
fn other_machines_are_refused_unless_they_are_allowed() {
    let home = Home::new();
    let model = home.write("tiny.gguf", TinyModel::default().bytes());
    let refused = ask(&home, &model, "rpc:192.0.2.1:50052", &[]);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("`--rpc-network on`"), "{}", refused.stderr);
    let offline = ask(&home, &model, "rpc:192.0.2.1:50052", &["--rpc-network", "on", "--offline"]);
    assert_eq!(offline.code, Some(1), "{}", offline.stderr);
    assert!(offline.stderr.contains("`--offline=no`"), "{}", offline.stderr);
}

#[test]
fn a_server_that_is_not_there_is_a_sentence() {
    let home = Home::new();
    let model = home.write("tiny.gguf", TinyModel::default().bytes());
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let ran = ask(&home, &model, &format!("rpc:127.0.0.1:{port}"), &[]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let expected = if HAS_RPC { "there is no RPC server at 127.0.0.1" } else { "--features rpc" };
    assert!(ran.stderr.contains(expected), "{}", ran.stderr);
}

#[test]
fn two_servers_say_what_the_cpu_says_and_a_notice_warns() {
    let Some(servers) = two_servers() else { return };
    let home = Home::new();
    let model = home.write("tiny.gguf", TinyModel::default().bytes());
    let cpu = ask(&home, &model, "cpu", &[]);
    for more in [&[][..], &["--gpu-layers", "2"]] {
        let shared = ask(&home, &model, &device_of(&servers), more);
        assert_eq!(shared.code, Some(0), "{}", shared.stderr);
        assert_eq!(shared.json()["device"]["backend"], "RPC");
        assert_eq!(shared.json()["text"], cpu.json()["text"]);
        assert!(shared.stderr.contains("encrypts nothing"), "{}", shared.stderr);
    }
}

#[test]
fn a_real_model_answers_on_two_servers_as_on_the_cpu() {
    let Some(servers) = two_servers() else { return };
    let Some(model) = test_model() else { return };
    let home = Home::new();
    let cpu = ask(&home, &model, "cpu", &[]);
    let shared = ask(&home, &model, &device_of(&servers), &[]);
    assert_eq!((shared.code, &shared.json()["device"]["backend"]), (Some(0), &"RPC".into()), "{}", shared.stderr);
    assert_eq!(shared.json()["text"], cpu.json()["text"]);
}

#[test]
fn a_server_that_ends_in_the_middle_of_an_answer_is_a_sentence() {
    let Some(mut servers) = two_servers() else { return };
    let home = Home::new();
    let model = home.write("tiny.gguf", TinyModel::default().context(8192).bytes());
    let device = device_of(&servers);
    let arguments = ["-m", model.to_str().unwrap(), "-p", "hi", "-o", "ndjson", "--max-tokens", "8000", "--seed", "1"];
    let mut command = home.command(&[&arguments[..], &["--loop-breaker", "off", "--device", &device]].concat());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("\"token\"")), "no token came");
    servers[1].end();
    let told: Vec<String> = lines.collect();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(1), "{status} {stderr}");
    let expected = format!("the RPC server at {} is gone", servers[1].name);
    assert!(stderr.contains(&expected) || told.iter().any(|line| line.contains(&expected)), "{stderr} {told:?}");
}
