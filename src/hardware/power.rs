//! What the machine runs on: the mains or a battery, and how full that is.

use std::path::Path;

/// Where the machine's power comes from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Power {
    /// A battery is being emptied.
    pub on_battery: bool,
    /// What is left in all batteries together, of what they hold when full; `None` if they do not tell.
    pub charge_percent: Option<u8>,
}

/// Reads what Linux says of the power supplies below `root`, which is `/` but in tests. `None` for a machine without a
/// battery of its own, and where the system does not tell.
#[cfg(target_os = "linux")]
pub fn read(root: &Path) -> Option<Power> {
    let supplies = std::fs::read_dir(root.join("sys/class/power_supply")).ok()?;
    let batteries: Vec<Battery> = supplies.filter_map(|supply| Battery::read(&supply.ok()?.path())).collect();
    if batteries.is_empty() {
        return None;
    }
    let on_battery = batteries.iter().any(|battery| battery.is_discharging);
    Some(Power { on_battery, charge_percent: charge_percent(&batteries) })
}

/// Reads what the machine runs on. `None`: this system is not asked yet.
#[cfg(not(target_os = "linux"))]
pub fn read(_root: &Path) -> Option<Power> {
    None
}

/// What all batteries of the machine hold when full, in watt-hours. `None` without a battery, and where one does not tell.
#[cfg(target_os = "linux")]
pub fn capacity_watt_hours(root: &Path) -> Option<f64> {
    let supplies = std::fs::read_dir(root.join("sys/class/power_supply")).ok()?;
    let batteries: Vec<Battery> = supplies.filter_map(|supply| Battery::read(&supply.ok()?.path())).collect();
    let all: Vec<f64> = batteries.iter().map(Battery::watt_hours).collect::<Option<_>>()?;
    (!all.is_empty()).then(|| all.iter().sum())
}

/// What batteries hold. `None`: this system is not asked yet.
#[cfg(not(target_os = "linux"))]
pub fn capacity_watt_hours(_root: &Path) -> Option<f64> {
    None
}

/// One battery of the machine.
#[cfg(target_os = "linux")]
struct Battery {
    is_discharging: bool,
    percent: Option<u8>,
    energy: Option<Filling>,
    charge: Option<Filling>,
    /// At which it gives its charge, in µV.
    voltage: Option<u64>,
}

/// How much of something a battery holds, in the kernel's units (µWh or µAh).
#[cfg(target_os = "linux")]
#[derive(Clone, Copy)]
struct Filling {
    now: u64,
    full: u64,
}

#[cfg(target_os = "linux")]
impl Battery {
    /// `None` for what is no battery (the mains, a USB port), for that of a device (a mouse, a headset), and for a slot
    /// without a battery in it.
    fn read(supply: &Path) -> Option<Self> {
        let word = |name: &str| std::fs::read_to_string(supply.join(name)).ok().map(|text| text.trim().to_owned());
        let number = |name: &str| word(name)?.parse::<u64>().ok();
        let is_own = word("type")? == "Battery" && word("scope").as_deref() != Some("Device");
        if !is_own || number("present") == Some(0) {
            return None;
        }
        let filling = |kind: &str| {
            let now = number(&format!("{kind}_now"))?;
            let full = number(&format!("{kind}_full")).or_else(|| number(&format!("{kind}_full_design")))?;
            (full > 0).then_some(Filling { now: now.min(full), full })
        };
        Some(Self {
            is_discharging: word("status").as_deref() == Some("Discharging"),
            percent: number("capacity").map(|percent| percent.min(100) as u8),
            energy: filling("energy"),
            charge: filling("charge"),
            voltage: number("voltage_min_design").or_else(|| number("voltage_now")),
        })
    }

    /// What it holds when full.
    fn watt_hours(&self) -> Option<f64> {
        let micro = |number: u64| number as f64 / 1e6;
        match (self.energy, self.charge.zip(self.voltage)) {
            (Some(energy), _) => Some(micro(energy.full)),
            (None, Some((charge, voltage))) => Some(micro(charge.full) * micro(voltage)),
            (None, None) => None,
        }
    }
}

