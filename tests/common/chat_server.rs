//! A server on this machine that speaks OpenAI's chat protocol: it answers each chat completion in the next of the ways it
//! was told, and well once it has none left.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// How one chat completion is answered.
#[derive(Clone, Debug)]
pub enum Way {
    /// These words, as events with usage at the end.
    Words(Vec<&'static str>),
    /// Thoughts in a field of their own, then an answer.
    Thinking(&'static str, &'static str),
    /// One word, and then nothing for so long.
    Slow(&'static str, Duration),
    /// A word, and the connection is closed.
    Dies(&'static str),
    /// A word, and an error of the server's own.
    Fails(&'static str, &'static str),
    /// These bytes, whatever they are.
    Raw(&'static str),
    /// An error before anything streams.
    Status(u16, &'static str),
    /// The server is busy and says for how many seconds.
    Busy(u16),
}

/// What was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    pub path: String,
    pub key: Option<String>,
    pub body: Value,
}

#[derive(Default)]
struct State {
    ways: Mutex<VecDeque<Way>>,
    asked: Mutex<Vec<Asked>>,
    /// The key that it wants.
    key: Mutex<Option<String>>,
    models: Mutex<Vec<String>>,
    /// So many times more it says that it loads its model.
    loads: AtomicUsize,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
}

pub struct ChatServer {
    address: SocketAddr,
    state: Arc<State>,
}

impl ChatServer {
    /// With one model, `tiny`.
    pub fn start(ways: impl IntoIterator<Item = Way>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        state.ways.lock().unwrap().extend(ways);
        state.models.lock().unwrap().push("tiny".into());
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                thread::spawn(move || drop(serve(stream, &state)));
            }
        });
        Self { address, state }
    }

    pub fn wanting(self, key: &str) -> Self {
        *self.state.key.lock().unwrap() = Some(key.into());
        self
    }

    pub fn with_models(self, models: &[&str]) -> Self {
        *self.state.models.lock().unwrap() = models.iter().map(|model| (*model).into()).collect();
        self
    }

    /// Not ready yet when it is asked for the first time.
    pub fn loading(self) -> Self {
        self.state.loads.store(1, Ordering::SeqCst);
        self
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything that was asked, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.state.asked.lock().unwrap().clone()
    }

    /// The chat completions among it.
    pub fn completions(&self) -> Vec<Asked> {
        self.asked().into_iter().filter(|asked| asked.path.ends_with("/chat/completions")).collect()
    }

    /// Most completions that were answered at the same time.
    pub fn most_under_way(&self) -> usize {
        self.state.most_under_way.load(Ordering::SeqCst)
    }
}

fn serve(stream: TcpStream, state: &State) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    while let Some(asked) = read(&mut reader)? {
        state.asked.lock().unwrap().push(asked.clone());
        let wanted = state.key.lock().unwrap().clone();
        if wanted.is_some() && asked.key != wanted {
            whole(&mut stream, 401, &json!({"error": {"message": "Invalid API key", "code": 401}}))?;
        } else if asked.path.ends_with("/models")
            && state.loads.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
        {
            whole(&mut stream, 503, &json!({"error": {"message": "Loading model"}}))?;
        } else if asked.path.ends_with("/models") {
            let models = state.models.lock().unwrap().clone();
            let data: Vec<Value> =
                models.iter().map(|id| json!({"id": id, "object": "model", "owned_by": "test"})).collect();
            whole(&mut stream, 200, &json!({"object": "list", "data": data}))?;
        } else if asked.path.ends_with("/chat/completions") {
            let way = state.ways.lock().unwrap().pop_front().unwrap_or(Way::Words(vec!["Hello", " there"]));
            let under_way = state.under_way.fetch_add(1, Ordering::SeqCst) + 1;
            state.most_under_way.fetch_max(under_way, Ordering::SeqCst);
            let answered = answer(&mut stream, &way);
            state.under_way.fetch_sub(1, Ordering::SeqCst);
            if answered? {
                return Ok(());
            }
        } else {
            whole(&mut stream, 404, &json!({"detail": "Not Found"}))?;
        }
    }
    Ok(())
}

fn read(reader: &mut impl BufRead) -> io::Result<Option<Asked>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line.split_whitespace().nth(1).unwrap_or_default().to_owned();
    let (mut length, mut key) = (0, None);
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap_or(0),
            "authorization" => key = value.trim().strip_prefix("Bearer ").map(str::to_owned),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some(Asked { path, key, body: serde_json::from_slice(&body).unwrap_or_default() }))
}

/// Answers; `true` if the connection is to be closed.
fn answer(stream: &mut TcpStream, way: &Way) -> io::Result<bool> {
    match way {
        Way::Status(status, message) => {
            whole(stream, *status, &json!({"error": {"message": message, "code": status}}))?;
            return Ok(false);
        }
        Way::Busy(seconds) => {
            let body = json!({"error": {"message": "too many requests"}}).to_string();
            let (length, end) = (body.len(), "\r\n\r\n");
            write!(stream, "HTTP/1.1 429 Busy\r\nRetry-After: {seconds}\r\nContent-Length: {length}{end}{body}")?;
            return Ok(false);
        }
        _ => {}
    }
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")?;
    let piece = |key: &str, text: &str| json!({"choices": [{"index": 0, "delta": {key: text}, "finish_reason": null}]});
    match way {
        Way::Words(words) => {
            event(stream, &json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": null}}]}))?;
            for word in words {
                event(stream, &piece("content", word))?;
                thread::sleep(Duration::from_millis(5));
            }
            finish(stream, words.len())?;
        }
        Way::Thinking(thoughts, text) => {
            event(stream, &piece("reasoning_content", thoughts))?;
            event(stream, &piece("content", text))?;
            finish(stream, 2)?;
        }
        Way::Slow(word, time) => {
            event(stream, &piece("content", word))?;
            // A client that goes away is noticed by what cannot be written.
            for _ in 0..time.as_millis() / 20 {
                thread::sleep(Duration::from_millis(20));
                chunk(stream, ": waiting\n\n")?;
            }
            finish(stream, 1)?;
        }
        Way::Dies(word) => {
            event(stream, &piece("content", word))?;
            stream.shutdown(std::net::Shutdown::Both)?;
            return Ok(true);
        }
        Way::Fails(word, message) => {
            event(stream, &piece("content", word))?;
            event(stream, &json!({"error": {"message": message}}))?;
            end(stream)?;
        }
        Way::Raw(text) => {
            chunk(stream, text)?;
            end(stream)?;
        }
        Way::Status(..) | Way::Busy(_) => {}
    }
    Ok(false)
}

fn finish(stream: &mut TcpStream, tokens: usize) -> io::Result<()> {
    event(stream, &json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}))?;
    event(stream, &json!({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": tokens}}))?;
    chunk(stream, "data: [DONE]\n\n")?;
    end(stream)
}

fn event(stream: &mut TcpStream, event: &Value) -> io::Result<()> {
    chunk(stream, &format!("data: {event}\n\n"))
}

fn chunk(stream: &mut TcpStream, text: &str) -> io::Result<()> {
    write!(stream, "{:x}\r\n{text}\r\n", text.len())?;
    stream.flush()
}

fn end(stream: &mut TcpStream) -> io::Result<()> {
    write!(stream, "0\r\n\r\n")
}

fn whole(stream: &mut TcpStream, status: u16, body: &Value) -> io::Result<()> {
    let body = body.to_string();
    write!(
        stream,
        "HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
