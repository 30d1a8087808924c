//! What this machine draws, in watts, as far as it or something beside it tells. Every source leaves something out, and
//! says what.

mod clock;
mod csv;
mod followed;
mod hwmon;
mod pmic;
mod powermetrics;
mod rapl;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use followed::Followed;
use rapl::Rapl;

use crate::platform::processes::shell;

/// Where to find what is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// What the machine has.
    Auto,
    None,
    /// A command of the shell that prints watts: that of a meter at the wall, for instance.
    Command(String),
    /// A file that a meter goes on writing.
    File(PathBuf),
}

impl std::str::FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "none" | "off" => Ok(Self::None),
            _ => match text.strip_prefix("cmd:").map(str::trim) {
                Some(command) if !command.is_empty() => Ok(Self::Command(command.into())),
                _ => Err("it must be `auto`, `none`, or `cmd:` and a command that prints watts".into()),
            },
        }
    }
}

/// What a Raspberry Pi 5 lacks whose program does not answer.
const NOT_ALLOWED: &str = "power is not measured: `vcgencmd` may not ask the power chip; `sudo usermod -aG video $USER` \
     allows it from the next login on";

/// Something that tells watts.
#[derive(Debug)]
pub struct Meter {
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// The Raspberry Pi 5's power chip, asked by this program.
    Pmic(PathBuf),
    /// Sensors of a board.
    Hwmon(Vec<hwmon::Sensor>),
    Battery(PathBuf),
    Rapl(Rapl),
    Command(String),
    /// A file that a meter goes on writing.
    File(Followed),
    /// A Mac's own program.
    Powermetrics(Followed),
}

impl Meter {
    /// The best source there is, or why there is none. `programs` are the folders in which programs are looked for.
    ///
    /// # Errors
    /// A sentence: what is missing, or which permission.
    pub fn find(choice: &Choice, root: &Path, programs: &[PathBuf]) -> Result<Self, String> {
        let source = match choice {
            Choice::None => return Err("power is not measured: it is switched off".into()),
            Choice::Command(command) => Source::Command(command.clone()),
            Choice::File(path) => {
                let followed = Followed::file(path);
                Source::File(followed.map_err(|words| format!("power is not measured: {words}"))?)
            }
            Choice::Auto => found(root, programs)?,
        };
        Ok(Self { source })
    }

    /// What the source is and what it does not see, in words.
    pub fn about(&self) -> &'static str {
        match &self.source {
            Source::Pmic(_) => {
                "the Raspberry Pi's power chip; without what hangs on USB, the HAT and losses of the converters"
            }
            Source::Hwmon(_) => "the board's own sensors (hwmon)",
            Source::Battery(_) => "the battery; the whole machine, once a second or so",
            Source::Rapl(_) => "the processor's counters (RAPL); without disk, screen and losses of the power supply",
            Source::Command(_) => "the command of `--power`",
            Source::File(_) => "the meter that writes the file of `--power-csv`",
            Source::Powermetrics(_) => {
                "the processor's own estimate (powermetrics); without memory, disk, screen and losses of the power supply"
            }
        }
    }

    /// What is to be said of what it told so far; nothing if it is as it should be.
    pub fn remark(&self) -> Option<String> {
        match &self.source {
            Source::File(followed) | Source::Powermetrics(followed) => followed.remark(),
            _ => None,
        }
    }

    /// What was drawn since this was asked before, at moments in order: several where it goes on writing by itself.
    ///
    /// # Errors
    /// As [`Self::watts`].
    pub fn samples(&mut self, now: Instant) -> Result<Vec<(Instant, f64)>, String> {
        match &mut self.source {
            Source::File(followed) | Source::Powermetrics(followed) => followed.samples(now),
            _ => Ok(self.watts(now)?.map(|watts| (now, watts)).into_iter().collect()),
        }
    }

    /// What is drawn now, in watts. `None` while that is not known: the first time where it follows from what was used
    /// in between, and on a battery that is not being emptied.
    ///
    /// # Errors
    /// A sentence, if the source does not answer any more.
    pub fn watts(&mut self, now: Instant) -> Result<Option<f64>, String> {
        match &mut self.source {
            Source::Pmic(program) => {
                let said = output(Command::new(program).arg("pmic_read_adc")).map_err(|_| NOT_ALLOWED.to_owned())?;
                pmic::watts(&said).map(Some).ok_or_else(|| "`vcgencmd pmic_read_adc` told no power".into())
            }
            Source::Hwmon(sensors) => Ok(hwmon::watts(sensors)),
            Source::Battery(folder) => Ok(battery(folder)),
            Source::Rapl(rapl) => Ok(rapl.watts(now)),
            Source::File(followed) | Source::Powermetrics(followed) => {
                Ok(followed.samples(now)?.last().map(|(_, watts)| *watts))
            }
            Source::Command(command) => {
                let said = output(&mut shell(command))?;
                let first = said.split_whitespace().next().and_then(|word| word.trim_end_matches('W').parse().ok());
                let watts = first.filter(|watts: &f64| watts.is_finite() && *watts >= 0.0);
                watts.map(Some).ok_or_else(|| format!("`{command}` printed no number of watts"))
            }
        }
    }
}

