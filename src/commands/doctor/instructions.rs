//! Instruction sets: those that llama.cpp's kernels were compiled to use, and those that the processor has.

use super::system::System;

/// An instruction set that kernels make use of.
struct Instruction {
    /// What people call it.
    title: &'static str,
    /// ggml's name for having compiled it in.
    compiled: &'static str,
    /// The kernel's word in `/proc/cpuinfo`.
    present: &'static str,
    /// Whether the usual models are slower without it.
    matters: bool,
}

const fn instruction(title: &'static str, compiled: &'static str, present: &'static str, matters: bool) -> Instruction {
    Instruction { title, compiled, present, matters }
}

const INSTRUCTIONS: [Instruction; 17] = [
    instruction("AVX", "AVX", "avx", true),
    instruction("AVX2", "AVX2", "avx2", true),
    instruction("FMA", "FMA", "fma", true),
    instruction("F16C", "F16C", "f16c", true),
    instruction("AVX-VNNI", "AVX_VNNI", "avx_vnni", true),
    instruction("AVX-512", "AVX512", "avx512f", true),
    instruction("AVX-512 VBMI", "AVX512_VBMI", "avx512vbmi", false),
    instruction("AVX-512 VNNI", "AVX512_VNNI", "avx512_vnni", true),
    instruction("AVX-512 BF16", "AVX512_BF16", "avx512_bf16", false),
    instruction("AMX", "AMX_INT8", "amx_int8", false),
    instruction("NEON", "NEON", "asimd", true),
    instruction("half floats", "FP16_VA", "asimdhp", true),
    instruction("dot product", "DOTPROD", "asimddp", true),
    instruction("matrix multiplication", "MATMUL_INT8", "i8mm", true),
    instruction("SVE", "SVE", "sve", false),
    instruction("SME", "SME", "sme", false),
    instruction("RISC-V vectors", "RISCV_V", "v", false),
];

/// What is compiled in and what the processor has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Instructions {
    /// Used by this build.
    pub used: Vec<&'static str>,
    /// There, and not used.
    pub unused: Vec<&'static str>,
    /// Those of the unused that would make it faster.
    pub missed: Vec<&'static str>,
}

impl Instructions {
    /// From ggml's names of what it can do, and the words of the processor; without those, nothing is said to be unused.
    pub fn of(compiled: &[String], present: Option<&[String]>) -> Self {
        let is_compiled = |name: &str| compiled.iter().any(|ability| ability == name);
        let is_present = |word: &str| present.is_some_and(|words| words.iter().any(|known| known == word));
        let mut found = Self::default();
        for each in &INSTRUCTIONS {
            // What kernels take in its place.
            let has_better = each.compiled == "AVX_VNNI" && is_compiled("AVX512_VNNI");
            if is_compiled(each.compiled) {
                found.used.push(each.title);
            } else if is_present(each.present) {
                found.unused.push(each.title);
                if each.matters && !has_better {
                    found.missed.push(each.title);
                }
            }
        }
        found
    }
}

/// The words of the processor: those of the system, or what this program can find out itself.
pub fn present(system: &System<'_>) -> Option<Vec<String>> {
    match system.read("proc/cpuinfo") {
        Some(text) => words(&text),
        None => Some(detected().into_iter().map(str::to_owned).collect()),
    }
}

/// The words in `/proc/cpuinfo`: `flags` on x86-64, `Features` on ARM.
fn words(cpuinfo: &str) -> Option<Vec<String>> {
    let line = cpuinfo.lines().find(|line| line.starts_with("flags") || line.starts_with("Features"))?;
    Some(line.split_once(':')?.1.split_whitespace().map(str::to_owned).collect())
}

/// What matters and can be asked for without the system.
#[cfg(target_arch = "aarch64")]
fn detected() -> Vec<&'static str> {
    use std::arch::is_aarch64_feature_detected as has;
    let found = [
        ("asimd", has!("neon")),
        ("asimdhp", has!("fp16")),
        ("asimddp", has!("dotprod")),
        ("i8mm", has!("i8mm")),
        ("sve", has!("sve")),
    ];
    found.into_iter().filter(|(_, is_there)| *is_there).map(|(word, _)| word).collect()
}

/// What matters and can be asked for without the system.
#[cfg(target_arch = "x86_64")]
fn detected() -> Vec<&'static str> {
    use std::arch::is_x86_feature_detected as has;
    let found = [
        ("avx", has!("avx")),
        ("avx2", has!("avx2")),
        ("fma", has!("fma")),
        ("f16c", has!("f16c")),
        ("avx_vnni", has!("avxvnni")),
        ("avx512f", has!("avx512f")),
        ("avx512_vnni", has!("avx512vnni")),
    ];
    found.into_iter().filter(|(_, is_there)| *is_there).map(|(word, _)| word).collect()
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn detected() -> Vec<&'static str> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::super::system::fixture::Fixture;
    use super::*;

    fn strings(names: &str) -> Vec<String> {
        names.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn what_the_build_leaves_unused_is_told_from_what_it_misses() {
        let compiled = strings("SSE3 AVX AVX2 FMA F16C BMI2 OPENMP");
        let present = strings("fpu avx avx2 fma f16c avx512f avx512_vnni avx512_bf16");
        let found = Instructions::of(&compiled, Some(&present));
        assert_eq!(found.used, ["AVX", "AVX2", "FMA", "F16C"]);
        assert_eq!(found.unused, ["AVX-512", "AVX-512 VNNI", "AVX-512 BF16"]);
        assert_eq!(found.missed, ["AVX-512", "AVX-512 VNNI"]);
    }

    #[test]
    fn what_has_a_better_one_in_its_place_is_not_missed() {
        let found = Instructions::of(&strings("AVX512 AVX512_VNNI"), Some(&strings("avx512f avx512_vnni avx_vnni")));
        assert_eq!((found.unused, found.missed), (vec!["AVX-VNNI"], Vec::new()));
    }

    #[test]
    fn a_processor_that_does_not_tell_misses_nothing() {
        assert_eq!(Instructions::of(&strings("NEON"), None).unused, Vec::<&str>::new());
    }

    #[test]
    fn both_ways_of_writing_cpuinfo_are_read() {
        let arm = "processor\t: 0\nFeatures\t: fp asimd asimddp\n";
        let intel = "processor\t: 0\nflags\t\t: fpu avx2\nbugs: x\n";
        for (text, word) in [(arm, "asimddp"), (intel, "avx2")] {
            let found = Fixture::new(&[("proc/cpuinfo", text)], &[]).examine(present).unwrap();
            assert!(found.iter().any(|each| each == word), "{found:?}");
        }
        assert_eq!(Fixture::new(&[("proc/cpuinfo", "processor: 0\n")], &[]).examine(present), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_program_finds_what_the_system_says() {
        let Ok(text) = std::fs::read_to_string("/proc/cpuinfo") else { return };
        let Some(said) = words(&text) else { return };
        for word in detected() {
            assert!(said.iter().any(|known| known == word), "{word}");
        }
    }
}
