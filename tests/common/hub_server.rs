//! A hub on this machine with one repository, of one file unless others are added. It speaks what the real one speaks
//! to a downloader (the model's description, a file's HEAD with the linked hash, ranges), and misbehaves when told to.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use sha2::{Digest, Sha256};

/// The repository that every server has.
pub const REPOSITORY: &str = "owner/model";
/// Its only model file.
pub const FILE: &str = "model-Q4_K_M.gguf";
/// Its newest commit.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// A tag of it, and the commit of that.
pub const TAG: (&str, &str) = ("v1.0", "fedcba9876543210fedcba9876543210fedcba98");

/// So much is written at once, and counted before it is.
const CHUNK_BYTES: usize = 64 << 10;

/// How one request for the file goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The connection breaks after so many bytes of the body.
    CutAfter(usize),
    /// The connection says nothing any more after so many bytes of the body.
    StallAfter(usize),
    /// The whole file comes, whatever range was asked for.
    IgnoreRange,
    /// The right bytes come, but `Content-Range` says they are others.
    WrongContentRange,
    /// One byte of the body is flipped.
    FlipByte,
    /// More bytes come than the file has.
    TooMuch,
    /// The file is another one from now on, with another `ETag`.
    Replace(Vec<u8>),
    /// As `Replace`, and the server does not know `If-Range`.
    ReplaceIgnoringIfRange(Vec<u8>),
    /// A byte comes now and then.
    Trickle,
    /// An error, with a body that is no model.
    Status(u16),
    /// An error with a `Retry-After`.
    RetryAfter(u16, String),
    /// The bytes are elsewhere.
    Redirect(String),
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// By name in small letters.
    pub headers: HashMap<String, String>,
    /// How many bytes of the file were sent in answer.
    pub sent_bytes: usize,
}

impl Request {
    /// The bytes that were asked for, of so many.
    fn range_of(&self, total: usize) -> Option<Range<usize>> {
        let (start, end) = self.headers.get("range")?.strip_prefix("bytes=")?.split_once('-')?;
        let end = end.parse().map_or(total, |last: usize| (last + 1).min(total));
        Some(start.parse().unwrap_or(0).min(end)..end)
    }
}

#[derive(Default)]
struct State {
    content: Arc<Vec<u8>>,
    /// Instead of the one file.
    files: Vec<(String, Arc<Vec<u8>>)>,
    etag: String,
    /// What the hub says the hash is.
    sha256: Option<String>,
    faults: VecDeque<Fault>,
    /// Statuses of the next requests for anything but the file's bytes.
    refusals: VecDeque<(u16, Option<String>)>,
    /// What a search finds, as the hub writes it.
    hits: String,
    requests: Vec<Request>,
    stall: Duration,
    /// Before each chunk of a body.
    pause: Duration,
    /// What the repository and its file are called, if not [`REPOSITORY`] and [`FILE`].
    names: Option<(String, String)>,
}