fn found(root: &Path, programs: &[PathBuf]) -> Result<Source, String> {
    let model = std::fs::read_to_string(root.join("proc/device-tree/model")).unwrap_or_default();
    if model.contains("Raspberry Pi 5") || model.contains("Compute Module 5") {
        let program = programs.iter().map(|folder| folder.join("vcgencmd")).find(|program| program.is_file());
        return program
            .map(Source::Pmic)
            .ok_or_else(|| "power is not measured: `vcgencmd` is missing; type `sudo apt install raspi-utils`".into());
    }
    let sensors = hwmon::find(root);
    if !sensors.is_empty() {
        return Ok(Source::Hwmon(sensors));
    }
    let supplies = std::fs::read_dir(root.join("sys/class/power_supply")).into_iter().flatten().flatten();
    if let Some(folder) = supplies.map(|supply| supply.path()).find(|folder| battery(folder).is_some()) {
        return Ok(Source::Battery(folder));
    }
    if let Some(rapl) = Rapl::find(root)? {
        return Ok(Source::Rapl(rapl));
    }
    if let Some(program) = programs.iter().map(|folder| folder.join("powermetrics")).find(|program| program.is_file()) {
        return Followed::powermetrics(&program).map(Source::Powermetrics);
    }
    Err("power is not measured: this machine does not tell it; `--power cmd:COMMAND` asks a meter that prints watts, \
         `--power-csv FILE` reads what one writes"
        .into())
}

/// Watts drawn from a battery that is being emptied.
fn battery(folder: &Path) -> Option<f64> {
    let word = |name: &str| std::fs::read_to_string(folder.join(name)).ok().map(|text| text.trim().to_owned());
    // Some drivers give a negative current while the battery is emptied.
    let micro = |name: &str| word(name)?.parse::<f64>().ok().map(|number| number.abs() / 1e6);
    if word("type")? != "Battery" || word("scope").as_deref() == Some("Device") || word("status")? != "Discharging" {
        return None;
    }
    micro("power_now").or_else(|| Some(micro("current_now")? * micro("voltage_now")?)).filter(|watts| *watts > 0.0)
}

fn output(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let ran = command.stdin(Stdio::null()).stderr(Stdio::null()).output();
    let ran = ran.map_err(|error| format!("`{name}` cannot be run: {}", crate::text::cause(&error)))?;
    if ran.status.success() {
        Ok(String::from_utf8_lossy(&ran.stdout).into_owned())
    } else {
        Err(format!("`{name}` failed, so power is not known"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware::boards::Tree;

    fn watts(tree: &Tree) -> Result<Option<f64>, String> {
        Meter::find(&Choice::Auto, tree.root(), &[tree.root().join("bin")])?.watts(Instant::now())
    }

    #[test]
    fn a_laptop_on_its_battery_draws_what_the_battery_gives() {
        let battery = |files: &[(&str, &str)]| {
            let tree = Tree::new().file("sys/class/power_supply/BAT0/type", "Battery\n");
            let tree = files
                .iter()
                .fold(tree, |tree, (name, text)| tree.file(&format!("sys/class/power_supply/BAT0/{name}"), text));
            watts(&tree)
        };
        assert_eq!(battery(&[("status", "Discharging\n"), ("power_now", "12500000\n")]), Ok(Some(12.5)));
        let current = [("status", "Discharging\n"), ("current_now", "-1500000\n"), ("voltage_now", "12000000\n")];
        assert_eq!(battery(&current), Ok(Some(18.0)));
        assert!(battery(&[("status", "Charging\n"), ("power_now", "12500000\n")]).is_err());
    }

    #[test]
    fn a_raspberry_pi_5_without_its_program_says_what_to_install() {
        let tree = Tree::new().file("proc/device-tree/model", "Raspberry Pi 5 Model B Rev 1.0\0");
        assert!(watts(&tree).unwrap_err().contains("apt install raspi-utils"));
    }

    #[test]
    fn a_command_tells_watts_or_it_is_said_that_it_does_not() {
        let ask = |command: &str| {
            let choice: Choice = format!("cmd:{command}").parse().unwrap();
            Meter::find(&choice, Path::new("/"), &[]).unwrap().watts(Instant::now())
        };
        assert_eq!(ask("echo 7.25"), Ok(Some(7.25)));
        assert_eq!(ask("echo 7.25W at the wall"), Ok(Some(7.25)));
        assert!(ask("echo high").unwrap_err().contains("printed no number of watts"));
        assert!(ask("exit 3").unwrap_err().contains("failed"));
        assert!("wall".parse::<Choice>().unwrap_err().contains("`cmd:`"));
    }

    #[test]
    fn a_machine_that_tells_nothing_says_how_to_ask_a_meter() {
        assert!(watts(&Tree::new()).unwrap_err().contains("--power cmd:COMMAND"));
    }
}
