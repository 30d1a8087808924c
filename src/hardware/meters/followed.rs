//! A meter that goes on writing: into a file, or as a program of its own. What it writes is read as it comes.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

use super::clock::{Clock, Moment};
use super::csv::{Columns, First, Sample};
use super::powermetrics::{self, Reader};
use crate::text::{cause, escape_line};

/// A program that may not tell anything says so at once.
const REFUSES_WITHIN: Duration = Duration::from_secs(2);
/// A line that is longer is none of a meter's.
const LONGEST: usize = 4096;

/// What is written on, and what was made of it so far.
#[derive(Debug)]
pub struct Followed {
    feed: Feed,
    form: Form,
    clock: Clock,
    /// The time of the last sample, by the meter's own clock.
    last: Option<f64>,
    /// Lines that were no samples, and samples that were not later than the one before.
    strange: u32,
    disordered: u32,
}

#[derive(Debug)]
enum Feed {
    File {
        path: PathBuf,
        /// Bytes that were read.
        read: u64,
        /// Of a line that has no end yet.
        rest: Vec<u8>,
    },
    Program {
        child: Child,
        lines: Receiver<String>,
    },
}

/// How lines are to be read.
#[derive(Clone, Debug)]
enum Form {
    /// No line was seen yet.
    Unknown,
    Columns(Columns),
    Powermetrics(Reader),
}

impl Followed {
    /// Begins to read a file behind what is in it now; its first line says what its columns are.
    ///
    /// # Errors
    /// A sentence, if it cannot be read, or is none of a meter.
    pub fn file(path: &Path) -> Result<Self, String> {
        let now = Moment { instant: Instant::now(), unix: unix() };
        let mut followed = Self::new(Feed::File { path: path.to_owned(), read: 0, rest: Vec::new() }, now);
        let lines = followed.feed.lines()?;
        // What was there before says how it is written, and nothing of what is measured now.
        let text = lines.iter().find(|line| !is_blank(line));
        for line in &lines {
            followed.take(line);
        }
        if let (Some(line), Form::Unknown) = (text, &followed.form) {
            return Err(format!(
                "`{}` is no file of a meter: its first line is neither `time,watts` nor a sample, but `{}`",
                path.display(),
                escape_line(&line.chars().take(60).collect::<String>())
            ));
        }
        (followed.strange, followed.disordered) = (0, 0);
        Ok(followed)
    }

    /// Starts `powermetrics`.
    ///
    /// # Errors
    /// A sentence, if it may not tell anything.
    pub fn powermetrics(program: &Path) -> Result<Self, String> {
        let name = program.display();
        let mut command = Command::new(program);
        command.args(powermetrics::ARGUMENTS).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let started = command.spawn();
        let mut child = started.map_err(|error| format!("`{name}` cannot be run: {}", cause(&error)))?;
        let (told, lines) = mpsc::channel();
        if let Some(output) = child.stdout.take() {
            let read = move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if told.send(line).is_err() {
                        return;
                    }
                }
            };
            // Without a thread nobody reads it, and it tells nothing.
            let _ = std::thread::Builder::new().name("powermetrics".into()).spawn(read);
        }
        let now = Moment { instant: Instant::now(), unix: unix() };
        match lines.recv_timeout(REFUSES_WITHIN) {
            // It is told what it was, which is nothing that is measured.
            Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                let _ = child.wait();
                return Err("power is not measured: only root may ask `powermetrics`; `sudo powermetrics --samplers \
                            cpu_power,gpu_power -i 500 -b 1 -o power.txt` in another window and `--power-csv power.txt` \
                            here measure it"
                    .into());
            }
        }
        let followed = Self::new(Feed::Program { child, lines }, now);
        Ok(Self { form: Form::Powermetrics(Reader::default()), ..followed })
    }

    fn new(feed: Feed, now: Moment) -> Self {
        Self { feed, form: Form::Unknown, clock: Clock::new(now), last: None, strange: 0, disordered: 0 }
    }

    /// What was written since this was asked before.
    ///
    /// # Errors
    /// A sentence, if it cannot be read any more.
    pub fn samples(&mut self, now: Instant) -> Result<Vec<(Instant, f64)>, String> {
        let lines = self.feed.lines()?;
        let samples: Vec<Sample> = lines.iter().filter_map(|line| self.take(line)).collect();
        if let Some(newest) = samples.last() {
            self.clock.heard(newest, now);
        }
        Ok(samples.iter().filter_map(|sample| Some((self.clock.instant(sample)?, sample.watts))).collect())
    }

    /// What is to be said of what was read so far.
    pub fn remark(&self) -> Option<String> {
        let count = |count: u32, what: &str| match count {
            0 => None,
            1 => Some(format!("1 line of it {what}")),
            _ => Some(format!("{count} lines of it {what}")),
        };
        let strange = count(self.strange, "could not be read");
        let disordered = count(self.disordered, "had no later time than the one before");
        let remarks: Vec<String> = self.clock.remark().into_iter().chain(strange).chain(disordered).collect();
        (!remarks.is_empty()).then(|| remarks.join("; "))
    }

    fn take(&mut self, line: &str) -> Option<Sample> {
        if is_blank(line) {
            return None;
        }
        let sample = match &mut self.form {
            Form::Powermetrics(reader) => return reader.take(line),
            Form::Columns(columns) => columns.sample(line),
            Form::Unknown if Reader::is_beginning(line) => {
                let mut reader = Reader::default();
                let sample = reader.take(line);
                self.form = Form::Powermetrics(reader);
                return sample;
            }
            Form::Unknown => match Columns::of(line)? {
                First::Names(columns) => {
                    self.form = Form::Columns(columns);
                    return None;
                }
                First::Sample(columns) => {
                    let sample = columns.sample(line);
                    self.form = Form::Columns(columns);
                    sample
                }
            },
        };
        let Some(sample) = sample else {
            // A meter that is started again may name its columns again.
            self.strange += u32::from(!matches!(Columns::of(line), Some(First::Names(_))));
            return None;
        };
        if self.last.is_some_and(|last| sample.at <= last) {
            self.disordered += 1;
            return None;
        }
        self.last = Some(sample.at);
        Some(sample)
    }
}

