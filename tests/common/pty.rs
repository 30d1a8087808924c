//! A program in a real pseudo-terminal: keys go in, the screen it draws is read back, and nothing is waited for
//! without a condition and a limit.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal};

/// Debug builds on a busy machine are slow; a condition that holds is seen at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is typed, and what the terminal itself replies.
type Keys = Arc<Mutex<Box<dyn Write + Send>>>;

/// What a program asks for the place of the cursor.
const ASKS_CURSOR: &[u8] = b"\x1b[6n";

/// What came out of the terminal.
struct Output {
    screen: vt100::Parser,
    bytes: Vec<u8>,
    /// Who is told where the cursor is when the program asks.
    tells_cursor: Option<Keys>,
}

impl Output {
    fn take(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(keys) = &self.tells_cursor
            && let Some(at) = rest.windows(ASKS_CURSOR.len()).position(|window| window == ASKS_CURSOR)
        {
            let end = at + ASKS_CURSOR.len();
            self.screen.process(&rest[..end]);
            let (row, column) = self.screen.screen().cursor_position();
            let reply = format!("\x1b[{};{}R", row + 1, column + 1);
            keys.lock().unwrap().write_all(reply.as_bytes()).unwrap();
            rest = &rest[end..];
        }
        self.screen.process(rest);
        self.bytes.extend_from_slice(bytes);
    }

    /// The screen as text; an empty cell at the end of a line is none, whether or not a space was written there.
    fn contents(&self) -> String {
        let text = self.screen.screen().contents();
        text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
    }
}

pub struct Pty {
    /// This and the next are gone after hanging up.
    master: Option<Box<dyn MasterPty + Send>>,
    keys: Option<Keys>,
    child: Box<dyn Child + Send + Sync>,
    hung_up: Arc<AtomicBool>,
    output: Arc<(Mutex<Output>, Condvar)>,
    /// The line settings before the program started.
    settings_before: String,
}

impl Pty {
    /// Runs the command in a terminal of this size.
    pub fn run(command: CommandBuilder, columns: u16, rows: u16) -> Self {
        Self::run_claiming(size(columns, rows), command, columns, rows)
    }

