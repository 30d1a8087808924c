//! How many threads compute, and on which cores: pure, and in words.
//!
//! The threads of a computation wait for each other after every operation, so the slowest one sets the pace: a slow core
//! among fast ones holds all of them up. Threads of the same core share its vector units, which both need all the time.
//! And a group that has used up its processor time stands still to the end of the period, with all its threads, those
//! that read the keyboard among them. So: the fast cores that are allowed, one thread on each, and no more than whole
//! processors of the group's time. Where something else may be faster than this rule, it is measured
//! ([`Cpu::candidates`]).

use serde::{Deserialize, Serialize};

use super::set::CoreSet;
use super::topology::{Core, Cpu};

/// Cores are fast that have this part of the capacity of the fastest.
const FAST: f64 = 0.8;
/// A single fastest core takes others along that make the whole this many times as fast, if all get the same share.
const WORTH_COMPANY: f64 = 1.3;
/// More fast cores than this may have more speed than the memory can feed.
const MOST_OBVIOUS: usize = 4;

/// Threads that compute together, and the cores they run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crew {
    pub threads: u32,
    /// Empty where they are not told where to run.
    pub cores: CoreSet,
}

impl Crew {
    /// So many threads, anywhere.
    pub fn anywhere(threads: u32) -> Self {
        Self { threads: threads.max(1), cores: CoreSet::default() }
    }
}

/// Who computes tokens one after the other, and who a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crews {
    pub decode: Crew,
    pub prefill: Crew,
}

impl Crews {
    pub fn both(crew: Crew) -> Self {
        Self { decode: crew, prefill: crew }
    }

    /// So many threads for both, anywhere.
    pub fn anywhere(threads: u32) -> Self {
        Self::both(Crew::anywhere(threads))
    }
}

/// What was chosen, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreChoice {
    pub crews: Crews,
    /// A sentence without a full stop: `4 of 8 cores: the fast ones (Cortex-A76)`.
    pub reason: String,
    /// What speaks against what was asked for.
    pub remark: Option<String>,
}

impl Cpu {
    /// The threads and cores by the rule, or as many threads as were asked for.
    pub fn choose(&self, wish: Option<u32>) -> CoreChoice {
        if let Some(threads) = wish {
            let threads = threads.max(1);
            return CoreChoice {
                crews: Crews::both(self.crew(threads)),
                reason: format!("{} asked for", count(threads as usize, "thread")),
                remark: self.remark(wish),
            };
        }
        let plan = Plan::of(self);
        let threads = plan.threads();
        CoreChoice { crews: Crews::both(self.crew(threads)), reason: plan.reason(threads), remark: None }
    }

    /// What was found to be the fastest of the candidates.
    pub fn measured(&self, crews: Crews) -> CoreChoice {
        let (decode, prefill) = (crews.decode.threads, crews.prefill.threads);
        let threads = match decode == prefill {
            true => count(decode as usize, "thread"),
            false => format!("{} for answers and {prefill} for prompts", count(decode as usize, "thread")),
        };
        let on = match (crews.decode.cores.is_empty(), crews.decode.cores == crews.prefill.cores) {
            (true, _) => String::new(),
            (false, true) => format!(" on cores {}", crews.decode.cores),
            (false, false) => format!(" on cores {} and {}", crews.decode.cores, crews.prefill.cores),
        };
        let reason = format!("{threads}{on}: the fastest of those that were tried with this model");
        CoreChoice { crews, reason, remark: None }
    }

    /// What may be the fastest, each once, and the rule's choice first: all fast cores, all cores, half of the fast
    /// ones, all but one, all threads of all cores, and with a limit in fractions of a processor the next whole one.
    pub fn candidates(&self) -> Vec<Crew> {
        let plan = Plan::of(self);
        let fast = plan.threads();
        let most = self.quota.map_or(usize::MAX, |quota| quota.ceil().max(1.0) as usize);
        let mut counts = vec![fast as usize, plan.physical.len(), fast as usize / 2, (fast as usize).saturating_sub(1)];
        counts.push(plan.everything.len());
        counts.extend(self.quota.map(|_| most));
        let mut crews: Vec<Crew> = Vec::new();
        for threads in counts {
            let crew = self.crew(threads as u32);
            let is_possible = threads >= 1 && threads <= plan.everything.len() && threads <= most;
            if is_possible && crews.iter().all(|known| known.threads != crew.threads) {
                crews.push(crew);
            }
        }
        crews
    }