impl Feed {
    /// Lines that are whole and were not there before.
    fn lines(&mut self) -> Result<Vec<String>, String> {
        match self {
            Self::File { path, read, rest } => {
                let failed = |error: std::io::Error| format!("cannot read `{}`: {}", path.display(), cause(&error));
                let mut file = File::open(&*path).map_err(failed)?;
                let length = file.metadata().map_err(failed)?.len();
                if length < *read {
                    // It was begun anew.
                    (*read, *rest) = (0, Vec::new());
                }
                file.seek(SeekFrom::Start(*read)).map_err(failed)?;
                let mut more = Vec::new();
                *read += file.read_to_end(&mut more).map_err(failed)? as u64;
                rest.append(&mut more);
                let whole = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
                let lines: Vec<u8> = rest.drain(..whole).collect();
                if rest.len() > LONGEST {
                    return Err(format!("`{}` is no file of a meter: it has no lines", path.display()));
                }
                Ok(String::from_utf8_lossy(&lines).lines().map(str::to_owned).collect())
            }
            Self::Program { lines, .. } => Ok(lines.try_iter().collect()),
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        if let Self::Program { child, .. } = self {
            // It ends by itself where it has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Nothing, or something that is said to the reader.
fn is_blank(line: &str) -> bool {
    line.trim().is_empty() || line.starts_with('#')
}

fn unix() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A file that a meter writes, and one that reads it.
    struct Meter {
        _folder: tempfile::TempDir,
        path: PathBuf,
        start: f64,
    }

    impl Meter {
        fn new(text: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("power.csv");
            std::fs::write(&path, text).unwrap();
            Self { _folder: folder, path, start: unix().floor() }
        }

        fn write(&self, text: &str) {
            let mut file = File::options().append(true).open(&self.path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }

        /// A line of a clock that is off by so many seconds.
        fn line(&self, second: f64, off: f64, watts: f64) -> String {
            format!("{:.3},{watts}\n", self.start + second + off)
        }
    }

    /// What is heard some seconds after it was begun to listen.
    fn watts(followed: &mut Followed, second: f64) -> Vec<f64> {
        let now = Instant::now() + Duration::from_secs_f64(second);
        followed.samples(now).unwrap().into_iter().map(|(_, watts)| watts).collect()
    }

    #[test]
    fn lines_are_read_as_they_come_and_what_was_there_before_is_not() {
        let meter = Meter::new("time,watts\n");
        meter.write(&meter.line(-100.0, 0.0, 99.0));
        let mut followed = Followed::file(&meter.path).unwrap();
        assert_eq!(watts(&mut followed, 2.0), Vec::<f64>::new());
        meter.write(&(meter.line(1.0, 0.0, 3.5) + &meter.line(1.5, 0.0, 4.0)));
        assert_eq!(watts(&mut followed, 2.0), [3.5, 4.0]);
        assert_eq!(watts(&mut followed, 2.0), Vec::<f64>::new());
        assert_eq!(followed.remark(), None);
    }

    #[test]
    fn a_line_that_is_being_written_is_waited_for() {
        let meter = Meter::new("");
        let mut followed = Followed::file(&meter.path).unwrap();
        let line = meter.line(1.0, 0.0, 12.25);
        let (torn, rest) = line.split_at(line.len() - 3);
        meter.write(torn);
        assert_eq!(watts(&mut followed, 2.0), Vec::<f64>::new());
        meter.write(rest);
        assert_eq!(watts(&mut followed, 2.0), [12.25]);
        assert_eq!(followed.remark(), None);
    }

    #[test]
    fn a_clock_that_is_wrong_is_corrected_to_the_moment_of_writing() {
        let meter = Meter::new("time,volts,amps\n");
        let mut followed = Followed::file(&meter.path).unwrap();
        let now = Instant::now();
        meter.write(&format!("{:.3},5.0,1.5\n", meter.start - 7200.0));
        let samples = followed.samples(now).unwrap();
        assert_eq!(samples[0].1, 7.5);
        assert!(now.duration_since(samples[0].0) < Duration::from_secs(2), "{:?}", now.duration_since(samples[0].0));
        assert!(followed.remark().unwrap().contains("2.0 hours behind"), "{:?}", followed.remark());
    }

    #[test]
    fn nonsense_and_disorder_are_counted_and_a_new_beginning_is_none() {
        let meter = Meter::new("time,watts\n");
        let mut followed = Followed::file(&meter.path).unwrap();
        let line = |second| meter.line(second, 0.0, 2.0);
        meter.write(&(line(1.0) + "overflow\n# a remark\n\n" + &line(2.0) + &line(1.5) + "time,watts\n" + &line(3.0)));
        assert_eq!(watts(&mut followed, 3.0).len(), 3);
        let remark = followed.remark().unwrap();
        assert_eq!(remark, "1 line of it could not be read; 1 line of it had no later time than the one before");
        std::fs::write(&meter.path, "time,watts\n".to_owned() + &line(4.0)).unwrap();
        assert_eq!(watts(&mut followed, 4.0).len(), 1, "it was begun anew");
        std::fs::remove_file(&meter.path).unwrap();
        assert!(followed.samples(Instant::now()).unwrap_err().contains("cannot read"));
    }

    #[test]
    fn a_file_that_is_none_of_a_meter_says_what_it_begins_with() {
        let refused = |text: &str| Followed::file(&Meter::new(text).path).unwrap_err();
        assert!(refused("Dear diary\n").contains("but `Dear diary`"));
        assert!(refused(&"x".repeat(5000)).contains("it has no lines"));
        assert!(Followed::file(Path::new("/no/such/file.csv")).unwrap_err().contains("cannot read"));
    }

    #[test]
    fn what_powermetrics_writes_into_a_file_is_read_as_well() {
        let text = powermetrics::tests::APPLE;
        let (before, after) = text.split_at(text.find("**** GPU usage").unwrap());
        let meter = Meter::new(before);
        let mut followed = Followed::file(&meter.path).unwrap();
        meter.write(after);
        assert_eq!(watts(&mut followed, 2.0), [12.17]);
    }

    #[cfg(unix)]
    #[test]
    fn powermetrics_is_followed_while_it_runs_and_says_where_it_may_not() {
        use crate::hardware::boards::Tree;
        let tree = Tree::new().program("powermetrics", "cat \"${0%/*}/../text\"; exec sleep 60");
        let tree = tree.file("text", powermetrics::tests::APPLE);
        let mut followed = Followed::powermetrics(&tree.root().join("bin/powermetrics")).unwrap();
        let mut told = Vec::new();
        for _ in 0..100 {
            told.extend(watts(&mut followed, 2.0));
            if told.len() == 2 {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(told, [11.89, 12.17]);
        let script = "echo 'powermetrics must be invoked as the superuser' >&2; exit 1";
        let tree = Tree::new().program("powermetrics", script);
        let refused = Followed::powermetrics(&tree.root().join("bin/powermetrics")).unwrap_err();
        assert!(refused.contains("sudo powermetrics"), "{refused}");
    }
}