    /// Runs the command in a terminal of this size that says it has another.
    pub fn run_claiming(claimed: PtySize, mut command: CommandBuilder, columns: u16, rows: u16) -> Self {
        let pair = native_pty_system().openpty(claimed).unwrap();
        if command.get_env("TERM").is_none_or(|term| term != "dumb") {
            command.env("TERM", "xterm-256color");
        }
        for name in ["LANG", "LC_ALL"] {
            command.env(name, "C.UTF-8");
        }
        // No models of other programs.
        for name in ["HOME", "OLLAMA_MODELS", "LLAMA_CACHE", "HF_HUB_CACHE"] {
            command.env(name, "/nonexistent");
        }
        // Without one it would be the home that is not there.
        if command.get_cwd().is_none() {
            command.cwd(std::env::temp_dir());
        }
        for name in ["NO_COLOR", "SSH_TTY", "SSH_CONNECTION"] {
            command.env_remove(name);
        }
        let settings_before = line_settings(pair.master.as_ref());
        let child = pair.slave.spawn_command(command).unwrap();
        let output = Output {
            screen: vt100::Parser::new(cells(rows), cells(columns), 0),
            bytes: Vec::new(),
            tells_cursor: None,
        };
        let output = Arc::new((Mutex::new(output), Condvar::new()));
        let mut reader = pair.master.try_clone_reader().unwrap();
        let shared = Arc::clone(&output);
        let hung_up = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&hung_up);
        std::thread::spawn(move || {
            let mut buffer = [0; 65536];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                let (output, changed) = &*shared;
                let mut output = output.lock().unwrap();
                output.take(&buffer[..count]);
                changed.notify_all();
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        let keys = Some(Arc::new(Mutex::new(pair.master.take_writer().unwrap())));
        Self { master: Some(pair.master), keys, child, hung_up, output, settings_before }
    }

    pub fn send(&mut self, keys: &str) {
        self.try_send(keys).unwrap();
    }

    /// From now on the terminal tells where its cursor is, as real ones do; what was asked before is answered.
    pub fn answer_where_the_cursor_is(&mut self) {
        let mut output = self.output.0.lock().unwrap();
        let keys = self.keys.clone().unwrap();
        if output.bytes.windows(ASKS_CURSOR.len()).any(|window| window == ASKS_CURSOR) {
            let (row, column) = output.screen.screen().cursor_position();
            let reply = format!("\x1b[{};{}R", row + 1, column + 1);
            keys.lock().unwrap().write_all(reply.as_bytes()).unwrap();
        }
        output.tells_cursor = Some(keys);
    }

    /// Sends keys to a program that may have ended.
    pub fn try_send(&mut self, keys: &str) -> std::io::Result<()> {
        let mut writer = self.keys.as_ref().unwrap().lock().unwrap();
        writer.write_all(keys.as_bytes())?;
        writer.flush()
    }

    /// How the program ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Keeps no more than the end of what the program wrote until now.
    pub fn forget_bytes(&self) {
        let mut output = self.output.0.lock().unwrap();
        let surplus = output.bytes.len().saturating_sub(64 << 10);
        output.bytes.drain(..surplus);
    }

    pub fn screen(&self) -> String {
        self.output.0.lock().unwrap().contents()
    }

    /// Everything the program wrote.
    pub fn bytes(&self) -> Vec<u8> {
        self.output.0.lock().unwrap().bytes.clone()
    }

    /// Waits until the screen holds `text`, and returns the screen.
    pub fn wait_for(&self, text: &str) -> String {
        self.wait_until(text, |screen| screen.contains(text))
    }

    /// Waits until the screen is as `condition` wants it, and returns it.
    pub fn wait_until(&self, what: &str, condition: impl Fn(&str) -> bool) -> String {
        let (output, changed) = &*self.output;
        let mut output = output.lock().unwrap();
        let end = Instant::now() + PATIENCE;
        loop {
            let screen = output.contents();
            if condition(&screen) {
                return screen;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain for: {what}\nthe screen:\n{screen}");
            output = changed.wait_timeout(output, left.min(Duration::from_millis(100))).unwrap().0;
        }
    }

    fn master(&self) -> &(dyn MasterPty + Send) {
        self.master.as_deref().unwrap()
    }

    pub fn resize(&self, columns: u16, rows: u16) {
        self.output.0.lock().unwrap().screen.set_size(cells(rows), cells(columns));
        self.master().resize(size(columns, rows)).unwrap();
    }

    /// The program's number.
    pub fn process(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        let id = self.child.process_id().and_then(|id| Pid::from_raw(id as i32)).unwrap();
        rustix::process::kill_process(id, signal).unwrap();
    }

    /// Waits until the program has ended; returns how.
    pub fn wait_for_end(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "the program does not end; the screen:\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Hangs up, as a closed window or a lost connection does: nobody holds the other end any more. The program must
    /// be writing, for the reader to notice.
    pub fn hang_up(&mut self) {
        self.hung_up.store(true, Ordering::Relaxed);
        self.master = None;
        self.keys = None;
        self.output.0.lock().unwrap().tells_cursor = None;
    }

    /// Checks that the terminal is as it was before the program started.
    pub fn assert_given_back(&self) {
        let end = Instant::now() + PATIENCE;
        while !ends_given_back(&self.bytes()) {
            assert!(Instant::now() < end, "the modes stay on: {:?}", String::from_utf8_lossy(&self.bytes()));
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(line_settings(self.master()), self.settings_before);
        let output = self.output.0.lock().unwrap();
        let screen = output.screen.screen();
        assert!(!screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste());
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
    }

    pub fn line_settings(&self) -> String {
        line_settings(self.master())
    }

    pub fn settings_before(&self) -> &str {
        &self.settings_before
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

/// Whether the last thing that was written about each mode switches it off: alternate screen and bracketed paste off,
/// cursor shown.
fn ends_given_back(bytes: &[u8]) -> bool {
    let last = |sequence: &[u8]| bytes.windows(sequence.len()).rposition(|window| window == sequence);
    let off = |off: &[u8], on: &[u8]| last(off).is_some() && last(off) > last(on);
    off(b"\x1b[?1049l", b"\x1b[?1049h") && off(b"\x1b[?25h", b"\x1b[?25l") && off(b"\x1b[?2004l", b"\x1b[?2004h")
}

pub fn size(columns: u16, rows: u16) -> PtySize {
    PtySize { cols: columns, rows, pixel_width: 0, pixel_height: 0 }
}

fn cells(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).unwrap()
}

fn line_settings(master: &(dyn MasterPty + Send)) -> String {
    let name = master.tty_name().unwrap();
    let terminal = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    format!("{:?}", rustix::termios::tcgetattr(terminal).unwrap())
}
