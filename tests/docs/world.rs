//! The home of somebody who has all that the guide speaks of: models, chats, runs of the bench, files, a server, and a hub.

use std::fs;
use std::io::Write;
use std::path::Path;

use super::common::chat_server::ChatServer;
use super::common::hub_server::{FILE, HubServer, REPOSITORY, TAG, sha256};
use super::common::program::Home;
use super::common::tiny_gguf::TinyModel;

/// The model that is installed.
pub const MODEL: &str = "tiny";
/// A model file that is not.
const OTHER: &str = "other.gguf";
/// Where exported models are.
const STICK: &str = "stick";
/// What a meter beside the machine writes.
pub const METER: &str = "watts.csv";
const ARCHIVE: &str = "models.zip";

/// A home to make copies of, and who is asked from there.
pub struct World {
    home: Home,
    /// With one model.
    server: ChatServer,
    /// With several; it is also the one that is described as `lab`.
    lab: ChatServer,
    hub: HubServer,
    other_sha256: String,
}

impl World {
    pub fn new() -> Self {
        let home = Home::new();
        let server = ChatServer::start([]);
        let lab = ChatServer::start([]).with_models(&[MODEL, "small", "qwen2.5:0.5b"]);
        let model = TinyModel::default().context(2048).ending();
        let hub = HubServer::start(model.clone().seed(3).bytes()).hits(HITS);
        let other = model.clone().seed(2).bytes();
        home.write("tiny.gguf", model.bytes());
        home.write(OTHER, &other);
        let mut archive = zip::ZipWriter::new(fs::File::create(home.path(ARCHIVE)).unwrap());
        archive.start_file(OTHER, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(&other).unwrap();
        archive.finish().unwrap();
        for (name, text) in FILES {
            home.write(name, text);
        }
        let address = lab.url();
        let config =
            format!("model = \"{MODEL}\"\nmax_tokens = 8\n\n[engines.lab]\nurl = \"{address}\"\nmodel = \"{MODEL}\"\n");
        home.write("home/config/config.toml", config);
        let world = Self { home, server, lab, hub, other_sha256: sha256(&other) };
        for line in [
            "models import tiny.gguf",
            "models export tiny stick",
            "chats import first.jsonl",
            "bench tiny --rounds 1 --power none --cool-down off --quiet",
            // What this machine can do is measured once, and kept.
            "models list --catalog",
        ] {
            let words: Vec<&str> = line.split(' ').collect();
            let ran = world.home.run(&words);
            assert_eq!(ran.code, Some(0), "{line}: {}", ran.stderr);
        }
        world
    }

    /// A home like it, of one's own.
    pub fn copy(&self) -> Home {
        let home = Home::new();
        copy(self.home.folder.path(), home.folder.path());
        home
    }

    /// Where models come from.
    pub fn hub(&self) -> String {
        self.hub.endpoint()
    }

    /// The words of a call with what there is in the place of what the guide leaves open.
    pub fn call(&self, written: &[String]) -> Vec<String> {
        let begin = &written[..written.len().min(3)];
        let is_of = |words: &[&str]| words.iter().all(|word| begin.iter().any(|it| it == word));
        let meant = |word: &String| {
            // What has several words is a text, not the name of something.
            let is_text = word.contains(' ');
            let bare = if is_text { word } else { word.trim_matches(['[', ']']).trim_end_matches('…') };
            Some(match bare {
                "" => return None,
                "MODEL" | "BIG" | "SMALL" | "NAME" | "NAME|FILE" => MODEL.into(),
                "chats.jsonl" if is_of(&["chats", "export"]) => "exported.jsonl".into(),
                "qwen2.5-1.5b-instruct" if is_of(&["models", "export"]) => MODEL.into(),
                "FILE" if is_of(&["chats"]) => "first.jsonl".into(),
                "FILE" if is_of(&["bench"]) => METER.into(),
                "FILE" | "model.gguf" => OTHER.into(),
                "12" if is_of(&["chats"]) => "1".into(),
                "qwen2.5-0.5b-instruct" | "qwen2.5-1.5b-instruct" if begin[0] != "models" || is_of(&["show"]) => {
                    MODEL.into()
                }
                "FOLDER" | "/media/stick" if is_of(&["import"]) => STICK.into(),
                "FOLDER" | "/media/stick" => "another-stick".into(),
                "ARCHIVE" => ARCHIVE.into(),
                "PATH" => OTHER.into(),
                "HEX" => self.other_sha256.clone(),
                "llama-bench=PATH" => "llama-bench=/bin/false".into(),
                "ID" => "1".into(),
                "TITLE" => "Bread".into(),
                "RUN" => "last".into(),
                "4-7" => "0".into(),
                "http://localhost:8080" => self.server.url(),
                "http://localhost:11434" => self.lab.url(),
                _ => {
                    let named = bare.replace("OWNER/REPO", REPOSITORY).replace("/FILE", &format!("/{FILE}"));
                    named.replace("REVISION", TAG.0)
                }
            })
        };
        written.iter().filter_map(meant).collect()
    }
}

/// What a search on the hub finds.
const HITS: &str = r#"[{"_id":"1","id":"owner/model","likes":3,"downloads":70,"gated":false,"private":false,"tags":[],
    "siblings":[{"rfilename":"model-Q4_K_M.gguf"}]}]"#;

/// Names and contents of what the guide's commands read.
const FILES: [(&str, &str); 18] = [
    ("report.txt", "The bread rose well in May.\n"),
    ("notes.txt", "Ann wrote this.\n"),
    ("mail.txt", "You have won a castle.\n"),
    ("letter.txt", "From Bern we went to Basel.\n"),
    ("deploy.sh", "#!/bin/sh\nscp app host:\n"),
    ("src/main.rs", "fn main() {}\n"),
    ("list.gbnf", "root ::= \"apple\" | \"pear\"\n"),
    ("person.json", "{\"type\": \"object\", \"properties\": {\"name\": {\"type\": \"string\"}}}\n"),
    ("backup.sh", "#!/bin/sh\ntar -czf backup.tar.gz \"$HOME\"\n"),
    ("contract.txt", "This contract is signed by Ann and by Ben. It ends in May.\n"),
    ("book.txt", "The keeper of the lighthouse is called Ann.\n"),
    ("items.ndjson", "{\"prompt\": \"Why is the sky blue?\"}\n{\"id\": \"hi\", \"prompt\": \"Hello\"}\n"),
    (METER, "time,watts\n"),
    ("home/config/prompts/mail.md", "Reply to {{to}} in a {{tone}} tone: {{prompt}}\n"),
    ("first.jsonl", CHATS),
    ("chats.jsonl", CHATS),
    ("conversations.json", CONVERSATIONS),
    ("person/.ollama/history", "How is bread made?\n"),
];
const CHATS: &str = "{\"messages\": [{\"role\": \"user\", \"content\": \"How is bread made?\"}, \
                     {\"role\": \"assistant\", \"content\": \"With flour, all of it.\"}]}\n\
                     {\"messages\": [{\"role\": \"user\", \"content\": \"Why is the sky blue?\"}, \
                     {\"role\": \"assistant\", \"content\": \"It scatters.\"}]}\n\
                     {\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}, \
                     {\"role\": \"assistant\", \"content\": \"Hello.\"}]}\n";

const CONVERSATIONS: &str = "[{\"title\": \"Tea\", \"messages\": [{\"role\": \"user\", \"content\": \"Tea?\"}]}]";

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy(&source, &target);
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&source).unwrap(), &target).unwrap();
        } else if kind.is_file() {
            fs::copy(&source, &target).unwrap();
        }
    }
}
