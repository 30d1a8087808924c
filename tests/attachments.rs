//! What is attached, from outside: files of all kinds with `--file`, and in the chat folders, commands and what is asked
//! before these run.
#![cfg(unix)]

mod common;
#[path = "common/pty.rs"]
#[allow(dead_code)]
mod pty;

use common::program::{HELLO, Home, Ran};
use common::tiny_gguf::{CHATML, TinyModel};
use portable_pty::CommandBuilder;
use pty::Pty;

/// A PDF of one page for each text, as a program writes it; a page without one has nothing on it.
fn pdf(pages: &[&str]) -> Vec<u8> {
    let mut objects = vec!["<< /Type /Catalog /Pages 2 0 R >>".to_owned(), String::new()];
    objects.push("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".into());
    let mut kids = Vec::new();
    for text in pages {
        let page = objects.len() + 1;
        kids.push(format!("{page} 0 R"));
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {} 0 R \
             /Resources << /Font << /F1 3 0 R >> >> >>",
            page + 1
        ));
        let drawn = if text.is_empty() { String::new() } else { format!("BT /F1 12 Tf 72 720 Td ({text}) Tj ET") };
        objects.push(format!("<< /Length {} >>\nstream\n{drawn}\nendstream", drawn.len()));
    }
    objects[1] = format!("<< /Type /Pages /Kids [{}] /Count {} >>", kids.join(" "), kids.len());
    let mut bytes = b"%PDF-1.4\n".to_vec();
    let mut places = Vec::new();
    for (index, object) in objects.iter().enumerate() {
        places.push(bytes.len());
        bytes.extend(format!("{} 0 obj\n{object}\nendobj\n", index + 1).bytes());
    }
    let table = bytes.len();
    bytes.extend(format!("xref\n0 {}\n0000000000 65535 f \n", places.len() + 1).bytes());
    bytes.extend(places.iter().flat_map(|place| format!("{place:010} 00000 n \n").into_bytes()));
    let size = places.len() + 1;
    bytes.extend(format!("trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n").bytes());
    bytes
}

fn home() -> Home {
    let home = Home::new();
    home.write("script.toml", HELLO);
    home
}

fn ask(home: &Home, files: &[&str]) -> Ran {
    let engine = ["--engine", "scripted:script.toml", "-m", "x.gguf", "-p", "Sum up", "--file"];
    home.run(&[&engine[..], files].concat())
}

/// What reading a file comes to: the child that reads it does so.
fn read(home: &Home, format: &str, file: &str) -> std::process::Output {
    let input = std::fs::File::open(home.path(file)).unwrap();
    home.command(&["__read", format]).stdin(input).output().unwrap()
}

