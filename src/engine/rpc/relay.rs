//! Stands between llama.cpp and a server: llama.cpp speaks to a port of this machine, and what it says is passed on.
//!
//! llama.cpp ends the whole process when a server is gone or says something unexpected (`RPC_STATUS_ASSERT`,
//! `GGML_ABORT`). So it never learns of it here: the relay remembers a sentence and makes the answers up from then on,
//! and the engine, which asks after every computation, throws away what came of them. It also reaches names, IPv6 and
//! other machines for the engine's thread, which may not speak TCP, and passes no abilities beside TCP on.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::super::protocol::{CancelFlag, Server};
use super::words::{self, ABILITIES, HELLO, Reply};

/// Until a server has to have taken a connection, and to have greeted.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked whether somebody has lost patience with a server that says nothing.
const SLICE: Duration = Duration::from_millis(200);
/// A server that computes is waited for so long after a cancel: most end what they are at.
const AFTER_CANCEL: Duration = Duration::from_secs(10);
/// Bytes that are passed on at once.
const PIECE: usize = 1 << 18;

/// A server, and the port of this machine at which llama.cpp finds it.
#[derive(Debug)]
pub struct Relay {
    server: Server,
    port: u16,
    /// To the server; `None` while no model is there, or when it was lost.
    line: Mutex<Option<TcpStream>>,
    lost: Mutex<Option<String>>,
    /// Set when nobody waits for the answer any more.
    flags: Mutex<Vec<CancelFlag>>,
}