    /// Whether the rule is right without trying: few cores, all alike, without siblings and without a limit.
    pub fn is_obvious(&self) -> bool {
        let plan = Plan::of(self);
        plan.fast.len() == plan.everything.len() && plan.fast.len() <= MOST_OBVIOUS && !plan.is_limited()
    }

    /// The cores to which the threads of this crew are to be held; `None` where all crews have all cores. Where they have
    /// not, one that has all is held to all: its threads may have been held to fewer before.
    pub fn pinning(&self, crew: &Crew) -> Option<CoreSet> {
        let plan = Plan::of(self);
        let allowed: CoreSet = plan.everything.iter().map(|core| core.number).collect();
        let cores = crew.cores.intersection(&allowed);
        let is_of_matter = self.pins && plan.fast.len() < plan.everything.len();
        is_of_matter.then_some(if cores.is_empty() { allowed } else { cores })
    }

    /// One thread of each core that computes by the rule, and one of each core that may be used.
    pub(super) fn fast_and_all(&self) -> (CoreSet, CoreSet) {
        let plan = Plan::of(self);
        let numbers = |cores: &[&Core]| cores.iter().map(|core| core.number).collect();
        (numbers(&plan.fast), numbers(&plan.physical))
    }

    /// What a measurement on these cores holds for.
    pub fn conditions(&self) -> String {
        let numbers = |cores: Vec<&Core>| cores.iter().map(|core| core.number).collect::<CoreSet>();
        let all = self.cores.iter().collect();
        let quota = self.quota.map(|quota| format!(", time of {quota:.2}")).unwrap_or_default();
        format!("cores {} of {}{quota}", numbers(self.allowed()), numbers(all))
    }

    /// So many threads on the cores that suit them: the fast ones as long as there are enough, then all cores, then all
    /// there is.
    pub fn crew(&self, threads: u32) -> Crew {
        let plan = Plan::of(self);
        let groups = [&plan.fast, &plan.physical, &plan.everything];
        let chosen = groups.into_iter().find(|group| group.len() >= threads as usize).unwrap_or(&plan.everything);
        let cores = chosen.iter().map(|core| core.number).filter(|_| self.pins).collect();
        Crew { threads: threads.max(1), cores }
    }

    /// What speaks against as many threads as were asked for, in a sentence.
    pub fn remark(&self, wish: Option<u32>) -> Option<String> {
        let threads = wish?;
        let plan = Plan::of(self);
        let (usable, asked) = (plan.everything.len(), threads as usize);
        let instead = format!("leave `--threads` out, or use `--threads {}`", plan.threads());
        if usable > 0 && asked > usable {
            let cores = count(usable, "processor");
            return Some(format!(
                "{threads} threads are more than the {cores} this program may use: they will take turns, and answers will be slow; {instead}"
            ));
        }
        let quota = self.quota.filter(|quota| asked as f64 > quota.ceil())?;
        Some(format!(
            "{threads} threads are more than the control group has time for ({} processors' worth): they will stand still for a part of it; {instead}",
            decimal(quota)
        ))
    }
}

/// The cores that are allowed, in the groups that count.
struct Plan<'a> {
    cpu: &'a Cpu,
    /// One thread of each fast core.
    fast: Vec<&'a Core>,
    /// One thread of each core.
    physical: Vec<&'a Core>,
    everything: Vec<&'a Core>,
}

impl<'a> Plan<'a> {
    fn of(cpu: &'a Cpu) -> Self {
        let everything = cpu.allowed();
        let physical = one_of_each(&everything);
        let fast = fast(&physical);
        Self { cpu, fast, physical, everything }
    }

    /// By the rule.
    fn threads(&self) -> u32 {
        let cores = match self.fast.len() {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            cores => cores,
        };
        let time = self.cpu.quota.map_or(usize::MAX, |quota| quota.floor().max(1.0) as usize);
        u32::try_from(cores.min(time)).unwrap_or(u32::MAX)
    }

    /// The time of the control group is less than that of the fast cores.
    fn is_limited(&self) -> bool {
        self.cpu.quota.is_some_and(|quota| quota < self.fast.len() as f64)
    }