/// A running server. Its threads end with the process.
#[derive(Clone)]
pub struct HubServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl HubServer {
    /// Serves this content.
    pub fn start(content: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let sha256 = Some(sha256(&content));
        let state = State {
            content: Arc::new(content),
            etag: "\"first\"".into(),
            sha256,
            stall: Duration::from_secs(10),
            ..State::default()
        };
        let server = Self { address, state: Arc::new(Mutex::new(state)) };
        let accepting = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = accepting.clone();
                thread::spawn(move || server.answer(stream));
            }
        });
        server
    }

    /// What `HF_ENDPOINT` would be.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next requests for the file's bytes go wrong, in this order; later ones are answered well.
    pub fn faults(self, faults: impl IntoIterator<Item = Fault>) -> Self {
        self.state().faults.extend(faults);
        self
    }

    /// The next requests for anything else are refused with these statuses.
    pub fn refusals(self, statuses: impl IntoIterator<Item = u16>) -> Self {
        self.state().refusals.extend(statuses.into_iter().map(|status| (status, None)));
        self
    }

    /// The next request for anything else is refused with this status and `Retry-After`.
    pub fn postponing(self, status: u16, retry_after: &str) -> Self {
        self.state().refusals.push_back((status, Some(retry_after.to_owned())));
        self
    }

    /// The repository has these files instead of the one.
    pub fn files(self, files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        self.state().files.extend(files.into_iter().map(|(name, content)| (name, Arc::new(content))));
        self
    }

    /// What a search finds, as a JSON array.
    pub fn hits(self, hits: &str) -> Self {
        self.state().hits = hits.to_owned();
        self
    }

    /// Each connection brings at most so many bytes a second.
    pub fn slowly(self, bytes_per_second: usize) -> Self {
        self.set_speed(bytes_per_second);
        self
    }

    /// The same from now on, for requests to come.
    pub fn set_speed(&self, bytes_per_second: usize) {
        self.state().pause = Duration::from_secs_f64(CHUNK_BYTES as f64 / bytes_per_second as f64);
    }

    /// The hub says that this is the file's hash, or nothing about it.
    pub fn claiming(self, sha256: Option<&str>) -> Self {
        self.state().sha256 = sha256.map(str::to_owned);
        self
    }

    /// The repository and its file have these names.
    pub fn named(self, repository: &str, file: &str) -> Self {
        self.state().names = Some((repository.to_owned(), file.to_owned()));
        self
    }

    /// A connection that stalls is closed after this time.
    pub fn stalling_for(self, stall: Duration) -> Self {
        self.state().stall = stall;
        self
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.state().requests.clone()
    }

    /// The requests for the file's bytes.
    pub fn downloads(&self) -> Vec<Request> {
        self.requests().into_iter().filter(|request| request.method == "GET" && !is_api(&request.path)).collect()
    }

    /// Bytes of the file that were sent in all.
    pub fn sent_bytes(&self) -> usize {
        self.downloads().iter().map(|request| request.sent_bytes).sum()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no thread of the server panics")
    }

    /// Answers one request; the connection is closed after it. Clients that hang up are no failure here.
    fn answer(&self, mut stream: TcpStream) {
        let Some(mut request) = read_request(&stream) else { return };
        let names = self.state().names.clone();
        if let Some((repository, file)) = &names {
            request.path = request.path.replace(repository, REPOSITORY).replace(file, FILE);
        }
        let index = {
            let mut state = self.state();
            state.requests.push(request.clone());
            state.requests.len() - 1
        };
        let is_download = request.method == "GET" && !is_api(&request.path);
        let refusal = if is_download { None } else { self.state().refusals.pop_front() };
        if let Some((status, retry_after)) = refusal {
            let headers: Vec<_> = retry_after.into_iter().map(|value| ("Retry-After", value)).collect();
            respond(&mut stream, status, &headers, b"{\"error\":\"not today\"}");
        } else if is_api(&request.path) {
            match self.describe_repository(&request.path) {
                Some(body) => {
                    let body = names.iter().fold(body, |body, (_, file)| body.replace(FILE, file));
                    respond(&mut stream, 200, &[("Content-Type", "application/json".into())], body.as_bytes());
                }
                None => respond(&mut stream, 404, &[], b"{\"error\":\"no such thing\"}"),
            }
        } else if request.method == "HEAD" {
            self.describe(&mut stream, &request.path);
        } else {
            self.send_file(&mut stream, &request, index);
        }
    }

    fn describe_repository(&self, path: &str) -> Option<String> {
        let state = self.state();
        if path.starts_with("/api/models?") {
            return Some(state.hits.clone());
        }
        let commit = match path.strip_prefix(&format!("/api/models/{REPOSITORY}"))? {
            "" => COMMIT,
            revision if revision.strip_prefix("/revision/") == Some(TAG.0) => TAG.1,
            revision => revision.strip_prefix("/revision/").filter(|commit| is_commit(commit))?,
        };
        let names = state.files.iter().map(|(name, _)| name.as_str());
        let single = Some(FILE).filter(|_| state.files.is_empty());
        let siblings: String = names.chain(single).map(|name| format!(",{{\"rfilename\":\"{name}\"}}")).collect();
        Some(format!(
            "{{\"id\":\"{REPOSITORY}\",\"sha\":\"{commit}\",\"siblings\":[{{\"rfilename\":\"README.md\"}}{siblings}]}}"
        ))
    }

    /// As the real hub: a redirect to where the bytes are, with the hash and the size on the redirect itself.
    fn describe(&self, stream: &mut TcpStream, path: &str) {
        let content = self.content(path);
        let state = self.state();
        let hash = if state.files.is_empty() { state.sha256.clone() } else { Some(sha256(&content)) };
        let mut headers = vec![
            ("X-Repo-Commit", COMMIT.to_owned()),
            ("X-Linked-Size", content.len().to_string()),
            ("Location", "https://elsewhere.invalid/signed".to_owned()),
        ];
        let status = if hash.is_some() { 302 } else { 200 };
        headers.extend(hash.map(|sha256| ("X-Linked-ETag", format!("\"{sha256}\""))));
        respond(stream, status, &headers, b"");
    }

    /// What is at this path.
    fn content(&self, path: &str) -> Arc<Vec<u8>> {
        let state = self.state();
        let other = state.files.iter().find(|(name, _)| path.ends_with(&format!("/{name}")));
        other.map_or_else(|| state.content.clone(), |(_, content)| content.clone())
    }

    fn send_file(&self, stream: &mut TcpStream, request: &Request, index: usize) {
        let fault = self.state().faults.pop_front();
        if let Some(Fault::Replace(content) | Fault::ReplaceIgnoringIfRange(content)) = &fault {
            let mut state = self.state();
            state.content = Arc::new(content.clone());
            state.etag = "\"second\"".into();
        }
        let content = self.content(&request.path);
        let (etag, stall, pause) = {
            let state = self.state();
            (state.etag.clone(), state.stall, state.pause)
        };
        match &fault {
            Some(Fault::Status(status)) => return respond(stream, *status, &[], b"<html>not a model</html>"),
            Some(Fault::RetryAfter(status, value)) => {
                return respond(stream, *status, &[("Retry-After", value.clone())], b"<html>not now</html>");
            }
            Some(Fault::Redirect(to)) => return respond(stream, 302, &[("Location", to.clone())], b""),
            _ => {}
        }
        let total = content.len();
        let still_the_same = matches!(fault, Some(Fault::ReplaceIgnoringIfRange(_)))
            || request.headers.get("if-range").is_none_or(|known| *known == etag);
        let range = request.range_of(total);
        let range = range.filter(|_| still_the_same && !matches!(fault, Some(Fault::IgnoreRange)));

        let body = &content[range.clone().unwrap_or(0..total)];
        let mut headers = vec![("ETag", etag), ("Accept-Ranges", "bytes".to_owned())];
        if let Some(range) = &range {
            let claimed = range.start + usize::from(matches!(fault, Some(Fault::WrongContentRange)));
            headers.push(("Content-Range", format!("bytes {claimed}-{}/{total}", range.end - 1)));
        }
        if !matches!(fault, Some(Fault::TooMuch)) {
            headers.push(("Content-Length", body.len().to_string()));
        }
        let most = match fault {
            Some(Fault::CutAfter(bytes) | Fault::StallAfter(bytes)) => bytes.min(body.len()),
            _ => body.len(),
        };
        let status = if range.is_some() { 206 } else { 200 };
        let (chunk_bytes, pause) = match fault {
            Some(Fault::Trickle) => (1, Duration::from_millis(20)),
            _ => (CHUNK_BYTES, pause),
        };
        let mut body = Cow::Borrowed(&body[..most]);
        if let (Some(Fault::FlipByte), false) = (&fault, body.is_empty()) {
            body.to_mut()[0] ^= 1;
        }
        let sent = stream.write_all(head(status, &headers).as_bytes());
        if sent.and_then(|()| self.send_body(stream, &body, (chunk_bytes, pause), index)).is_err() {
            return;
        }
        match fault {
            Some(Fault::TooMuch) => drop(stream.write_all(&[0; 100])),
            Some(Fault::StallAfter(_)) => thread::sleep(stall),
            _ => {}
        }
    }

    /// Writes chunks of so many bytes, with a pause behind each.
    fn send_body(
        &self,
        stream: &mut TcpStream,
        body: &[u8],
        (chunk_bytes, pause): (usize, Duration),
        index: usize,
    ) -> io::Result<()> {
        for chunk in body.chunks(chunk_bytes) {
            // Counted first: the client may act on the bytes before this thread runs again.
            self.state().requests[index].sent_bytes += chunk.len();
            stream.write_all(chunk)?;
            if !pause.is_zero() {
                thread::sleep(pause);
            }
        }
        Ok(())
    }
}

/// The SHA-256 of these bytes in lower-case hex.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_api(path: &str) -> bool {
    path.starts_with("/api/")
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = HashMap::new();
    for line in lines {
        let line = line.ok()?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    Some(Request { method, path, headers, sent_bytes: 0 })
}

fn respond(stream: &mut TcpStream, status: u16, headers: &[(&str, String)], body: &[u8]) {
    let mut headers = headers.to_vec();
    headers.push(("Content-Length", body.len().to_string()));
    let _ = stream.write_all(head(status, &headers).as_bytes()).and_then(|()| stream.write_all(body));
}

fn head(status: u16, headers: &[(&str, String)]) -> String {
    let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("HTTP/1.1 {status} Status\r\nConnection: close\r\n{lines}\r\n")
}
