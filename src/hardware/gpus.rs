//! Graphics processors as the system shows them, whether this program can use them or not: what Linux says of its
//! display controllers and what NVIDIA's driver says of its own.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// The class of display controllers on the PCI bus, in the first of its three bytes.
const DISPLAY_CLASS: &str = "0x03";
/// Where Intel's integrated graphics processor is on the bus.
const INTEL_INTEGRATED: &str = "0000:00:02.0";
/// AMD's integrated graphics processors have less memory of their own than this.
const LEAST_OWN_BYTES: u64 = 2 << 30;
/// Where Vulkan's drivers are announced.
const DRIVER_FOLDERS: [&str; 4] =
    ["etc/vulkan/icd.d", "usr/share/vulkan/icd.d", "usr/local/share/vulkan/icd.d", "usr/local/etc/vulkan/icd.d"];

/// Who made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    Nvidia,
    Amd,
    Intel,
}

/// A graphics processor that could compute. Those of virtual machines' screens and of boards are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpu {
    pub maker: Maker,
    /// What the maker calls it; `None` where no driver tells.
    pub name: Option<String>,
    /// Its address on the bus, such as `0000:01:00.0`.
    pub address: String,
    /// It has no memory of its own.
    pub is_integrated: bool,
}

impl Maker {
    fn of_vendor(id: &str) -> Option<Self> {
        match id.trim() {
            "0x10de" => Some(Self::Nvidia),
            "0x1002" => Some(Self::Amd),
            "0x8086" => Some(Self::Intel),
            // Among them what virtual machines show: 0x1af4 (virtio), 0x1234 (bochs), 0x15ad (VMware), 0x1013 (Cirrus).
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Nvidia => "NVIDIA",
            Self::Amd => "AMD",
            Self::Intel => "Intel",
        }
    }

    /// The feature of the build that uses it.
    pub fn feature(self) -> &'static str {
        match self {
            Self::Nvidia => "cuda",
            Self::Amd | Self::Intel => "vulkan",
        }
    }
}

/// `an NVIDIA GPU (GeForce RTX 3060)`.
impl fmt::Display for Gpu {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let article = if self.is_integrated { "an integrated" } else { "an" };
        write!(formatter, "{article} {} GPU", self.maker.name())?;
        match &self.name {
            Some(name) => write!(formatter, " ({})", name.strip_prefix(self.maker.name()).unwrap_or(name).trim_start()),
            None => Ok(()),
        }
    }
}

/// This machine's graphics processors, those with memory of their own first. Empty where the system does not tell (not
/// Linux, no `/sys`).
pub fn read() -> Vec<Gpu> {
    read_under(Path::new("/"))
}

/// The same from what the files below `root` say.
pub fn read_under(root: &Path) -> Vec<Gpu> {
    let mut found: BTreeMap<String, Gpu> = BTreeMap::new();
    for folder in entries(&root.join("sys/bus/pci/devices")) {
        let word = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
        let is_display = word("class").is_some_and(|class| class.starts_with(DISPLAY_CLASS));
        let Some(maker) = word("vendor").as_deref().and_then(Maker::of_vendor).filter(|_| is_display) else { continue };
        let address = file_name(&folder);
        let own_bytes = word("mem_info_vram_total").and_then(|bytes| bytes.trim().parse::<u64>().ok());
        let is_integrated = match maker {
            Maker::Nvidia => false,
            Maker::Amd => own_bytes.is_some_and(|bytes| bytes < LEAST_OWN_BYTES),
            Maker::Intel => address == INTEL_INTEGRATED,
        };
        let name = word("product_name").map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        found.insert(address.clone(), Gpu { maker, name, address, is_integrated });
    }
    // In a container the driver may be all that is seen.
    for folder in entries(&root.join("proc/driver/nvidia/gpus")) {
        let address = file_name(&folder);
        let name = std::fs::read_to_string(folder.join("information")).ok().and_then(|text| {
            let name = text.lines().find_map(|line| line.strip_prefix("Model:"))?.trim().to_owned();
            (!name.is_empty()).then_some(name)
        });
        let gpu = Gpu { maker: Maker::Nvidia, name: None, address: address.clone(), is_integrated: false };
        found.entry(address).or_insert(gpu).name = name;
    }
    let mut found: Vec<Gpu> = found.into_values().collect();
    found.sort_by_key(|gpu| gpu.is_integrated);
    found
}

/// What changes when a driver is put in, taken away or replaced: the kernel's and NVIDIA's versions, and the
/// announcements of Vulkan's drivers with their sizes and times.
pub fn drivers_under(root: &Path) -> String {
    let mut marks = Vec::new();
    for name in ["proc/sys/kernel/osrelease", "proc/driver/nvidia/version"] {
        let text = std::fs::read_to_string(root.join(name)).unwrap_or_default();
        marks.push(text.lines().next().unwrap_or_default().trim().to_owned());
    }
    for folder in DRIVER_FOLDERS {
        for file in entries(&root.join(folder)) {
            let changed = std::fs::metadata(&file).ok().map(|file| (file.len(), file.modified().ok()));
            marks.push(format!("{} {changed:?}", file_name(&file)));
        }
    }
    marks.join("\n")
}