#[test]
fn a_pdf_is_read_page_by_page_and_a_scanned_one_is_refused_with_what_helps() {
    let home = home();
    home.write("paper.pdf", pdf(&["The keeper counts ships", "", "At night"]));
    let text = String::from_utf8(read(&home, "pdf", "paper.pdf").stdout).unwrap();
    assert!(text.starts_with("[page 1]\nThe keeper counts ships\n"), "{text}");
    assert!(text.contains("[page 2]\n(no text on this page)") && text.contains("[page 3]\nAt night"), "{text}");
    assert_eq!(ask(&home, &["paper.pdf"]).code, Some(0));
    home.write("scan.pdf", pdf(&["", ""]));
    let ran = ask(&home, &["scan.pdf"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("`scan.pdf` is a PDF without text, probably scanned"), "{}", ran.stderr);
    assert!(ran.stderr.contains("ocrmypdf"), "{}", ran.stderr);
}

#[test]
fn what_is_damaged_or_malicious_is_a_sentence() {
    let home = home();
    let whole = pdf(&["The keeper counts ships"]);
    for (index, cut) in [9, 40, whole.len() / 2, whole.len() - 30].into_iter().enumerate() {
        let name = format!("{index}.pdf");
        home.write(&name, &whole[..cut]);
        let ran = ask(&home, &[&name]);
        // What can be mended is read.
        assert!(matches!(ran.code, Some(0 | 2)), "{cut}: {:?} {}", ran.code, ran.stderr);
        assert!(ran.code == Some(0) || ran.stderr.contains(&format!("`{name}`")), "{}", ran.stderr);
        assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    }
    // Nested deeper than any stack is.
    let nested = format!("%PDF-1.4\n1 0 obj\n{}", "[".repeat(2_000_000));
    home.write("nested.pdf", nested);
    assert_eq!(ask(&home, &["nested.pdf"]).code, Some(2));
    home.write("nested.html", "<div>".repeat(30_000));
    let ran = ask(&home, &["nested.html"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("`nested.html`") && !ran.stderr.contains("panicked"), "{}", ran.stderr);
}

#[test]
fn a_page_a_folder_and_a_pattern_are_counted_as_what_they_say() {
    let home = home();
    TinyModel::default().template(Some(CHATML)).context(2048).write(&home.path("tiny.gguf")).unwrap();
    home.write("page.html", "<html><head><style>p { color: red }</style></head><body><p>Hello</p></body></html>");
    home.write("src/a.txt", "one");
    home.write("src/deep/b.txt", "two");
    home.write("src/logo.png", b"\x89PNG\r\n\x00");
    let tokens = |files: &[&str]| {
        let ran = home
            .run(&[&["-m", "./tiny.gguf", "--max-tokens", "1", "-o", "json", "-p", "x", "--file"][..], files].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        (ran.json()["usage"]["prompt_tokens"].as_u64().unwrap(), ran.stderr)
    };
    home.write("plain.html", "Hello");
    let (page, _) = tokens(&["page.html"]);
    let (plain, _) = tokens(&["plain.html"]);
    assert_eq!(page, plain, "nothing of its style is told");
    let (folder, told) = tokens(&["src"]);
    assert!(told.contains("1 of 3 files of `src` are no text and were left out: src/logo.png"), "{told}");
    let (pattern, told) = tokens(&["src/**/*.txt"]);
    assert_eq!((folder, told.contains("left out")), (pattern, false));
    let (both, _) = tokens(&["src/a.txt", "src/deep/b.txt"]);
    assert_eq!(pattern, both);
}

fn chat(home: &Home, arguments: &[&str]) -> Pty {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_tuichat"));
    command.env("TUICHAT_HOME", home.path("home"));
    for name in ["DISPLAY", "WAYLAND_DISPLAY"] {
        command.env_remove(name);
    }
    command.cwd(home.folder.path());
    command.args(["--engine", "scripted:script.toml", "-m", "x.gguf"]);
    command.args(arguments);
    Pty::run(command, 100, 30)
}

#[test]
fn in_the_chat_a_command_is_asked_about_and_what_it_says_is_attached() {
    let home = home();
    let mut chat = chat(&home, &[]);
    chat.wait_for("idle");
    chat.send("/run echo one >&2; exit 3\r");
    let screen = chat.wait_for("Run this command?");
    assert!(screen.contains("echo one >&2; exit 3"), "{screen}");
    chat.send("\x1b");
    chat.wait_until("the question is gone", |screen| !screen.contains("Run this command?"));
    chat.send("/attach !echo one >&2; exit 3\r");
    chat.wait_for("Run this command?");
    chat.send("\r");
    let screen = chat.wait_for("› [output of `echo one");
    assert!(screen.contains("exit status 3"), "{screen}");
    chat.send("What is it?\r");
    chat.wait_for("Hello there, you");
    chat.send("\x14");
    let screen = chat.wait_for("--- file: output of `echo one");
    assert!(screen.contains("one\n") && screen.contains("[exit status 3]"), "{screen}");
}

#[test]
fn a_command_that_does_not_end_is_stopped_with_escape() {
    let home = home();
    let mut chat = chat(&home, &[]);
    chat.wait_for("idle");
    chat.send("/run sleep 1000\r");
    chat.wait_for("Run this command?");
    chat.send("\r");
    chat.wait_for("running a command");
    chat.send("\x1b");
    chat.wait_for("`sleep 1000` was stopped, and nothing was attached");
}

#[test]
fn a_folder_is_one_word_and_its_cost_is_told_before_it_is_sent() {
    let home = home();
    home.write("src/a.rs", "fn a() {}");
    home.write("src/b.rs", "fn b() {}");
    let mut chat = chat(&home, &[]);
    chat.wait_for("idle");
    chat.send("/attach src/*.rs\r");
    let screen = chat.wait_for("[*.rs (2 files)");
    assert!(!screen.contains("fn a()"), "{screen}");
    chat.wait_until("its cost", |screen| screen.contains("the message has") && screen.contains("of the context"));
    chat.send("/drop\r");
    chat.wait_until("it is gone", |screen| !screen.contains("(2 files)"));
}
