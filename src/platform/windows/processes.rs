//! Processes on Windows.

use std::os::windows::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// The editor of those who chose none.
pub const USUAL_EDITOR: &str = "notepad";
/// What a shell answers that does not find a program.
pub const NOT_THERE: i32 = 9009;

/// How a process crashed, if it did: `code 0xC0000005`. Codes that say so are the negative ones.
pub fn crash(status: ExitStatus) -> Option<String> {
    status.code().filter(|code| *code < 0).map(|code| format!("code {code:#X}"))
}

/// Runs a line as the shell would, `cmd`.
pub fn shell(line: &str) -> Command {
    let mut command = Command::new("cmd");
    // `/S` takes off the outer quotation marks and nothing else. Words are not escaped as other programs expect it.
    command.args(["/D", "/S", "/C"]).raw_arg(format!("\"{line}\""));
    command
}

/// The same for a line behind which a file belongs.
pub fn shell_with_file(line: &str, file: &Path) -> Command {
    shell(&format!("{line} \"{}\"", file.display()))
}

/// Nothing to do: who started whom is known.
pub fn lead(command: &mut Command) -> &mut Command {
    command
}

/// Ends a process, and what it has started.
pub fn end_with_children(child: &mut Child) {
    let mut end = Command::new("taskkill");
    end.args(["/T", "/F", "/PID", &child.id().to_string()]);
    let _ = end.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let _ = child.kill();
    let _ = child.wait();
}

/// Nothing to do: what takes too long is ended by who started it, and there is no limit of memory.
pub fn limit(_memory_bytes: u64, _time: Duration) {}

/// Bytes of a page of memory.
pub fn page_bytes() -> u64 {
    4096
}
