//! How much processor time the control groups of this process may use.

use std::path::Path;

use super::set::CoreSet;

/// Processors' worth of time that may be used, 1.5 for one and a half: the tightest limit among this process's control
/// group and those above it, of both versions. `None` without a limit. `root` is `/` but in tests.
pub fn read(root: &Path) -> Option<f64> {
    let groups = std::fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let mounted = root.join("sys/fs/cgroup");
    let limits = groups.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        if number == "0" && controllers.is_empty() {
            // Beside version 1, version 2 is mounted one folder below.
            let both = [mounted.clone(), mounted.join("unified")];
            return both.iter().filter_map(|mounted| tightest(mounted, path, version_2)).min_by(f64::total_cmp);
        }
        if !controllers.split(',').any(|controller| controller == "cpu") {
            return None;
        }
        let both = [mounted.join(controllers), mounted.join("cpu")];
        both.iter().filter_map(|mounted| tightest(mounted, path, version_1)).min_by(f64::total_cmp)
    });
    limits.min_by(f64::total_cmp)
}

/// The cores that the control group allows, where the affinity mask cannot be asked.
pub fn cpuset(root: &Path) -> Option<CoreSet> {
    let groups = std::fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let mounted = root.join("sys/fs/cgroup");
    let set = groups.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let file = match controllers {
            "" => mounted.join(path.trim_start_matches('/')).join("cpuset.cpus.effective"),
            _ if controllers.split(',').any(|controller| controller == "cpuset") => {
                mounted.join(controllers).join(path.trim_start_matches('/')).join("cpuset.effective_cpus")
            }
            _ => return None,
        };
        CoreSet::parse(&std::fs::read_to_string(file).ok()?)
    });
    set.filter(|set| !set.is_empty())
}

/// The least of the limits of a group and of those above it. (In a container the path may be one of the host's; what
/// is not there is passed by, up to where the groups are mounted.)
fn tightest(mounted: &Path, path: &str, limit: fn(&Path) -> Option<f64>) -> Option<f64> {
    let mut folder = mounted.join(path.trim_start_matches('/'));
    let mut least: Option<f64> = None;
    while folder.starts_with(mounted) {
        if let Some(here) = limit(&folder) {
            least = Some(least.map_or(here, |least| least.min(here)));
        }
        if !folder.pop() {
            break;
        }
    }
    least
}

/// `cpu.max`: microseconds of each period, and the period.
fn version_2(group: &Path) -> Option<f64> {
    let text = std::fs::read_to_string(group.join("cpu.max")).ok()?;
    let mut words = text.split_whitespace();
    let quota = words.next()?.parse().ok()?;
    ratio(quota, words.next().map_or(Some(100_000), |period| period.parse().ok())?)
}

fn version_1(group: &Path) -> Option<f64> {
    let number = |name: &str| std::fs::read_to_string(group.join(name)).ok()?.trim().parse::<i64>().ok();
    ratio(number("cpu.cfs_quota_us")?, number("cpu.cfs_period_us")?)
}

fn ratio(quota: i64, period: i64) -> Option<f64> {
    (quota > 0 && period > 0).then(|| quota as f64 / period as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware::boards::Tree;

    #[test]
    fn the_tightest_limit_of_the_groups_above_counts() {
        let tree = Tree::new()
            .file("proc/self/cgroup", "0::/user/box\n")
            .file("sys/fs/cgroup/user/cpu.max", "150000 100000\n")
            .file("sys/fs/cgroup/user/box/cpu.max", "400000 100000\n");
        assert_eq!(read(tree.root()), Some(1.5));
    }

    #[test]
    fn a_container_finds_its_limit_where_the_groups_are_mounted() {
        let tree = Tree::new().file("proc/self/cgroup", "0::/\n").file("sys/fs/cgroup/cpu.max", "50000 100000\n");
        assert_eq!(read(tree.root()), Some(0.5));
        let of_the_host = Tree::new()
            .file("proc/self/cgroup", "4:cpu,cpuacct:/docker/0123\n")
            .file("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "200000\n")
            .file("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
        assert_eq!(read(of_the_host.root()), Some(2.0));
    }

    #[test]
    fn groups_without_a_limit_or_with_nonsense_are_no_limit() {
        for text in ["max 100000\n", "max\n", "\n", "-1 100000\n", "100000 0\n", "x y\n"] {
            let tree = Tree::new().file("proc/self/cgroup", "0::/\n").file("sys/fs/cgroup/cpu.max", text);
            assert_eq!(read(tree.root()), None, "{text:?}");
        }
        let first = Tree::new()
            .file("proc/self/cgroup", "1:cpu:/\n")
            .file("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n")
            .file("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
        assert_eq!(read(first.root()), None);
        assert_eq!(read(Tree::new().root()), None);
    }

    #[test]
    fn the_cores_of_a_group_are_read_in_both_versions() {
        let second =
            Tree::new().file("proc/self/cgroup", "0::/box\n").file("sys/fs/cgroup/box/cpuset.cpus.effective", "2-3\n");
        assert_eq!(cpuset(second.root()), CoreSet::parse("2-3"));
        let first = Tree::new()
            .file("proc/self/cgroup", "3:cpuset:/box\n0::/\n")
            .file("sys/fs/cgroup/cpuset/box/cpuset.effective_cpus", "1\n");
        assert_eq!(cpuset(first.root()), CoreSet::parse("1"));
        assert_eq!(cpuset(Tree::new().root()), None);
    }
}
