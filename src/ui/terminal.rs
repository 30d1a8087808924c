//! Taking the terminal and giving it back: raw mode, the alternate screen, bracketed paste and the mouse wheel.
//!
//! However the program ends (return, panic, an abort in C++, a suspend) [`restore_after_crash`] or the guard's drop
//! puts back the line settings found at the start and switches off every mode that was switched on.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::Duration;

use ratatui::Frame;
use ratatui::backend::CrosstermBackend;

use super::inline::Lines;
use super::links::{self, Hyperlinks, Targets};
use super::outlet::{Line, Outlet};
use super::pictures::{self, Shown};
use super::tty::{self, Modes, Output};

/// First the modes that a killed program may have left on are reset. Then: alternate screen, bracketed paste, and keys
/// told apart (Shift+Enter) where the terminal can. The keyboard mode belongs to the screen, so it comes after the
/// screen's change.
const ENTER: &[u8] = b"\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?1049h\x1b[2J\x1b[?2004h\x1b[>1u";
/// Mouse buttons (the wheel is one) in the SGR form.
const ENTER_MOUSE: &[u8] = b"\x1b[?1000h\x1b[?1006h";
/// The terminal says whether its window has the focus.
const ENTER_FOCUS: &[u8] = b"\x1b[?1004h";
/// The window's title is put aside, and taken back.
const ENTER_TITLE: &[u8] = b"\x1b[22;2t";
const LEAVE_TITLE: &[u8] = b"\x1b[23;2t";
/// The same for a few lines of the normal screen.
const ENTER_LINES: &[u8] = b"\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?2004h\x1b[>1u";
const LEAVE_LINES: &[u8] = b"\x1b[<1u\x1b[?1004l\x1b[0m\x1b[?25h\x1b[?2004l\x1b[?2026l";
/// From them to the alternate screen, and back.
const ENTER_FULL: &[u8] = b"\x1b[?1049h\x1b[2J\x1b[>1u";
const LEAVE_FULL: &[u8] = b"\x1b[<1u\x1b[0m\x1b[?1049l";
const LEAVE: &[u8] = b"\x1b[<1u\x1b[?1004l\x1b[?1006l\x1b[?1000l\x1b[0m\x1b[?1049l\x1b[?25h\x1b[?2004l";

/// The line settings before the program touched them.
static SAVED: OnceLock<Modes> = OnceLock::new();
static ENTERED: AtomicBool = AtomicBool::new(false);
/// The screen was given back, and not the line settings.
static LEFT: AtomicBool = AtomicBool::new(false);
/// The window's title was put aside.
static TITLED: AtomicBool = AtomicBool::new(false);

/// The row where the lines begin at the bottom of the normal screen, counted from 1; 0 where the whole screen is taken.
static LINES_AT: AtomicU16 = AtomicU16::new(0);
/// The lines have given way to the alternate screen.
static FULL: AtomicBool = AtomicBool::new(false);

/// What of the terminal is wanted beside its screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub mouse: bool,
    pub focus: bool,
    pub title: bool,
    /// A few lines of the normal screen instead of the alternate one.
    pub inline: bool,
}

/// Who leaves waits so long for the last frame to be out.
const LAST_FRAME: Duration = Duration::from_secs(1);

/// The terminal while it is ours. Dropping it gives it back.
pub struct Terminal {
    screen: Screen,
    line: Line,
    /// Where the links of the frame lead.
    targets: Rc<RefCell<Targets>>,
    /// The pictures of the frame.
    pictures: Rc<RefCell<Shown>>,
    typed_ahead: Option<String>,
    wanted: Wanted,
    /// The lines at the bottom, where that is all that is wanted.
    lines: Option<Lines>,
}

type Screen = ratatui::Terminal<Hyperlinks<Outlet>>;

/// A screen that is taken to be empty.
fn screen(line: &Line, targets: &Rc<RefCell<Targets>>, pictures: &Rc<RefCell<Shown>>) -> io::Result<Screen> {
    ratatui::Terminal::new(backend(line, targets).with_pictures(pictures.clone()))
}

fn backend(line: &Line, targets: &Rc<RefCell<Targets>>) -> Hyperlinks<Outlet> {
    let output = CrosstermBackend::new(Outlet::new(line.clone()));
    let told = links::are_understood(&|name| std::env::var(name).ok()).then(|| targets.clone());
    Hyperlinks::new(output, told)
}

impl Terminal {
    /// Takes the terminal and installs the panic hook that gives it back.
    ///
    /// # Errors
    /// If standard output is not a terminal.
    pub fn enter(wanted: Wanted) -> io::Result<Self> {
        let modes = Modes::read()?;
        let typed_ahead = modes.typed_ahead();
        SAVED.get_or_init(|| modes);
        tty::give_size_if_none()?;
        restore_on_panic();
        let line = Line::to(io::stdout())?;
        take(wanted)?;
        let lines = begin_lines(wanted)?;
        let (targets, pictures) = Default::default();
        Ok(Self { screen: screen(&line, &targets, &pictures)?, line, targets, pictures, typed_ahead, wanted, lines })
    }

