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

/// What a machine without a device tree says of itself (DMI): `LENOVO ThinkPad X1 Carbon Gen 9`. `None` where its maker left
/// only what stands there before anything is written.
pub fn product(root: &Path) -> Option<String> {
    const UNWRITTEN: [&str; 8] = [
        "to be filled",
        "default string",
        "system product name",
        "system manufacturer",
        "not applicable",
        "not specified",
        "invalid",
        "unknown",
    ];
    let word = |name: &str| {
        let text = std::fs::read_to_string(root.join("sys/class/dmi/id").join(name)).ok()?;
        let text = text.trim().to_owned();
        let lower = text.to_lowercase();
        let is_written = text.len() > 1 && !UNWRITTEN.iter().any(|unwritten| lower.starts_with(unwritten));
        is_written.then_some(text)
    };
    let maker = word("sys_vendor").or_else(|| word("board_vendor"));
    let name = word("product_name").or_else(|| word("board_name"));
    // Lenovo's names are numbers of parts.
    let name = match maker.as_deref() {
        Some("LENOVO") => word("product_version").or(name),
        _ => name,
    };
    match (maker, name?) {
        (Some(maker), name) if !name.to_lowercase().starts_with(&maker.to_lowercase()) => {
            Some(format!("{maker} {name}"))
        }
        (_, name) => Some(name),
    }
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
    use crate::hardware::boards::Tree;

    #[test]
    fn a_machine_without_a_device_tree_is_called_what_its_maker_wrote() {
        let product = |files: &[(&str, &str)]| {
            let at = |name: &str| format!("sys/class/dmi/id/{name}");
            let tree = files.iter().fold(Tree::new(), |tree, (name, text)| tree.file(&at(name), text));
            super::product(tree.root())
        };
        let dell = [("sys_vendor", "Dell Inc.\n"), ("product_name", "XPS 13 9310\n")];
        assert_eq!(product(&dell).as_deref(), Some("Dell Inc. XPS 13 9310"));
        let lenovo = [("sys_vendor", "LENOVO\n"), ("product_name", "20XW\n"), ("product_version", "ThinkPad X1\n")];
        assert_eq!(product(&lenovo).as_deref(), Some("LENOVO ThinkPad X1"));
        let built = [
            ("sys_vendor", "To Be Filled By O.E.M.\n"),
            ("product_name", "System Product Name\n"),
            ("board_vendor", "ASRock\n"),
            ("board_name", "ASRock B550M\n"),
        ];
        assert_eq!(product(&built).as_deref(), Some("ASRock B550M"));
        assert_eq!(product(&[("sys_vendor", "QEMU\n"), ("product_name", "\n")]), None);
    }

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
