//! A root folder with files.

use std::path::Path;

use crate::hardware::cores::{CoreSet, Cpu};

/// A root folder with files, for readers.
pub struct Tree(tempfile::TempDir);

impl Default for Tree {
    fn default() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

impl Tree {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn root(&self) -> &Path {
        self.0.path()
    }

    pub fn file(self, path: &str, text: &str) -> Self {
        self.write(path, text);
        self
    }

    /// The same, later.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// A file of a processor: `cpu_capacity`, `cpufreq/cpuinfo_max_freq`, …
    pub fn of_core(self, core: usize, file: &str, text: impl ToString) -> Self {
        self.file(&format!("sys/devices/system/cpu/cpu{core}/{file}"), &format!("{}\n", text.to_string()))
    }

    pub fn online(self, cores: &str) -> Self {
        self.file("sys/devices/system/cpu/online", &format!("{cores}\n"))
    }

    pub fn cpuinfo(self, of_core: impl Fn(usize) -> String, cores: usize) -> Self {
        let text: String = (0..cores).map(|core| format!("processor\t: {core}\n{}\n", of_core(core))).collect();
        self.file("proc/cpuinfo", &text)
    }

    pub fn read(&self, allowed: &str) -> Cpu {
        Cpu::read_under(self.root(), CoreSet::parse(allowed))
    }

    /// What the system calls itself, and what else every Linux tells. Sizes are in KiB.
    pub fn system(self, os: &str, kernel: &str, governor: &str, (memory, free): (u64, u64)) -> Self {
        let meminfo = format!(
            "MemTotal:       {memory} kB\nMemFree:         100000 kB\nMemAvailable:   {free} kB\nSwapTotal:       524284 kB\nSwapFree:        524284 kB\n"
        );
        let tree = self
            .file("etc/os-release", &format!("ID=debian\nPRETTY_NAME=\"{os}\"\n"))
            .file("proc/sys/kernel/osrelease", &format!("{kernel}\n"))
            .file("proc/meminfo", &meminfo)
            .file("proc/loadavg", "0.08 0.10 0.05 1/180 4242\n");
        if governor.is_empty() { tree } else { tree.of_core(0, "cpufreq/scaling_governor", governor) }
    }

    /// A place whose temperature is measured.
    pub fn zone(self, number: usize, kind: &str, thousandths: i64) -> Self {
        let zone = format!("sys/class/thermal/thermal_zone{number}");
        self.file(&format!("{zone}/type"), &format!("{kind}\n"))
            .file(&format!("{zone}/temp"), &format!("{thousandths}\n"))
    }

    /// Something that cools, or slows down to cool.
    pub fn cooling(self, number: usize, kind: &str) -> Self {
        let device = format!("sys/class/thermal/cooling_device{number}");
        self.file(&format!("{device}/type"), &format!("{kind}\n")).file(&format!("{device}/cur_state"), "0\n")
    }

    /// A script in the folder of its programs.
    pub fn program(self, name: &str, script: &str) -> Self {
        let path = format!("bin/{name}");
        self.write(&path, &format!("#!/bin/sh\n{script}\n"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(self.root().join(path), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        self
    }
}
