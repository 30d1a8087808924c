//! The energy that processors count themselves (RAPL), below `/sys/class/powercap`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The packages of the machine, each with what it counted when it was last asked.
#[derive(Clone, Debug)]
pub struct Rapl {
    packages: Vec<Package>,
    last: Option<(Instant, Vec<u64>)>,
}

#[derive(Clone, Debug)]
struct Package {
    name: String,
    file: PathBuf,
    /// The counter begins again behind this many µJ.
    range: u64,
}

impl Rapl {
    /// The packages below `root`; `None` if there is none.
    ///
    /// # Errors
    /// A sentence, if they may not be read.
    pub fn find(root: &Path) -> Result<Option<Self>, String> {
        let zones = std::fs::read_dir(root.join("sys/class/powercap")).into_iter().flatten().flatten();
        let mut folders: Vec<PathBuf> = zones.map(|zone| zone.path()).collect();
        // Behind `intel-rapl-mmio` are the counters of `intel-rapl` once more.
        folders.sort_by_key(|folder| (folder.to_string_lossy().contains("mmio"), folder.clone()));
        let mut packages: Vec<Package> = Vec::new();
        for folder in folders {
            let name = std::fs::read_to_string(folder.join("name")).unwrap_or_default();
            if !name.starts_with("package") || packages.iter().any(|package| package.name == name) {
                continue;
            }
            let file = folder.join("energy_uj");
            match std::fs::read_to_string(&file) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                    return Err("power is not measured: only root may read the processor's counters; \
                                `sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj` allows it until the next start"
                        .into());
                }
                Err(_) => continue,
            }
            let range = number(&folder.join("max_energy_range_uj")).unwrap_or(u64::from(u32::MAX));
            packages.push(Package { name, file, range });
        }
        Ok((!packages.is_empty()).then_some(Self { packages, last: None }))
    }

    /// The mean power since this was last asked, in watts. `None` the first time.
    pub fn watts(&mut self, now: Instant) -> Option<f64> {
        let counts: Vec<u64> = self.packages.iter().map(|package| number(&package.file)).collect::<Option<_>>()?;
        let (then, before) = self.last.replace((now, counts.clone()))?;
        let seconds = now.saturating_duration_since(then).as_secs_f64();
        let used = self.packages.iter().zip(before).zip(counts).map(|((package, before), now)| match now >= before {
            true => now - before,
            false => now.saturating_add(package.range).saturating_sub(before),
        });
        let joules = used.sum::<u64>() as f64 / 1e6;
        (seconds > 0.0).then(|| joules / seconds)
    }
}

fn number(file: &Path) -> Option<u64> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::hardware::boards::Tree;

    #[test]
    fn power_is_what_was_used_in_between_and_counters_may_begin_again() {
        let zone = "sys/class/powercap/intel-rapl:0";
        let count = format!("{zone}/energy_uj");
        let tree = Tree::new()
            .file(&format!("{zone}/name"), "package-0\n")
            .file(&format!("{zone}/max_energy_range_uj"), "100000000\n")
            .file(&count, "90000000\n")
            .file("sys/class/powercap/intel-rapl:0:0/name", "core\n")
            .file("sys/class/powercap/intel-rapl:0:0/energy_uj", "1\n");
        let mut rapl = Rapl::find(tree.root()).unwrap().unwrap();
        let start = Instant::now();
        assert_eq!(rapl.watts(start), None);
        let tree = tree.file(&count, "95000000\n");
        assert_eq!(rapl.watts(start + Duration::from_secs(1)), Some(5.0));
        let _tree = tree.file(&count, "15000000\n");
        assert_eq!(rapl.watts(start + Duration::from_secs(3)), Some(10.0));
    }

    #[test]
    fn a_counter_behind_two_doors_counts_once_and_two_processors_are_added_up() {
        let zone = |tree: Tree, folder: &str, name: &str, count: &str| {
            let folder = format!("sys/class/powercap/{folder}");
            tree.file(&format!("{folder}/name"), name)
                .file(&format!("{folder}/max_energy_range_uj"), "262143328850\n")
                .file(&format!("{folder}/energy_uj"), count)
        };
        let tree = zone(Tree::new(), "intel-rapl:0", "package-0\n", "0\n");
        let tree = zone(tree, "intel-rapl:1", "package-1\n", "0\n");
        let tree = zone(tree, "intel-rapl-mmio:0", "package-0\n", "0\n");
        let mut rapl = Rapl::find(tree.root()).unwrap().unwrap();
        let start = Instant::now();
        assert_eq!(rapl.watts(start), None);
        for (folder, count) in
            [("intel-rapl:0", "20000000\n"), ("intel-rapl:1", "15000000\n"), ("intel-rapl-mmio:0", "9\n")]
        {
            tree.write(&format!("sys/class/powercap/{folder}/energy_uj"), count);
        }
        assert_eq!(rapl.watts(start + Duration::from_secs(1)), Some(35.0));
    }

    #[test]
    fn a_machine_without_counters_has_none() {
        assert!(Rapl::find(Tree::new().root()).unwrap().is_none());
    }
}