    fn reason(&self, threads: u32) -> String {
        let online: Vec<&Core> = self.cpu.cores.iter().collect();
        let there = one_of_each(&online);
        if there.is_empty() {
            return format!("{}: as many as the system says", count(threads as usize, "thread"));
        }
        let mut why = Vec::new();
        let slow: Vec<&Core> = self.physical.iter().copied().filter(|core| !is_in(&self.fast, core)).collect();
        if let (Some(fastest), false) = (self.fast.iter().map(|core| core.capacity).max(), slow.is_empty()) {
            let part = slow.iter().map(|core| core.capacity).max().unwrap_or(0) * 100;
            let part = (f64::from(part) / f64::from(fastest.max(1))).round();
            why.push(format!(
                "the fast ones{}; the {}{}, about {part} % as fast, would hold them up",
                kinds(&self.fast),
                if slow.len() == 1 { "other".into() } else { format!("{} others", slow.len()) },
                kinds(&slow),
            ));
        }
        if self.physical.len() < there.len() {
            why.push("this process may use no others".into());
        }
        if self.everything.len() > self.physical.len() {
            why.push("one thread on each, since two would share its vector units".into());
        }
        if self.is_limited()
            && let Some(quota) = self.cpu.quota
        {
            let whole = if quota.fract() > 0.0 { ", and more threads would stand still between" } else { "" };
            why.push(format!("the control group has the time of {}{whole}", decimal(quota)));
        }
        if why.is_empty() {
            why.push(format!("all of them{}", kinds(&self.fast)));
        }
        format!("{threads} of {}: {}", count(there.len(), "core"), why.join("; "))
    }
}

/// One thread of each core, the first that is there.
fn one_of_each<'a>(cores: &[&'a Core]) -> Vec<&'a Core> {
    let mut taken = CoreSet::default();
    let mut firsts = Vec::new();
    for core in cores {
        if !taken.contains(core.number) {
            firsts.push(*core);
        }
        core.siblings.numbers().chain([core.number]).for_each(|number| taken.insert(number));
    }
    firsts
}

fn fast<'a>(physical: &[&'a Core]) -> Vec<&'a Core> {
    let at_least = |part: f64| -> Vec<&'a Core> {
        physical.iter().copied().filter(|core| f64::from(core.capacity) >= part).collect()
    };
    let Some(most) = physical.iter().map(|core| core.capacity).max().map(f64::from) else { return Vec::new() };
    let fast = at_least(most * FAST);
    let next = physical.iter().map(|core| f64::from(core.capacity)).filter(|capacity| *capacity < most * FAST);
    if fast.len() > 1 {
        return fast;
    }
    let Some(next) = next.max_by(f64::total_cmp) else { return fast };
    let with_company = at_least(next * FAST);
    let slowest = with_company.iter().map(|core| f64::from(core.capacity)).min_by(f64::total_cmp).unwrap_or(most);
    let together = with_company.len() as f64 * slowest / most;
    if together >= WORTH_COMPANY { with_company } else { fast }
}

fn is_in(cores: &[&Core], core: &Core) -> bool {
    cores.iter().any(|other| other.number == core.number)
}

