//! Sensors of power on boards: chips of the INA family below `/sys/class/hwmon`.

use std::path::{Path, PathBuf};

/// One measured line of a chip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sensor {
    /// Files with µW, or with mA and mV.
    power: Power,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Power {
    Microwatts(PathBuf),
    Product { milliamperes: PathBuf, millivolts: PathBuf },
}

/// The lines to add up: of a chip that names the machine's input that one only, else all.
pub fn find(root: &Path) -> Vec<Sensor> {
    let chips = std::fs::read_dir(root.join("sys/class/hwmon")).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = chips.map(|chip| chip.path()).collect();
    folders.sort();
    let is_ina = |folder: &PathBuf| word(&folder.join("name")).is_some_and(|name| name.starts_with("ina"));
    let lines: Vec<(Option<String>, Sensor)> =
        folders.iter().filter(|folder| is_ina(folder)).flat_map(|folder| lines(folder)).collect();
    let inputs = ["VDD_IN", "VIN", "VIN_SYS_5V0", "POM_5V_IN"];
    let is_input = |label: &Option<String>| label.as_deref().is_some_and(|label| inputs.contains(&label));
    let has_input = lines.iter().any(|(label, _)| is_input(label));
    lines.into_iter().filter(|(label, _)| !has_input || is_input(label)).map(|(_, sensor)| sensor).collect()
}

/// Watts of all lines together; `None` if one is not told.
pub fn watts(sensors: &[Sensor]) -> Option<f64> {
    sensors.iter().map(Sensor::watts).sum()
}

impl Sensor {
    fn watts(&self) -> Option<f64> {
        match &self.power {
            Power::Microwatts(file) => Some(number(file)? / 1e6),
            Power::Product { milliamperes, millivolts } => Some(number(milliamperes)? * number(millivolts)? / 1e6),
        }
    }
}

fn lines(folder: &Path) -> Vec<(Option<String>, Sensor)> {
    let line = |number: u32| {
        let file = |kind: &str, rest: &str| folder.join(format!("{kind}{number}_{rest}"));
        let (watts, current, voltage) = (file("power", "input"), file("curr", "input"), file("in", "input"));
        let power = if watts.is_file() {
            Power::Microwatts(watts)
        } else if current.is_file() && voltage.is_file() {
            Power::Product { milliamperes: current, millivolts: voltage }
        } else {
            return None;
        };
        let label = word(&file("in", "label")).or_else(|| word(&file("power", "label")));
        Some((label, Sensor { power }))
    };
    (1..=8).filter_map(line).collect()
}

fn word(file: &Path) -> Option<String> {
    std::fs::read_to_string(file).ok().map(|text| text.trim().to_owned())
}

fn number(file: &Path) -> Option<f64> {
    word(file)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware::boards::Tree;

    #[test]
    fn a_board_whose_chip_knows_the_input_counts_it_alone() {
        let chip = "sys/class/hwmon/hwmon1";
        let tree = Tree::new()
            .file("sys/class/hwmon/hwmon0/name", "cpu_thermal\n")
            .file(&format!("{chip}/name"), "ina3221\n")
            .file(&format!("{chip}/in1_label"), "VDD_IN\n")
            .file(&format!("{chip}/in1_input"), "5000\n")
            .file(&format!("{chip}/curr1_input"), "1200\n")
            .file(&format!("{chip}/in2_label"), "VDD_CPU\n")
            .file(&format!("{chip}/in2_input"), "5000\n")
            .file(&format!("{chip}/curr2_input"), "700\n");
        assert_eq!(watts(&find(tree.root())), Some(6.0));
    }

    #[test]
    fn chips_without_labels_are_added_up() {
        let tree = Tree::new()
            .file("sys/class/hwmon/hwmon0/name", "ina226\n")
            .file("sys/class/hwmon/hwmon0/power1_input", "4250000\n")
            .file("sys/class/hwmon/hwmon2/name", "ina219\n")
            .file("sys/class/hwmon/hwmon2/curr1_input", "500\n")
            .file("sys/class/hwmon/hwmon2/in1_input", "12000\n");
        assert_eq!(watts(&find(tree.root())), Some(10.25));
    }

    #[test]
    fn a_board_without_such_a_chip_has_no_sensor() {
        assert!(find(Tree::new().file("sys/class/hwmon/hwmon0/name", "rk806\n").root()).is_empty());
    }
}