/// The batteries' fillings added up, if all tell the same kind; else the mean of their own percentages.
#[cfg(target_os = "linux")]
fn charge_percent(batteries: &[Battery]) -> Option<u8> {
    if let [battery] = batteries
        && battery.percent.is_some()
    {
        return battery.percent;
    }
    let all = |filling: fn(&Battery) -> Option<Filling>| batteries.iter().map(filling).collect::<Option<Vec<_>>>();
    if let Some(fillings) = all(|battery| battery.energy).or_else(|| all(|battery| battery.charge)) {
        let sum = |part: fn(&Filling) -> u64| fillings.iter().map(|filling| u128::from(part(filling))).sum::<u128>();
        return u8::try_from(sum(|filling| filling.now) * 100 / sum(|filling| filling.full)).ok();
    }
    let percents: Vec<u64> = batteries.iter().filter_map(|battery| battery.percent.map(u64::from)).collect();
    let mean = percents.iter().sum::<u64>().checked_div(percents.len() as u64)?;
    u8::try_from(mean).ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// A tree of power supplies, each with its files.
    fn tree(supplies: &[(&str, &[(&str, &str)])]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, files) in supplies {
            let folder = root.path().join("sys/class/power_supply").join(name);
            std::fs::create_dir_all(&folder).unwrap();
            for (file, text) in *files {
                std::fs::write(folder.join(file), format!("{text}\n")).unwrap();
            }
        }
        root
    }

    fn power(supplies: &[(&str, &[(&str, &str)])]) -> Option<Power> {
        read(tree(supplies).path())
    }

    fn on_battery(charge_percent: Option<u8>) -> Option<Power> {
        Some(Power { on_battery: true, charge_percent })
    }

    #[test]
    fn a_laptop_on_its_battery_says_what_is_left() {
        let mains: (&str, &[_]) = ("AC", &[("type", "Mains"), ("online", "0")]);
        let battery: (&str, &[_]) = ("BAT0", &[("type", "Battery"), ("status", "Discharging"), ("capacity", "29")]);
        assert_eq!(power(&[mains, battery]), on_battery(Some(29)));
    }

    #[test]
    fn a_laptop_at_the_mains_is_not_on_battery_whatever_the_battery_does_there() {
        for status in ["Charging", "Full", "Not charging", "Unknown"] {
            let battery: (&str, &[_]) = ("BAT0", &[("type", "Battery"), ("status", status), ("capacity", "80")]);
            assert_eq!(power(&[battery]), Some(Power { on_battery: false, charge_percent: Some(80) }), "{status}");
        }
    }

    #[test]
    fn what_a_full_battery_holds_is_told_by_its_energy_or_by_its_charge_and_voltage() {
        let capacity = |supplies: &[(&str, &[(&str, &str)])]| capacity_watt_hours(tree(supplies).path());
        let energy: (&str, &[_]) =
            ("BAT0", &[("type", "Battery"), ("energy_now", "20000000"), ("energy_full", "48500000")]);
        let charge: (&str, &[_]) = (
            "BAT1",
            &[
                ("type", "Battery"),
                ("charge_now", "1000000"),
                ("charge_full", "2000000"),
                ("voltage_min_design", "11400000"),
            ],
        );
        assert_eq!(capacity(&[energy]), Some(48.5));
        assert!((capacity(&[energy, charge]).unwrap() - 71.3).abs() < 1e-9);
        let silent: (&str, &[_]) = ("BAT1", &[("type", "Battery"), ("capacity", "50")]);
        assert_eq!((capacity(&[energy, silent]), capacity(&[])), (None, None));
    }

    #[test]
    fn several_batteries_count_by_what_they_hold() {
        let first: (&str, &[_]) = (
            "BAT0",
            &[("type", "Battery"), ("status", "Full"), ("energy_now", "20000000"), ("energy_full", "20000000")],
        );
        let second: (&str, &[_]) = (
            "BAT1",
            &[("type", "Battery"), ("status", "Discharging"), ("energy_now", "20000000"), ("energy_full", "60000000")],
        );
        assert_eq!(power(&[first, second]), on_battery(Some(50)));
    }

    #[test]
    fn batteries_that_tell_different_things_count_alike() {
        let first: (&str, &[_]) =
            ("BAT0", &[("type", "Battery"), ("capacity", "90"), ("energy_now", "9"), ("energy_full", "10")]);
        let second: (&str, &[_]) =
            ("BAT1", &[("type", "Battery"), ("status", "Discharging"), ("capacity", "10"), ("charge_now", "1")]);
        assert_eq!(power(&[first, second]), on_battery(Some(50)));
    }

    #[test]
    fn a_battery_without_a_percentage_is_asked_for_its_charge() {
        let battery: (&str, &[_]) = (
            "BAT0",
            &[("type", "Battery"), ("status", "Discharging"), ("charge_now", "700"), ("charge_full_design", "2000")],
        );
        assert_eq!(power(&[battery]), on_battery(Some(35)));
        assert_eq!(power(&[("BAT0", &[("type", "Battery"), ("status", "Discharging")])]), on_battery(None));
    }

    #[test]
    fn the_battery_of_a_device_an_empty_slot_and_the_mains_are_no_battery_of_the_machine() {
        let mouse: (&str, &[_]) = (
            "hidpp_battery_0",
            &[("type", "Battery"), ("scope", "Device"), ("status", "Discharging"), ("capacity", "5")],
        );
        let slot: (&str, &[_]) = ("BAT1", &[("type", "Battery"), ("present", "0"), ("status", "Unknown")]);
        let port: (&str, &[_]) = ("ucsi-source-psy", &[("type", "USB"), ("online", "1")]);
        assert_eq!(power(&[mouse, slot, port, ("AC", &[("type", "Mains")])]), None);
        assert_eq!(power(&[]), None);
    }

    #[test]
    fn numbers_that_make_no_sense_are_not_believed() {
        let battery = |now, full| {
            let files = [("type", "Battery"), ("status", "Discharging"), ("energy_now", now), ("energy_full", full)];
            power(&[("BAT0", &files)])
        };
        assert_eq!(battery("5", "0"), on_battery(None));
        assert_eq!(battery("-5", "10"), on_battery(None));
        assert_eq!(battery("30", "10"), on_battery(Some(100)));
        assert_eq!(battery("18446744073709551615", "18446744073709551615"), on_battery(Some(100)));
    }
}