    /// Whether a few lines of the normal screen are all that is wanted.
    pub fn is_inline(&self) -> bool {
        self.lines.is_some()
    }

    /// The size of the screen on which the lines are, if there are any.
    pub fn size_of_lines(&self) -> Option<ratatui::layout::Size> {
        self.lines.as_ref().map(Lines::size)
    }

    /// Whether the lines have to be found again, see [`Terminal::find_lines`].
    pub fn has_lost_lines(&self) -> bool {
        !FULL.load(Ordering::SeqCst) && self.lines.as_ref().is_some_and(Lines::is_resized)
    }

    /// Asks the terminal where its cursor is, and so the lines. Nobody else may be reading what is typed.
    pub fn find_lines(&mut self) -> io::Result<()> {
        self.line.drain(LAST_FRAME);
        match &mut self.lines {
            Some(lines) => lines.resize(),
            None => Ok(()),
        }
    }

    /// Goes from the lines to the alternate screen, or back; it is as it was there.
    pub fn set_full(&mut self, is_full: bool) -> io::Result<()> {
        if self.lines.is_none() || FULL.swap(is_full, Ordering::SeqCst) == is_full {
            return Ok(());
        }
        self.write(if is_full { ENTER_FULL } else { LEAVE_FULL })?;
        self.screen = screen(&self.line, &self.targets, &self.pictures)?;
        Ok(())
    }

