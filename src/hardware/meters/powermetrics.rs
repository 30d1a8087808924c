//! The text of macOS's `powermetrics`, line by line: pure. Each sample is the mean of the while since the one before.

use super::csv::Sample;

/// What it is asked for.
pub const ARGUMENTS: [&str; 4] = ["--samplers", "cpu_power,gpu_power", "-i", "500"];

/// The beginning of a sample.
const BEGIN: &str = "*** Sampled system activity";

/// What was read of a sample so far.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    /// Seconds of all samples that have begun.
    passed: f64,
    /// Seconds that the sample covers.
    covers: Option<f64>,
    /// Watts of the parts, for versions that do not add them up.
    parts: Vec<(String, f64)>,
    is_told: bool,
}

impl Reader {
    /// Whether a line is one that it begins with.
    pub fn is_beginning(line: &str) -> bool {
        line.starts_with(BEGIN) || line.starts_with("Machine model:")
    }

    /// Takes a line; gives a sample where one is whole.
    pub fn take(&mut self, line: &str) -> Option<Sample> {
        if line.starts_with(BEGIN) {
            let before = self.parts_together();
            let covers = line.rsplit_once("ms elapsed")?.0.rsplit('(').next()?.trim().parse::<f64>().ok()?;
            let covers = Some(covers / 1e3).filter(|seconds| seconds.is_finite() && *seconds > 0.0)?;
            *self = Self { passed: self.passed + covers, covers: Some(covers), ..Self::default() };
            return before;
        }
        let (name, value) = line.split_once(':')?;
        let watts = watts(value)?;
        let is_whole = name.starts_with("Combined Power")
            || name == "Package Power"
            || name.starts_with("Intel energy model derived package power");
        if is_whole && !self.is_told {
            self.is_told = true;
            return self.sample(watts);
        }
        let is_part = ["CPU Power", "GPU Power", "ANE Power"].contains(&name);
        // The graphics processor's is told twice.
        if is_part && self.parts.iter().all(|(known, _)| known != name) {
            self.parts.push((name.to_owned(), watts));
        }
        None
    }

    fn parts_together(&self) -> Option<Sample> {
        if self.is_told || self.parts.is_empty() {
            None
        } else {
            self.sample(self.parts.iter().map(|(_, watts)| watts).sum())
        }
    }

    fn sample(&self, watts: f64) -> Option<Sample> {
        let at = self.passed - self.covers? / 2.0;
        Some(Sample { at, until: self.passed, watts, is_relative: true })
    }
}

/// `1290 mW`, `3.53W`.
fn watts(value: &str) -> Option<f64> {
    let value = value.trim();
    let (number, scale) = match value.strip_suffix("mW") {
        Some(number) => (number, 1e-3),
        None => (value.strip_suffix('W')?, 1.0),
    };
    number.trim().parse::<f64>().ok().filter(|watts| watts.is_finite() && *watts >= 0.0).map(|watts| watts * scale)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Two samples of a Mac with Apple's processor, in the form that macOS 13 prints.
    pub const APPLE: &str = "Machine model: Mac14,9\nOS version: 22G90\nBoot arguments: \n\n\
        *** Sampled system activity (Fri Nov 27 09:31:01 2026 +0100) (503.21ms elapsed) ***\n\n\
        **** Processor usage ****\n\n\
        E-Cluster Online: 100%\nE-Cluster HW active frequency: 1017 MHz\nE-Cluster idle residency:  62.11%\n\
        P0-Cluster HW active frequency: 3204 MHz\nCPU 4 frequency: 3312 MHz\n\n\
        CPU Power: 11834 mW\nGPU Power: 56 mW\nANE Power: 0 mW\nCombined Power (CPU + GPU + ANE): 11890 mW\n\n\
        **** GPU usage ****\n\nGPU HW active frequency: 444 MHz\nGPU idle residency:  98.20%\nGPU Power: 56 mW\n\n\
        *** Sampled system activity (Fri Nov 27 09:31:01 2026 +0100) (501.79ms elapsed) ***\n\n\
        **** Processor usage ****\n\n\
        CPU Power: 12110 mW\nGPU Power: 60 mW\nANE Power: 0 mW\nCombined Power (CPU + GPU + ANE): 12170 mW\n\n";

    fn read(text: &str) -> Vec<(f64, f64, f64)> {
        let mut reader = Reader::default();
        let samples = text.lines().filter_map(|line| reader.take(line));
        let round = |number: f64| (number * 1e6).round() / 1e6;
        samples.map(|sample| (round(sample.at), round(sample.until), round(sample.watts))).collect()
    }

    #[test]
    fn a_mac_tells_the_mean_of_each_half_second() {
        assert!(Reader::is_beginning(APPLE.lines().next().unwrap()));
        assert_eq!(read(APPLE), [(0.251_605, 0.50321, 11.89), (0.754_105, 1.005, 12.17)]);
    }

    #[test]
    fn older_ones_name_the_package_or_the_parts_and_intels_tell_watts() {
        let begin = "*** Sampled system activity (Fri Nov 27 09:31:01 2026 +0100) (1000.00ms elapsed) ***\n";
        assert_eq!(read(&format!("{begin}Package Power: 217 mW\n")), [(0.5, 1.0, 0.217)]);
        let intel = "Intel energy model derived package power (CPUs+GT+SA): 3.53W\n";
        assert_eq!(read(&format!("{begin}{intel}")), [(0.5, 1.0, 3.53)]);
        let parts = "CPU Power: 900 mW\nGPU Power: 50 mW\nGPU Power: 50 mW\n";
        assert_eq!(read(&format!("{begin}{parts}{begin}")), [(0.5, 1.0, 0.95)]);
    }

    #[test]
    fn text_that_says_nothing_gives_no_sample() {
        for text in ["", "CPU Power: much\n", "*** Sampled system activity (now) (soon elapsed) ***\nCPU Power: 3 mW\n"]
        {
            assert_eq!(read(text), []);
        }
    }
}
