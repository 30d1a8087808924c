//! What processors and boards are called.

use std::collections::BTreeMap;
use std::path::Path;

/// Parts of ARM's own cores, by the number in the part field of MIDR_EL1 (ARM's Technical Reference Manuals).
const ARM_PARTS: [(u16, &str); 27] = [
    (0xd03, "Cortex-A53"),
    (0xd04, "Cortex-A35"),
    (0xd05, "Cortex-A55"),
    (0xd07, "Cortex-A57"),
    (0xd08, "Cortex-A72"),
    (0xd09, "Cortex-A73"),
    (0xd0a, "Cortex-A75"),
    (0xd0b, "Cortex-A76"),
    (0xd0c, "Neoverse-N1"),
    (0xd0d, "Cortex-A77"),
    (0xd0e, "Cortex-A76AE"),
    (0xd40, "Neoverse-V1"),
    (0xd41, "Cortex-A78"),
    (0xd42, "Cortex-A78AE"),
    (0xd44, "Cortex-X1"),
    (0xd46, "Cortex-A510"),
    (0xd47, "Cortex-A710"),
    (0xd48, "Cortex-X2"),
    (0xd49, "Neoverse-N2"),
    (0xd4b, "Cortex-A78C"),
    (0xd4d, "Cortex-A715"),
    (0xd4e, "Cortex-X3"),
    (0xd4f, "Neoverse-V2"),
    (0xd80, "Cortex-A520"),
    (0xd81, "Cortex-A720"),
    (0xd82, "Cortex-X4"),
    (0xd8e, "Neoverse-N3"),
];
const ARM: u16 = 0x41;

/// What `proc/cpuinfo` says.
#[derive(Debug, Default)]
pub struct CpuInfo {
    /// The maker's name of the processor (`AMD Ryzen 7 5800X 8-Core Processor`), where one is told.
    pub model: Option<String>,
    /// ARM's names of the cores, by their numbers.
    pub parts: BTreeMap<usize, &'static str>,
    /// The cores that are listed.
    pub listed: Vec<usize>,
}

impl CpuInfo {
    pub fn read(root: &Path) -> Self {
        Self::parse(&std::fs::read_to_string(root.join("proc/cpuinfo")).unwrap_or_default())
    }

    fn parse(text: &str) -> Self {
        let mut info = Self::default();
        let mut maker = None;
        for line in text.lines() {
            let Some((key, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            match key.trim() {
                "processor" => {
                    info.listed.extend(value.parse::<usize>().ok());
                    maker = None;
                }
                "model name" if !value.is_empty() => {
                    info.model.get_or_insert_with(|| value.to_owned());
                }
                "CPU implementer" => maker = hexadecimal(value),
                "CPU part" if maker == Some(ARM) => {
                    let name = hexadecimal(value).and_then(arm_part);
                    if let (Some(core), Some(name)) = (info.listed.last(), name) {
                        info.parts.insert(*core, name);
                    }
                }
                _ => {}
            }
        }
        info
    }
}

/// ARM's name of the core whose identification register (MIDR_EL1) Linux tells in `midr_el1`.
pub fn arm_core(midr: &str) -> Option<&'static str> {
    let midr = u64::from_str_radix(midr.trim().strip_prefix("0x")?, 16).ok()?;
    if (midr >> 24) & 0xff != u64::from(ARM) {
        return None;
    }
    arm_part(((midr >> 4) & 0xfff) as u16)
}

/// What a board calls itself in its device tree (`Raspberry Pi 5 Model B Rev 1.0`).
pub fn board(root: &Path) -> Option<String> {
    let read = |path: &str| std::fs::read_to_string(root.join(path)).ok();
    let text = read("proc/device-tree/model").or_else(|| read("sys/firmware/devicetree/base/model"))?;
    let name = text.trim_matches(['\0', '\n', ' ']).to_owned();
    (!name.is_empty()).then_some(name)
}

fn arm_part(number: u16) -> Option<&'static str> {
    ARM_PARTS.iter().find(|(part, _)| *part == number).map(|(_, name)| *name)
}

fn hexadecimal(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_tells_its_makers_name() {
        let info = CpuInfo::parse("processor\t: 0\nmodel name\t: AMD EPYC\n\nprocessor\t: 1\nmodel name\t: AMD EPYC\n");
        assert_eq!((info.model.as_deref(), info.listed), (Some("AMD EPYC"), vec![0, 1]));
    }

    #[test]
    fn cores_of_arm_are_named_by_their_parts_and_others_are_not() {
        let core = |number: usize, maker: &str, part: &str| {
            format!("processor\t: {number}\nCPU implementer\t: {maker}\nCPU part\t: {part}\n\n")
        };
        let text = core(0, "0x41", "0xd05") + &core(4, "0x41", "0xd0b") + &core(5, "0x61", "0xd0b");
        let info = CpuInfo::parse(&text);
        assert_eq!(info.parts.into_iter().collect::<Vec<_>>(), [(0, "Cortex-A55"), (4, "Cortex-A76")]);
        assert_eq!(arm_core("0x00000000414fd0b1\n"), Some("Cortex-A76"));
        assert_eq!(arm_core("0x00000000614fd0b1"), None);
        assert_eq!(arm_core("garbage"), None);
    }
}