impl Relay {
    /// Listens, and passes on from a thread of its own, as long as the program runs.
    ///
    /// # Errors
    /// If the system has no port or no thread.
    pub fn start(server: &Server) -> io::Result<Arc<Self>> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let (line, lost, flags) = Default::default();
        let relay = Arc::new(Self { server: server.clone(), port, line, lost, flags });
        let own = Arc::clone(&relay);
        std::thread::Builder::new().name("rpc relay".into()).spawn(move || {
            // llama.cpp has one connection to each server.
            for client in listener.incoming().flatten() {
                if let Err(error) = own.serve(client) {
                    tracing::debug!(%error, server = %own.server, "llama.cpp hung up");
                }
            }
        })?;
        Ok(relay)
    }

    pub fn server(&self) -> &Server {
        &self.server
    }

    /// As llama.cpp names it.
    pub fn endpoint(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Reaches the server anew: what an earlier model had there is gone.
    ///
    /// # Errors
    /// A sentence, if it is not there, busy, or another version.
    pub fn open(&self) -> Result<(), String> {
        self.close();
        let line = connect(&self.server)?;
        *guard(&self.lost) = None;
        *guard(&self.line) = Some(line);
        Ok(())
    }

    /// Hangs up, with which the server frees what it held.
    pub fn close(&self) {
        *guard(&self.line) = None;
    }

    /// What happened to the server, in a sentence, if it was lost.
    pub fn lost(&self) -> Option<String> {
        guard(&self.lost).clone()
    }

    /// Finds out whether the server has gone while nothing was asked of it. Only while nothing is computed.
    pub fn look(&self) {
        let mut line = guard(&self.line);
        let Some(stream) = line.as_ref() else { return };
        let seen = stream.set_nonblocking(true).and_then(|()| stream.peek(&mut [0]));
        let is_there = matches!(&seen, Err(error) if error.kind() == ErrorKind::WouldBlock);
        if !is_there || stream.set_nonblocking(false).is_err() {
            self.lose(&mut line, &seen.map_or_else(|error| error.to_string(), |_| "it hung up".into()));
        }
    }

    /// Whose patience counts from now on.
    pub fn wait_for(&self, flags: &[&CancelFlag]) {
        *guard(&self.flags) = flags.iter().map(|flag| (*flag).clone()).collect();
    }

    fn lose(&self, line: &mut Option<TcpStream>, how: &str) {
        tracing::warn!(server = %self.server, how, "an RPC server was lost");
        *line = None;
        guard(&self.lost).get_or_insert_with(|| {
            format!(
                "the RPC server at {} is gone ({how}), and with it what the model computed there; start it again and load \
                 the model again (`/model NAME`), or leave `--device` out",
                self.server
            )
        });
    }

    /// Answers llama.cpp until it hangs up.
    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        let mut head = [0; 9];
        loop {
            client.read_exact(&mut head)?;
            let command = head[0];
            if command == HELLO {
                // The server was greeted already, by `open`.
                client.read_exact(&mut [0; ABILITIES])?;
                client.write_all(&answer(&words::made_up(HELLO, 4 + ABILITIES)))?;
                continue;
            }
            let reply = words::reply(command).ok_or_else(|| io::Error::other(format!("command {command}")))?;
            // While it is held, nobody hangs up.
            let mut line = guard(&self.line);
            let last = self.pass_request(&mut client, &mut line, &head)?;
            let wanted = match reply {
                Reply::Nothing => continue,
                Reply::Bytes(length) => length,
                Reply::AsAsked => number(&last),
            };
            self.pass_answer(&mut client, &mut line, command, wanted)?;
        }
    }

    /// Passes a request on, if there is anybody, and gives its last eight bytes. The error is of llama.cpp's end.
    fn pass_request(
        &self,
        client: &mut TcpStream,
        line: &mut Option<TcpStream>,
        head: &[u8; 9],
    ) -> io::Result<[u8; 8]> {
        let (mut left, mut last) = (number(&head[1..]), [0; 8]);
        let mut piece = head.to_vec();
        loop {
            let count = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            let begin = piece.len();
            piece.resize(begin + count, 0);
            client.read_exact(&mut piece[begin..])?;
            left -= count as u64;
            if let Some(tail) = piece[begin..].last_chunk() {
                last = *tail;
            }
            if let Some(stream) = line
                && let Err(error) = self.patiently(piece.len(), |done| stream.write(&piece[done..]))
            {
                self.lose(line, &error.to_string());
            }
            if left == 0 {
                return Ok(last);
            }
            piece.clear();
        }
    }

    /// Passes an answer of `wanted` bytes on, or makes one up.
    fn pass_answer(
        &self,
        client: &mut TcpStream,
        line: &mut Option<TcpStream>,
        command: u8,
        wanted: u64,
    ) -> io::Result<()> {
        let length = usize::try_from(wanted).map_err(io::Error::other)?;
        let answered = line.as_mut().map(|stream| self.answer_of(stream, length));
        let bytes = match answered {
            Some(Ok(bytes)) => bytes,
            Some(Err(error)) => {
                self.lose(line, &error.to_string());
                words::made_up(command, length)
            }
            None => words::made_up(command, length),
        };
        client.write_all(&answer(&bytes))
    }

    /// What the server answers, which has to be so long.
    fn answer_of(&self, stream: &mut TcpStream, length: usize) -> io::Result<Vec<u8>> {
        let mut told = [0; 8];
        self.patiently(told.len(), |done| stream.read(&mut told[done..]))?;
        if number(&told) != length as u64 {
            return Err(io::Error::other(format!("it answered with {} bytes instead of {length}", number(&told))));
        }
        let mut bytes = vec![0; length];
        self.patiently(length, |done| stream.read(&mut bytes[done..]))?;
        Ok(bytes)
    }

    /// Repeats a step until it has done `all` bytes, however long the server takes, unless whoever waits gives up.
    fn patiently(&self, all: usize, mut step: impl FnMut(usize) -> io::Result<usize>) -> io::Result<()> {
        let mut done = 0;
        let mut given_up = None;
        while done < all {
            match step(done) {
                Ok(0) => return Err(io::Error::other("it hung up")),
                Ok(count) => (done, given_up) = (done + count, None),
                Err(error) if is_pause(&error) => {
                    let is_cancelled = guard(&self.flags).iter().any(CancelFlag::is_cancelled);
                    given_up = is_cancelled.then(|| given_up.unwrap_or_else(Instant::now));
                    if given_up.is_some_and(|since: Instant| since.elapsed() > AFTER_CANCEL) {
                        return Err(io::Error::other("it says nothing"));
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

fn number(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// An answer: its length, and it.
fn answer(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u64).to_le_bytes()[..], bytes].concat()
}

/// Connects to a server and greets it.
fn connect(server: &Server) -> Result<TcpStream, String> {
    let start_it = format!("start it there with `ggml-rpc-server -p {}`, or leave `--device` out", server.port);
    let nobody = |error: io::Error| format!("there is no RPC server at {server} ({error}); {start_it}");
    let busy = || {
        format!(
            "the RPC server at {server} says nothing; it serves one program at a time, so end the other one, or leave \
             `--device` out"
        )
    };
    let found = (server.host.as_str(), server.port).to_socket_addrs().map_err(nobody)?;
    // A name that is this machine's must not lead elsewhere.
    let addresses: Vec<SocketAddr> = found.filter(|found| !server.is_here() || found.ip().is_loopback()).collect();
    let mut reached = Err(io::Error::new(ErrorKind::NotFound, "the name leads nowhere"));
    for address in addresses {
        reached = connect_where_free(&address);
        if reached.is_ok() {
            break;
        }
    }
    let mut line = reached.map_err(|error| if is_pause(&error) { busy() } else { nobody(error) })?;
    let greeting = greet(&mut line).map_err(|error| match is_pause(&error) {
        true => busy(),
        false => format!("what listens at {server} is no RPC server of llama.cpp ({error}); {start_it}"),
    })?;
    words::check_greeting(server, &greeting)?;
    line.set_read_timeout(Some(SLICE)).and_then(|()| line.set_write_timeout(Some(SLICE))).map_err(nobody)?;
    Ok(line)
}

/// Connects with a server that serves nobody: it hangs up on who says nothing. One that is greeted while it serves another
/// would greet back long after, into a connection that is closed, which ends llama.cpp's server (SIGPIPE).
fn connect_where_free(address: &SocketAddr) -> io::Result<TcpStream> {
    let mut silent = TcpStream::connect_timeout(address, PATIENCE)?;
    silent.set_read_timeout(Some(PATIENCE))?;
    silent.shutdown(Shutdown::Write)?;
    match silent.read(&mut [0]) {
        Err(error) if is_pause(&error) => Err(error),
        _ => TcpStream::connect_timeout(address, PATIENCE),
    }
}

fn greet(line: &mut TcpStream) -> io::Result<Vec<u8>> {
    line.set_nodelay(true)?;
    line.set_read_timeout(Some(PATIENCE))?;
    line.write_all(&words::request(HELLO, &[0; ABILITIES]))?;
    let mut length = [0; 8];
    line.read_exact(&mut length)?;
    let wanted = 4 + ABILITIES;
    if u64::from_le_bytes(length) != wanted as u64 {
        return Err(io::Error::other("it greets otherwise"));
    }
    let mut greeting = vec![0; wanted];
    line.read_exact(&mut greeting)?;
    Ok(greeting)
}

#[cfg(test)]
mod tests;