/// What is in a folder, in the order of the names; nothing if it is not there.
fn entries(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    fn told(files: &[(&str, &str)]) -> Vec<String> {
        read_under(tree(files).path()).iter().map(Gpu::to_string).collect()
    }

    const NVIDIA_CARD: [(&str, &str); 2] = [
        ("sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n"),
        ("sys/bus/pci/devices/0000:01:00.0/class", "0x030000\n"),
    ];
    const NVIDIA_DRIVER: (&str, &str) = (
        "proc/driver/nvidia/gpus/0000:01:00.0/information",
        "Model: \t\t NVIDIA GeForce RTX 3060\nIRQ:   \t\t 123\nGPU UUID: \t GPU-0\n",
    );

    #[test]
    fn an_nvidia_card_has_its_name_from_its_driver() {
        assert_eq!(told(&NVIDIA_CARD), ["an NVIDIA GPU"]);
        assert_eq!(told(&[NVIDIA_CARD[0], NVIDIA_CARD[1], NVIDIA_DRIVER]), ["an NVIDIA GPU (GeForce RTX 3060)"]);
        assert_eq!(told(&[NVIDIA_DRIVER]), ["an NVIDIA GPU (GeForce RTX 3060)"], "in a container without /sys");
    }

    #[test]
    fn what_has_memory_of_its_own_comes_first() {
        let laptop = [
            ("sys/bus/pci/devices/0000:00:02.0/vendor", "0x8086\n"),
            ("sys/bus/pci/devices/0000:00:02.0/class", "0x030000\n"),
            ("sys/bus/pci/devices/0000:03:00.0/vendor", "0x1002\n"),
            ("sys/bus/pci/devices/0000:03:00.0/class", "0x038000\n"),
            ("sys/bus/pci/devices/0000:03:00.0/mem_info_vram_total", "8573157376\n"),
            ("sys/bus/pci/devices/0000:03:00.0/product_name", "Radeon RX 6600M\n"),
        ];
        assert_eq!(told(&laptop), ["an AMD GPU (Radeon RX 6600M)", "an integrated Intel GPU"]);
    }

    #[test]
    fn an_amd_processor_with_little_memory_is_integrated_and_an_intel_card_is_not() {
        let board = [
            ("sys/bus/pci/devices/0000:05:00.0/vendor", "0x1002\n"),
            ("sys/bus/pci/devices/0000:05:00.0/class", "0x030000\n"),
            ("sys/bus/pci/devices/0000:05:00.0/mem_info_vram_total", "536870912\n"),
            ("sys/bus/pci/devices/0000:03:00.0/vendor", "0x8086\n"),
            ("sys/bus/pci/devices/0000:03:00.0/class", "0x030000\n"),
        ];
        assert_eq!(told(&board), ["an Intel GPU", "an integrated AMD GPU"]);
    }

    #[test]
    fn the_screens_of_virtual_machines_and_other_devices_are_none() {
        let mut files = Vec::new();
        let paths: Vec<(String, String)> = ["0x1af4", "0x1234", "0x15ad", "0x1013"]
            .iter()
            .enumerate()
            .map(|(slot, vendor)| (format!("sys/bus/pci/devices/0000:00:0{slot}.0"), format!("{vendor}\n")))
            .collect();
        for (folder, vendor) in &paths {
            files.push((format!("{folder}/vendor"), vendor.clone()));
            files.push((format!("{folder}/class"), "0x030000\n".into()));
        }
        // A network card of Intel's.
        files.push(("sys/bus/pci/devices/0000:00:1f.0/vendor".into(), "0x8086\n".into()));
        files.push(("sys/bus/pci/devices/0000:00:1f.0/class".into(), "0x020000\n".into()));
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        assert_eq!(told(&files), Vec::<String>::new());
        assert_eq!(told(&[]), Vec::<String>::new());
    }

    #[test]
    fn another_driver_leaves_other_marks() {
        let manifest = ("usr/share/vulkan/icd.d/radeon_icd.x86_64.json", "{}");
        let version = ("proc/driver/nvidia/version", "NVRM version: 550.54\nGCC version: 13\n");
        let kernel = ("proc/sys/kernel/osrelease", "6.1.0-18-amd64\n");
        let with = drivers_under(tree(&[kernel, version, manifest]).path());
        assert!(with.contains("6.1.0-18") && with.contains("550.54") && with.contains("radeon_icd"), "{with}");
        assert!(!with.contains("GCC"), "{with}");
        assert_ne!(with, drivers_under(tree(&[kernel, version]).path()));
    }
}