/// ` (Cortex-A76)`, or nothing if it is not known.
fn kinds(cores: &[&Core]) -> String {
    let mut kinds: Vec<String> = Vec::new();
    for kind in cores.iter().filter_map(|core| core.kind) {
        let plural = if kind.ends_with("core") && cores.len() > 1 { format!("{kind}s") } else { kind.to_owned() };
        if !kinds.contains(&plural) {
            kinds.push(plural);
        }
    }
    if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) }
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// `1.5`, and `2` for a whole number.
fn decimal(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cores of these capacities, all allowed, without siblings.
    fn cpu(capacities: &[u32]) -> Cpu {
        let core = |(number, capacity): (usize, &u32)| Core {
            number,
            capacity: *capacity,
            siblings: [number].into_iter().collect(),
            kind: None,
            is_allowed: true,
        };
        Cpu { cores: capacities.iter().enumerate().map(core).collect(), pins: true, ..Cpu::default() }
    }

    fn threads(cpu: &Cpu) -> u32 {
        cpu.choose(None).crews.decode.threads
    }

    #[test]
    fn a_single_fastest_core_takes_those_along_that_make_it_faster() {
        // A prime core, three large and four small ones, as in telephones.
        assert_eq!(threads(&cpu(&[300, 300, 300, 300, 730, 730, 730, 1024])), 4);
        assert_eq!(threads(&cpu(&[414, 1024])), 1);
        assert_eq!(threads(&cpu(&[1024])), 1);
    }

    #[test]
    fn a_quota_counts_in_whole_processors_and_gives_one_at_least() {
        let limited = |quota| Cpu { quota: Some(quota), ..cpu(&[1024; 4]) };
        for (quota, expected) in [(0.2, 1), (1.0, 1), (1.5, 1), (2.0, 2), (3.9, 3), (4.0, 4), (64.0, 4)] {
            assert_eq!(threads(&limited(quota)), expected, "{quota}");
        }
        let counts = |quota| limited(quota).candidates().iter().map(|crew| crew.threads).collect::<Vec<_>>();
        assert_eq!(counts(1.5), [1, 2]);
        assert_eq!(counts(3.9), [3, 4, 1, 2]);
    }

    #[test]
    fn what_was_asked_for_is_taken_and_what_will_be_slow_is_said() {
        let two = cpu(&[1024; 2]);
        let choice = two.choose(Some(2));
        assert_eq!((choice.crews.decode.threads, choice.crews.prefill.threads, choice.remark), (2, 2, None));
        let choice = two.choose(Some(8));
        assert_eq!((choice.crews.decode.threads, choice.crews.decode.cores.len()), (8, 2));
        let remark = choice.remark.unwrap();
        assert!(remark.starts_with("8 threads are more than the 2 processors"), "{remark}");
        assert!(remark.ends_with("`--threads 2`"), "{remark}");
        let limited = Cpu { quota: Some(1.5), ..cpu(&[1024; 4]) };
        assert_eq!(limited.choose(Some(2)).remark, None);
        assert!(limited.choose(Some(3)).remark.unwrap().contains("(1.5 processors' worth)"));
    }

    #[test]
    fn few_equal_cores_need_no_trial_and_others_do() {
        assert!(cpu(&[1024; 2]).is_obvious() && cpu(&[1024; 4]).is_obvious());
        assert!(!cpu(&[1024; 8]).is_obvious());
        assert!(!cpu(&[1024, 1024, 400, 400]).is_obvious());
        assert!(!Cpu { quota: Some(1.5), ..cpu(&[1024; 2]) }.is_obvious());
        assert!(Cpu { quota: Some(2.0), ..cpu(&[1024; 2]) }.is_obvious());
    }

    #[test]
    fn candidates_are_the_rule_first_and_each_once() {
        let counts = |cpu: &Cpu| cpu.candidates().iter().map(|crew| crew.threads).collect::<Vec<_>>();
        assert_eq!(counts(&cpu(&[1024; 2])), [2, 1]);
        assert_eq!(counts(&cpu(&[1024])), [1]);
        assert_eq!(counts(&cpu(&[1024; 16])), [16, 8, 15]);
        assert_eq!(counts(&cpu(&[400, 400, 400, 400, 1024, 1024, 1024, 1024])), [4, 8, 2, 3]);
    }

    #[test]
    fn threads_are_held_where_some_crew_does_not_have_all_cores() {
        assert_eq!(cpu(&[1024; 4]).pinning(&cpu(&[1024; 4]).crew(4)), None);
        let hybrid = cpu(&[400, 400, 1024, 1024]);
        let held = |crew: Crew| hybrid.pinning(&crew).map(|cores| cores.to_string());
        assert_eq!(held(hybrid.crew(2)).as_deref(), Some("2-3"));
        assert_eq!(held(hybrid.crew(4)).as_deref(), Some("0-3"));
        assert_eq!(held(Crew::anywhere(2)).as_deref(), Some("0-3"));
        let mac = Cpu { pins: false, ..hybrid.clone() };
        assert_eq!(mac.pinning(&mac.crew(2)), None);
    }

    #[test]
    fn a_machine_that_tells_nothing_gets_the_threads_that_the_system_says() {
        let choice = Cpu::default().choose(None);
        assert!(choice.crews.decode.threads >= 1 && choice.crews.decode.cores.is_empty());
        assert!(choice.reason.ends_with("as many as the system says"), "{}", choice.reason);
    }

    #[test]
    fn what_was_measured_is_said_with_its_cores() {
        let cpu = cpu(&[400, 400, 1024, 1024]);
        let crews = Crews { decode: cpu.crew(2), prefill: cpu.crew(4) };
        let choice = cpu.measured(crews);
        assert_eq!(
            choice.reason,
            "2 threads for answers and 4 for prompts on cores 2-3 and 0-3: the fastest of those that were tried with this model"
        );
    }
}