    /// Writes what is finished above the lines, with the places where its links lead, and draws so many of them.
    pub fn draw_lines(
        &mut self,
        finished: (&[ratatui::text::Line<'static>], Targets),
        height: u16,
        view: impl FnOnce(&mut Frame) -> Targets,
    ) -> io::Result<()> {
        let Some(lines) = &mut self.lines else { return Ok(()) };
        let (line, targets) = (&self.line, &self.targets);
        let (finished, links) = finished;
        if !finished.is_empty() {
            *targets.borrow_mut() = links;
        }
        lines.draw(finished, height, || backend(line, targets), |frame| *targets.borrow_mut() = view(frame))?;
        LINES_AT.store(lines.top() + 1, Ordering::SeqCst);
        Ok(())
    }

    /// Takes everything off the screen, whoever wrote it; the next draw repaints it.
    pub fn wipe(&mut self) -> io::Result<()> {
        if let Some(lines) = self.lines.as_mut().filter(|_| !FULL.load(Ordering::SeqCst)) {
            lines.begin_anew();
            return Ok(());
        }
        self.forget_pictures();
        self.write(b"\x1b[2J")?;
        self.screen = screen(&self.line, &self.targets, &self.pictures)?;
        Ok(())
    }

    /// The whole lines that were typed before the terminal was taken.
    pub fn take_typed_ahead(&mut self) -> Option<String> {
        self.typed_ahead.take()
    }

    /// The way to the terminal, which may be slow.
    pub fn line(&self) -> &Line {
        &self.line
    }

    /// Draws a frame; `view` tells where its links lead, and its pictures.
    pub fn draw(&mut self, view: impl FnOnce(&mut Frame) -> (Targets, Shown)) -> io::Result<()> {
        let (targets, pictures) = (&self.targets, &self.pictures);
        let draw = |frame: &mut Frame| (*targets.borrow_mut(), *pictures.borrow_mut()) = view(frame);
        self.screen.draw(draw).map(|_| ())
    }

    /// Draws a frame without links and pictures.
    pub fn draw_text(&mut self, view: impl FnOnce(&mut Frame)) -> io::Result<()> {
        self.draw(|frame| {
            view(frame);
            Default::default()
        })
    }

    /// Writes a sequence that draws nothing, between two frames.
    pub fn write(&mut self, sequence: &[u8]) -> io::Result<()> {
        let mut outlet = Outlet::new(self.line.clone());
        outlet.write_all(sequence)?;
        outlet.flush()
    }

    /// Gives the terminal back, stops the program as the shell's Ctrl-Z would, and takes the terminal again when it
    /// is continued.
    pub fn suspend(&mut self) -> io::Result<()> {
        self.give_back();
        tty::stop()?;
        self.resume()
    }

    /// Gives the terminal back before the guard is dropped.
    pub fn leave(&mut self) {
        self.give_back();
    }

    /// Gives the screen back while the program still works. What is typed from now on is for whoever comes next, who
    /// shows it: nothing of it is echoed here, and no Ctrl-C makes the system throw away what is still on its way to
    /// the screen. Dropping the guard gives back the rest.
    pub fn leave_screen(&mut self) {
        self.clear_away();
        let _ = io::stdout().flush();
        if ENTERED.load(Ordering::SeqCst) {
            write_leave();
            LEFT.store(true, Ordering::SeqCst);
            if let Some(saved) = SAVED.get() {
                saved.set_silent();
            }
        }
    }

    fn give_back(&mut self) {
        self.clear_away();
        restore();
    }

    /// Takes everything off the screen that stays there on its own, and lets the last frame out.
    fn clear_away(&mut self) {
        self.forget_pictures();
        self.line.drain(LAST_FRAME);
        self.line.close();
    }

    fn forget_pictures(&mut self) {
        let forget: Vec<u8> = self.screen.backend_mut().take_sent().into_iter().flat_map(pictures::forget).collect();
        if !forget.is_empty() {
            // A terminal that is gone has forgotten them.
            let _ = self.write(&forget);
        }
    }

    /// Takes the terminal again after something else had it; the next draw repaints everything.
    pub fn resume(&mut self) -> io::Result<()> {
        take(self.wanted)?;
        self.lines = begin_lines(self.wanted)?;
        self.line.open();
        // Not `clear`, which asks the terminal where the cursor is and waits for the reply.
        self.screen = screen(&self.line, &self.targets, &self.pictures)?;
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// The lines at the bottom of the screen, if they are wanted.
fn begin_lines(wanted: Wanted) -> io::Result<Option<Lines>> {
    if !wanted.inline {
        return Ok(None);
    }
    let lines = Lines::begin()?;
    LINES_AT.store(lines.top() + 1, Ordering::SeqCst);
    Ok(Some(lines))
}

fn take(wanted: Wanted) -> io::Result<()> {
    if let Some(saved) = SAVED.get() {
        saved.set_raw()?;
    }
    ENTERED.store(true, Ordering::SeqCst);
    LEFT.store(false, Ordering::SeqCst);
    let mut output = io::stdout().lock();
    output.write_all(if wanted.inline { ENTER_LINES } else { ENTER })?;
    for (is_wanted, sequence) in [(wanted.mouse, ENTER_MOUSE), (wanted.focus, ENTER_FOCUS), (wanted.title, ENTER_TITLE)]
    {
        if is_wanted {
            output.write_all(sequence)?;
        }
    }
    TITLED.store(wanted.title, Ordering::SeqCst);
    output.flush()
}

fn restore() {
    let _ = io::stdout().flush();
    restore_after_crash();
}

/// Gives the terminal back if it is ours: writes fixed bytes and sets the saved line settings. Takes no lock and
/// allocates nothing, so that it may be called from a panic hook or from C++ code that is about to abort.
pub fn restore_after_crash() {
    if !ENTERED.swap(false, Ordering::SeqCst) {
        return;
    }
    if !LEFT.swap(false, Ordering::SeqCst) {
        write_leave();
    }
    if let Some(saved) = SAVED.get() {
        saved.set();
    }
}

/// Leaves the screen. What the terminal shows of it is gone with this.
fn write_leave() {
    let stdout = io::stdout();
    match LINES_AT.swap(0, Ordering::SeqCst) {
        0 => write_fixed(&stdout, LEAVE),
        row => leave_lines(&stdout, row),
    }
    if TITLED.swap(false, Ordering::SeqCst) {
        write_fixed(&stdout, LEAVE_TITLE);
    }
}

/// Takes the lines away, so that what comes next stands where they began.
fn leave_lines(to: &io::Stdout, row: u16) {
    if FULL.swap(false, Ordering::SeqCst) {
        write_fixed(to, LEAVE_FULL);
    }
    write_fixed(to, LEAVE_LINES);
    // Nothing may be allocated here.
    let mut digits = *b"00000";
    let mut rest = row;
    for digit in digits.iter_mut().rev() {
        *digit += (rest % 10) as u8;
        rest /= 10;
    }
    write_fixed(to, b"\x1b[");
    write_fixed(to, &digits);
    write_fixed(to, b";1H\x1b[J");
}

/// Writes bytes, without a lock.
pub(crate) fn write_fixed(mut to: impl Output, mut rest: &[u8]) {
    while !rest.is_empty() {
        match tty::write(&mut to, rest) {
            Ok(written) if written > 0 => rest = &rest[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => break,
        }
    }
}

/// A panic of the interface's thread gives the terminal back before it is reported. A panic of another thread goes
/// to the log: the interface lives on and says what it lost, and a report would only garble its screen.
fn restore_on_panic() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let interface = std::thread::current().id();
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if std::thread::current().id() == interface {
                restore_after_crash();
            }
            if ENTERED.load(Ordering::SeqCst) {
                tracing::error!("{panic}");
            } else {
                report(panic);
            }
        }));
    });
}
